// SPDX-License-Identifier: MIT
//! `orion reach` against what the Microkit tool makes of the emitted description: its report, and the specification of
//! every capability and every mapping that the kernel's initialiser carries out. Needs an SDK, and says so without one.
#![allow(clippy::unwrap_used, reason = "tests")]
use orion_reach_tests::capdl::Capdl;
use orion_reach_tests::{Account, Case, cases, claimed, report, same, tool};
use orion_system::emit;
use orion_system::plan::Slot;
use orion_system::reach::Dma;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

/// A guest's memory stands in an address space of its own, and its vCPUs' capabilities beside the PD's.
fn has_guest(case: &Case) -> bool {
    case.text.contains("<virtual_machine")
}

/// The report has no mappings and not what `<cspace>` gives.
fn without(account: &Account, memory: bool, controls: bool) -> Account {
    let mut account = account.clone();
    for holds in account.values_mut() {
        if memory {
            holds.memory.clear();
        }
        if controls {
            holds.controls.clear();
        }
    }
    account
}

#[test]
fn what_is_claimed_is_what_the_microkit_tool_gives() {
    let Some(sdk) = tool::sdk() else { return };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("microkit");
    let mut compared = 0;
    for case in cases().iter().filter(|case| emit::has_description(case.plan.board) && !has_guest(case)) {
        let made = tool::make(&sdk, case, &folder);
        let claimed = claimed(&case.reach);
        let given = case.text.contains("<cspace");
        same(
            &format!("{}, report", case.name),
            &without(&claimed, true, given),
            &without(&report::account(&made.report), true, given),
        );
        let capdl = Capdl::new(&made.capdl);
        same(&format!("{}, capabilities and mappings", case.name), &claimed, &capdl.account());
        devices(case, &capdl);
        regions(case, &capdl);
        compared += 1;
    }
    let _ = writeln!(
        io::stderr(),
        "{compared} systems compared with the report, the capabilities and the mappings that {} makes",
        sdk.display()
    );
    assert!(compared >= 80, "only {compared} systems");
}

/// Behind the IOMMU a device reaches what the IOMMU's page tables hold, and nothing else.
fn devices(case: &Case, capdl: &Capdl<'_>) {
    let spaces = capdl.spaces();
    for disk in &case.plan.disks {
        let driver = case.reach.iter().find(|reach| reach.pd == disk.driver).unwrap();
        let device = driver.devices.iter().find(|device| device.disk).unwrap();
        let Slot::Pci(number) = disk.slot else { continue };
        match (&device.dma, spaces.get(&format!("0:{number:x}.0"))) {
            (Dma::Regions(regions), Some(mapped)) => {
                assert_eq!(regions.iter().cloned().collect::<BTreeSet<_>>(), *mapped, "{}", case.name);
            }
            (Dma::Everything, None) => {}
            (claimed, mapped) => unreachable!("{}: claimed {claimed:?}, mapped {mapped:?}", case.name),
        }
    }
}

/// Sizes of regions are as claimed, and nothing but a program is executable.
fn regions(case: &Case, capdl: &Capdl<'_>) {
    let (sizes, executable) = (capdl.sizes(), capdl.executable());
    for memory in case.reach.iter().flat_map(|reach| &reach.memory) {
        assert_eq!(sizes.get(&memory.region), Some(&memory.size), "{}: {}", case.name, memory.region);
        assert!(memory.kind == "yours" || !executable.contains(&memory.region), "{}: {}", case.name, memory.region);
    }
}

// SPDX-License-Identifier: MIT
//! What `orion reach` claims, held against what was emitted and against what the Microkit tool makes of that.
//!
//! Three accounts of the same system are made, by three ways that share no code with `orion_system::reach`: from the
//! text of the emitted description ([`emitted`]), from the tool's report ([`report`]), and from the specification of
//! capabilities and page tables that the tool hands to the kernel's initialiser ([`capdl`]).
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "for tests")]
use orion_system::model::System;
use orion_system::plan::{Board, Plan};
use orion_system::reach::Reach;
use orion_system::{Options, derive, parse, parse_over};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub mod capdl;
pub mod elf;
pub mod emitted;
pub mod report;
pub mod tool;

/// What one PD holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// Regions, and whether they can be written.
    pub memory: BTreeMap<String, bool>,
    /// PDs that it can notify.
    pub signals: BTreeSet<String>,
    /// PDs that it can call.
    pub calls: BTreeSet<String>,
    /// PDs whose thread, time or address space it controls.
    pub controls: BTreeSet<String>,
    /// Interrupts: number of the GIC, or vector.
    pub interrupts: BTreeSet<u64>,
    /// I/O ports: first and count.
    pub ports: BTreeSet<(u64, u64)>,
    /// Priority.
    pub priority: u64,
}

/// What each PD holds.
pub type Account = BTreeMap<String, Holds>;

/// What `orion reach` claims.
pub fn claimed(reach: &[Reach]) -> Account {
    let number = |text: &String| {
        let at = if text.starts_with("GIC") { 1 } else { text.split(' ').count() - 1 };
        text.split(' ').nth(at).unwrap().parse().unwrap_or_else(|_| panic!("no number in {text:?}"))
    };
    let set = |names: &[String]| names.iter().cloned().collect();
    let holds = |reach: &Reach| Holds {
        memory: reach.memory.iter().map(|memory| (memory.region.clone(), memory.write)).collect(),
        signals: set(&reach.signals),
        calls: set(&reach.calls),
        controls: set(&reach.controls),
        interrupts: reach.interrupts.iter().map(number).collect(),
        ports: reach.ports.iter().copied().collect(),
        priority: reach.priority.into(),
    };
    reach.iter().map(|reach| (reach.pd.clone(), holds(reach))).collect()
}

/// A system for a board.
pub struct Case {
    /// The file, the board, and whether with an IOMMU.
    pub name: String,
    /// The text of the file.
    pub text: String,
    /// The system.
    pub system: System,
    /// Its plan.
    pub plan: Plan,
    /// What is claimed of it.
    pub reach: Vec<Reach>,
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every good file of `tests/xml` and the default system, each for every board that it is in order for; and storage over
/// descriptions that sdfgen wrote.
pub fn cases() -> Vec<Case> {
    let mut paths: Vec<PathBuf> =
        root().join("tests/xml/good").read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.push(root().join("system.xml"));
    paths.sort();
    paths.iter().flat_map(|path| of_file(path)).chain(over_bases()).collect()
}

/// Storage for PDs of a description that sdfgen wrote, for each board.
fn over_bases() -> Vec<Case> {
    let text = std::fs::read_to_string(root().join("tests/xml/over/two-clients.xml")).unwrap();
    let boards = [("base-aarch64", Board::QemuVirtAarch64), ("base-x86_64", Board::X86_64Generic)];
    let case = |(folder, board): (&str, Board)| {
        let base = std::fs::read_to_string(root().join("tests/golden/sddf").join(folder).join("sdfgen.system"));
        let system = parse_over(Some(&base.unwrap()), &text).unwrap_or_else(|problems| panic!("{problems:?}"));
        let plan = derive(&system, board, &Options::default()).unwrap_or_else(|problems| panic!("{problems:?}"));
        let reach = orion_system::reach::reach(&system, &plan);
        Case { name: format!("two-clients.xml over {folder}"), text: text.clone(), system, plan, reach }
    };
    boards.map(case).into()
}

/// The default system for every board.
pub fn default_cases() -> Vec<Case> {
    let cases = of_file(&root().join("system.xml"));
    assert_eq!(cases.len(), 4, "three boards, one of them with and without an IOMMU");
    cases
}

fn of_file(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_string_lossy();
    let system = parse(&text).unwrap_or_else(|problems| panic!("{}", orion_system::report(&name, &problems)));
    let mut cases = Vec::new();
    for (board, iommu) in Board::ALL.map(|board| (board, false)).into_iter().chain([(Board::X86_64Generic, true)]) {
        if let Ok(plan) = derive(&system, board, &Options { iommu, ..Options::default() }) {
            let reach = orion_system::reach::reach(&system, &plan);
            let name = format!("{name} for {}{}", board.name(), if iommu { " --iommu" } else { "" });
            cases.push(Case { name, text: text.clone(), system: system.clone(), plan, reach });
        }
    }
    assert!(!cases.is_empty(), "{name} is in order for no board");
    cases
}

/// Fails where two accounts differ, and says where.
pub fn same(name: &str, claimed: &Account, found: &Account) {
    let names = |account: &Account| account.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(claimed), names(found), "{name}: protection domains");
    for (pd, holds) in claimed {
        assert_eq!(*holds, found[pd], "{name}: {pd}: claimed, then found");
    }
}

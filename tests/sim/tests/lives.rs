// SPDX-License-Identifier: MIT
//! A PD that dies between any two steps, and its next life on a device that lives on.
use orion_sim::Machine;

const SYSTEM: &str = "<system xmlns:orion=\"urn:orion-storage:1\"><orion:disk name=\"d0\" bus=\"virtio-blk\"/>
    <protection_domain name=\"demo\" priority=\"90\"><program_image path=\"demo.elf\"/></protection_domain>
    <orion:grant client=\"demo\" disk=\"d0\" blocks=\"0..64\" rights=\"read write flush\"/></system>";

/// What was outstanding stays unanswered: nobody asks it again yet. But the driver takes its device over in any state, and
/// the device, which panics where a driver breaks virtio's rules, is content.
#[test]
fn a_driver_takes_over_its_device_in_any_state() {
    for seed in 0..200 {
        let mut machine = Machine::new(SYSTEM, seed, &[]);
        let driver = machine.pd("blk_d0").unwrap();
        let go = |machine: &mut Machine, steps| (0..steps).all(|_| machine.step());
        go(&mut machine, seed % 40);
        for _ in 0..3 {
            machine.kill(driver);
            go(&mut machine, seed % 7);
            machine.restart(driver).unwrap();
            go(&mut machine, seed % 5);
        }
        let outcome = machine.run();
        let said = outcome.lines.iter().filter(|line| line.contains("virtio-blk, 65536 blocks"));
        assert_eq!(said.count(), 4, "seed {seed}: {:#?}", outcome.lines);
    }
}

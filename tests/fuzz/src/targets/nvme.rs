// SPDX-License-Identifier: MIT
//! What an NVMe controller says: of itself, of a namespace, its health, its firmware slots, its namespace's names, what the ways to
//! namespaces are worth. An input is these structures, one
//! after the other.
use super::Input;
use orion_block::Access;
use orion_driver::Health;
use orion_nvme::wire::access::{self, AccessLog};
use orion_nvme::wire::{Controller, Firmware, Names, Namespace, Smart, Structure, names, status};

/// Bytes of all structures.
pub const MOST: usize = size_of::<Controller>()
    + size_of::<Namespace>()
    + size_of::<Smart>()
    + size_of::<Firmware>()
    + 2
    + names::BYTES
    + 5
    + GROUPS;
/// Bytes of the log page of access states that an input has.
const GROUPS: usize = 512;

fn structure<S: Structure>(input: &mut Input<'_>) -> S {
    let mut found = S::new_zeroed();
    found.as_mut_bytes().iter_mut().for_each(|byte| *byte = input.byte());
    found
}

/// Reads what a controller says.
pub fn nvme(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (controller, namespace) = (structure::<Controller>(&mut input), structure::<Namespace>(&mut input));
    let (smart, firmware) = (structure::<Smart>(&mut input), structure::<Firmware>(&mut input));
    let most = controller.most_bytes();
    assert!(most >= 8192 && (controller.sgl() || controller.sgls.get() & 3 != 1));
    assert!(controller.outlives(&controller) && namespace.same(&namespace));
    if let Some(promise) = namespace.promise(most) {
        let limits = promise.limits;
        let shift = limits.block.shift();
        assert!((9..=12).contains(&shift) && limits.physical >= limits.block);
        assert!(limits.capacity > 0 && limits.capacity <= u64::MAX >> shift);
        assert!((1..=1 << 16).contains(&promise.command_blocks) && u64::from(promise.command_blocks) << shift <= most);
        assert!(promise.boundary == 0 || u64::from(promise.boundary) << shift >= 4096);
        assert!(limits.max_blocks > 0 && limits.atomic_blocks > 0 && limits.discard_granularity > 0);
    }
    let mut health = Health::default();
    smart.put(&mut health);
    assert!(health.failing.is_some() && health.spare_percent.is_some_and(|percent| percent <= 100));
    assert!(firmware.running().is_none_or(|text| text.as_str().chars().all(|c| (' '..='~').contains(&c))));
    let status = input.half();
    assert!(status & 0x7ff != 0 || status::meaning(status) == status::Meaning::Done);
    let names = Names::of(&namespace).with(&structure(&mut input));
    assert_eq!(names.text().as_str().is_empty(), names == Names::default());
    let (group, seconds) = (input.word(), input.byte());
    let mut log = AccessLog([0; access::BYTES]);
    log.0.iter_mut().take(GROUPS).for_each(|byte| *byte = input.byte());
    let found = log.access(group, seconds);
    assert!(found != Access::Changing(0) && Access::from_code(found.code()) == Some(found));
    assert!(log.0[8..10] != [0; 2] || found == Access::NonOptimised, "of no groups none is known");
}

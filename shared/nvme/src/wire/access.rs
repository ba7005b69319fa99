// SPDX-License-Identifier: MIT
//! Asymmetric namespace access (sections 5.14.1.12 and 8.20): what a way to a namespace is worth; and which subsystem it belongs to.
use super::Controller;
use orion_block::Access;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of the log page that are looked at: 127 groups.
pub const BYTES: usize = 4096;
/// Controllers report it where this bit of CMIC is set.
pub const REPORTED: u8 = 1 << 3;
/// It tells of changes, in OAES and in the configuration of events.
pub const NOTICES: u32 = 1 << 11;
const HEADER: usize = 16;
const GROUP: usize = 32;

/// The log page, groups alone or with their namespaces.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct AccessLog(pub [u8; BYTES]);

impl AccessLog {
    /// What the way to namespaces of `group` is worth, which changes within `seconds`. Any bytes are a page; of a group that it
    /// does not name, or in a state that is none, only trying shows it.
    pub fn access(&self, group: u32, seconds: u8) -> Access {
        let Some(state) = self.state(group) else { return Access::NonOptimised };
        match state {
            1 => Access::Optimised,
            3 => Access::Inaccessible,
            4 => Access::Lost,
            15 => Access::Changing(seconds.max(1)),
            _ => Access::NonOptimised,
        }
    }

    fn state(&self, group: u32) -> Option<u8> {
        let count = u16::from_le_bytes(self.word(8)?);
        let mut at = HEADER;
        for _ in 0..count {
            // Both are asked for before the next begins, so that the loop ends with the page.
            let (id, namespaces) = (u32::from_le_bytes(self.word(at)?), u32::from_le_bytes(self.word(at + 4)?));
            let [state] = self.word(at + 16)?;
            if id == group {
                return Some(state & 15);
            }
            at = at.checked_add(GROUP)?.checked_add(usize::try_from(namespaces).ok()?.checked_mul(4)?)?;
        }
        None
    }

    fn word<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..at.checked_add(N)?)?.try_into().ok()
    }
}

/// Identify Controller as far as the subsystem's name.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Named {
    /// Of no interest here.
    pub pad: [u8; 768],
    /// The NVM subsystem's qualified name, then zeroes (SUBNQN).
    pub subsystem: [u8; 256],
}

/// A digest of a subsystem's name; of one that says none, of what older ones are told apart by (7.9): vendor, serial number and model.
pub fn family(controller: &Controller, named: &Named) -> u64 {
    let name = named.subsystem.split(|byte| *byte == 0).next().unwrap_or_default();
    let vendor = controller.vendor.map(|vendor| vendor.get().to_le_bytes());
    let own = [vendor.as_flattened(), &controller.serial, &controller.model];
    let parts = if name.is_empty() { own } else { [name, &[], &[]] };
    // FNV-1a: it is compared, and nothing rests on nobody finding another of the same digest.
    parts
        .into_iter()
        .flatten()
        .fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;
    use std::vec::Vec;
    use zerocopy::FromZeros;

    /// A page of these groups, each with its state and so many namespaces.
    fn page(groups: &[(u32, u8, u32)]) -> AccessLog {
        let mut bytes: Vec<u8> = [7u64.to_le_bytes(), (groups.len() as u64).to_le_bytes()].concat();
        for (id, state, namespaces) in groups {
            let mut group = [0; GROUP];
            group[..4].copy_from_slice(&id.to_le_bytes());
            group[4..8].copy_from_slice(&namespaces.to_le_bytes());
            group[16] = *state;
            bytes.extend(group);
            bytes.extend((0..*namespaces).flat_map(u32::to_le_bytes));
        }
        bytes.resize(BYTES, 0);
        AccessLog(bytes.try_into().unwrap())
    }

    #[test]
    fn a_group_is_found_whether_namespaces_are_listed_or_not() {
        for listed in [0, 1, 5] {
            let page =
                page(&[(9, 1, listed), (2, 2, listed), (3, 0x13, listed), (4, 4, 0), (5, 15, listed), (6, 7, 0)]);
            let expected = [
                (9, Access::Optimised),
                (2, Access::NonOptimised),
                (3, Access::Inaccessible),
                (4, Access::Lost),
                (5, Access::Changing(3)),
                (6, Access::NonOptimised),
                (7, Access::NonOptimised),
            ];
            for (group, access) in expected {
                assert_eq!(page.access(group, 3), access, "{group}");
            }
        }
        assert_eq!(page(&[(1, 15, 0)]).access(1, 0), Access::Changing(1), "some time it has");
    }

    #[test]
    fn any_page_ends() {
        for byte in 0..=255 {
            assert_eq!(AccessLog([byte; BYTES]).access(1, 1), Access::NonOptimised);
        }
        // More groups than there are, or namespaces beyond the page's end.
        let mut more = page(&[(1, 1, 0)]);
        more.0[8..10].fill(0xff);
        assert_eq!((more.access(1, 1), more.access(2, 1)), (Access::Optimised, Access::NonOptimised));
        let mut far = page(&[(1, 1, 0), (2, 1, 0)]);
        far.0[20..24].fill(0xff);
        assert_eq!(far.access(2, 1), Access::NonOptimised);
        // The last that has room.
        let mut full = page(&[(1, 2, 1008), (2, 1, 0)]);
        assert_eq!(full.access(2, 1), Access::NonOptimised, "its state is beyond the page");
        full = page(&[(1, 2, 1003), (2, 1, 0)]);
        assert_eq!(full.access(2, 1), Access::Optimised);
    }

    #[test]
    fn a_subsystem_is_told_from_others_by_its_name_or_else_by_its_controllers() {
        assert_eq!(offset_of!(Named, subsystem), 768);
        let (mut one, mut other) = (Controller::new_zeroed(), Controller::new_zeroed());
        (one.serial, other.serial) = ([b'1'; 20], [b'2'; 20]);
        let (mut named, unnamed) = (Named::new_zeroed(), Named::new_zeroed());
        named.subsystem[..3].copy_from_slice(b"nqn");
        assert_eq!(family(&one, &named), family(&other, &named), "two controllers of one subsystem");
        assert_ne!(family(&one, &unnamed), family(&other, &unnamed));
        assert_ne!(family(&one, &unnamed), family(&one, &named));
        // What follows a zero is not part of it. The digest is FNV-1a's, of "nqn".
        named.subsystem[200] = 1;
        assert_eq!(
            family(&one, &named),
            b"nqn".iter().fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
                (sum ^ u64::from(*byte)).wrapping_mul(1 << 40 | 0x1b3)
            })
        );
    }
}

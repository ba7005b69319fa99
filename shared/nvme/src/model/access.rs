// SPDX-License-Identifier: MIT
//! Asymmetric access: what the controller is worth as a way to the namespaces of each group.
use super::{Model, Taken};
use crate::wire::status;
use std::vec::Vec;

/// Notice: an asymmetric namespace access change, which the log page 0Ch has (5.2).
const CHANGED: u32 = 2 | 3 << 8 | 0x0c << 16;

impl Model {
    /// Changes what the way to a group is worth: 1 optimised, 2 not, 3 inaccessible, 4 lost, 15 it changes. Tells of it, if it is to.
    pub fn set_access(&mut self, group: u32, state: u8) {
        self.access.insert(group, state);
        if self.features.get(&0x0b).is_some_and(|events| events >> 11 & 1 == 1) {
            self.tell(CHANGED.into());
        }
    }

    /// What requests over this way are refused with, if they are.
    pub(super) fn way(&self, namespace: u32) -> Option<u16> {
        let group = self.spaces.get(&namespace)?.identify.ana_group.get();
        match self.access.get(&group)? {
            3 => Some(status::WAY_CLOSED),
            4 => Some(status::WAY_LOST),
            15 => Some(status::WAY_CHANGING),
            _ => None,
        }
    }

    /// The log page.
    pub(super) fn access_log(&self, command: &Taken) -> Vec<u8> {
        assert!(self.shape.controller.cmic & 8 != 0, "it reports no access states");
        assert_eq!(command.dwords[10] >> 8 & 1, 1, "groups alone");
        let mut page = [0, self.access.len() as u64].map(u64::to_le_bytes).concat();
        for (group, state) in &self.access {
            let mut descriptor = [0; 32];
            descriptor[..4].copy_from_slice(&group.to_le_bytes());
            descriptor[16] = *state;
            page.extend(descriptor);
        }
        page
    }
}

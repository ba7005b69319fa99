// SPDX-License-Identifier: MIT
//! What there is and what it did, for people.
use crate::tree::{AWAKE, Entry, Life, Tree};
use crate::{Capability, Holding, Rights};

/// A capability, listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// As it was given, its extent as it lies on its volume.
    pub granted: Capability,
    /// What it allows now.
    pub allowed: Rights,
    /// Whether it was suspended itself.
    pub frozen: bool,
    /// Where the capability lies that it was derived from; `None` of a grant.
    pub parent: Option<Holding>,
    /// Its requests that wait for its budget.
    pub waiting: u16,
    /// Requests that it let pass.
    pub passed: u64,
}

impl Tree {
    /// All capabilities, in the order of the table.
    pub fn listed(&self) -> impl Iterator<Item = Listed> {
        self.entries.iter().filter(|e| e.life == Life::Live).map(|entry| self.listing(entry))
    }

    fn listing(&self, e: &Entry) -> Listed {
        let above = self.entry(e.parent).map(|e| Holding { client: e.granted.client, window: e.granted.window });
        Listed {
            granted: Capability { extent: e.policy, ..e.granted },
            allowed: e.allowed,
            frozen: e.frozen != AWAKE,
            parent: above,
            waiting: e.waiting,
            passed: e.passed,
        }
    }
}

// SPDX-License-Identifier: MIT
//! Priorities of derived PDs, each above those that wait for it.
use crate::check::{DRIVER_PRIORITY, GATEKEEPER_PRIORITY, LAYER_PRIORITY, SERIAL_PRIORITY};
use crate::model::System;
use std::collections::BTreeSet;

/// The kinds of derived PDs from the lowest, by their priority in a system of its own.
const KINDS: [u8; 4] = [SERIAL_PRIORITY, GATEKEEPER_PRIORITY, LAYER_PRIORITY, DRIVER_PRIORITY];
/// The highest that is given out: above are the supervisor and the clock.
const HIGHEST: u8 = 252;

/// The priority of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ladder([u8; 4]);

impl Default for Ladder {
    fn default() -> Self {
        Self(KINDS)
    }
}

impl Ladder {
    /// Of a system over a base: above all of its clients, and none that another PD has. `None`: there are none left.
    pub fn over(system: &System) -> Option<Self> {
        if !system.over_base {
            return Some(Self::default());
        }
        let taken: BTreeSet<u8> = system.pds.values().map(|pd| pd.priority).collect();
        let is_client = |name: &String| system.grants.iter().any(|grant| grant.client.0 == *name);
        let clients = system.pds.iter().filter(|(name, _)| is_client(name));
        let mut below = clients.map(|(_, pd)| pd.priority).max().unwrap_or(0);
        let mut ladder = KINDS;
        for priority in &mut ladder {
            let from = below.saturating_add(1).max(*priority);
            *priority = (from..=HIGHEST).find(|priority| !taken.contains(priority))?;
            below = *priority;
        }
        Some(Self(ladder))
    }

    /// The priority of what has `kind` in a system of its own.
    pub fn of(self, kind: u8) -> u8 {
        KINDS.iter().zip(self.0).find(|(usual, _)| **usual == kind).map_or(kind, |(_, priority)| priority)
    }
}

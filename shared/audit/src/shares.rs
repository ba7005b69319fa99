// SPDX-License-Identifier: MIT
//! What part of the audit each client may fill, so that none can use it up for the others.
use crate::ring::SLOTS;
use orion_caps::{CLIENTS_MAX, Pace};

/// Records that are kept for what the gatekeeper itself has to tell: a grant each, each client and volume closed, its starts.
const RESERVE: u64 = 256;
const _: () = assert!((orion_caps::CAPABILITIES_MAX + CLIENTS_MAX + 64 + 2) as u64 <= RESERVE);
/// Refusals of a client that have records of their own, in a second; those above are counted.
const PER_SECOND: u32 = 100;
/// Milliseconds of that rate that may be saved up.
const BURST_MS: u32 = 640;

/// One client's part.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Its records in the ring.
    unread: u64,
    /// Its records since boot.
    used: u64,
    /// Its refusals without a record.
    pub counted: u64,
    pub pace: Pace,
}

/// All clients' parts.
#[derive(Debug)]
pub struct Shares {
    clients: u64,
    /// Records of a client that may stand in the ring.
    ring: u64,
    /// Records of a client that the consumer takes in this boot.
    kept: u64,
    each: [Share; CLIENTS_MAX],
}

impl Shares {
    pub fn new(clients: usize) -> Self {
        let clients = u64::try_from(clients).unwrap_or(1).max(1);
        let share = Share { unread: 0, used: 0, counted: 0, pace: Pace::new(PER_SECOND, BURST_MS) };
        Self { clients, ring: (SLOTS - RESERVE) / clients, kept: u64::MAX, each: [share; CLIENTS_MAX] }
    }

    /// The consumer takes at most `records` in this boot.
    pub fn limit(&mut self, records: u64) {
        self.kept = records.saturating_sub(RESERVE) / self.clients;
    }

    pub fn get(&mut self, client: u8) -> Option<&mut Share> {
        self.each.get_mut(usize::from(client))
    }

    /// Whether `client` may have one more record, as far as its part goes.
    pub fn may(&self, client: u8) -> bool {
        self.each.get(usize::from(client)).is_some_and(|share| share.unread < self.ring && share.used < self.kept)
    }

    /// Whether a record of `client` could have room once others are taken.
    pub fn hopes(&self, client: u8) -> bool {
        self.each.get(usize::from(client)).is_some_and(|share| share.used < self.kept)
    }

    /// A record of `client` was put into the ring.
    pub fn put(&mut self, client: u8) {
        if let Some(share) = self.get(client) {
            share.unread += 1;
            share.used += 1;
        }
    }

    /// A record of `client` was taken from it.
    pub fn released(&mut self, client: u8) {
        if let Some(share) = self.get(client) {
            share.unread = share.unread.saturating_sub(1);
        }
    }
}

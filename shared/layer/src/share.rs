// SPDX-License-Identifier: MIT
//! What each client of a node gets when together they want more than there is: slots and turns by weight.
use crate::slots::NOTHING;
use orion_block::{Limits, Op, Request};

/// Bytes of a request that cost as much as the request itself.
const BYTES_SHIFT: u32 = 15;
/// Most that one request costs.
const COST_MAX: u64 = 64;

/// Turns last for this many small requests of a client of weight 1: whose turn it is need not be found out for each.
const TURN: i32 = 4;

/// What one client gets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// Slots that it may hold.
    pub slots: u16,
    pub weight: u16,
    /// What it may still spend in this turn; below 0 it owes.
    pub credit: i32,
    /// It passed its last turn because it owed.
    pub paying: bool,
    /// Slots that it holds.
    pub held: u16,
    /// Its request that is being issued in parts.
    pub splitting: u16,
}

impl Share {
    /// Of a client that is not there.
    pub const NONE: Self = Self { slots: 0, weight: 1, credit: 1, paying: false, held: 0, splitting: NOTHING };
}

impl Share {
    /// Whether it may hold one more slot.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.held < self.slots
    }

    /// Pays for an admitted request; whether the turn is over.
    #[inline]
    pub fn spend(&mut self, cost: u16) -> bool {
        self.credit -= i32::from(cost);
        let over = self.credit <= 0;
        if over {
            self.credit += self.turn();
        }
        over
    }

    /// Passes a turn: pays back where it owes. Who has nothing to ask saves nothing up.
    #[inline]
    pub fn pass(&mut self) {
        let owes = self.credit <= 0;
        self.paying = owes;
        self.credit = if owes { self.credit + self.turn() } else { self.turn() };
    }

    /// Turns after which it no longer owes; 0 of one that doesn't.
    fn turns(&self) -> i32 {
        let owed = 1i32.saturating_sub(self.credit).max(0);
        owed.saturating_add(self.turn() - 1) / self.turn()
    }

    /// What a turn is worth.
    #[inline]
    fn turn(&self) -> i32 {
        i32::from(self.weight) * TURN
    }
}

/// After a round of turns in which those who passed all owed: lets the rounds go by that none of them could use. None
/// goes by while there is one that has paid meanwhile.
pub(crate) fn settle(shares: &mut [Share], count: u8) {
    let shares = shares.get_mut(..usize::from(count)).unwrap_or_default();
    let turns = shares.iter().filter(|s| s.paying).map(Share::turns).min().unwrap_or(0);
    for share in shares.iter_mut().filter(|s| s.credit <= 0) {
        share.credit = share.credit.saturating_add(turns.saturating_mul(share.turn()));
    }
}

/// What a request costs: small ones one each, large ones by their bytes.
#[inline]
pub(crate) fn cost(req: &Request, limits: &Limits) -> u16 {
    let bytes = if req.op == Op::Flush { 0 } else { u64::from(req.blocks) << limits.block.shift() };
    u16::try_from(1 + (bytes >> BYTES_SHIFT).min(COST_MAX - 1)).unwrap_or(1)
}

/// Divides `slots` among the first `count` shares by weight; each gets at least one.
pub(crate) fn divide(shares: &mut [Share], count: u8, slots: u16, weight: impl Fn(u8) -> u16) {
    let sum: u64 = (0..count).map(|upper| u64::from(weight(upper).max(1))).sum();
    for (share, upper) in shares.iter_mut().zip(0..count) {
        let weight = weight(upper).max(1);
        let part = (u64::from(slots) * u64::from(weight)).checked_div(sum).unwrap_or(0);
        *share = Share {
            slots: u16::try_from(part).unwrap_or(u16::MAX).max(1),
            weight,
            credit: i32::from(weight) * TURN,
            ..Share::NONE
        };
    }
}

// SPDX-License-Identifier: MIT
//! What each client of a node gets when together they want more than there is: slots and turns by weight.
use crate::slots::NOTHING;

/// Binary logarithm of the bytes of a request that cost as much as the request itself.
const REQUEST_SHIFT: u8 = 15;
/// Nobody owes more than the price of this many requests, however large its last one was.
const OWED_MAX: i64 = 64;
/// Turns last for the price of this many requests of a client of weight 1: whose turn it is need not be found out for each.
const TURN: i64 = 4;

/// What one client gets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// Slots that it may hold.
    pub slots: u16,
    /// Slots that it may hold for requests that are taken from it now: none while one of it is being issued in parts.
    pub open: u16,
    /// What a turn is worth, in blocks.
    turn: i64,
    /// What a request costs beside its blocks.
    each: i64,
    /// What it may still spend in this turn; below 0 it owes.
    pub credit: i64,
    /// It passed its last turn because it owed.
    pub paying: bool,
    /// Slots that it holds.
    pub held: u16,
    /// Its request that is being issued in parts.
    splitting: u16,
}

impl Share {
    /// Of a client that is not there.
    pub const NONE: Self =
        Self { slots: 0, open: 0, turn: 1, each: 1, credit: 1, paying: false, held: 0, splitting: NOTHING };
}

impl Share {
    /// Whether it may hold one more slot.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.held < self.slots
    }

    /// Its request that is being issued in parts, if one is.
    pub fn splitting(&self) -> Option<u16> {
        (self.splitting != NOTHING).then_some(self.splitting)
    }

    /// Has the request `index` issued in parts, or no request any more.
    pub fn split(&mut self, index: Option<u16>) {
        self.splitting = index.unwrap_or(NOTHING);
        self.open = if index.is_some() { 0 } else { self.slots };
    }

    /// Pays for an admitted request of so many blocks; whether the turn is over.
    #[inline]
    pub fn spend(&mut self, blocks: u32) -> bool {
        self.credit -= i64::from(blocks) + self.each;
        let over = self.credit <= 0;
        if over {
            self.credit = self.credit.max(-self.each * OWED_MAX) + self.turn;
        }
        over
    }

    /// Passes a turn: pays back where it owes. Who has nothing to ask saves nothing up.
    #[inline]
    pub fn pass(&mut self) {
        let owes = self.credit <= 0;
        self.paying = owes;
        self.credit = if owes { self.credit + self.turn } else { self.turn };
    }

    /// Turns after which it no longer owes; 0 of one that doesn't.
    fn turns(&self) -> i64 {
        let owed = 1i64.saturating_sub(self.credit).max(0);
        owed.saturating_add(self.turn - 1) / self.turn
    }
}

/// After a round of turns in which those who passed all owed: lets the rounds go by that none of them could use. None
/// goes by while there is one that has paid meanwhile.
pub(crate) fn settle(shares: &mut [Share], count: u8) {
    let shares = shares.get_mut(..usize::from(count)).unwrap_or_default();
    let turns = shares.iter().filter(|s| s.paying).map(Share::turns).min().unwrap_or(0);
    for share in shares.iter_mut().filter(|s| s.credit <= 0) {
        share.credit = share.credit.saturating_add(turns.saturating_mul(share.turn));
    }
}

/// Nobody may hold one more slot.
pub(crate) fn close(shares: &mut [Share]) {
    shares.iter_mut().for_each(|share| (share.slots, share.open) = (0, 0));
}

/// The first `count` may hold as many of `slots` as before [`close`].
pub(crate) fn open(shares: &mut [Share], count: u8, slots: u16, weight: impl Fn(u8) -> u16) {
    let sum = sum(count, &weight);
    for (share, upper) in shares.iter_mut().zip(0..count) {
        share.slots = part(slots, weight(upper), sum);
        share.open = if share.splitting().is_some() { 0 } else { share.slots };
    }
}

/// The weights of the first `count`.
fn sum(count: u8, weight: &impl Fn(u8) -> u16) -> u64 {
    (0..count).map(|upper| u64::from(weight(upper).max(1))).sum()
}

/// The part of `slots` of one with this weight: at least one.
fn part(slots: u16, weight: u16, sum: u64) -> u16 {
    let part = (u64::from(slots) * u64::from(weight.max(1))).checked_div(sum).unwrap_or(0);
    u16::try_from(part).unwrap_or(u16::MAX).max(1)
}

/// Divides `slots` among the first `count` shares by weight; each gets at least one. Blocks are of `1 << shift` bytes.
pub(crate) fn divide(shares: &mut [Share], count: u8, slots: u16, shift: u8, weight: impl Fn(u8) -> u16) {
    let each = 1 << REQUEST_SHIFT.saturating_sub(shift);
    let sum = sum(count, &weight);
    for (share, upper) in shares.iter_mut().zip(0..count) {
        let weight = weight(upper).max(1);
        let slots = part(slots, weight, sum);
        *share = Share {
            slots,
            open: slots,
            turn: i64::from(weight) * TURN * each,
            credit: i64::from(weight) * TURN * each,
            each,
            ..Share::NONE
        };
    }
}

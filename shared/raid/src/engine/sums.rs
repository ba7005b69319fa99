// SPDX-License-Identifier: MIT
//! Parity of what is in a line's memory, computed where it lies. What clients write is copied once, before anything is computed
//! from it: who changes it meanwhile harms only himself.
use super::background::Goal;
use super::line::{data_of, parity_of};
use super::lines::{Spot, Way};
use super::members::{Roles, bases, bit, each};
use super::{Ctx, PORTS_MAX, Raid};
use crate::geometry::Stripe;
use crate::parity;
use core::mem::take;
use core::ops::Range;
use heapless::Vec;
use orion_block::{Buf, Error, Op, Request};
use orion_layer::{Id, Io};
use orion_parity::Parity;

/// Bytes that are computed at a time where that takes private memory.
pub(super) const PIECE: usize = 4096;

/// What data are that are not there.
static ZEROES: [u8; PIECE] = [0; PIECE];

/// Private memory.
#[derive(Debug)]
pub(super) struct Sums {
    pub p: [u8; PIECE],
    pub q: [u8; PIECE],
    pub data: [u8; PIECE],
    /// What computes.
    pub machine: Parity,
}

impl Default for Sums {
    fn default() -> Self {
        Self { p: [0; PIECE], q: [0; PIECE], data: [0; PIECE], machine: Parity::new() }
    }
}

fn part(bytes: &mut [u8; PIECE], len: usize) -> &mut [u8] {
    bytes.get_mut(..len).unwrap_or_default()
}

/// Pieces of the sectors `low..high`: the first sector and the bytes of each.
pub(super) fn pieces(low: u64, high: u64) -> impl Iterator<Item = (u64, usize)> {
    let step = PIECE as u64 / 512;
    (low..high).step_by(PIECE / 512).map(move |at| (at, usize::try_from((high - at).min(step)).unwrap_or(0) * 512))
}

/// Pieces of so many bytes.
pub(super) fn parts(bytes: usize) -> impl Iterator<Item = Range<usize>> {
    (0..bytes).step_by(PIECE).map(move |at| at..bytes.min(at + PIECE))
}

/// What all members hold in a line, by role, where it is touched.
pub(super) struct Rows<'a>(Vec<&'a mut [u8], PORTS_MAX>);

impl<'a> Rows<'a> {
    /// The line's memory, with `one` byte of each member after the other.
    fn new(bytes: &'a mut [u8], one: usize) -> Self {
        Self(bytes.chunks_exact_mut(one.max(1)).take(PORTS_MAX).collect())
    }

    /// What a member holds.
    pub(super) fn get(&self, role: u32, within: Range<usize>) -> &[u8] {
        usize::try_from(role).ok().and_then(|role| self.0.get(role)?.get(within)).unwrap_or_default()
    }

    pub(super) fn get_mut(&mut self, role: u32, within: Range<usize>) -> &mut [u8] {
        usize::try_from(role).ok().and_then(|role| self.0.get_mut(role)?.get_mut(within)).unwrap_or_default()
    }

    /// Takes what a member holds, so that the others can be read while it is written.
    fn take(&mut self, role: u32) -> &'a mut [u8] {
        usize::try_from(role).ok().and_then(|role| self.0.get_mut(role)).map(take).unwrap_or_default()
    }

    /// What some members hold.
    fn of(&self, set: Roles, within: &Range<usize>) -> Vec<&[u8], PORTS_MAX> {
        each(set).take(PORTS_MAX).map(|role| self.get(role, within.clone())).collect()
    }

    /// What the members with data hold, by the powers by which Q multiplies it: nothing, for those of `missing`.
    fn by_power(&self, stripe: &Stripe, missing: Roles, within: &Range<usize>) -> Vec<&[u8], PORTS_MAX> {
        let there = |role: &u32| missing & bit(*role) == 0;
        let zeroes = ZEROES.get(..within.len()).unwrap_or_default();
        let row = |role: Option<u32>| role.filter(there).map_or(zeroes, |role| self.get(role, within.clone()));
        stripe.powers().take(PORTS_MAX).map(row).collect()
    }

    /// Computes P and Q of all data but those of `missing` into private memory; at most a piece.
    pub(super) fn sums(&self, sums: &mut Sums, stripe: &Stripe, missing: Roles, within: &Range<usize>) {
        let Sums { p, q, machine, .. } = sums;
        let (p, q) = (part(p, within.len()), part(q, within.len()));
        match stripe.q {
            Some(_) => machine.pq(&self.by_power(stripe, missing, within), p, q),
            None => machine.p(&self.of(data_of(stripe) & !missing, within), p),
        }
    }
}

impl Raid {
    /// Computes in a line's memory; `None` where that is not the layer's own.
    pub(super) fn lend<R>(
        &mut self,
        n: usize,
        io: &mut Io<'_, Ctx>,
        f: impl FnOnce(&mut Sums, Rows<'_>) -> R,
    ) -> Option<R> {
        let (one, all) = self.lines.bytes(n);
        let (buf, sums) = (self.lines.buf(self.work, n, 0, 0), &mut self.sums);
        io.lend(buf, all, |bytes| f(sums, Rows::new(bytes, one)))
    }

    /// Where a sector lies in what a line has of each member, in bytes.
    fn offset(&self, n: usize, at: u64) -> usize {
        let skip = self.lines.get(n).map_or(0, |line| at.saturating_sub(line.low));
        usize::try_from(skip * 512).unwrap_or(usize::MAX)
    }

    /// What is to be in the line's memory before anything is written: data that clients wrote, and parity. Readers get what
    /// they asked for. Whether that was possible.
    pub(super) fn compute(&mut self, n: usize, stripe: &Stripe, io: &mut Io<'_, Ctx>) -> bool {
        let Some(line) = self.lines.get(n) else { return false };
        if line.way == Way::Copy {
            return true;
        }
        if line.way == Way::Modify {
            return self.each_request(n, io, |raid, (req, spot), _, io| raid.modify(n, stripe, &req, spot, io));
        }
        let &super::lines::Line { have, covered, sync, wants, .. } = line;
        let data = data_of(stripe);
        // What is written all over need not be known, but where something else is to be recovered.
        if data & !have & !covered != 0 && !self.recover(n, stripe, data & !have, io) {
            return false;
        }
        if sync {
            let Some(differing) = self.differing(n, stripe, io) else { return false };
            self.background.mismatches += differing;
            let remake = differing > 0
                && match self.background.goal {
                    Goal::Check(mend) => self.judge_stripe(n, stripe, mend, io),
                    _ => true,
                };
            if let Some(line) = self.lines.get_mut(n) {
                line.differs = remake;
            }
        }
        if wants != 0 {
            self.each_request(n, io, |raid, (req, spot), id, io| raid.hand_over(n, &req, spot, id, io));
        }
        let all = self.each_request(n, io, |raid, (req, spot), _, io| raid.overlay(n, &req, spot, io));
        if bases(self.to_write(n, stripe)) & parity_of(stripe) == 0 {
            return all;
        }
        self.construct(n, stripe, io) && all
    }

    /// Calls `f` for each request of a line but the background work's; whether it was always true.
    fn each_request<'b>(
        &mut self,
        n: usize,
        io: &mut Io<'b, Ctx>,
        mut f: impl FnMut(&mut Self, (Request, Spot), Id, &mut Io<'b, Ctx>) -> bool,
    ) -> bool {
        let mut all = true;
        let mut next = self.lines.get(n).and_then(|line| line.list.first);
        while let Some(id) = next {
            next = self.lines.next(id);
            let req = io.request(id);
            let Some(spot) = io.ctx(id).map(|ctx| ctx.spot).filter(|spot| spot.sectors > 0) else { continue };
            all &= f(self, (req, spot), id, io);
        }
        all
    }

    /// Has the old data in a line become what a client writes, and parity what it then is.
    fn modify(&mut self, n: usize, stripe: &Stripe, req: &Request, spot: Spot, io: &mut Io<'_, Ctx>) -> bool {
        let (role, start) = (u32::from(spot.role), self.offset(n, spot.at.into()));
        parts(usize::from(spot.sectors) * 512).all(|piece| {
            let len = piece.len();
            let new = part(&mut self.sums.data, len);
            let read = if req.op == Op::Write {
                let offset = req.buf.offset.saturating_add(piece.start as u64);
                io.read_payload(Buf { offset, ..req.buf }, new)
            } else {
                new.fill(0);
                true
            };
            let within = start + piece.start..start + piece.end;
            let (one, all) = self.lines.bytes(n);
            let (buf, sums) = (self.lines.buf(self.work, n, 0, 0), &mut self.sums);
            let done = io.lend(buf, all, |bytes| exchange(sums, bytes, one, stripe, role, &within));
            read && done == Some(Some(()))
        })
    }

    /// Copies what a client writes into the line; whether it could be read.
    fn overlay(&self, n: usize, req: &Request, spot: Spot, io: &mut Io<'_, Ctx>) -> bool {
        let to = self.lines.buf(self.work, n, spot.role.into(), spot.at.into());
        let len = usize::from(spot.sectors) * 512;
        match req.op {
            Op::Read => true,
            Op::Write => io.copy_payload(req.buf, to, len),
            _ => io.lend(to, len, |bytes| bytes.fill(0)).is_some(),
        }
    }

    /// Copies what a reader asked for into his memory.
    fn hand_over(&self, n: usize, req: &Request, spot: Spot, id: Id, io: &mut Io<'_, Ctx>) -> bool {
        let from = self.lines.buf(self.work, n, spot.role.into(), spot.at.into());
        if req.op == Op::Read
            && !io.copy_payload(from, req.buf, usize::from(spot.sectors) * 512)
            && let Some(ctx) = io.ctx(id)
        {
            ctx.error = Some(Error::Invalid);
        }
        true
    }

    /// Computes parity from all data.
    fn construct(&mut self, n: usize, stripe: &Stripe, io: &mut Io<'_, Ctx>) -> bool {
        let made = self.lend(n, io, |sums, mut rows| {
            let (p, mut q) = (rows.take(stripe.p), stripe.q.map(|q| rows.take(q)));
            for within in parts(p.len()) {
                let Some(p) = p.get_mut(within.clone()) else { continue };
                match q.as_mut().and_then(|q| q.get_mut(within.clone())) {
                    Some(q) => sums.machine.pq(&rows.by_power(stripe, 0, &within), p, q),
                    None => sums.machine.p(&rows.of(data_of(stripe), &within), p),
                }
            }
        });
        made.is_some()
    }

    /// Sectors of the parity in memory that are not what the data say.
    fn differing(&mut self, n: usize, stripe: &Stripe, io: &mut Io<'_, Ctx>) -> Option<u64> {
        let have = self.lines.get(n)?.have;
        let one = self.lines.bytes(n).0;
        self.lend(n, io, |sums, rows| {
            let mut found = 0;
            for within in parts(one) {
                rows.sums(sums, stripe, 0, &within);
                let mut sectors = 0u64;
                for (role, sum) in [(Some(stripe.p), &sums.p), (stripe.q, &sums.q)] {
                    let Some(role) = role.filter(|role| have & bit(*role) != 0) else { continue };
                    let pairs = (0u32..).zip(sum.chunks(512).zip(rows.get(role, within.clone()).chunks(512)));
                    sectors |= pairs.filter(|(_, (a, b))| a != b).fold(0, |all, (nth, _)| all | 1 << nth);
                }
                found += u64::from(sectors.count_ones());
            }
            found
        })
    }

    /// Recovers the data of the members in `missing` from those in memory; whether enough of them are.
    fn recover(&mut self, n: usize, stripe: &Stripe, missing: Roles, io: &mut Io<'_, Ctx>) -> bool {
        let Some(line) = self.lines.get(n) else { return false };
        let mut lost = each(missing);
        let (first, second) = (lost.next(), lost.next());
        let (p, q) = (line.have & bit(stripe.p) != 0, stripe.q.is_some_and(|q| line.have & bit(q) != 0));
        let enough = match (first, second, lost.next()) {
            (None, ..) => return true,
            (Some(_), None, _) => p || q,
            (Some(_), Some(_), None) => p && q,
            _ => false,
        };
        let one = self.lines.bytes(n).0;
        let Some(first) = first.filter(|_| enough) else { return false };
        let done = self.lend(n, io, |sums, mut rows| {
            if second.is_none() && p {
                let others = data_of(stripe) & !bit(first) | bit(stripe.p);
                let own = rows.take(first);
                return sums.machine.p(&rows.of(others, &(0..one)), own);
            }
            for within in parts(one) {
                recover_by_q(sums, &mut rows, stripe, (first, second), within);
            }
        });
        done.is_some()
    }

    /// Puts the parity of a piece without the data of the members of `set` into private memory: what a log keeps.
    pub(super) fn partial(
        &mut self,
        n: usize,
        stripe: &Stripe,
        set: Roles,
        (at, len): (u64, usize),
        io: &mut Io<'_, Ctx>,
    ) {
        let start = self.offset(n, at);
        let within = start..start + len;
        let lent = self.lend(n, io, |sums, rows| {
            sums.machine.p(&rows.of(set | bit(stripe.p), &within), part(&mut sums.p, len));
        });
        debug_assert!(lent.is_some(), "the layer's own memory is lent");
    }
}

/// Has what a member holds in a line become what is in private memory, and parity what it then is.
fn exchange(
    sums: &mut Sums,
    bytes: &mut [u8],
    one: usize,
    stripe: &Stripe,
    role: u32,
    within: &Range<usize>,
) -> Option<()> {
    let Sums { machine, data, .. } = sums;
    let new = part(data, within.len());
    let of = |role: u32| {
        usize::try_from(role).ok().and_then(|role| Some(role.checked_mul(one)?..role.checked_add(1)?.checked_mul(one)?))
    };
    let within = |range: Range<usize>| range.start + within.start..range.end.min(range.start + within.end);
    let (old, p) = (within(of(role)?), within(of(stripe.p)?));
    if let Some(q) = stripe.q {
        let [old, q] = bytes.get_disjoint_mut([old.clone(), within(of(q)?)]).ok()?;
        machine.add_difference(q, old, new, parity::power(stripe.power(role)));
    }
    let [old, p] = bytes.get_disjoint_mut([old, p]).ok()?;
    machine.exchange(p, old, new);
    Some(())
}

/// Recovers one or two members' data of a piece with Q.
fn recover_by_q(
    sums: &mut Sums,
    rows: &mut Rows<'_>,
    stripe: &Stripe,
    (first, second): (u32, Option<u32>),
    within: Range<usize>,
) {
    let missing = bit(first) | second.map_or(0, bit);
    rows.sums(sums, stripe, missing, &within);
    let Sums { p, q, machine, .. } = sums;
    let (p, q) = (part(p, within.len()), part(q, within.len()));
    machine.add(p, rows.get(stripe.p, within.clone()));
    machine.add(q, stripe.q.map_or(&[], |role| rows.get(role, within.clone())));
    match second {
        Some(second) => {
            parity::from_p_and_q(*machine, p, q, stripe.power(first), stripe.power(second));
            rows.get_mut(first, within.clone()).copy_from_slice(p);
            rows.get_mut(second, within).copy_from_slice(q);
        }
        None => {
            parity::from_q(*machine, q, stripe.power(first));
            rows.get_mut(first, within).copy_from_slice(q);
        }
    }
}

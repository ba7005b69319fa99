// SPDX-License-Identifier: MIT
//! Parity of what is in a line's memory. Bytes are copied into private memory, computed there, and copied back.
use super::lines::Way;
use super::members::{Roles, bit, each};
use super::{Ctx, Raid};
use crate::geometry::Stripe;
use crate::parity;
use orion_block::{Buf, Op};
use orion_layer::Io;
use orion_parity::Parity;

/// Bytes that are computed at a time.
pub(super) const PIECE: usize = 4096;

/// Private memory.
#[derive(Debug)]
pub(super) struct Sums {
    pub p: [u8; PIECE],
    q: [u8; PIECE],
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

impl Raid {
    /// Adds what the members of `set` hold in a piece to both sums.
    pub(super) fn add_up(&mut self, n: usize, stripe: &Stripe, set: Roles, (at, len): (u64, usize), io: &Io<'_, Ctx>) {
        let Sums { machine, p, q, data } = &mut self.sums;
        let (p, q, data) = (part(p, len), part(q, len), part(data, len));
        for role in stripe.members().filter(|role| set & bit(*role) != 0) {
            let read = io.read_payload(self.lines.buf(self.work, n, role, at), data);
            debug_assert!(read, "the layer's own memory is mapped");
            machine.add(p, data);
            if stripe.q.is_some() {
                machine.add_product(q, data, parity::power(stripe.power(role)));
            }
        }
    }

    pub(super) fn load(&mut self, n: usize, stripe: &Stripe, (at, len): (u64, usize), io: &Io<'_, Ctx>) {
        let Sums { p, q, .. } = &mut self.sums;
        io.read_payload(self.lines.buf(self.work, n, stripe.p, at), part(p, len));
        if let Some(role) = stripe.q {
            io.read_payload(self.lines.buf(self.work, n, role, at), part(q, len));
        }
    }

    fn store(&mut self, n: usize, stripe: &Stripe, (at, len): (u64, usize), io: &mut Io<'_, Ctx>) {
        let Sums { p, q, .. } = &mut self.sums;
        io.write_payload(self.lines.buf(self.work, n, stripe.p, at), part(p, len));
        if let Some(role) = stripe.q {
            io.write_payload(self.lines.buf(self.work, n, role, at), part(q, len));
        }
    }

    /// Adds what the members of `writes` hold to the parity in memory: once with the old data and once with the new.
    fn fold(&mut self, n: usize, stripe: &Stripe, io: &mut Io<'_, Ctx>) {
        let Some(line) = self.lines.get(n).copied() else { return };
        for piece in pieces(line.low, line.high) {
            self.load(n, stripe, piece, io);
            self.add_up(n, stripe, line.writes, piece, io);
            self.store(n, stripe, piece, io);
        }
    }

    /// Computes parity from all data.
    fn construct(&mut self, n: usize, stripe: &Stripe, io: &mut Io<'_, Ctx>) {
        let Some(line) = self.lines.get(n).copied() else { return };
        for piece in pieces(line.low, line.high) {
            part(&mut self.sums.p, piece.1).fill(0);
            part(&mut self.sums.q, piece.1).fill(0);
            self.add_up(n, stripe, Roles::MAX, piece, io);
            self.store(n, stripe, piece, io);
        }
    }

    /// Sectors of the parity in memory that are not what the data say.
    fn differing(&mut self, n: usize, stripe: &Stripe, io: &mut Io<'_, Ctx>) -> u64 {
        let Some(line) = self.lines.get(n).copied() else { return 0 };
        let mut found = 0;
        for (at, len) in pieces(line.low, line.high) {
            part(&mut self.sums.p, len).fill(0);
            part(&mut self.sums.q, len).fill(0);
            self.add_up(n, stripe, Roles::MAX, (at, len), io);
            let mut sectors = 0u64;
            for (role, is_q) in [(Some(stripe.p), false), (stripe.q, true)] {
                let Some(role) = role.filter(|role| line.have & bit(*role) != 0) else { continue };
                let Sums { p, q, data, .. } = &mut self.sums;
                io.read_payload(self.lines.buf(self.work, n, role, at), part(data, len));
                let sum = part(if is_q { q } else { p }, len);
                let pairs = (0u32..).zip(sum.chunks(512).zip(data.chunks(512)));
                sectors |= pairs.filter(|(_, (a, b))| a != b).fold(0, |all, (nth, _)| all | 1 << nth);
            }
            found += u64::from(sectors.count_ones());
        }
        found
    }

    /// Recovers the data of the members in `missing` from those in memory; whether enough of them are.
    fn recover(&mut self, n: usize, stripe: &Stripe, missing: Roles, io: &mut Io<'_, Ctx>) -> bool {
        let Some(line) = self.lines.get(n).copied() else { return false };
        let mut lost = each(missing);
        let (first, second) = (lost.next(), lost.next());
        let (p, q) = (line.have & bit(stripe.p) != 0, stripe.q.is_some_and(|q| line.have & bit(q) != 0));
        let enough = match (first, second, lost.next()) {
            (None, ..) => return true,
            (Some(_), None, _) => p || q,
            (Some(_), Some(_), None) => p && q,
            _ => false,
        };
        let Some(first) = first.filter(|_| enough) else { return false };
        for (at, len) in pieces(line.low, line.high) {
            self.load(n, stripe, (at, len), io);
            self.add_up(n, stripe, !missing, (at, len), io);
            let Sums { p: sum, q: other, .. } = &mut self.sums;
            let (sum, other) = (part(sum, len), part(other, len));
            match second {
                Some(second) => {
                    parity::from_p_and_q(sum, other, stripe.power(first), stripe.power(second));
                    io.write_payload(self.lines.buf(self.work, n, second, at), other);
                }
                None if !p => {
                    parity::from_q(other, stripe.power(first));
                    sum.copy_from_slice(other);
                }
                None => {}
            }
            io.write_payload(self.lines.buf(self.work, n, first, at), sum);
        }
        true
    }

    /// What is to be in the line's memory before anything is written: data that clients wrote, and parity. Readers get what
    /// they asked for. Whether that was possible.
    pub(super) fn compute(&mut self, n: usize, stripe: &Stripe, io: &mut Io<'_, Ctx>) -> bool {
        let Some(line) = self.lines.get(n).copied() else { return false };
        if line.way == Way::Modify {
            self.fold(n, stripe, io);
            let all = self.overlay(n, io);
            self.fold(n, stripe, io);
            return all;
        }
        let data: Roles = stripe.members().map(bit).sum();
        // What is written all over need not be known, but where something else is to be recovered.
        let unknown = data & !line.have & !self.covered(n, io);
        if unknown != 0 && !self.recover(n, stripe, data & !line.have, io) {
            return false;
        }
        if line.sync {
            let differing = self.differing(n, stripe, io);
            self.background.mismatches += differing;
            if let Some(line) = self.lines.get_mut(n) {
                line.differs = differing > 0;
            }
        }
        self.hand_over(n, io);
        let all = self.overlay(n, io);
        self.construct(n, stripe, io);
        all
    }

    /// Copies what clients write into the line; whether all of it could be read.
    fn overlay(&mut self, n: usize, io: &mut Io<'_, Ctx>) -> bool {
        let Some(line) = self.lines.get(n).copied() else { return false };
        let mut all = true;
        let mut next = line.list.first;
        while let Some(id) = next {
            next = self.lines.next(id);
            let req = io.request(id);
            let Some((role, at, sectors)) = self.piece_of(&req).filter(|_| req.op.modifies()) else { continue };
            for (skip, len) in pieces(0, sectors) {
                let data = part(&mut self.sums.data, len);
                if req.op == Op::Write {
                    let from = Buf { offset: req.buf.offset.saturating_add(skip * 512), ..req.buf };
                    all &= io.read_payload(from, data);
                } else {
                    data.fill(0);
                }
                io.write_payload(self.lines.buf(self.work, n, role, at + skip), data);
            }
        }
        all
    }

    /// Copies what readers asked for into their memory.
    fn hand_over(&mut self, n: usize, io: &mut Io<'_, Ctx>) {
        let Some(line) = self.lines.get(n).copied() else { return };
        let mut next = line.list.first;
        while let Some(id) = next {
            next = self.lines.next(id);
            let req = io.request(id);
            let Some((role, at, sectors)) = self.piece_of(&req).filter(|_| req.op == Op::Read) else { continue };
            for (skip, len) in pieces(0, sectors) {
                let data = part(&mut self.sums.data, len);
                io.read_payload(self.lines.buf(self.work, n, role, at + skip), data);
                let to = Buf { offset: req.buf.offset.saturating_add(skip * 512), ..req.buf };
                if !io.write_payload(to, data)
                    && let Some(ctx) = io.ctx(id)
                {
                    ctx.error = Some(orion_block::Error::Invalid);
                }
            }
        }
    }
}

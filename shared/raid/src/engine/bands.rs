// SPDX-License-Identifier: MIT
//! One band of a stripe in memory, of either geometry of an array that is being reshaped: what is read and written of it, and
//! what is computed.
use super::lines::{HEIGHT, LINES_BYTES};
use super::members::{Roles, bit};
use super::{BACKGROUND, Ctx, FANOUT, Raid};
use crate::geometry::Stripe;
use crate::parity;
use heapless::Vec;
use orion_block::{Buf, Completion, Error, Lba, Op, Request};
use orion_layer::Io;

/// Bytes of a cell, in which one member's part of a band is.
const CELL: u64 = HEIGHT * 512;
/// The first cell of the old geometry's band: that of the new one has those before.
pub(super) const OLD: u8 = 64;
/// Most lower requests of a step.
const ASKS: usize = 64;
/// Bytes that are computed at a time.
const PIECE: usize = 4096;
const _: () = assert!(2 * OLD as u64 * CELL <= LINES_BYTES as u64, "cells are in the memory of lines");

/// A lower request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub role: u32,
    /// What is moved: the new geometry's.
    pub moved: bool,
    pub op: Op,
    pub fua: bool,
    /// Sectors of the member's data, and where they are in memory.
    pub sector: u64,
    pub sectors: u64,
    pub buf: Buf,
}

/// What is asked below for the step that is under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Bands {
    asks: Vec<Ask, ASKS>,
    next: usize,
    out: u8,
    asked: [u8; FANOUT],
    /// Those that failed, a bit each, and why the last did.
    pub failed: u64,
    pub error: Option<Error>,
}

impl Bands {
    /// Forgets what was asked before.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// One more.
    pub fn ask(&mut self, ask: Ask) {
        let fits = self.asks.push(ask);
        debug_assert!(fits.is_ok(), "a band has fewer members");
    }

    /// The roles of which all was done.
    pub fn done(&self) -> Roles {
        let good = (0u32..).zip(&self.asks).filter(|(n, _)| self.failed >> n & 1 == 0);
        good.fold(0, |all, (_, ask)| all | bit(ask.role))
    }

    /// The numbers and roles of those that failed.
    pub fn faults(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        let all = self.asks.iter().enumerate();
        all.filter(|(n, _)| self.failed >> n & 1 != 0).map(|(n, ask)| (n, ask.role))
    }
}

impl Raid {
    /// The memory of a cell, from a sector of the band on.
    pub(super) fn cell(&self, cell: u32, at: u64) -> Buf {
        let skip = super::meta::STAGE_BYTES as u64 + u64::from(cell) * CELL + at * 512;
        Buf { offset: self.work.offset.saturating_add(skip), ..self.work }
    }

    /// Asks as much as can be out; whether anything is.
    pub(super) fn bands_send(&mut self, io: &mut Io<'_, Ctx>) -> bool {
        for child in 0u8..8 {
            if usize::from(child) < FANOUT {
                self.bands_next(child, io);
            }
        }
        self.bands.out > 0
    }

    fn bands_next(&mut self, child: u8, io: &mut Io<'_, Ctx>) {
        let Some(id) = io.kept(BACKGROUND) else { return };
        while let Some(ask) = self.bands.asks.get(self.bands.next).copied() {
            let number = self.bands.next;
            self.bands.next += 1;
            let shift = if ask.moved { self.moving.shift() } else { 0 };
            let member = self.members.get(ask.role).filter(|_| self.members.is_used(ask.role)).copied();
            let at = member.and_then(|member| member.offset.checked_add(ask.sector)?.checked_add_signed(shift));
            let Some((member, at)) = member.zip(at) else {
                self.bands.failed |= 1 << number;
                continue;
            };
            let (lba, blocks) = (Lba(at >> member.scale), u32::try_from(ask.sectors >> member.scale).unwrap_or(0));
            self.bands.out += 1;
            if let Some(asked) = self.bands.asked.get_mut(usize::from(child)) {
                *asked = u8::try_from(number).unwrap_or(u8::MAX);
            }
            let Ask { op, fua, buf, .. } = ask;
            return io.lower(id, member.port, child, Request { op, fua, lba, blocks, buf });
        }
    }

    /// A lower request ended; whether it was the last.
    pub(super) fn bands_ended(&mut self, child: u8, done: Completion, io: &mut Io<'_, Ctx>) -> bool {
        self.bands.out = self.bands.out.saturating_sub(1);
        if let Err(error) = done.status {
            let number = self.bands.asked.get(usize::from(child)).copied().unwrap_or(0);
            self.bands.failed |= 1u64.checked_shl(number.into()).unwrap_or(0);
            self.bands.error = Some(error);
        }
        self.bands_next(child, io);
        self.bands.out == 0
    }

    /// Computes what a member should hold, from the cells `from` on of those in `have`; whether that could be.
    pub(super) fn bands_recover(
        &mut self,
        stripe: &Stripe,
        have: Roles,
        from: u32,
        (want, to): (u32, u32),
        io: &mut Io<'_, Ctx>,
    ) -> bool {
        let mut lost = stripe.members().filter(|role| have & bit(*role) == 0 && *role != want);
        let (other, more) = (lost.next(), lost.next());
        let (has_p, q) = (have & bit(stripe.p) != 0, stripe.q.filter(|role| have & bit(*role) != 0));
        let enough = match (other, more) {
            (None, _) => has_p || q.is_some(),
            (Some(_), None) => has_p && q.is_some(),
            _ => false,
        };
        if !enough {
            return false;
        }
        let mut piece = [0; PIECE];
        for at in (0..self.moving.height).step_by(PIECE / 512) {
            let (mut p, mut sum) = ([0; PIECE], [0; PIECE]);
            for role in stripe.members().filter(|role| have & bit(*role) != 0 && *role != want) {
                io.read_payload(self.cell(from + role, at), &mut piece);
                self.sums.machine.add(&mut p, &piece);
                self.sums.machine.add_product(&mut sum, &piece, parity::power(stripe.power(role)));
            }
            if has_p {
                io.read_payload(self.cell(from + stripe.p, at), &mut piece);
                self.sums.machine.add(&mut p, &piece);
            }
            if let Some(role) = q {
                io.read_payload(self.cell(from + role, at), &mut piece);
                self.sums.machine.add(&mut sum, &piece);
            }
            match other {
                Some(other) => {
                    parity::from_p_and_q(self.sums.machine, &mut p, &mut sum, stripe.power(want), stripe.power(other))
                }
                None if !has_p => {
                    parity::from_q(self.sums.machine, &mut sum, stripe.power(want));
                    p = sum;
                }
                None => {}
            }
            io.write_payload(self.cell(to, at), &p);
        }
        true
    }

    /// Computes parity of a band whose data are all in its cells.
    pub(super) fn bands_parity(&mut self, stripe: &Stripe, io: &mut Io<'_, Ctx>) {
        let mut piece = [0; PIECE];
        for at in (0..self.moving.height).step_by(PIECE / 512) {
            let (mut p, mut q) = ([0; PIECE], [0; PIECE]);
            for role in stripe.members() {
                io.read_payload(self.cell(role, at), &mut piece);
                self.sums.machine.add(&mut p, &piece);
                if stripe.q.is_some() {
                    self.sums.machine.add_product(&mut q, &piece, parity::power(stripe.power(role)));
                }
            }
            io.write_payload(self.cell(stripe.p, at), &p);
            if let Some(role) = stripe.q {
                io.write_payload(self.cell(role, at), &q);
            }
        }
    }
}

// SPDX-License-Identifier: MIT
//! What a reshape moves, while requests wait: band by band of the new geometry, all of whose data are read in the old one.
use super::bands::{Ask, OLD};
use super::members::{bit, each};
use super::moving::{Job, Step};
use super::{Ctx, Raid};
use crate::Super;
use crate::geometry::{Place, Stripe};
use crate::reshape::{Before, end};
use heapless::Vec;
use orion_block::Op;
use orion_layer::Io;

/// A band of the new geometry.
struct Band {
    stripe: Stripe,
    /// The sector of the members.
    sector: u64,
    /// The logical sector of the first piece, and those from each piece to the next.
    first: u64,
    chunk: u64,
}

impl Raid {
    /// Moves the next window, or has the superblocks say first where the reshape is, or that it has ended.
    pub(super) fn begin_move(&mut self, io: &mut Io<'_, Ctx>) {
        let Some((after, _)) = self.after() else { return };
        let Some(before) = &self.moving.before else { return };
        let (at, durable) = (before.position, self.moving.durable);
        let ends = if before.backwards { 0 } else { after.sectors() };
        if at == ends {
            return if durable == at { self.end_move(io) } else { self.say_position(io) };
        }
        let Some(step) = before.step(after) else { return };
        let next = if before.backwards { at.saturating_sub(step) } else { at.saturating_add(step).min(ends) };
        let said = Before { position: durable, ..before.clone() };
        if !said.clear(after, next) {
            if durable == at {
                self.moving.stuck = true;
                return;
            }
            return self.say_position(io);
        }
        self.moving.next = next;
        self.begin_band(0, io);
    }

    /// The band of this number of the window; `None` behind the last.
    fn band_at(&self, number: u64) -> Option<Band> {
        let (after, groups) = self.after()?;
        let at = self.moving.before.as_ref()?.position;
        let (first, last) = (at.min(self.moving.next), at.max(self.moving.next));
        let (chunk, height) = (after.chunk(), self.moving.height);
        let each = chunk / height;
        let (row, skip) = (number / each, number % each * height);
        let begin = first + row * groups.logical;
        let sector = groups.begin(begin) + skip;
        (begin < last).then_some(Band { stripe: after.stripe(sector)?, sector, first: begin + skip, chunk })
    }

    /// Where the piece `n` of a band lies in the old geometry; `None` behind its end.
    fn old_place(&self, band: &Band, n: u64) -> Option<(Place, Stripe)> {
        let old = &self.moving.before.as_ref()?.geometry;
        let place = old.place(band.first + n * band.chunk, 0)?;
        Some((place, old.stripe(place.sector)?))
    }

    fn begin_band(&mut self, number: u64, io: &mut Io<'_, Ctx>) {
        let Some(band) = self.band_at(number) else { return self.window_moved(io) };
        (self.moving.job, self.moving.step, self.moving.lacking) = (Job::Window(number), Step::Read, 0);
        self.bands.clear();
        let height = self.moving.height;
        let zeroes = [0; 512];
        for (n, role) in (0u64..).zip(band.stripe.members()) {
            let buf = self.cell(role, 0);
            match self.old_place(&band, n) {
                None => (0..height).for_each(|at| {
                    io.write_payload(self.cell(role, at), &zeroes);
                }),
                Some((place, _)) if self.members.holds(place.member, place.sector.saturating_add(height)) => {
                    let (role, sector) = (place.member, place.sector);
                    self.bands.ask(Ask { role, moved: false, op: Op::Read, fua: false, sector, sectors: height, buf });
                }
                Some(_) => self.moving.lacking |= 1 << n,
            }
        }
        self.moving_sent(io);
    }

    /// What was asked for a band is done.
    pub(super) fn window_stepped(&mut self, number: u64, io: &mut Io<'_, Ctx>) {
        let Some(band) = self.band_at(number) else { return };
        match self.moving.step {
            Step::Read => {
                // One that cannot be read says it for all that is wanted of it.
                let failed = self.bands.faults().fold(0, |all, (_, role)| all | bit(role));
                for n in 0..u64::try_from(band.stripe.members().count()).unwrap_or(0) {
                    let lost = self.old_place(&band, n).is_some_and(|(place, _)| failed & bit(place.member) != 0);
                    self.moving.lacking |= u64::from(lost) << n;
                }
                self.next_lacking(number, &band, io);
            }
            Step::Rest(n) => {
                let have = self.bands.done();
                let role = band.stripe.members().nth(usize::try_from(n).unwrap_or(usize::MAX));
                let old = self.old_place(&band, n.into());
                let good = match (old, role) {
                    (Some((place, stripe)), Some(role)) => {
                        self.bands_recover(&stripe, have, OLD.into(), (place.member, role), io)
                    }
                    _ => false,
                };
                if !good {
                    // What nobody has can be moved nowhere: the array is served as it is.
                    (self.moving.stuck, self.moving.job) = (true, Job::Idle);
                    return self.moving_on(io);
                }
                self.moving.lacking &= !(1 << n);
                self.next_lacking(number, &band, io);
            }
            Step::Write => {
                let (broke, changed) = self.blame_all();
                if changed {
                    self.go_on(io);
                }
                if broke {
                    self.moving.job = Job::Idle;
                    return self.moving_on(io);
                }
                self.begin_band(number + 1, io);
            }
        }
    }

    /// Reads the stripe of the next piece that could not be read where it is, or writes the band.
    fn next_lacking(&mut self, _number: u64, band: &Band, io: &mut Io<'_, Ctx>) {
        self.bands.clear();
        let height = self.moving.height;
        if self.moving.lacking != 0 {
            let n = self.moving.lacking.trailing_zeros();
            self.moving.step = Step::Rest(n);
            if let Some((place, stripe)) = self.old_place(band, n.into()) {
                self.ask_band(&stripe, false, place.sector, OLD.into(), bit(place.member));
            }
            return self.moving_sent(io);
        }
        self.bands_parity(&band.stripe, io);
        self.moving.step = Step::Write;
        for role in each(band.stripe.all() & self.members.used()) {
            let buf = self.cell(role, 0);
            let sector = band.sector;
            self.bands.ask(Ask { role, moved: true, op: Op::Write, fua: false, sector, sectors: height, buf });
        }
        self.moving_sent(io);
    }

    /// All bands of the window are written.
    fn window_moved(&mut self, io: &mut Io<'_, Ctx>) {
        let rows = self.after().map_or(0, |(_, groups)| groups.begin(self.moving.next));
        self.moving.job = Job::Idle;
        if let Some(before) = &mut self.moving.before {
            before.position = self.moving.next;
            if !before.backwards {
                for role in each(self.members.filling) {
                    self.members.get_mut(role).into_iter().for_each(|member| member.place = rows);
                }
            }
        }
        self.moving_on(io);
    }

    /// Everything is moved, and the superblocks say so: they are to say that the array is as it is from now on.
    fn end_move(&mut self, io: &mut Io<'_, Ctx>) {
        if !self.meta.is_idle() {
            return self.say_position(io);
        }
        let shift = self.moving.shift();
        let mut all: Vec<Super, { super::PORTS_MAX }> = self.meta.all().map(|(_, own)| own.clone()).collect();
        end(&mut all);
        let disks = self.geometry.as_ref().map_or(0, crate::Geometry::members);
        self.meta.replace(&all);
        for member in &mut self.members.list {
            member.offset = member.offset.saturating_add_signed(shift);
        }
        self.members.whole |= self.members.filling;
        self.members.filling = 0;
        for role in each(self.members.used()).filter(|role| *role >= disks) {
            self.members.remove(role);
        }
        while self.members.list.len() > usize::try_from(disks).unwrap_or(0) && self.members.list.pop().is_some() {}
        self.moving.before = None;
        self.meta.wants();
        self.go_on(io);
        self.moving_left(io);
        // Its size, and what a request may span, are others from the next pause on.
        self.moving.grow.goes_on();
        io.alarm(io.now());
    }
}

// SPDX-License-Identifier: MIT
//! One window of a mirror: what one copy holds is compared with the others, or written to them.
use super::background::{Goal, Step, WINDOW};
use super::members::{base, bit, twin};
use super::mirror::copies;
use super::{BACKGROUND, Ctx, FANOUT, Raid, blames};
use crate::geometry::Place;
use orion_block::{Buf, Completion, Op, Request};
use orion_layer::Io;

/// Bytes that are compared at a time.
const PIECE: usize = 4096;
/// The number of the first copy on what replaces its member.
const TWINS: u32 = 8;
const _: () = assert!(FANOUT == TWINS as usize);

impl Raid {
    /// The memory for what the source holds, and for another.
    pub(super) fn window(&self, other: bool) -> Buf {
        let skip = super::meta::STAGE_BYTES + if other { WINDOW } else { 0 };
        Buf { offset: self.work.offset.saturating_add(skip as u64), ..self.work }
    }

    /// Asks a member for the window, or gives it.
    pub(super) fn ask_window(&mut self, op: Op, place: Place, buf: Buf, step: Step, io: &mut Io<'_, Ctx>) {
        let Some(id) = io.kept(BACKGROUND) else { return };
        let (first, end) = (self.background.first, self.background.end);
        let req = Request { op, buf, ..Request::default() };
        let (port, below) = self.members.request(place.member, &req, place.sector, end - first);
        self.background.step = step;
        io.lower(id, port, 0, below);
    }

    /// Reads the window from a copy that has it.
    pub(super) fn read_source(&mut self, io: &mut Io<'_, Ctx>) {
        let (first, end, tried) = (self.background.first, self.background.end, self.background.tried);
        let Some(place) = self.choose(first, end, tried) else {
            // What nobody has can be given to nobody.
            if self.background.goal == Goal::Rebuild && self.background.fixes.is_none() {
                self.background.stuck = true;
                self.background.end = self.background.first;
            }
            return self.window_ended(io);
        };
        self.background.source = place.member;
        self.ask_window(Op::Read, place, self.window(false), Step::Source, io);
    }

    /// Goes on with the copy of this number, or one behind it with which something is to be done.
    fn next_copy(&mut self, from: u32, io: &mut Io<'_, Ctx>) {
        let Some(geometry) = &self.geometry else { return };
        let (goal, source, fixes) = (self.background.goal, self.background.source, self.background.fixes);
        let wanted = |place: &Place| {
            let new = self.members.filling & bit(place.member) != 0;
            place.member != source
                && match (fixes, goal) {
                    (Some(role), _) => u32::from(role) == place.member && self.members.is_used(place.member),
                    (None, Goal::Rebuild) => new,
                    (None, Goal::Sync) if new && place.member != base(place.member) => true,
                    (None, _) => !new && self.members.is_whole(place.member),
                }
        };
        let members = (0u32..).zip(copies(geometry, self.background.first));
        let twins = self.twin_places(self.background.first).map(|(copy, place)| (TWINS + copy, place));
        let mut all = members.chain(twins).filter(|(copy, _)| *copy >= from);
        let Some((copy, place)) = all.by_ref().find(|(_, place)| wanted(place)) else {
            drop(all);
            return self.window_ended(io);
        };
        drop(all);
        match goal {
            Goal::Sync | Goal::Check(_) if fixes.is_none() && copy < TWINS => {
                self.ask_window(Op::Read, place, self.window(true), Step::Other(copy), io);
            }
            _ => self.ask_window(Op::Write, place, self.window(false), Step::Write(copy), io),
        }
    }

    /// The place of a copy of the window.
    pub(super) fn copy_place(&self, copy: u32) -> Option<Place> {
        let place = self.geometry.as_ref()?.place(self.background.first, copy % TWINS)?;
        let member = if copy < TWINS { place.member } else { twin(place.member) };
        Some(Place { member, ..place })
    }

    /// What was asked for the window is done.
    pub(super) fn background_ended(&mut self, _child: u8, done: Completion, io: &mut Io<'_, Ctx>) {
        let step = self.background.step;
        match (step, done.status) {
            (Step::Source, Ok(())) => self.next_copy(0, io),
            (Step::Source, Err(_)) => {
                self.background.tried |= bit(self.background.source);
                let (role, first, end) = (self.background.source, self.background.first, self.background.end);
                self.background.repair(u8::try_from(role).unwrap_or(u8::MAX), first, end);
                self.read_source(io);
            }
            (Step::Other(copy), Ok(())) => self.compare(copy, io),
            // What cannot be read is written again.
            (Step::Other(copy), Err(_)) => self.rewrite(copy, io),
            (Step::Left(copy), _) => self.left_read(copy, done.status.is_ok(), io),
            (Step::Right(left, copy), _) => self.right_read(left, copy, done.status.is_ok(), io),
            (Step::Write(copy), Ok(())) => self.next_copy(copy + 1, io),
            (Step::Write(copy), Err(error)) => {
                if blames(error)
                    && let Some(place) = self.copy_place(copy)
                {
                    self.fail(place.member);
                    self.go_on(io);
                }
                self.next_copy(copy + 1, io);
            }
            _ => {}
        }
    }

    /// The sectors of the window in which the two that were read differ, bit by bit; [`WINDOW`] has no more than there are bits.
    pub(super) fn window_differs(&self, io: &Io<'_, Ctx>) -> u128 {
        let bytes = usize::try_from(self.background.end - self.background.first).unwrap_or(0) * 512;
        let (mut own, mut other) = ([0; PIECE], [0; PIECE]);
        let mut differing = 0;
        for at in (0..bytes).step_by(PIECE) {
            let len = PIECE.min(bytes - at);
            let (Some(own), Some(other)) = (own.get_mut(..len), other.get_mut(..len)) else { break };
            let buf = |other: bool| {
                let buf = self.window(other);
                Buf { offset: buf.offset.saturating_add(at as u64), ..buf }
            };
            let read = io.read_payload(buf(false), own) && io.read_payload(buf(true), other);
            debug_assert!(read, "the layer's own memory is mapped");
            let pairs = own.chunks(512).zip(other.chunks(512)).enumerate();
            differing |= pairs.filter(|(_, (a, b))| a != b).fold(0, |all, (nth, _)| all | 1 << (at / 512 + nth));
        }
        differing
    }

    /// Compares what was read with the source.
    fn compare(&mut self, copy: u32, io: &mut Io<'_, Ctx>) {
        let differing = self.window_differs(io);
        match self.background.goal {
            _ if differing == 0 => self.next_copy(copy + 1, io),
            Goal::Check(_) => self.begin_vote(io),
            _ => {
                self.background.mismatches += u64::from(differing.count_ones());
                self.rewrite(copy, io);
            }
        }
    }

    fn rewrite(&mut self, copy: u32, io: &mut Io<'_, Ctx>) {
        match self.copy_place(copy) {
            Some(place) => self.ask_window(Op::Write, place, self.window(false), Step::Write(copy), io),
            None => self.window_ended(io),
        }
    }
}

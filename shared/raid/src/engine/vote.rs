// SPDX-License-Identifier: MIT
//! Which copies of a window are wrong: each is compared with each, and where more than half are alike the others are wrong.
use super::background::{Goal, Step, WINDOW};
use super::findings::Mend;
use super::mirror::copies;
use super::{Ctx, Raid};
use orion_block::Op;
use orion_layer::Io;

/// Most copies.
const COPIES: usize = 8;
const _: () = assert!(WINDOW / 512 <= u128::BITS as usize, "a bit for each sector of a window");

/// What is known of the copies of a window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Vote {
    /// Copies that were read, by their number.
    there: u8,
    /// In which sectors two differ.
    differs: [[u128; COPIES]; COPIES],
}

impl Vote {
    /// Two copies were compared.
    fn set(&mut self, left: u32, right: u32, differs: u128) {
        for (a, b) in [(left, right), (right, left)] {
            let row = self.differs.get_mut(a as usize);
            row.and_then(|row| row.get_mut(b as usize)).into_iter().for_each(|to| *to = differs);
        }
    }

    fn copies(&self) -> impl Iterator<Item = u32> + use<> {
        let there = self.there;
        (0..8).filter(move |copy| there >> copy & 1 != 0)
    }

    /// The copies that hold in this sector what `copy` does.
    fn like(&self, copy: u32, sector: u32) -> u8 {
        let row = self.differs.get(copy as usize);
        let same = |other: &u32| row.and_then(|row| row.get(*other as usize)).is_some_and(|set| set >> sector & 1 == 0);
        self.copies().filter(same).fold(0, |all, other| all | 1 << other)
    }

    /// The copies that are right in this sector: more than half; `None` where there are no such.
    fn right(&self, sector: u32) -> Option<u8> {
        let all = self.there.count_ones();
        self.copies().map(|copy| self.like(copy, sector)).find(|like| 2 * like.count_ones() > all)
    }
}

impl Raid {
    /// Two copies differ: all are compared.
    pub(super) fn begin_vote(&mut self, io: &mut Io<'_, Ctx>) {
        let Some(geometry) = &self.geometry else { return };
        let whole = |place: &crate::geometry::Place| self.members.is_whole(place.member);
        let all = (0u32..8).zip(copies(geometry, self.background.first)).filter(|(_, place)| whole(place));
        let there = all.fold(0, |all, (copy, _)| all | 1 << copy);
        self.background.vote = Vote { there, ..Vote::default() };
        self.read_left(0, io);
    }

    /// Reads the next copy that others are to be compared with.
    fn read_left(&mut self, from: u32, io: &mut Io<'_, Ctx>) {
        let mut rest = self.background.vote.copies().filter(|copy| *copy >= from);
        match (rest.next(), rest.next()) {
            (Some(left), Some(_)) => self.read_copy_of_window(left, false, Step::Left(left), io),
            _ => self.voted(io),
        }
    }

    pub(super) fn left_read(&mut self, left: u32, good: bool, io: &mut Io<'_, Ctx>) {
        if good {
            return self.read_right(left, left + 1, io);
        }
        self.background.vote.there &= !(1 << left);
        self.read_left(left + 1, io);
    }

    /// Reads the next copy that is to be compared.
    fn read_right(&mut self, left: u32, from: u32, io: &mut Io<'_, Ctx>) {
        let next = self.background.vote.copies().find(|copy| *copy >= from);
        match next {
            Some(copy) => self.read_copy_of_window(copy, true, Step::Right(left, copy), io),
            None => self.read_left(left + 1, io),
        }
    }

    pub(super) fn right_read(&mut self, left: u32, copy: u32, good: bool, io: &mut Io<'_, Ctx>) {
        if good {
            let differs = self.window_differs(io);
            self.background.vote.set(left, copy, differs);
        } else {
            self.background.vote.there &= !(1 << copy);
        }
        self.read_right(left, copy + 1, io);
    }

    fn read_copy_of_window(&mut self, copy: u32, other: bool, step: Step, io: &mut Io<'_, Ctx>) {
        match self.copy_place(copy) {
            Some(place) => self.ask_window(Op::Read, place, self.window(other), step, io),
            None => self.window_ended(io),
        }
    }

    /// All copies are compared: says whose are wrong, and has them written again where that is asked.
    fn voted(&mut self, io: &mut Io<'_, Ctx>) {
        let vote = self.background.vote;
        let (first, end) = (self.background.first, self.background.end);
        let mend = if let Goal::Check(mend) = self.background.goal { mend } else { Mend::Nothing };
        for at in 0..u32::try_from(end - first).unwrap_or(0) {
            let right = vote.right(at);
            let Some(lead) = vote.copies().find(|copy| right.is_none_or(|right| right >> copy & 1 != 0)) else { break };
            let wrong = vote.there & !right.unwrap_or_else(|| vote.like(lead, at));
            if wrong != 0 && !self.disagreed(first + u64::from(at), wrong, lead, right.is_some(), mend) {
                // No more can be kept in mind: the rest of the window comes once these are mended.
                self.background.end = first + u64::from(at);
                break;
            }
        }
        self.window_ended(io);
    }

    /// Copies of a sector are `wrong`, or at least not like that of `lead`; whether there was room to have that mended.
    fn disagreed(&mut self, sector: u64, wrong: u8, lead: u32, is_known: bool, mend: Mend) -> bool {
        let role = |raid: &Self, copy| {
            let place = raid.geometry.as_ref().and_then(|geometry| geometry.place(sector, copy));
            place.map(|place| (place.member, place.sector))
        };
        let mends = mend == Mend::Everything || (mend == Mend::Certain && is_known);
        let Some((source, own)) = role(self, lead) else { return true };
        for copy in (0..8).filter(|copy| wrong >> copy & 1 != 0) {
            let Some((member, place)) = role(self, copy) else { continue };
            let (Ok(only), Ok(to)) = (u8::try_from(source), u8::try_from(member)) else { continue };
            if mends && !self.background.repair_from(Some(only), to, sector, sector + 1) {
                return false;
            }
            self.background.mismatches += 1;
            if is_known {
                self.background.findings.add(Some(member), place);
            }
        }
        if !is_known {
            self.background.findings.add(None, own);
        }
        true
    }
}

// SPDX-License-Identifier: MIT
//! What goes on beside the clients' requests: members are rebuilt, arrays that were not stopped cleanly are put in sync, all
//! copies are compared, sectors that could not be read are written again. A window at a time, in turn with the clients.
use super::findings::{Findings, Mend};
use super::lines::{Given, Wish};
use super::members::{bit, each, twins};
use super::vote::Vote;
use super::{BACKGROUND, Ctx, Raid, Roles};
use crate::Level;
use heapless::Vec;
use orion_block::Instant;
use orion_layer::Io;

/// Bytes of a window.
pub(super) const WINDOW: usize = 64 << 10;
/// What a member holds there, and what another does.
pub(super) const WINDOW_BYTES: usize = 2 * WINDOW;
/// Nanoseconds between windows while clients are served.
const PACE_NS: u64 = 5_000_000;
/// Sectors after which the superblocks say how far it has come.
const CHECKPOINT: u64 = if cfg!(test) { 32 } else { 1 << 18 };
/// Sectors that could not be read and are to be written again, of which as many are kept in mind.
const REPAIRS: usize = 32;

/// What is being done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Goal {
    #[default]
    Nothing,
    /// New members get what they should hold.
    Rebuild,
    /// What may differ is made alike.
    Sync,
    /// Everything is compared, and mended as far as that is asked.
    Check(Mend),
}

/// Where in a window it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Step {
    #[default]
    Idle,
    /// It waits for writes to end.
    Claim,
    /// It reads what all should hold.
    Source,
    /// It reads this copy, to compare it.
    Other(u32),
    /// It writes this copy.
    Write(u32),
    /// It reads this copy, to compare it with each of the others behind it.
    Left(u32),
    /// It reads the second of these copies, to compare it with the first.
    Right(u32, u32),
}

/// Sectors of a member that are to be written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Repair {
    role: u8,
    first: u64,
    end: u64,
    only: Option<u8>,
}

/// How far the work has come, in sectors of the array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// In words.
    pub what: &'static str,
    /// Sectors that are done.
    pub done: u64,
    /// Sectors in all.
    pub of: u64,
    /// Sectors that were found to differ since the start.
    pub mismatches: u64,
}

/// The work, and where it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Background {
    pub goal: Goal,
    /// The window is one that this member could not read, and is written again.
    pub fixes: Option<u8>,
    pub step: Step,
    /// The first sector that is not done.
    pub at: u64,
    /// The window, in sectors of the array.
    pub first: u64,
    pub end: u64,
    /// Members that could not be read there, and the one that was.
    pub tried: Roles,
    pub source: u32,
    pub mismatches: u64,
    repairs: Vec<Repair, REPAIRS>,
    /// The copy from which the window is written again, where it is not any.
    pub only: Option<u8>,
    pub findings: Findings,
    pub vote: Vote,
    /// What was asked for, and is not begun.
    pub asked: Option<Mend>,
    /// The pass over the superblocks before which all that was mended last is durable.
    pub durable: u64,
    /// Not before.
    due: Option<Instant>,
    /// A member cannot be rebuilt: what it should hold cannot be read.
    pub stuck: bool,
    saved: u64,
}

impl Background {
    /// Whether nothing is being written by it.
    pub fn is_idle(&self) -> bool {
        self.step == Step::Idle
    }

    /// Some sectors of a member could not be read: what they should hold is written there again, when there is time.
    pub fn repair(&mut self, role: u8, first: u64, end: u64) {
        self.repair_from(None, role, first, end);
    }

    /// The same, and it is the copy of `only` that is right; whether there is room to keep that in mind.
    pub fn repair_from(&mut self, only: Option<u8>, role: u8, first: u64, end: u64) -> bool {
        let repair = Repair { role, first, end, only };
        if let Some(last) = self.repairs.last_mut()
            && (last.role, last.only, last.end) == (role, only, first)
        {
            last.end = end;
            return true;
        }
        self.repairs.contains(&repair) || self.repairs.push(repair).is_ok()
    }

    /// A member is left behind: nothing is to be done for it.
    pub fn lost(&mut self, role: u32) {
        self.repairs.retain(|repair| u32::from(repair.role) != role);
    }
}

impl Raid {
    /// Compares all copies, or parity with the data, from the first sector on, and mends as far as that is asked.
    pub fn check(&mut self, mend: Mend, io: &mut Io<'_, Ctx>) {
        // An array without copies or parity has nothing to compare.
        if self.redundant() && !self.read_only {
            self.background.asked = Some(mend);
            io.alarm(io.now());
        }
    }

    /// What goes on in the background, if something does.
    pub fn progress(&self) -> Option<Progress> {
        if let Some((done, of)) = self.moved() {
            return Some(Progress { what: "reshape", done, of, mismatches: 0 });
        }
        let what = match self.background.goal {
            Goal::Nothing => return None,
            Goal::Rebuild if self.only_replaces() => "replace",
            Goal::Rebuild => "rebuild",
            Goal::Sync => "resync",
            Goal::Check(Mend::Nothing) => "check",
            Goal::Check(_) => "repair",
        };
        let of = self.extent();
        Some(Progress { what, done: self.background.at, of, mismatches: self.background.mismatches })
    }

    /// Whether nothing is written, nothing is to be done, and the superblocks say all that there is to say.
    pub fn is_settled(&self) -> bool {
        let work = &self.background;
        let done = work.goal == Goal::Nothing && work.repairs.is_empty() && work.asked.is_none();
        let rebuilt = self.members.filling == 0 || work.stuck;
        let synced = self.meta.sync.is_none() || !self.redundant() || self.read_only;
        self.locks.is_empty()
            && self.lines.is_idle()
            && self.log.is_idle()
            && work.is_idle()
            && !self.prepare.is_anything()
            && self.bits.is_idle()
            && done
            && rebuilt
            && synced
            && self.meta.rests()
            && self.moving.is_settled()
    }

    /// Sectors that were found to differ since the start.
    pub fn mismatches(&self) -> u64 {
        self.background.mismatches
    }

    /// Begins a window, if there is something to do; when to look again.
    pub(super) fn look_for_work(&mut self, now: Instant, io: &mut Io<'_, Ctx>) -> Option<Instant> {
        if self.background.step != Step::Idle || !self.redundant() || self.read_only || self.meta.broken().is_some() {
            return None;
        }
        if self.moving.is_on() || self.moving.grow.holds() {
            return None;
        }
        if let Some(due) = self.background.due.filter(|due| *due > now) {
            return Some(due);
        }
        self.background.due = None;
        self.adopt(io);
        self.begin_window(io);
        None
    }

    /// Gives a spare the place of a member that is missing.
    fn adopt(&mut self, io: &mut Io<'_, Ctx>) {
        let Some(role) = self.vacancy().filter(|_| !self.prepare.is_anything()) else { return };
        if let Some(port) = self.spare_for(role, io) {
            self.prepare(port, role, io);
        }
    }

    /// Chooses what to do, and where.
    fn begin_window(&mut self, io: &mut Io<'_, Ctx>) {
        let sectors = self.extent();
        if let Some(Repair { role, first, end, only }) = self.background.repairs.pop() {
            let cut = self.window_end(first).min(end);
            if cut < end {
                self.background.repair_from(only, role, cut, end);
            }
            let work = &mut self.background;
            (work.fixes, work.only, work.first, work.end) = (Some(role), only, first, cut);
            return self.claim(io);
        }
        let work = &self.background;
        let (filling, twins) = (self.members.filling, twins(self.members.filling));
        let goal = match (filling & !twins, self.meta.sync) {
            (0, Some(_)) => Goal::Sync,
            (0, None) if twins == 0 => match (work.asked, work.goal) {
                (Some(mend), _) => Goal::Check(mend),
                (None, check @ Goal::Check(_)) => check,
                _ => Goal::Nothing,
            },
            _ if work.stuck => Goal::Nothing,
            _ => Goal::Rebuild,
        };
        if goal != work.goal {
            self.background.at = match goal {
                Goal::Sync => self.meta.sync.unwrap_or(0),
                Goal::Rebuild => self.rebuilt(),
                _ => 0,
            };
            (self.background.goal, self.background.saved) = (goal, self.background.at);
            if let Goal::Check(_) = goal {
                (self.background.asked, self.background.mismatches) = (None, 0);
                self.background.findings = Findings::default();
            }
        }
        if goal == Goal::Nothing {
            return;
        }
        let at = self.next_marked(goal, self.background.at, io);
        self.background.at = at.min(sectors);
        if at >= sectors {
            return self.finished(io);
        }
        let end = if self.has_parity() { u64::MAX } else { self.marked_end(goal, at) };
        (self.background.first, self.background.end) = (at, self.window_end(at).min(end));
        self.claim(io);
    }

    /// Where the window that begins at `at` ends.
    fn window_end(&self, at: u64) -> u64 {
        if self.has_parity() {
            return at - at % self.lines.height + self.lines.height;
        }
        let run = self.geometry.as_ref().and_then(|g| g.place(at, 0)).map_or(1, |place| place.run);
        let most = WINDOW as u64 / 512;
        at + run.min(most - at % most)
    }

    /// Whether there is parity: then everything is counted in sectors of the members, and goes on in lines.
    fn has_parity(&self) -> bool {
        self.geometry.as_ref().is_some_and(|g| matches!(g.level(), Level::Parity(_)))
    }

    /// The sectors that there are to do.
    pub(super) fn extent(&self) -> u64 {
        let Some(geometry) = &self.geometry else { return 0 };
        if self.has_parity() { geometry.used(0) } else { geometry.sectors() }
    }

    /// How far all members are rebuilt that are.
    fn rebuilt(&self) -> u64 {
        let places = each(self.members.filling).filter_map(|role| self.members.get(role));
        if self.counts_as_members() { places.map(|member| member.place).min().unwrap_or(0) } else { 0 }
    }

    /// Whether sectors of the array are those of each member.
    fn counts_as_members(&self) -> bool {
        self.geometry.as_ref().is_some_and(|g| matches!(g.level(), Level::Raid1 | Level::Parity(_)))
    }

    /// A band is done.
    pub(super) fn band_ended(&mut self, io: &mut Io<'_, Ctx>) {
        if self.background.stuck {
            self.background.end = self.background.first;
        }
        self.window_ended(io);
    }

    /// Waits until nobody writes in the window, and goes on.
    fn claim(&mut self, io: &mut Io<'_, Ctx>) {
        if self.has_parity() {
            let band = self.background.first / self.lines.height;
            let Some(id) = io.kept(BACKGROUND) else { return };
            let given = self.lines.give(id, band, Wish::Other);
            self.background.step = if given == Given::Starved { Step::Claim } else { Step::Source };
            return io.alarm(io.now());
        }
        self.background.step = Step::Claim;
        let (fixes, only) = (self.background.fixes, self.background.only);
        self.background.tried = match only.filter(|_| fixes.is_some()) {
            Some(only) => !bit(only.into()),
            None => fixes.map_or(0, |role| bit(role.into())),
        };
        self.work_on(io);
    }

    /// Goes on where it waited.
    pub(super) fn work_on(&mut self, io: &mut Io<'_, Ctx>) {
        let &Background { step, first, end, .. } = &self.background;
        match step {
            Step::Claim if self.has_parity() => self.claim(io),
            Step::Claim if self.locks.claim(first, end) => self.read_source(io),
            Step::Idle => {
                if let Some(at) = self.look_for_work(io.now(), io) {
                    io.alarm(at);
                }
            }
            _ => {}
        }
    }

    /// The window is done, or not to be done.
    pub(super) fn window_ended(&mut self, io: &mut Io<'_, Ctx>) {
        self.locks.unclaim(io);
        let end = self.background.end;
        self.background.step = Step::Idle;
        if self.background.fixes.take().is_none() {
            self.background.at = end;
            self.move_on(end, io);
        }
        let clients =
            !self.locks.is_empty() || !self.lines.is_idle() || self.members.list.iter().any(|member| member.busy > 0);
        if clients {
            let due = io.now().after(PACE_NS);
            self.background.due = Some(due);
            io.alarm(due);
        } else if let Some(id) = io.kept(BACKGROUND) {
            io.wake(id);
        }
    }

    /// Everything before `end` is done.
    fn move_on(&mut self, end: u64, io: &mut Io<'_, Ctx>) {
        match self.background.goal {
            Goal::Sync => self.meta.sync = Some(end),
            Goal::Rebuild if self.counts_as_members() => {
                for role in each(self.members.filling) {
                    if let Some(member) = self.members.get_mut(role) {
                        member.place = member.place.max(end);
                    }
                }
            }
            _ => return,
        }
        if end.saturating_sub(self.background.saved) >= CHECKPOINT {
            self.background.saved = end;
            self.meta.wants();
            self.go_on(io);
        }
    }

    /// All windows are done.
    fn finished(&mut self, io: &mut Io<'_, Ctx>) {
        match self.background.goal {
            Goal::Sync => self.meta.sync = None,
            Goal::Rebuild => {
                let twins = twins(self.members.filling);
                self.members.whole |= self.members.filling & !twins;
                (self.members.filling, self.members.partial) = (twins, self.members.partial & twins);
                if twins != 0 && !self.replaced(io) {
                    return;
                }
            }
            _ => {}
        }
        let mends = matches!(self.background.goal, Goal::Check(mend) if mend != Mend::Nothing);
        if mends && self.background.mismatches > 0 || matches!(self.background.goal, Goal::Sync | Goal::Rebuild) {
            self.meta.wants();
            self.background.durable = self.meta.wanted();
        }
        self.background.goal = Goal::Nothing;
        self.go_on(io);
        if let Some(id) = io.kept(BACKGROUND) {
            io.wake(id);
        }
    }
}

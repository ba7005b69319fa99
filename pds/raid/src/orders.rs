// SPDX-License-Identifier: MIT
//! What the operator has the array do, and what is shown of it.
use crate::report::link;
use heapless::Vec;
use orion_block::Instant;
use orion_layer::Io;
use orion_metrics::{ArrayDevice, ArrayState, DiskText, DiskWork, Grow, Progress, Reply, Row, Verb, Work};
use orion_pd::World;
use orion_pd::config::{Config, Role};
use orion_raid::engine::{Ctx, Mend, Refusal, Use};
use orion_raid::reshape::Change;
use orion_raid::{Kind, Level, Raid, Uuid};

/// The setting that says that an operator may have the array do something.
const ADMIN: &str = "array_admin";
/// Nanoseconds of a millisecond.
const MS: u64 = 1_000_000;
/// Rows: its name, how it is, what it was told last, its devices.
const ROWS: usize = 3 + orion_raid::engine::PORTS_MAX;

/// The last order, and the work that goes on.
#[derive(Debug)]
pub struct Orders {
    allowed: bool,
    /// The configuration says of which level the array has to be: it would not be served any more if it had another.
    fixed: bool,
    last: Option<DiskWork>,
    /// Which work is seen, since when, and how much of it was done then.
    work: Option<(&'static str, Instant, u64)>,
}

impl Orders {
    /// Nothing was ordered yet.
    pub fn new(config: &Config<'_>) -> Self {
        let (allowed, fixed) = (config.setting(ADMIN) == Some(1), config.setting(crate::assemble::LEVEL).is_some());
        Self { allowed, fixed, last: None, work: None }
    }

    /// Does what was ordered: what to answer, and why not, for people.
    pub fn obey(
        &mut self,
        (sequence, work): (u32, Work),
        raid: &mut Raid,
        io: &mut Io<'_, Ctx>,
    ) -> (Reply, Option<Refusal>) {
        if !self.allowed {
            return (Reply::Forbidden, None);
        }
        let port = u8::try_from(work.how).unwrap_or(u8::MAX);
        let (mut uuid, number) = ([0; 16], [work.first.to_le_bytes(), work.count.to_le_bytes()]);
        uuid.iter_mut().zip(number.as_flattened()).for_each(|(to, from)| *to = *from);
        let (done, begun) = match work.verb {
            Verb::ArrayCheck | Verb::ArrayRepair if raid.geometry().is_none() => return (Reply::Absent, None),
            Verb::ArrayCheck | Verb::ArrayRepair => {
                let mend = match (work.verb, work.how) {
                    (Verb::ArrayCheck, _) => Mend::Nothing,
                    (_, 0) => Mend::Certain,
                    _ => Mend::Everything,
                };
                raid.check(mend, io);
                (Ok(()), true)
            }
            Verb::ArrayFail => (raid.set_faulty(port, io), false),
            Verb::ArrayRemove => (raid.remove(port, io), false),
            Verb::ArrayAdd => (raid.add(port, Uuid(uuid), io), true),
            Verb::ArrayReAdd => (raid.re_add(port, io), true),
            Verb::ArrayGrow => (grow(&work, self.fixed, raid, io).map_err(Refusal::Change), true),
            Verb::ArrayReplace => (raid.replace(port, None, io), true),
            _ => return (Reply::Unsupported, None),
        };
        let mut row = DiskWork { verb: work.verb.number(), sequence: sequence.into(), ..DiskWork::none(0) };
        row.progress = match (done, begun) {
            (Ok(()), true) => Progress::Runs,
            (Ok(()), false) => Progress::Done,
            _ => Progress::Failed,
        }
        .number();
        done.err().iter().for_each(|refusal| why(&mut row, refusal));
        self.last = Some(row);
        // What was refused is shown with its reason.
        (if begun || done.is_err() { Reply::Begun } else { Reply::Done }, done.err())
    }

    /// Looks how far everything is; what there is to say of an order that has ended.
    pub fn look(&mut self, raid: &mut Raid, now: Instant) -> Option<Refusal> {
        let ended = raid.outcome();
        let progress = raid.progress();
        self.work = progress.map(|seen| match self.work {
            Some((what, since, from)) if what == seen.what && from <= seen.done => (what, since, from),
            _ => (seen.what, now, seen.done),
        });
        let last = self.last.as_mut().filter(|row| row.progress == Progress::Runs.number())?;
        match Verb::of(last.verb) {
            Some(Verb::ArrayAdd | Verb::ArrayReAdd | Verb::ArrayReplace) => match ended? {
                Ok(()) => last.progress = Progress::Done.number(),
                Err(refusal) => {
                    last.progress = Progress::Failed.number();
                    why(last, &refusal);
                    return Some(refusal);
                }
            },
            Some(Verb::ArrayGrow) => match raid.reshaped() {
                None => last.permille = permille(raid).into(),
                Some(Ok(())) => last.progress = Progress::Done.number(),
                Some(Err(kind)) => {
                    last.progress = Progress::Failed.number();
                    why(last, &Refusal::Change(kind));
                    return Some(Refusal::Change(kind));
                }
            },
            _ if raid.checks() => last.permille = permille(raid).into(),
            _ => {
                last.progress = Progress::Done.number();
                last.value = raid.mismatches().into();
            }
        }
        None
    }

    /// All that is shown.
    pub fn rows<W: World>(&self, raid: &Raid, world: &W) -> Vec<Row, ROWS> {
        let config = world.config();
        let volume = config.links_as(Role::Server).next().map_or("", |(_, link)| link.volume.as_str());
        let mut rows = Vec::new();
        let _ = rows.push(Row::DiskText(DiskText::new(0, 0, volume)));
        let _ = rows.push(Row::Array(self.state(raid, world.now())));
        self.last.iter().for_each(|last| {
            let _ = rows.push(Row::DiskWork(*last));
        });
        let count = u8::try_from(config.links_as(Role::Client).count()).unwrap_or(u8::MAX);
        for port in 0..count {
            let name = link(world, port).map_or("?", |link| link.volume.as_str());
            let _ = rows.push(Row::ArrayDevice(device(raid.use_of(port), ArrayDevice::new(port, name))));
        }
        rows
    }

    fn state(&self, raid: &Raid, now: Instant) -> ArrayState {
        let Some(geometry) = raid.geometry() else { return ArrayState::NONE };
        let level = match geometry.level() {
            Level::Linear => u8::MAX,
            _ => raid.described().and_then(|known| u8::try_from(known.level).ok()).unwrap_or(0),
        };
        let progress = raid.progress().unwrap_or_default();
        let (since, from) = self.work.map_or((now, 0), |(_, since, from)| (since, from));
        ArrayState {
            level,
            members: u8::try_from(geometry.members()).unwrap_or(u8::MAX),
            missing: u8::try_from(raid.missing().count()).unwrap_or(u8::MAX),
            served: 1,
            work: if progress.what.is_empty() { 0 } else { ArrayState::number(progress.what) },
            done: progress.done.into(),
            of: progress.of.into(),
            mismatches: raid.mismatches().into(),
            ms: (now.0.saturating_sub(since.0) / MS).into(),
            from: from.into(),
            ..ArrayState::NONE
        }
    }
}

/// How much of what goes on is done, of 1000.
fn permille(raid: &Raid) -> u16 {
    let seen = raid.progress().filter(|seen| seen.of > 0);
    let share = seen.map_or(0, |seen| u128::from(seen.done) * 1000 / u128::from(seen.of));
    u16::try_from(share.min(1000)).unwrap_or(1000)
}

/// Has the array become another; of no other level where that is `fixed`, on the way to what is wanted neither.
fn grow(work: &Work, fixed: bool, raid: &mut Raid, io: &mut Io<'_, Ctx>) -> Result<(), Kind> {
    let Grow { disks, chunk, layout, level } = Grow::of(work);
    let level = level.map(|level| i32::try_from(level).unwrap_or(i32::MAX));
    let newest = raid.described().ok_or(Kind::Cannot("it is not served, or has no superblocks"))?;
    if fixed && (newest.level == 0 || level.is_some_and(|level| level != newest.level)) {
        return Err(Kind::Cannot("system.xml fixes its level: take it out"));
    }
    let change = Change { disks, chunk, layout, level, ..Change::default() }.of(newest);
    raid.reshape(&change, io)
}

/// Why something was not done, as far as there is room.
fn why(row: &mut DiskWork, refusal: &Refusal) {
    let said = match refusal {
        Refusal::Fixed => "the array is not served for writing",
        Refusal::Stranger(_) => "the device is none of the array's",
        Refusal::Absent(_) => "the device is not there",
        Refusal::Needed(_) => "the array cannot be without the device",
        Refusal::InUse(..) => "the device is in use: fail it first",
        Refusal::Known(_) => "the device is of the array: remove it",
        Refusal::Other(..) => "the device is another array's member",
        Refusal::Small(..) => "the device is too small",
        Refusal::Blocks(_) => "the device's blocks are too large",
        Refusal::Full => "the array knows no more devices",
        Refusal::Busy => "another device is being made ready",
        Refusal::Anew(_) => "what it lacks is not known: add it",
        Refusal::Failed(..) => "the device could not be written",
        Refusal::Change(Kind::FewSpares(_)) => "it needs more spares: add them first",
        Refusal::Change(Kind::NoRoom(_)) => "its data have no room to move into",
        Refusal::Change(Kind::Shrinks(_)) => "it would be smaller: orion raid grow",
        Refusal::Change(Kind::Chunk(_) | Kind::Layout(_)) => "it cannot have that chunk or layout",
        Refusal::Change(Kind::Cannot(said)) => said,
        Refusal::Change(Kind::Unwritten | Kind::Lost) => "a member could not be read or written",
        Refusal::Change(_) => "it cannot become that",
        Refusal::NoMember(_) => "the device is no member",
        Refusal::NotSpare(_) | Refusal::NoSpare => "no such spare is there: add one first",
        Refusal::Copies => "it has as many copies as can be",
    };
    row.why.iter_mut().zip(said.bytes()).for_each(|(to, from)| *to = from);
}

fn device(found: Use, row: ArrayDevice) -> ArrayDevice {
    let role = |role: u32| u8::try_from(role).unwrap_or(u8::MAX);
    let (standing, role) = match found {
        Use::Member(member) => (0, role(member)),
        Use::Rebuilding(member, _) => (1, role(member)),
        Use::Replacing(member, _) => (7, role(member)),
        Use::Spare => (2, u8::MAX),
        Use::Faulty => (3, u8::MAX),
        Use::Nothing => (4, u8::MAX),
        Use::Journal => (5, u8::MAX),
        Use::Preparing => (6, u8::MAX),
    };
    ArrayDevice { standing, role, ..row }
}

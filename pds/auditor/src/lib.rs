// SPDX-License-Identifier: MIT
//! The auditor PD: keeps the gatekeeper's audit records in an extent of a disk, as a client of the gatekeeper like any other.
//!
//! It holds the one grant on that extent, reads the gatekeeper's ring of records, and writes only the page beside it.
#![no_std]
#![forbid(unsafe_code)]

use core::fmt;
use orion_audit::extent::BLOCK;
use orion_audit::{BLOCKS_MIN, Consumer, Head, Keeper, Step};
use orion_block::{Op, POLICY_BLOCK, Status};
use orion_pd::config::{Link, Role};
use orion_pd::links::{self, ReplayClient};
use orion_pd::supervision::Supervised;
use orion_pd::{Channel, ChannelSet, InitError, Instant, ProtectionDomain, World};
use orion_region::Window;
use orion_ring::{ServerInfo, Submission};

/// How long it waits before it looks again for a gatekeeper that is not ready.
const READY_NS: u64 = 10_000_000;
/// How long it waits before it tries again what failed.
const RETRY_NS: u64 = 1_000_000_000;
/// Bits of rights, as in `orion_caps::Rights`: read, write, flush.
const RIGHTS: u16 = 1 | 2 | 4;

/// The auditor.
#[derive(Debug)]
pub struct Auditor {
    link: &'static Link,
    client: ReplayClient<1>,
    data: Window,
    ring: Consumer,
    state: State,
    /// It has said where the chain goes on.
    told: bool,
    /// What failed last was said.
    failed: bool,
    supervised: Supervised,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one, and nothing may allocate")]
enum State {
    /// The gatekeeper has not said what it offers.
    Waiting,
    Keeping(Keeping),
    Over,
}

#[derive(Debug)]
struct Keeping {
    keeper: Keeper,
    /// Binary logarithm of the blocks of a request in one of 4096 bytes.
    scale: u8,
    /// What is in flight.
    asked: Option<Step>,
    /// When what failed is tried again.
    retry: Option<Instant>,
}

impl<W: World> ProtectionDomain<W> for Auditor {
    fn init(world: &mut W) -> Result<Self, InitError> {
        let config = world.config();
        let unmapped =
            InitError("the auditor's regions are not mapped: build the image and its configuration together");
        let none = InitError("the auditor has no connection: build the image again");
        let (index, link) = config.links_as(Role::Client).next().ok_or(none)?;
        let region = config.regions.get(usize::from(link.data.get())).ok_or(unmapped)?;
        let data = world.window(region.vaddr.get()).ok_or(unmapped)?;
        let mut window = |key| world.window(config.setting(key)?);
        let (records, taken) = (window("audit_vaddr").ok_or(unmapped)?, window("audit_taken_vaddr").ok_or(unmapped)?);
        let ring = Consumer::attach(records, taken).ok_or(unmapped)?;
        let client = links::client(world, index)?;
        let supervised = Supervised::new(world)?;
        Ok(Self { link, client, data, ring, state: State::Waiting, told: false, failed: false, supervised })
    }

    fn notified(&mut self, from: ChannelSet, world: &mut W) -> Option<Instant> {
        self.supervised.answer(from);
        self.client.wake();
        loop {
            self.begin(world);
            let moved = self.answers(world) | self.go_on(world);
            if self.client.publish() {
                world.notify(Channel(u8::try_from(self.link.channel.get()).unwrap_or(u8::MAX)));
            }
            if !moved && self.client.sleep() {
                return self.deadline(world.now());
            }
            self.client.wake();
        }
    }
}

impl Auditor {
    fn deadline(&self, now: Instant) -> Option<Instant> {
        match &self.state {
            State::Waiting => Some(now.after(READY_NS)),
            State::Keeping(keeping) => keeping.retry,
            State::Over => None,
        }
    }

    fn stop<W: World>(&mut self, world: &mut W, why: fmt::Arguments<'_>) {
        world.print(format_args!("no records are kept any more: {why}; changes are refused once the ring is full too"));
        self.ring.stop();
        self.state = State::Over;
    }

    /// Looks at the extent once the gatekeeper is ready.
    fn begin<W: World>(&mut self, world: &mut W) {
        let (State::Waiting, Some(info)) = (&self.state, self.client.server()) else { return };
        match keeping(&info) {
            Some(keeping) => self.state = State::Keeping(keeping),
            None => {
                self.stop(world, format_args!("its grant does not fit the disk; see what the gatekeeper says of it"))
            }
        }
    }

    /// Takes the answer that is there; whether there was one.
    fn answers<W: World>(&mut self, world: &mut W) -> bool {
        let answer = match self.client.pop() {
            Ok(Some(answer)) => answer,
            Ok(None) => return false,
            Err(_) => {
                self.stop(world, format_args!("the gatekeeper broke the protocol of the ring"));
                return false;
            }
        };
        let State::Keeping(keeping) = &mut self.state else { return true };
        let Some(step) = keeping.asked.take() else { return true };
        if let Err(why) = ended(step, answer.status, answer.blocks, keeping.scale) {
            keeping.retry = Some(world.now().after(RETRY_NS));
            if !core::mem::replace(&mut self.failed, true) {
                world.print(format_args!("{}: {why}; it is tried again each second", Shown(step)));
            }
            return true;
        }
        self.failed = false;
        if let Step::Read { count, .. } = step {
            for block in 0..count as usize {
                let mut bytes = [0; BLOCK];
                self.data.copy_out(block * BLOCK, &mut bytes);
                keeping.keeper.read(&bytes);
            }
        } else {
            keeping.keeper.done(&mut self.ring);
        }
        true
    }

    /// Asks for what is to be done next; whether there was something.
    fn go_on<W: World>(&mut self, world: &mut W) -> bool {
        let State::Keeping(keeping) = &mut self.state else { return false };
        if keeping.asked.is_some() || keeping.retry.is_some_and(|at| world.now() < at) {
            return false;
        }
        keeping.retry = None;
        let step = keeping.keeper.step(&mut self.ring);
        if let (Some(head), false) = (keeping.keeper.found(), self.told) {
            self.told = true;
            tell(&keeping.keeper, head, world);
        }
        let submission = match step {
            Step::Rest => return false,
            Step::Over(over) => {
                self.stop(world, format_args!("{over}"));
                return false;
            }
            Step::Read { block, count } => request(Op::Read, block, count, keeping.scale),
            Step::Write { block } => {
                self.data.copy_in(0, &keeping.keeper.page());
                request(Op::Write, block, 1, keeping.scale)
            }
            Step::Flush => request(Op::Flush, 0, 0, keeping.scale),
        };
        if self.client.push(submission).is_ok() {
            keeping.asked = Some(step);
        }
        keeping.asked.is_some()
    }
}

/// `None` where the extent is not all there, or may not be used.
fn keeping(info: &ServerInfo) -> Option<Keeping> {
    let window = info.windows.first().filter(|window| window.rights & RIGHTS == RIGHTS)?;
    let scale = POLICY_BLOCK.shift().checked_sub(info.limits.block.shift())?;
    let blocks = window.blocks >> scale;
    let keeper = Keeper::new(blocks);
    (blocks >= BLOCKS_MIN).then_some(Keeping { keeper, scale, asked: None, retry: None })
}

fn tell<W: World>(keeper: &Keeper, head: Head, world: &mut W) {
    if let Some(at) = keeper.mended() {
        world.print(format_args!("the last block was damaged from record {at} on, as a crash leaves it: written anew"));
    }
    match head.records {
        0 => world.print(format_args!("a new chain begins")),
        records => world.print(format_args!("the chain goes on behind {records} records; head {head}")),
    }
}

fn request(op: Op, block: u64, count: u32, scale: u8) -> Submission {
    let count = u16::try_from(count << scale).unwrap_or(0);
    Submission { id: 0, op, fua: false, block: block << scale, count, address: 0 }
}

/// Whether a step was done in whole.
fn ended(step: Step, status: Status, blocks: u16, scale: u8) -> Result<(), &'static str> {
    let wanted = match step {
        Step::Read { count, .. } => count << scale,
        Step::Write { .. } => 1 << scale,
        _ => 0,
    };
    match status {
        Ok(()) if u32::from(blocks) == wanted => Ok(()),
        Ok(()) => Err("only a part was done"),
        Err(orion_block::Error::Denied) => Err("denied"),
        Err(orion_block::Error::Medium) => Err("medium error"),
        Err(_) => Err("the disk answered with an error"),
    }
}

/// A step, for people.
struct Shown(Step);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Step::Read { block, .. } => write!(f, "read of the audit from block {block}"),
            Step::Write { block } => write!(f, "write of block {block} of the audit"),
            _ => f.write_str("flush of the audit"),
        }
    }
}

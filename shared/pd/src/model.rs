// SPDX-License-Identifier: MIT
//! A world of a few lines for tests of a PD: a configuration's rings, to whose other ends the test attaches, and what the PD did.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's surroundings stop at the first surprise")]
use crate::config::{Builder, Config, Link, NONE, Name, Region};
use crate::{Channel, Verdict, World};
use core::fmt;
use orion_block::{Instant, Op};
use orion_region::model::memory;
use orion_region::{Mmio, Volatile, Window};
use orion_ring::{Memory, Submission};
use std::format;
use std::string::String;
use std::vec::Vec;

/// The device's interrupt.
pub const IRQ: Channel = Channel(3);
/// Nanoseconds of a second, which is also when the world begins.
pub const SECOND: u64 = 1_000_000_000;
/// Entries of rings.
pub const CAPACITY: u16 = 64;
/// The bus address of payload: below 4 GiB, where every device reaches.
pub const DATA_BUS: u64 = 0x4000_0000;
/// Bytes of payload memory.
pub const DATA_LEN: usize = 64 << 10;
/// Lives of who is at the other end of a ring, at most.
pub const LIVES: usize = 3;
const QUEUE_BYTES: usize = 16 << 10;
/// Between two rings, of which the first begins there.
const STRIDE: u64 = 0x10_0000;

/// The channel of the `nth` ring.
pub fn channel(nth: u8) -> Channel {
    Channel(7 + nth)
}

/// The record of the `nth` ring, by which the PD serves somebody, or is served.
pub fn link(nth: u8, serves: bool, volume: Name) -> Link {
    let base = STRIDE * (u64::from(nth) + 1);
    Link {
        role: u16::from(serves).into(),
        channel: u16::from(channel(nth).0).into(),
        capacity: CAPACITY.into(),
        data: NONE.into(),
        flags: 0.into(),
        depth: 0.into(),
        grace_us: 0.into(),
        pad: 0.into(),
        info: base.into(),
        ext: (base + 0x1000).into(),
        requests: (base + 0x2000).into(),
        responses: (base + 0x2000 + QUEUE_BYTES as u64).into(),
        queue_bytes: (QUEUE_BYTES as u64).into(),
        peer: Name::new("peer"),
        volume,
    }
}

/// The record of the memory of payload, which the PD does not map.
pub fn payload() -> Region {
    Region {
        id: 0.into(),
        flags: 0.into(),
        pad: 0.into(),
        vaddr: 0.into(),
        size: (DATA_LEN as u64).into(),
        bus: DATA_BUS.into(),
        name: Name::new("data"),
    }
}

/// A read of `count` blocks into the payload at bus address `address`.
pub fn read(id: u32, block: u64, count: u16, address: u64) -> Submission {
    Submission { id, op: Op::Read, fua: false, block, count, address }
}

/// A ring's memory, as each side maps it.
#[derive(Debug)]
pub struct Ring {
    /// The PD's side, by where it is mapped.
    pub own: [(u64, Window); 4],
    /// The other side's, for each of its lives.
    pub lives: [Memory; LIVES],
    /// The queue of requests, for who breaks the protocol.
    pub requests: Window,
}

impl Ring {
    /// The ring of a link.
    pub fn new(link: &Link) -> Self {
        let at = [link.info, link.ext, link.requests, link.responses].map(|at| at.get());
        let parts = [4096, 4096, QUEUE_BYTES, QUEUE_BYTES].map(memory::<{ LIVES + 2 }>);
        let mut parts = parts.map(IntoIterator::into_iter);
        let mut side = || parts.each_mut().map(|part| part.next().unwrap());
        let own = side();
        let [_, _, requests, _] = side();
        let lives = core::array::from_fn(|_| {
            let [info, ext, requests, responses] = side();
            Memory { info, ext: Some(ext), requests, responses }
        });
        let mut at = at.into_iter();
        Self { own: own.map(|window| (at.next().unwrap(), window)), lives, requests }
    }
}

/// What a PD's world holds, and what the PD did there.
#[derive(Debug)]
pub struct TestWorld<M = Volatile> {
    config: Config<'static>,
    windows: Vec<(u64, Window)>,
    registers: Vec<(u64, M)>,
    /// Peers that were woken.
    pub notified: Vec<Channel>,
    /// How often the interrupt was acknowledged.
    pub acknowledged: usize,
    /// The time.
    pub now: Instant,
    /// Lines on the console.
    pub printed: Vec<String>,
}

impl<M> TestWorld<M> {
    /// A world where these are mapped.
    pub fn new(config: Config<'static>, windows: Vec<(u64, Window)>, registers: Vec<(u64, M)>) -> Self {
        let (notified, printed) = (Vec::new(), Vec::new());
        Self { config, windows, registers, notified, acknowledged: 0, now: Instant(SECOND), printed }
    }

    /// Whether a line on the console has these words.
    pub fn said(&self, words: &str) -> bool {
        self.printed.iter().any(|line| line.contains(words))
    }
}

impl<M: Mmio> World for TestWorld<M> {
    type Mmio = M;
    fn config(&self) -> Config<'static> {
        self.config
    }
    fn window(&mut self, vaddr: u64) -> Option<Window> {
        let index = self.windows.iter().position(|(at, _)| *at == vaddr)?;
        Some(self.windows.swap_remove(index).1)
    }
    fn mmio(&mut self, vaddr: u64) -> Option<M> {
        let index = self.registers.iter().position(|(at, _)| *at == vaddr)?;
        Some(self.registers.swap_remove(index).1)
    }
    fn notify(&mut self, channel: Channel) {
        self.notified.push(channel);
    }
    fn irq_ack(&mut self, channel: Channel) {
        assert_eq!(channel, IRQ);
        self.acknowledged += 1;
    }
    fn now(&self) -> Instant {
        self.now
    }
    fn print(&mut self, line: fmt::Arguments<'_>) {
        self.printed.push(format!("{line}"));
    }
    fn finish(&mut self, _: Verdict) {}
}

/// The configuration that a builder says, for as long as the test lives.
///
/// # Panics
/// Where it says none.
pub fn config(builder: &Builder) -> Config<'static> {
    Config::parse(Vec::leak(builder.bytes())).unwrap()
}

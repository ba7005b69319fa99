// SPDX-License-Identifier: MIT
//! The PD in a world of a few lines, between a client's ring and the rings of drivers that say what they like of themselves.
use super::*;
use core::fmt;
use orion_block::{Access, BlockSize, Error, Instant, Limits, Op, Route};
use orion_pd::config::{Builder, Config, Link, NONE, Name, Region, Setting};
use orion_pd::links::whole;
use orion_pd::{Channel, ChannelSet, ProtectionDomain, Verdict};
use orion_region::{Mmio, Window, model::memory};
use orion_ring::{Answer, Client, Incoming, Memory, Server, ServerInfo, Submission};
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

const CAPACITY: u16 = 16;
const QUEUE_BYTES: usize = 4096;
const DATA_BUS: u64 = 0x4000_0000;
const SECOND: u64 = 1_000_000_000;
/// Lives of a driver at most.
const LIVES: usize = 3;

#[derive(Debug)]
struct NoRegisters;

impl Mmio for NoRegisters {
    fn len(&self) -> usize {
        0
    }
    fn read8(&self, _: usize) -> u8 {
        0
    }
    fn read16(&self, _: usize) -> u16 {
        0
    }
    fn read32(&self, _: usize) -> u32 {
        0
    }
    fn read64(&self, _: usize) -> u64 {
        0
    }
    fn write8(&self, _: usize, _: u8) {}
    fn write16(&self, _: usize, _: u16) {}
    fn write32(&self, _: usize, _: u32) {}
    fn write64(&self, _: usize, _: u64) {}
}

struct TestWorld {
    config: Config<'static>,
    windows: Vec<(u64, Window)>,
    now: Instant,
    printed: Vec<String>,
}

impl World for TestWorld {
    type Mmio = NoRegisters;
    fn config(&self) -> Config<'static> {
        self.config
    }
    fn window(&mut self, vaddr: u64) -> Option<Window> {
        let index = self.windows.iter().position(|(at, _)| *at == vaddr)?;
        Some(self.windows.swap_remove(index).1)
    }
    fn mmio(&mut self, _: u64) -> Option<NoRegisters> {
        None
    }
    fn notify(&mut self, _: Channel) {}
    fn irq_ack(&mut self, _: Channel) {}
    fn now(&self) -> Instant {
        self.now
    }
    fn print(&mut self, line: fmt::Arguments<'_>) {
        self.printed.push(format!("{line}"));
    }
    fn finish(&mut self, _: Verdict) {}
}

/// Link 0 is the client's; the others lead to the drivers of `p0`, `p1`...
fn link(nth: u64) -> Link {
    let base = 0x10_0000 * (nth + 1);
    Link {
        role: u16::from(nth == 0).into(),
        channel: u16::try_from(nth).unwrap().into(),
        capacity: CAPACITY.into(),
        data: NONE.into(),
        flags: 0.into(),
        depth: 0.into(),
        grace_us: 0.into(),
        pad: 0.into(),
        info: base.into(),
        ext: (base + 0x1000).into(),
        requests: (base + 0x2000).into(),
        responses: (base + 0x4000).into(),
        queue_bytes: (QUEUE_BYTES as u64).into(),
        peer: Name::new("peer"),
        volume: Name::new(&if nth == 0 { "v".into() } else { format!("p{}", nth - 1) }),
    }
}

/// A driver: the ring's other end, and room for its next lives.
struct Driver {
    ring: Server,
    lives: Vec<Memory>,
    /// What it answers; nothing: it holds what it is asked.
    answer: Option<Result<(), Error>>,
    held: Vec<Submission>,
}

struct Rig {
    pd: MultipathPd,
    world: TestWorld,
    client: Client,
    drivers: Vec<Driver>,
}

fn route(disk: u8, access: Access) -> Route {
    Route { identity: [[b'a' + disk; 8]; 5], family: 7, access }
}

fn info(route: Route) -> ServerInfo {
    let limits = Limits { block: BlockSize::B512, capacity: 64, fua: true, queue_depth: 16, ..Limits::default() };
    ServerInfo { limits, windows: whole(&limits), route, ..ServerInfo::default() }
}

impl Rig {
    /// Ways that say this of themselves, or never anything.
    fn new(ways: &[Option<Route>]) -> Self {
        let region = Region {
            id: 0.into(),
            flags: 0.into(),
            pad: 0.into(),
            vaddr: 0.into(),
            size: 0x10000.into(),
            bus: DATA_BUS.into(),
            name: Name::new("data"),
        };
        let links: Vec<Link> = (0..=ways.len() as u64).map(link).collect();
        let patience = Setting { key: Name::new("patience_ms"), value: 1000.into() };
        let builder = Builder {
            name: "ways".into(),
            regions: vec![region],
            links: links.clone(),
            settings: vec![patience],
            ..Builder::default()
        };
        let config = Config::parse(Vec::leak(builder.bytes())).unwrap();
        let (mut windows, mut others) = (Vec::new(), Vec::new());
        for link in &links {
            let sizes = [4096, 4096, QUEUE_BYTES, QUEUE_BYTES];
            let mut parts = sizes.map(|size| Vec::from(memory::<{ LIVES + 1 }>(size)));
            let at = [link.info, link.ext, link.requests, link.responses].map(|at| at.get());
            windows.extend(at.into_iter().zip(parts.each_mut().map(|part| part.pop().unwrap())));
            let mut lives = Vec::new();
            while let [Some(info), ext, Some(requests), Some(responses)] = parts.each_mut().map(Vec::pop) {
                lives.push(Memory { info, ext, requests, responses });
            }
            others.push(lives);
        }
        let mut others = others.into_iter();
        let client = others.next().unwrap().pop().unwrap();
        let drivers = others.map(|mut lives| {
            let ring = Server::attach(lives.pop().unwrap(), CAPACITY).unwrap();
            Driver { ring, lives, answer: Some(Ok(())), held: Vec::new() }
        });
        let drivers = drivers.collect();
        let mut world = TestWorld { config, windows, now: Instant(SECOND), printed: Vec::new() };
        let pd = MultipathPd::init(&mut world).unwrap();
        let mut rig = Self { pd, world, client: Client::attach(client, CAPACITY).unwrap(), drivers };
        for (driver, way) in rig.drivers.iter_mut().zip(ways) {
            if let Some(route) = way {
                driver.ring.announce(&info(*route));
            }
        }
        rig.run();
        rig
    }

    /// Lets all work until nothing happens any more.
    fn run(&mut self) {
        for _ in 0..10 {
            self.pd.notified(ChannelSet::ALL, &mut self.world);
            for driver in &mut self.drivers {
                while let Ok(Some(Incoming::Request(request))) = driver.ring.pop() {
                    driver.held.push(request);
                }
                if let Some(status) = driver.answer {
                    for Submission { id, count, .. } in driver.held.drain(..) {
                        driver.ring.push(Answer { id, status, blocks: if status.is_ok() { count } else { 0 } });
                    }
                }
                driver.ring.publish();
                driver.ring.sleep();
            }
            self.client.server();
            self.client.publish();
            self.client.sleep();
        }
    }

    fn ask(&mut self, id: u32) {
        let read = Submission { id, op: Op::Read, fua: false, block: 3, count: 2, address: DATA_BUS };
        self.client.push(read).unwrap();
        self.run();
    }

    fn answers(&mut self) -> Vec<(u32, Result<(), Error>)> {
        core::iter::from_fn(|| self.client.pop().unwrap()).map(|answer| (answer.id, answer.status)).collect()
    }

    /// The driver dies, and its next life says this of itself.
    fn reborn(&mut self, way: usize, route: Route) {
        let driver = &mut self.drivers[way];
        driver.ring = Server::attach(driver.lives.pop().unwrap(), CAPACITY).unwrap();
        driver.held.clear();
        driver.ring.announce(&info(route));
        self.run();
    }

    fn said(&self, words: &str) -> bool {
        self.world.printed.iter().any(|line| line.contains(words))
    }
}

const GOOD: Access = Access::Optimised;

#[test]
fn requests_fail_over_and_come_back() {
    let mut rig = Rig::new(&[Some(route(0, GOOD)), Some(route(0, GOOD))]);
    assert!(rig.said("2 of 2 ways to aaaaaaaa"), "{:?}", rig.world.printed);
    rig.drivers[0].answer = Some(Err(Error::Offline));
    rig.ask(1);
    assert_eq!(rig.answers(), [(1, Ok(()))]);
    rig.drivers[0].answer = Some(Ok(()));
    rig.drivers[1].answer = None;
    rig.reborn(0, route(0, GOOD));
    rig.ask(2);
    assert_eq!(rig.answers(), [(2, Ok(()))], "what was mended is used again");
}

#[test]
fn what_a_dead_driver_held_is_asked_again_of_its_next_life_only_if_that_has_the_same_disk() {
    for (disk, expected) in [(0, 1), (1, 0)] {
        let mut rig = Rig::new(&[Some(route(0, GOOD)), Some(route(0, GOOD))]);
        rig.drivers[0].answer = None;
        rig.ask(1);
        assert_eq!(rig.drivers[0].held.len(), 1);
        rig.reborn(0, route(disk, GOOD));
        assert_eq!(rig.drivers[0].held.len(), expected);
        rig.drivers[0].answer = Some(Ok(()));
        rig.run();
        assert_eq!(rig.answers(), [(1, Ok(()))], "by the one or the other");
        assert_eq!(rig.said("the way over p0 is closed: its driver came back as another disk"), expected == 0);
    }
}

#[test]
fn ways_are_joined_only_where_all_say_that_they_lead_to_one_disk() {
    let other_family = Route { family: 8, ..route(0, GOOD) };
    for (second, words) in [
        (route(1, GOOD), "p1 is bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb of the subsystem 0000000000000007"),
        (other_family, "p1 is aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa of the subsystem 0000000000000008"),
        (Route::default(), "p1 is a disk that does not say which it is"),
    ] {
        let mut rig = Rig::new(&[Some(route(0, GOOD)), Some(second)]);
        assert!(rig.said("the ways are not joined") && rig.said(words), "{:?}", rig.world.printed);
        assert!(rig.client.server().is_none(), "nothing is served");
    }
    let rig = Rig::new(&[Some(Route::default()), Some(Route::default())]);
    assert!(rig.said("the ways are not joined"), "two disks that say nothing are not one");
}

#[test]
fn access_states_are_followed() {
    let mut rig = Rig::new(&[Some(route(0, Access::NonOptimised)), Some(route(0, GOOD))]);
    assert!(rig.said("the way over p0 is non-optimised"));
    let mut next = 0;
    for (states, way) in [
        ([Access::NonOptimised, GOOD], 1),
        ([GOOD, Access::Inaccessible], 0),
        ([Access::Lost, Access::NonOptimised], 1),
        ([Access::NonOptimised, Access::Changing(9)], 0),
    ] {
        for (driver, access) in rig.drivers.iter_mut().zip(states) {
            driver.ring.announce(&info(route(0, access)));
            driver.answer = None;
        }
        rig.run();
        next += 1;
        rig.ask(next);
        assert_eq!(rig.drivers.iter().position(|driver| !driver.held.is_empty()), Some(way), "{states:?}");
        rig.drivers.iter_mut().for_each(|driver| driver.answer = Some(Ok(())));
        rig.run();
        assert_eq!(rig.answers(), [(next, Ok(()))]);
    }
    assert!(rig.said("the way over p1 is changing now"));
    // One that says another name meanwhile leads nowhere.
    rig.drivers[0].ring.announce(&info(route(1, GOOD)));
    rig.run();
    rig.ask(99);
    assert_eq!(rig.answers(), [], "the other changes, and is waited for");
    rig.drivers[1].ring.announce(&info(route(0, GOOD)));
    rig.run();
    assert_eq!(rig.answers(), [(99, Ok(()))]);
}

#[test]
fn one_that_never_comes_is_not_waited_for_for_ever() {
    let mut rig = Rig::new(&[None, Some(route(0, GOOD))]);
    assert!(rig.client.server().is_none());
    rig.world.now = Instant(3 * SECOND);
    rig.run();
    assert!(rig.said("there is no way over p0: its driver is not ready in time"), "{:?}", rig.world.printed);
    assert!(rig.said("1 of 2 ways to"));
    rig.ask(1);
    assert_eq!(rig.answers(), [(1, Ok(()))]);
}

// SPDX-License-Identifier: MIT
//! A layer's PD in a world of a few lines, between a client's ring and the rings of servers that say what they like of themselves.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's surroundings stop at the first surprise"
)]
use orion_block::{BlockSize, Error, Instant, Limits, Route};
use orion_pd::config::{Builder, Link, Name, Setting};
use orion_pd::links::whole;
use orion_pd::model::{CAPACITY, DATA_BUS, Ring, TestWorld, config, link, payload, read};
use orion_pd::{ChannelSet, ProtectionDomain};
use orion_ring::{Answer, Client, Incoming, Memory, Server, ServerInfo, Submission};
use std::format;
use std::vec::Vec;

/// Milliseconds that servers may take to become ready.
pub const PATIENCE_MS: u64 = 1000;

/// What a server says of a disk of 64 blocks that is known as `route`.
pub fn disk(route: Route) -> ServerInfo {
    let limits = Limits { block: BlockSize::B512, capacity: 64, fua: true, queue_depth: 16, ..Limits::default() };
    ServerInfo { limits, windows: whole(&limits), route, ..ServerInfo::default() }
}

/// A server below: the ring's other end, and room for its next lives.
#[derive(Debug)]
pub struct Below {
    /// Its end of the ring.
    pub ring: Server,
    lives: Vec<Memory>,
    /// What it answers; nothing: it holds what it is asked.
    pub answer: Option<Result<(), Error>>,
    /// What it holds.
    pub held: Vec<Submission>,
}

impl Below {
    fn new(lives: [Memory; 3]) -> Self {
        let mut lives = Vec::from(lives);
        let ring = Server::attach(lives.pop().unwrap(), CAPACITY).unwrap();
        Self { ring, lives, answer: Some(Ok(())), held: Vec::new() }
    }

    fn serve(&mut self) {
        while let Ok(Some(Incoming::Request(request))) = self.ring.pop() {
            self.held.push(request);
        }
        if let Some(status) = self.answer {
            for Submission { id, count, .. } in self.held.drain(..) {
                self.ring.push(Answer { id, status, blocks: if status.is_ok() { count } else { 0 } });
            }
        }
        self.ring.publish();
        self.ring.sleep();
    }
}

/// The PD and its neighbours: a client of the volume `v`, and the servers of `p0`, `p1`...
#[derive(Debug)]
pub struct Rig<P> {
    /// The PD.
    pub pd: P,
    /// Its world.
    pub world: TestWorld,
    /// The client's end of its ring.
    pub client: Client,
    /// The servers.
    pub below: Vec<Below>,
}

impl<P: ProtectionDomain<TestWorld>> Rig<P> {
    /// Over servers that say this of themselves, or never anything.
    ///
    /// # Panics
    /// Where the PD does not start.
    pub fn new(infos: &[Option<ServerInfo>]) -> Self {
        let lowers = (1..).zip(infos).map(|(nth, _)| link(nth, false, Name::new(&format!("p{}", nth - 1))));
        let links: Vec<Link> = core::iter::once(link(0, true, Name::new("v"))).chain(lowers).collect();
        let patience = Setting { key: Name::new("patience_ms"), value: PATIENCE_MS.into() };
        let builder = Builder {
            name: "layer".into(),
            regions: [payload()].into(),
            links: links.clone(),
            settings: [patience].into(),
            ..Builder::default()
        };
        let (mut windows, mut others) = (Vec::new(), Vec::new());
        for Ring { own, lives, .. } in links.iter().map(Ring::new) {
            windows.extend(own);
            others.push(lives);
        }
        let mut others = others.into_iter();
        let [client, ..] = others.next().unwrap();
        let client = Client::attach(client, CAPACITY).unwrap();
        let below = others.map(Below::new).collect();
        let mut world = TestWorld::new(config(&builder), windows, Vec::new());
        let pd = P::init(&mut world).unwrap();
        let mut rig = Self { pd, world, client, below };
        for (below, info) in rig.below.iter_mut().zip(infos) {
            info.iter().for_each(|info| below.ring.announce(info));
        }
        rig.run();
        rig
    }

    /// Lets all work until nothing happens any more; when the PD wants to be called again.
    pub fn run(&mut self) -> Option<Instant> {
        let mut again = None;
        for _ in 0..10 {
            again = self.pd.notified(ChannelSet::ALL, &mut self.world);
            self.below.iter_mut().for_each(Below::serve);
            self.client.server();
            self.client.publish();
            self.client.sleep();
        }
        again
    }

    /// The client reads two blocks.
    ///
    /// # Panics
    /// Where there is no room for that.
    pub fn ask(&mut self, id: u32) {
        self.client.push(read(id, 3, 2, DATA_BUS)).unwrap();
        self.run();
    }

    /// What the client was answered.
    ///
    /// # Panics
    /// Where the PD breaks the ring's protocol.
    pub fn answers(&mut self) -> Vec<(u32, Result<(), Error>)> {
        core::iter::from_fn(|| self.client.pop().unwrap()).map(|answer| (answer.id, answer.status)).collect()
    }

    /// A server dies, and its next life says this of itself.
    ///
    /// # Panics
    /// Where it has no more lives.
    pub fn reborn(&mut self, nth: usize, info: &ServerInfo) {
        let below = &mut self.below[nth];
        below.ring = Server::attach(below.lives.pop().unwrap(), CAPACITY).unwrap();
        below.held.clear();
        below.ring.announce(info);
        self.run();
    }
}

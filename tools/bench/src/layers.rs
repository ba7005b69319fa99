// SPDX-License-Identifier: MIT
//! What one request costs in a ring, in the gatekeeper, and in layers, on one thread at queue depth 32.
use crate::allocations;
use orion_block::{BlockSize, Completion, Instant, Lba, Limits, Op, Request};
use orion_caps::{Capability, Extent, Gatekeeper, Rights};
use orion_layer::{Around, Id, Io, Layer, Local, Lowers, NoPayload, Node, Passthrough, Relay, Submission, Uppers};

/// Requests in flight.
pub const DEPTH: usize = 32;
/// Requests of a round.
pub const REQUESTS: u64 = 2_000_000;
const ROUNDS: usize = 5;

/// One extent of a larger device.
struct Linear {
    base: Lba,
    len: u64,
}

impl Layer for Linear {
    type Ctx = ();
    const FANOUT: usize = 1;
    fn limits(&self, below: &[Limits]) -> Limits {
        Limits { capacity: self.len, ..below.first().copied().unwrap_or_default() }
    }
    #[inline]
    fn relay(&mut self, _: u8, req: &mut Request) -> Option<Relay<()>> {
        *req = req.translate(self.base, self.len).ok()?;
        Some(Relay { port: 0, ctx: () })
    }
    fn submit(&mut self, id: Id, io: &mut Io<'_, ()>) {
        match io.request(id).translate(self.base, self.len) {
            Ok(req) => io.lower(id, 0, 0, req),
            Err(error) => io.done(id, Completion::error(error)),
        }
    }
    fn complete(&mut self, id: Id, _: u8, done: Completion, io: &mut Io<'_, ()>) {
        io.done(id, done);
    }
}

/// Two copies: reads alternate, writes go to both.
#[derive(Default)]
struct Mirror {
    turn: u8,
}

impl Layer for Mirror {
    type Ctx = u8;
    const FANOUT: usize = 2;
    fn limits(&self, below: &[Limits]) -> Limits {
        below.first().copied().unwrap_or_default()
    }
    #[inline]
    fn relay(&mut self, _: u8, req: &mut Request) -> Option<Relay<u8>> {
        let read = req.op == Op::Read;
        self.turn ^= u8::from(read);
        read.then_some(Relay { port: self.turn, ctx: 0 })
    }
    fn submit(&mut self, id: Id, io: &mut Io<'_, u8>) {
        let req = io.request(id);
        if let Some(left) = io.ctx(id) {
            *left = 1;
        }
        (0..2).for_each(|leg| io.lower(id, leg, leg, req));
    }
    fn complete(&mut self, id: Id, _: u8, done: Completion, io: &mut Io<'_, u8>) {
        match io.ctx(id) {
            Some(left) if *left > 0 => *left -= 1,
            _ => io.done(id, done),
        }
    }
}

/// A client that keeps `DEPTH` requests in flight, one in four a write, of 4 KiB each.
pub struct Load {
    pub sent: u64,
    pub done: u64,
}

impl Uppers for Load {
    fn count(&self) -> u8 {
        1
    }
    fn next(&mut self, _: u8) -> Option<Submission> {
        if self.sent - self.done == DEPTH as u64 || self.sent == REQUESTS {
            return None;
        }
        self.sent += 1;
        let op = if self.sent.is_multiple_of(4) { Op::Write } else { Op::Read };
        let lba = Lba(self.sent * 8 % (1 << 20));
        Some(Submission { tag: 0, req: Request { op, lba, blocks: 8, ..Request::default() } })
    }
    fn complete(&mut self, _: u8, _: u32, _: Completion) {
        self.done += 1;
    }
}

/// Answers everything at once: the floor below a layer.
pub fn answer<const N: usize>(queue: &mut Local<N>) -> bool {
    let mut moved = false;
    while let Some(s) = Uppers::next(queue, 0) {
        Uppers::complete(queue, 0, s.tag, Completion::ok(s.req.blocks));
        moved = true;
    }
    moved
}

fn device() -> Limits {
    Limits { block: BlockSize::B512, capacity: 1 << 30, atomic_blocks: 1, ..Limits::default() }
}

pub fn queue<const N: usize>() -> Local<N> {
    let mut queue = Local::new();
    queue.announce(Some(device()));
    queue
}

pub fn step<L: Layer, const N: usize, const F: usize>(
    node: &mut Node<L, N, F>,
    uppers: &mut impl Uppers,
    lowers: &mut impl Lowers,
) -> bool {
    node.run(&mut Around { uppers, lowers, payload: &mut NoPayload, now: Instant(0) }).moved
}

fn one_layer<L: Layer>(layer: L) -> u64 {
    let (mut node, mut low, mut load) =
        (Node::<L, DEPTH, 1>::new(layer, 0), queue::<DEPTH>(), Load { sent: 0, done: 0 });
    while load.done < REQUESTS {
        step(&mut node, &mut load, &mut low);
        answer(&mut low);
    }
    load.done
}

/// Has a layer that refuses everything be asked [`REQUESTS`] times; after each run of its node comes `after`.
pub fn flood<L: Layer>(layer: L, mut after: impl FnMut(&mut Node<L, DEPTH>)) {
    let (mut node, mut low, mut load) = (Node::<L, DEPTH>::new(layer, 0), queue::<DEPTH>(), Load { sent: 0, done: 0 });
    while load.done < REQUESTS {
        step(&mut node, &mut load, &mut low);
        after(&mut node);
    }
}

fn linear_over_mirror() -> u64 {
    let mut upper = Node::<_, DEPTH, 1>::new(Linear { base: Lba(2048), len: 1 << 29 }, 0);
    let mut lower = Node::<_, DEPTH, 2>::new(Mirror::default(), 0);
    let (mut between, mut legs) = (queue::<DEPTH>(), [queue::<64>(), queue::<64>()]);
    let mut load = Load { sent: 0, done: 0 };
    while load.done < REQUESTS {
        step(&mut upper, &mut load, &mut between);
        step(&mut lower, &mut between, &mut legs);
        for leg in &mut legs {
            answer(leg);
        }
        step(&mut lower, &mut between, &mut legs);
    }
    load.done
}

fn gatekeeper() -> Gatekeeper {
    let extent = Extent { first: 0, blocks: 1 << 20 };
    let rights = Rights::READ.with(Rights::WRITE);
    let mut layer = Gatekeeper::new();
    let granted = layer.grant(Capability { client: 0, window: 0, port: 0, extent, rights, ..Capability::default() });
    assert!(granted.is_ok(), "an empty gatekeeper takes a grant");
    layer
}

fn measure(name: &str, mut f: impl FnMut() -> u64) {
    let mut best = f64::INFINITY;
    let before = allocations::count();
    for _ in 0..ROUNDS {
        let start = std::time::Instant::now();
        let done = f();
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / done as f64);
    }
    println!(
        "{name:<34} {best:8.1} ns   {:5} allocations in {} requests",
        allocations::count() - before,
        REQUESTS * ROUNDS as u64
    );
}

/// Prints the table.
///
/// # Errors
/// Where a part can't be set up.
pub fn run() -> Result<(), Box<dyn std::error::Error>> {
    println!("one request, best of {ROUNDS} rounds of {REQUESTS}, queue depth {DEPTH}, one thread");
    let (mut client, mut server) = crate::ring::ends()?;
    measure("ring hop and back", || crate::ring::hop(&mut client, &mut server));
    measure("passthrough", || one_layer(Passthrough));
    measure("gatekeeper check (one layer)", || one_layer(gatekeeper()));
    measure("linear over a two-way mirror", linear_over_mirror);
    measure("gatekeeper refuses", crate::refusals::refuse);
    measure("audit record of a refusal", crate::refusals::record()?);
    Ok(())
}

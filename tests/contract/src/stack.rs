// SPDX-License-Identifier: MIT
//! Layers over a disk in this process, joined by local queues: a device under test.
use crate::device::{Device, Expect};
use crate::under::{Under, block_on};
use crate::{Report, suite};
use orion_block::{BlockSize, Buf, Completion, Error, Instant, Limits, Op, RegionId, Request};
use orion_layer::{
    Around, Fault, Faults, Interrupted, Layer, Local, Lowers, NoLowers, Node, Passthrough, Payload, Submission, Uppers,
};
use orion_region::Window;
use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Requests in flight at each floor.
const SLOTS: usize = 16;
/// Nanoseconds that go by with each step.
const STEP_NS: u64 = 100;

/// Bytes of memory for payload.
const MEMORY: usize = 256 << 10;

/// The memory for payload.
#[derive(Clone, Debug)]
pub struct Ram(Rc<Window>, Rc<RefCell<Vec<u8>>>);

/// Bytes of a layer's own memory.
const OWN_BYTES: usize = 5 << 20;

/// Memory of a layer's own, that clients do not reach.
pub const OWN: Buf = Buf { region: RegionId(9), offset: 0 };

impl Ram {
    /// The memory, and the same bytes once more, for a device.
    pub fn new() -> (Self, Window) {
        let [ours, device] = orion_virtio::model::memory(MEMORY);
        (Self(Rc::new(ours), Rc::new(RefCell::new(vec![0; OWN_BYTES]))), device)
    }
}

impl Payload for Ram {
    fn read(&self, from: Buf, to: &mut [u8]) -> bool {
        let Ok(at) = usize::try_from(from.offset) else { return false };
        if from.region == OWN.region {
            let own = self.1.borrow();
            return own.get(at..at + to.len()).map(|own| to.copy_from_slice(own)).is_some();
        }
        self.0.copy_out(at, to)
    }
    fn write(&mut self, to: Buf, from: &[u8]) -> bool {
        let Ok(at) = usize::try_from(to.offset) else { return false };
        if to.region == OWN.region {
            let mut own = self.1.borrow_mut();
            return own.get_mut(at..at + from.len()).map(|own| own.copy_from_slice(from)).is_some();
        }
        self.0.copy_in(at, from)
    }
    fn lend(&mut self, at: Buf, len: usize, f: &mut dyn FnMut(&mut [u8])) -> bool {
        let mut own = self.1.borrow_mut();
        let bytes = usize::try_from(at.offset).ok().and_then(|at| own.get_mut(at..at.checked_add(len)?));
        at.region == OWN.region && bytes.map(f).is_some()
    }
}

/// A disk below all floors.
pub trait Bottom: Lowers {
    /// Goes on; whether anything moved.
    fn step(&mut self, ram: &mut Ram, now: Instant) -> bool;
    /// Loses power, if it can.
    fn lose_power(&mut self) -> bool {
        false
    }
    /// Dies and begins again, if it can: what it had is lost.
    fn restart(&mut self) -> bool {
        false
    }
}

/// The neighbours of a floor, whatever they are.
pub type Between<'a, 'b> = Around<'a, &'b mut dyn Uppers, &'b mut dyn Lowers>;

/// A layer in its node.
pub trait Floor {
    /// Runs it once between its neighbours; whether anything moved.
    fn run(&mut self, around: &mut Between<'_, '_>) -> bool;
    /// What it offers its first client.
    fn limits(&self) -> Option<Limits>;
    /// The node, as what it is.
    fn any(&mut self) -> &mut dyn Any;
}

impl<L: Layer + 'static, const N: usize, const F: usize> Floor for Node<L, N, F> {
    fn run(&mut self, around: &mut Between<'_, '_>) -> bool {
        self.run(around).moved
    }
    fn limits(&self) -> Option<Limits> {
        self.limits_of(0)
    }
    fn any(&mut self) -> &mut dyn Any {
        self
    }
}

/// The disk of `orion-layer`, at the bottom.
pub struct Memory {
    node: Node<orion_layer::Memory<Vec<u8>>, SLOTS>,
    queue: Local<SLOTS>,
    restarted: bool,
}

impl Memory {
    /// A disk that holds these bytes.
    pub fn new(bytes: Vec<u8>, block: BlockSize) -> Self {
        Self { node: Node::new(orion_layer::Memory::new(bytes, block), 1), queue: Local::new(), restarted: false }
    }
}

impl Lowers for Memory {
    fn count(&self) -> u8 {
        1
    }
    fn capacity(&self, port: u8) -> u16 {
        Lowers::capacity(&self.queue, port)
    }
    fn limits(&self, port: u8) -> Option<Limits> {
        Lowers::limits(&self.queue, port)
    }
    fn submit(&mut self, port: u8, submission: Submission) {
        Lowers::submit(&mut self.queue, port, submission);
    }
    fn next(&mut self) -> Result<Option<(u8, u32, Completion)>, Interrupted> {
        if std::mem::take(&mut self.restarted) {
            return Err(Interrupted::Restarted(0));
        }
        Lowers::next(&mut self.queue)
    }
}

impl Bottom for Memory {
    fn step(&mut self, ram: &mut Ram, now: Instant) -> bool {
        let around = &mut Around { uppers: &mut self.queue, lowers: &mut NoLowers, payload: ram, now };
        let moved = self.node.run(around).moved;
        self.queue.announce(self.node.limits());
        moved
    }

    /// It has no volatile cache.
    fn lose_power(&mut self) -> bool {
        true
    }

    fn restart(&mut self) -> bool {
        self.queue = Local::new();
        self.queue.announce(self.node.limits());
        self.restarted = true;
        true
    }
}

/// The one client of the uppermost floor.
#[derive(Debug, Default)]
struct Top {
    clients: u8,
    asked: VecDeque<Submission>,
    answered: VecDeque<(u32, Completion)>,
}

impl Uppers for Top {
    fn count(&self) -> u8 {
        self.clients
    }
    fn next(&mut self, upper: u8) -> Option<Submission> {
        if upper == 0 { self.asked.pop_front() } else { None }
    }
    fn complete(&mut self, _: u8, tag: u32, done: Completion) {
        self.answered.push_back((tag, done));
    }
}

/// Layers over a disk.
pub struct Stack<B> {
    bottom: B,
    /// From the bottom up, each with the queue to the floor above it.
    floors: Vec<(Box<dyn Floor>, Local<SLOTS>)>,
    top: Top,
    ram: Ram,
    expect: Expect,
    part: Option<(u64, u64)>,
    depth: usize,
    open: usize,
    now: u64,
}

impl Stack<Memory> {
    /// Nothing over a disk in memory that begins with these bytes.
    pub fn memory(blocks: usize, block: BlockSize, start: &[u8]) -> Self {
        let mut bytes = vec![0; blocks << block.shift()];
        bytes[..start.len()].copy_from_slice(start);
        Self::new(Memory::new(bytes, block), Ram::new().0)
    }
}

impl<B: Bottom> Stack<B> {
    /// Nothing over the driver of a device that is made with its view of the memory for payload.
    pub fn on(device: impl FnOnce(Window) -> B) -> Self {
        let (ram, window) = Ram::new();
        Self::new(device(window), ram)
    }

    /// Nothing over a disk, and memory for payload.
    pub fn new(bottom: B, ram: Ram) -> Self {
        let top = Top { clients: 1, ..Top::default() };
        let expect = Expect::default();
        Self { bottom, floors: Vec::new(), top, ram, expect, part: None, depth: SLOTS * 2, open: 0, now: 0 }
    }

    /// One more layer.
    #[must_use]
    pub fn layer(mut self, layer: impl Layer + 'static) -> Self {
        self.floors.push((Box::new(Node::<_, SLOTS, 1>::new(layer, 1)), Local::new()));
        self
    }

    /// One more layer, of another fan-out, with as many slots as the queue below has room for.
    #[must_use]
    pub fn wide<L: Layer + 'static, const F: usize>(mut self, layer: L) -> Self {
        self.floors.push((Box::new(Node::<L, SLOTS, F>::new(layer, 1)), Local::new()));
        self
    }

    /// The uppermost layer has more clients, which ask for nothing.
    #[must_use]
    pub fn clients(mut self, clients: u8) -> Self {
        self.top.clients = clients;
        self
    }

    /// It refuses in other ways.
    #[must_use]
    pub fn refuses(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }

    /// Its first client has these of the disk's blocks: to a gatekeeper's client, limits do not say how many.
    #[must_use]
    pub fn part(mut self, first: u64, blocks: u64) -> Self {
        self.part = Some((first, blocks));
        self
    }

    /// What comes of the suite.
    pub fn report(mut self) -> Report {
        if self.floors.is_empty() {
            self = self.layer(Passthrough);
        }
        let under = Under(Rc::new(RefCell::new(self)));
        block_on(&under, suite(&under))
    }

    /// Runs the suite.
    ///
    /// # Panics
    /// Where the device fails it, with what was wrong.
    pub fn holds(self) {
        let report = self.report();
        assert!(report.failures().is_empty(), "{:#?}", report.failures());
    }
}

impl<B: Bottom> Device for Stack<B> {
    fn limits(&mut self) -> Option<Limits> {
        let limits = self.floors.last()?.0.limits()?;
        Some(Limits { capacity: self.part.map_or(limits.capacity, |(_, blocks)| blocks), ..limits })
    }

    fn expect(&self) -> Expect {
        self.expect
    }

    fn memory(&self) -> u64 {
        MEMORY as u64
    }

    fn put(&mut self, at: u64, bytes: &[u8]) {
        let at = Buf { offset: at, ..Buf::default() };
        assert!(self.ram.write(at, bytes), "the suite keeps to the memory");
    }

    fn get(&mut self, at: u64, bytes: &mut [u8]) {
        let at = Buf { offset: at, ..Buf::default() };
        assert!(self.ram.read(at, bytes), "the suite keeps to the memory");
    }

    fn submit(&mut self, tag: u32, req: &Request) -> bool {
        let room = self.open < self.depth;
        if room {
            self.open += 1;
            self.top.asked.push_back(Submission { tag, req: *req });
        }
        room
    }

    fn next(&mut self) -> Option<(u32, Completion)> {
        let answer = self.top.answered.pop_front()?;
        self.open = self.open.checked_sub(1).expect("an answer to what was never asked");
        Some(answer)
    }

    fn step(&mut self) -> bool {
        self.now += STEP_NS;
        let now = Instant(self.now);
        let (floors, payload) = (&mut self.floors, &mut self.ram);
        let mut moved = self.bottom.step(payload, now);
        for index in 0..floors.len() {
            let (below, here) = floors.split_at_mut(index);
            let (here, above) = here.split_at_mut(1);
            let (floor, queue) = &mut here[0];
            let mut lowers: &mut dyn Lowers = match below.last_mut() {
                Some((_, queue)) => queue,
                None => &mut self.bottom,
            };
            let mut uppers: &mut dyn Uppers = if above.is_empty() { &mut self.top } else { &mut *queue };
            moved |= floor.run(&mut Around { uppers: &mut uppers, lowers: &mut lowers, payload, now });
            queue.announce(floor.limits());
        }
        moved
    }

    /// Breaks the first floor that can be broken.
    fn fail(&mut self, op: Op, lba: u64, error: Error) -> bool {
        let lba = lba + self.part.map_or(0, |(first, _)| first);
        let mut nodes = self.floors.iter_mut().filter_map(|(f, _)| f.any().downcast_mut::<Node<Faults, SLOTS>>());
        nodes.next().is_some_and(|node| node.layer_mut().add(Fault { op, blocks: (lba, lba + 1), error, times: 1 }))
    }

    fn lose_power(&mut self) -> bool {
        self.bottom.lose_power()
    }

    /// Half of what was asked has gone down then.
    fn restart(&mut self) -> bool {
        self.step();
        self.bottom.restart()
    }
}

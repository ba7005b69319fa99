// SPDX-License-Identifier: MIT
//! The layer that gives each of its clients one partition of the device below.
use crate::{Error, Extent, FEED_MAX, NotFound, Partition, Probe, Select, Table};
use heapless::Vec;
use orion_block::{BlockSize, Buf, Completion, Error as Status, Instant, Lba, Limits, Op, Request};
use orion_layer::{Event, Id, Io, Layer, Relay, Start};

/// Most clients of the layer.
pub const UPPERS_MAX: usize = 62;
/// Bytes of the memory that the layer needs to read the table into.
pub const SCRATCH_BYTES: usize = FEED_MAX;

/// What one client has.
#[derive(Clone, Debug)]
struct Upper {
    select: Select,
    first: Lba,
    /// 0 while, or where, it has no partition.
    blocks: u64,
}

/// Gives each of its clients one partition. A client without one, because the table is bad or does not have it, is
/// offered a device of no blocks: that must not keep others from theirs.
#[derive(Debug)]
pub struct Partitions {
    uppers: Vec<Upper, UPPERS_MAX>,
    /// Where the device below can put [`SCRATCH_BYTES`].
    scratch: Buf,
    probe: Option<Probe>,
    started: bool,
    /// The device below left, was given up while the table was read, or could not be read.
    gone: bool,
    /// Nanoseconds that reading the table may take.
    patience: Option<u64>,
    /// When that is over.
    deadline: Option<Instant>,
}

impl Partitions {
    /// With `scratch` for the table, and no client yet.
    pub const fn new(scratch: Buf) -> Self {
        Self { uppers: Vec::new(), scratch, probe: None, started: false, gone: false, patience: None, deadline: None }
    }

    /// Gives up after so many nanoseconds if the table is not read by then: nobody gets a partition. The driver, where the
    /// deadlines of requests are, may be what does not answer.
    pub fn give_up_after(&mut self, nanoseconds: u64) {
        self.patience = Some(nanoseconds);
    }

    /// Adds the next client, which has the partition that `select` names. `false` where there is no room.
    pub fn add(&mut self, select: Select) -> bool {
        self.uppers.push(Upper { select, first: Lba(0), blocks: 0 }).is_ok()
    }

    /// What was read; `None` before.
    pub fn table(&self) -> Option<Result<&Table, Error>> {
        self.probe.as_ref()?.outcome()
    }

    /// What each client has, or why it has nothing; nothing where there is no table.
    pub fn found(&self) -> impl Iterator<Item = (&Select, Result<&Partition, NotFound>)> {
        let table = self.table().and_then(Result::ok);
        let uppers = table.into_iter().flat_map(|table| self.uppers.iter().map(move |upper| (table, upper)));
        uppers.map(|(table, upper)| {
            let found = upper.select.find(table);
            (&upper.select, found.and_then(|p| if upper.blocks == 0 { Err(NotFound::Taken) } else { Ok(p) }))
        })
    }

    /// Asks for the blocks of the table that are wanted next.
    fn ask(&self, io: &mut Io<'_, ()>) {
        let wanted = self.probe.as_ref().and_then(Probe::want);
        if let (Some(Extent { first, blocks }), Some(id)) = (wanted, io.own()) {
            let blocks = u32::try_from(blocks).unwrap_or(0);
            io.lower(id, 0, 0, Request { op: Op::Read, fua: false, lba: Lba(first), blocks, buf: self.scratch });
        }
    }

    fn answered(&mut self, done: Completion, io: &mut Io<'_, ()>) {
        let block = io.below(0).map_or(BlockSize::B512, |limits| limits.block);
        let Some(probe) = &mut self.probe else { return };
        let wanted = probe.want().map_or(0, |extent| extent.blocks << block.shift());
        let mut bytes = [0; FEED_MAX];
        let bytes = usize::try_from(wanted).ok().and_then(|len| bytes.get_mut(..len));
        let bytes = bytes.filter(|_| done.status.is_ok());
        match bytes.and_then(|bytes| io.read_payload(self.scratch, bytes).then_some(bytes)) {
            Some(bytes) => probe.feed(bytes),
            None => probe.unreadable(),
        }
        self.ask(io);
    }

    /// Where a client's request lies on the disk.
    #[inline]
    fn place(&self, upper: u8, req: &Request) -> Result<Request, Status> {
        if self.gone {
            return Err(Status::Offline);
        }
        if req.op == Op::Flush {
            return Ok(Request { lba: Lba(0), blocks: 0, ..*req });
        }
        let upper = self.uppers.get(usize::from(upper)).ok_or(Status::OutOfRange)?;
        req.translate(upper.first, upper.blocks)
    }

    /// Ends the reading of a disk that is gone, or has not answered in time.
    fn watch(&mut self, io: &mut Io<'_, ()>) {
        let now = io.now();
        let patience = self.patience;
        self.deadline = self.deadline.or_else(|| patience.map(|ns| now.after(ns)));
        let late = self.deadline.is_some_and(|at| at <= now);
        match (&mut self.probe, self.deadline) {
            (Some(probe), _) if late || self.gone => {
                probe.silent();
                self.gone = true;
            }
            (_, Some(at)) => io.alarm(at),
            _ => {}
        }
    }

    /// Gives each client its partition; nobody gets one that another has.
    fn assign(&mut self) {
        let Some(Ok(table)) = self.probe.as_ref().and_then(Probe::outcome) else {
            return;
        };
        let mut taken: Vec<u64, UPPERS_MAX> = Vec::new();
        for upper in &mut self.uppers {
            let Ok(found) = upper.select.find(table) else { continue };
            if !taken.contains(&found.first) && taken.push(found.first).is_ok() {
                (upper.first, upper.blocks) = (Lba(found.first), found.blocks);
            }
        }
    }
}

/// The largest number that divides both.
const fn divisor(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl Layer for Partitions {
    type Ctx = ();
    const FANOUT: usize = 1;

    fn start(&mut self, io: &mut Io<'_, ()>) -> Start {
        match &self.probe {
            None => {
                let Some(limits) = io.below(0) else { return Start::Starting };
                self.probe = Some(if self.gone { Probe::absent() } else { Probe::new(limits.block, limits.capacity) });
                self.ask(io);
            }
            Some(_) if self.started => return Start::Ready,
            Some(_) => {}
        }
        self.watch(io);
        if self.table().is_none() {
            return Start::Starting;
        }
        self.assign();
        // What could not be read may be a good table: its clients have lost a device, and not their partitions.
        self.gone |= self.table().is_some_and(|table| table.is_err_and(|error| error.is_unreadable()));
        self.started = true;
        Start::Ready
    }

    /// A request that crosses no multiple of the boundary offered here crosses none of the device's, wherever its
    /// partition begins.
    fn limits(&self, below: &[Limits]) -> Limits {
        let limits = below.first().copied().unwrap_or_default();
        let starts = self.uppers.iter().map(|upper| upper.first.0);
        let boundary = starts.fold(u64::from(limits.boundary), |boundary, first| match boundary {
            0 => 0,
            boundary => divisor(boundary, first),
        });
        Limits { boundary: u32::try_from(boundary).unwrap_or(limits.boundary), ..limits }
    }

    fn limits_of(&self, upper: u8, all: Limits) -> Limits {
        let Some(upper) = self.uppers.get(usize::from(upper)) else {
            return Limits { capacity: 0, ..all };
        };
        // Atomic units are counted from the device's first block.
        let aligned = upper.first.0.is_multiple_of(u64::from(all.atomic_blocks.max(1)));
        let atomic_blocks = if aligned { all.atomic_blocks } else { 1 };
        Limits { capacity: upper.blocks, atomic_blocks, ..all }
    }

    #[inline]
    fn relay(&mut self, upper: u8, req: &mut Request) -> Option<Relay<()>> {
        *req = self.place(upper, req).ok()?;
        Some(Relay { port: 0, ctx: () })
    }

    fn submit(&mut self, id: Id, io: &mut Io<'_, ()>) {
        match self.place(io.upper(id), &io.request(id)) {
            Ok(lower) => io.lower(id, 0, 0, lower),
            Err(error) => io.done(id, Completion::error(error)),
        }
    }

    fn event(&mut self, _: u8, event: Event, _: &mut Io<'_, ()>) {
        match event {
            Event::Gone => self.gone = true,
            // A table that was given up is not read again.
            Event::Back => self.gone = !matches!(self.table(), Some(Ok(_))),
            Event::Changed | Event::Restarted | Event::Worth(_) => {}
        }
    }

    fn complete(&mut self, id: Id, _: u8, done: Completion, io: &mut Io<'_, ()>) {
        if self.started { io.done(id, done) } else { self.answered(done, io) }
    }
}

// SPDX-License-Identifier: MIT
//! An array in use: its layer over the images, in this process. Nothing waits: where nothing moves, the clock goes on to when
//! something will.
use super::nested;
use crate::cat::devices;
use orion_block::{Buf, Completion, Error, Instant, Lba, Limits, Op, RegionId, Request};
use orion_layer::{Around, Interrupted, Io, Lowers, Node, Payload, Submission, Uppers};
use orion_raid::engine::{Ctx, FANOUT, Mend, Refusal, SLOTS, WORK_BYTES};
use orion_raid::{Raid, Uuid};
use std::cell::Cell;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The client's memory, and the layer's.
const CLIENT: Buf = Buf { region: RegionId(0), offset: 0 };
const WORK: Buf = Buf { region: RegionId(1), offset: 0 };
/// Bytes of the client's.
const CLIENT_BYTES: usize = 1 << 20;

/// Both memories.
struct Memory([Vec<u8>; 2]);

impl Memory {
    fn part(&mut self, buf: Buf, len: usize) -> Option<&mut [u8]> {
        let at = usize::try_from(buf.offset).ok()?;
        self.0.get_mut(usize::from(buf.region.0))?.get_mut(at..at.checked_add(len)?)
    }
}

impl Payload for Memory {
    fn read(&self, from: Buf, to: &mut [u8]) -> bool {
        let Ok(at) = usize::try_from(from.offset) else { return false };
        let own = self.0.get(usize::from(from.region.0)).and_then(|all| all.get(at..at.checked_add(to.len())?));
        own.map(|own| to.copy_from_slice(own)).is_some()
    }
    fn write(&mut self, to: Buf, from: &[u8]) -> bool {
        self.part(to, from.len()).map(|own| own.copy_from_slice(from)).is_some()
    }
    fn lend(&mut self, at: Buf, len: usize, f: &mut dyn FnMut(&mut [u8])) -> bool {
        self.part(at, len).map(f).is_some()
    }
}

/// A device below the layer, and its sectors.
pub enum Below {
    /// An image.
    Image(File, u64),
    /// An array over others.
    Array(Box<Running>),
}

impl Below {
    fn sectors(&self) -> u64 {
        match self {
            Self::Image(_, sectors) => *sectors,
            Self::Array(running) => running.sectors(),
        }
    }
}

/// Writes of images that are still done; `None`: all. Of all images of arrays over arrays.
pub type Left = Rc<Cell<Option<u64>>>;

/// The devices below the layer.
struct Images {
    files: Vec<Below>,
    asked: VecDeque<(u8, Submission)>,
    answered: VecDeque<(u8, u32, Completion)>,
    left: Left,
}

impl Images {
    /// Does what was asked; whether that was anything.
    fn serve(&mut self, memory: &mut Memory) -> bool {
        let moved = !self.asked.is_empty();
        while let Some((port, Submission { tag, req })) = self.asked.pop_front() {
            let done = self.done(port, &req, memory).map_or_else(Completion::error, |()| Completion::ok(req.blocks));
            self.answered.push_back((port, tag, done));
        }
        moved
    }

    fn done(&mut self, port: u8, req: &Request, memory: &mut Memory) -> Result<(), Error> {
        let below = self.files.get_mut(usize::from(port)).ok_or(Error::Offline)?;
        if req.op != Op::Flush && req.end().is_none_or(|end| end > below.sectors()) {
            return Err(Error::OutOfRange);
        }
        let bytes = memory.part(req.buf, usize::try_from(req.blocks).unwrap_or(0) * 512).ok_or(Error::Invalid)?;
        match below {
            Below::Image(file, _) => image(file, &self.left, req, bytes),
            Below::Array(running) => running.pass(req, bytes),
        }
    }
}

/// Does what is asked of an image.
fn image(file: &File, left: &Left, req: &Request, bytes: &mut [u8]) -> Result<(), Error> {
    match req.op {
        Op::Flush => file.sync_data().map_err(|_| Error::Io),
        Op::Read => file.read_exact_at(bytes, req.lba.0 * 512).map_err(|_| Error::Medium),
        Op::Write if left.get() == Some(0) => Err(Error::Offline),
        Op::Write => {
            left.set(left.get().map(|left| left - 1));
            let written = file.write_all_at(bytes, req.lba.0 * 512);
            let synced = if req.fua { file.sync_data() } else { Ok(()) };
            written.and(synced).map_err(|_| Error::Io)
        }
        _ => Err(Error::Unsupported),
    }
}

impl Lowers for Images {
    fn count(&self) -> u8 {
        u8::try_from(self.files.len()).unwrap_or(u8::MAX)
    }
    fn capacity(&self, _: u8) -> u16 {
        u16::MAX
    }
    fn limits(&self, port: u8) -> Option<Limits> {
        let capacity = self.files.get(usize::from(port))?.sectors();
        Some(Limits { capacity, atomic_blocks: 1, volatile_cache: true, ..Limits::default() })
    }
    fn submit(&mut self, port: u8, submission: Submission) {
        self.asked.push_back((port, submission));
    }
    fn next(&mut self) -> Result<Option<(u8, u32, Completion)>, Interrupted> {
        Ok(self.answered.pop_front())
    }
}

/// The one client.
#[derive(Default)]
struct Client {
    asked: Option<Submission>,
    answered: Option<Completion>,
}

impl Uppers for Client {
    fn count(&self) -> u8 {
        1
    }
    fn next(&mut self, _: u8) -> Option<Submission> {
        self.asked.take()
    }
    fn complete(&mut self, _: u8, _: u32, done: Completion) {
        self.answered = Some(done);
    }
}

/// An array in use.
pub struct Running {
    node: Box<Node<Raid, SLOTS, FANOUT>>,
    images: Images,
    /// What the devices are called.
    names: Vec<String>,
    client: Client,
    memory: Memory,
    now: u64,
}

pub fn open(path: &Path) -> Result<Below, String> {
    let say = |error| format!("{}: cannot be written: {error}; name a disk image", path.display());
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(say)?;
    let bytes = file.seek(SeekFrom::End(0)).map_err(say)?;
    Ok(Below::Image(file, bytes / 512))
}

impl Running {
    /// The array of these images, in use; one over arrays, too.
    pub fn start(paths: &[PathBuf], want: Option<Uuid>, force: bool) -> Result<Self, String> {
        // Damaged superblocks are said before anything is done.
        let mut found = devices::open(paths)?;
        found.faults.iter().for_each(|(name, fault)| eprintln!("{name}: {fault}"));
        if let Some(set) = nested::over_arrays(&mut found, want, force) {
            return nested::start(&found, set, force, &Left::default());
        }
        let files: Result<Vec<Below>, String> = paths.iter().map(|path| open(path)).collect();
        let names = paths.iter().map(|path| path.display().to_string()).collect();
        Self::over(files?, names, want, force, &Left::default())
    }

    /// The array of these devices, in use.
    pub fn over(
        files: Vec<Below>,
        names: Vec<String>,
        want: Option<Uuid>,
        force: bool,
        left: &Left,
    ) -> Result<Self, String> {
        let mut layer = Raid::new(want, WORK);
        if force {
            layer.force();
        }
        let mut running = Self {
            node: Box::new(Node::new(layer, 0)),
            images: Images { files, asked: VecDeque::new(), answered: VecDeque::new(), left: Rc::clone(left) },
            names,
            client: Client::default(),
            memory: Memory([vec![0; CLIENT_BYTES], vec![0; WORK_BYTES]]),
            now: 0,
        };
        while !running.node.ready() {
            let moved = running.step();
            if let Some(fault) = running.node.layer().fault() {
                let names: Vec<&str> = running.node.layer().devices().map(|port| running.name(port)).collect();
                return Err(fault.named(&names).to_string());
            }
            if !moved {
                return Err("the array does not start: give all its members".into());
            }
        }
        Ok(running)
    }

    /// Bytes of a block.
    pub fn block(&self) -> usize {
        self.node.limits().map_or(512, |limits| usize::try_from(limits.block.bytes()).unwrap_or(512))
    }

    /// After so many writes of the images from here on nothing more is done, as when the power goes.
    pub fn cut(&mut self, writes: Option<u64>) {
        self.images.left.set(writes);
    }

    /// Whether the power is gone.
    pub fn is_cut(&self) -> bool {
        self.images.left.get() == Some(0)
    }

    fn step(&mut self) -> bool {
        if self.is_cut() {
            return false;
        }
        let served = self.images.serve(&mut self.memory);
        let now = Instant(self.now);
        let (uppers, lowers, payload) = (&mut self.client, &mut self.images, &mut self.memory);
        let progress = self.node.run(&mut Around { uppers, lowers, payload, now });
        let moved = served || progress.moved || !self.images.asked.is_empty();
        if !moved && let Some(at) = progress.deadline {
            self.now = self.now.max(at.0);
            return true;
        }
        moved
    }

    fn ask(&mut self, op: Op, first: u64, blocks: u32) -> Result<(), String> {
        let req = Request { op, fua: false, lba: Lba(first), blocks, buf: CLIENT };
        self.client.asked = Some(Submission { tag: 0, req });
        loop {
            let moved = self.step();
            match self.client.answered.take() {
                Some(done) => {
                    return done
                        .status
                        .map_err(|error| format!("block {first} of the array: {error}; see `orion raid examine`"));
                }
                None if moved => {}
                None => return Err("the array does not answer".into()),
            }
        }
    }

    /// Writes bytes from a byte of the array on: `len` of them, whole blocks but at the end, of which the rest is kept.
    pub fn write(&mut self, at: u64, bytes: &[u8], len: usize) -> Result<(), String> {
        let block = self.block();
        let (first, count) = (at / block as u64, bytes.len() / block);
        if len < bytes.len() {
            self.ask(Op::Read, first + count as u64 - 1, 1)?;
            let mut last = vec![0; block];
            self.memory.read(CLIENT, &mut last);
            let whole = len / block * block;
            let (kept, own) = (last.get(len - whole..).unwrap_or_default(), bytes.get(..len).unwrap_or_default());
            let bytes = [own, kept].concat();
            self.memory.write(CLIENT, &bytes);
        } else {
            self.memory.write(CLIENT, bytes);
        }
        self.ask(Op::Write, first, u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Sectors of the array.
    pub fn sectors(&self) -> u64 {
        self.node.limits().map_or(0, |limits| limits.capacity << limits.block.shift().saturating_sub(9))
    }

    /// Does what an array over this one asks.
    fn pass(&mut self, req: &Request, bytes: &mut [u8]) -> Result<(), Error> {
        if bytes.len() > CLIENT_BYTES {
            return Err(Error::Invalid);
        }
        if req.op == Op::Write {
            self.memory.write(CLIENT, bytes);
        }
        self.ask(req.op, req.lba.0, req.blocks).map_err(|_| Error::Io)?;
        if req.op == Op::Read {
            self.memory.read(CLIENT, bytes);
        }
        if req.fua && req.op == Op::Write { self.ask(Op::Flush, 0, 0).map_err(|_| Error::Io) } else { Ok(()) }
    }

    /// The arrays below, by port.
    fn arrays(&mut self) -> impl Iterator<Item = &mut Self> {
        self.images.files.iter_mut().filter_map(|file| match file {
            Below::Array(running) => Some(running.as_mut()),
            Below::Image(..) => None,
        })
    }

    /// This array, and all that it lies on, each with what it is called if it is not this one.
    pub fn all(&self) -> Vec<(String, &Self)> {
        let mut all = vec![(String::new(), self)];
        for (file, name) in self.images.files.iter().zip(&self.names) {
            if let Below::Array(running) = file {
                let named = |(own, each): (String, _)| (if own.is_empty() { format!("{name}: ") } else { own }, each);
                all.extend(running.all().into_iter().map(named));
            }
        }
        all
    }

    /// Flushes, brings up to date what is not, and says that the array is clean.
    pub fn stop(&mut self) -> Result<(), String> {
        self.ask(Op::Flush, 0, 0)?;
        while !self.node.layer().is_settled() {
            if !self.step() {
                return Err("the array does not come to rest; see `orion raid examine`".into());
            }
        }
        self.arrays().try_for_each(Self::stop)
    }

    /// Makes durable what was written; where nothing is to be put in sync, the array is clean then.
    pub fn rest(&mut self, clean: bool) -> Result<(), String> {
        let clean = clean || self.node.layer().missing().next().is_some();
        if clean { self.stop() } else { self.ask(Op::Flush, 0, 0) }
    }

    /// Goes on until so many sectors of this work are done, and stops as if the power went: how many were.
    pub fn stop_after(&mut self, what: &str, sectors: u64) -> Result<u64, String> {
        loop {
            let progress = self.node.layer().progress().filter(|seen| seen.what == what);
            match progress {
                Some(seen) if seen.done >= sectors => return Ok(seen.done),
                _ if !self.step() => return Err(format!("{what} ends before that; give fewer KiB")),
                _ => {}
            }
        }
    }

    /// Compares everything; the sectors that differ.
    pub fn check(&mut self, mend: Mend) -> Result<u64, String> {
        self.control(|layer, io| layer.check(mend, io));
        self.stop()?;
        let own = self.node.layer().mismatches();
        self.arrays().try_fold(own, |all, below| Ok(all + below.check(mend)?))
    }

    /// Has the array do something; `None` where it does not run.
    pub fn control<R>(&mut self, order: impl FnOnce(&mut Raid, &mut Io<'_, Ctx>) -> R) -> Option<R> {
        let (uppers, lowers, payload) = (&mut self.client, &mut self.images, &mut self.memory);
        let around = &mut Around { uppers, lowers, payload, now: Instant(self.now) };
        self.node.control(around, order)
    }

    /// How the image ended up that was brought in, if one was.
    pub fn outcome(&mut self) -> Result<(), Refusal> {
        self.node.layer_mut().outcome().unwrap_or(Ok(()))
    }

    /// The array.
    pub fn layer(&self) -> &Raid {
        self.node.layer()
    }

    /// What is to be said of it, and of those that it lies on.
    pub fn state(&self) -> String {
        let one = |(name, running): (String, &Self)| {
            let missing: Vec<String> = running.node.layer().missing().map(|role| role.to_string()).collect();
            (!missing.is_empty()).then(|| format!("; {name}degraded, without member {}", missing.join(", ")))
        };
        self.all().into_iter().filter_map(one).collect()
    }

    fn name(&self, port: u8) -> &str {
        self.names.get(usize::from(port)).map_or("an image", String::as_str)
    }
}

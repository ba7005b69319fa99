// SPDX-License-Identifier: MIT
//! An array in use: its layer over the images, in this process. Nothing waits: where nothing moves, the clock goes on to when
//! something will.
use crate::cat::devices;
use orion_block::{Buf, Completion, Error, Instant, Lba, Limits, Op, RegionId, Request};
use orion_layer::{Around, Interrupted, Io, Lowers, Node, Payload, Submission, Uppers};
use orion_raid::engine::{Ctx, FANOUT, Mend, Refusal, SLOTS, WORK_BYTES};
use orion_raid::{Raid, Uuid};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

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

/// The images, each a device below the layer.
struct Images {
    files: Vec<(File, u64)>,
    asked: VecDeque<(u8, Submission)>,
    answered: VecDeque<(u8, u32, Completion)>,
    /// Writes that are still done; `None`: all.
    left: Option<u64>,
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
        let (file, sectors) = self.files.get(usize::from(port)).ok_or(Error::Offline)?;
        if req.op == Op::Flush {
            return file.sync_data().map_err(|_| Error::Io);
        }
        if req.end().is_none_or(|end| end > *sectors) {
            return Err(Error::OutOfRange);
        }
        let bytes = memory.part(req.buf, usize::try_from(req.blocks).unwrap_or(0) * 512).ok_or(Error::Invalid)?;
        match req.op {
            Op::Read => file.read_exact_at(bytes, req.lba.0 * 512).map_err(|_| Error::Medium),
            Op::Write if self.left == Some(0) => Err(Error::Offline),
            Op::Write => {
                self.left = self.left.map(|left| left - 1);
                let written = file.write_all_at(bytes, req.lba.0 * 512);
                let synced = if req.fua { file.sync_data() } else { Ok(()) };
                written.and(synced).map_err(|_| Error::Io)
            }
            _ => Err(Error::Unsupported),
        }
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
        let (_, capacity) = self.files.get(usize::from(port))?;
        Some(Limits { capacity: *capacity, atomic_blocks: 1, volatile_cache: true, ..Limits::default() })
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
    client: Client,
    memory: Memory,
    now: u64,
}

fn open(path: &Path) -> Result<(File, u64), String> {
    let say = |error| format!("{}: cannot be written: {error}; name a disk image", path.display());
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(say)?;
    let bytes = file.seek(SeekFrom::End(0)).map_err(say)?;
    Ok((file, bytes / 512))
}

impl Running {
    /// The array of these images, in use.
    pub fn start(paths: &[PathBuf], want: Option<Uuid>, force: bool) -> Result<Self, String> {
        // Damaged superblocks are said before anything is done.
        let found = devices::open(paths)?;
        found.faults.iter().for_each(|(name, fault)| eprintln!("{name}: {fault}"));
        let files: Result<Vec<(File, u64)>, String> = paths.iter().map(|path| open(path)).collect();
        let mut layer = Raid::new(want, WORK);
        if force {
            layer.force();
        }
        let mut running = Self {
            node: Box::new(Node::new(layer, 0)),
            images: Images { files: files?, asked: VecDeque::new(), answered: VecDeque::new(), left: None },
            client: Client::default(),
            memory: Memory([vec![0; CLIENT_BYTES], vec![0; WORK_BYTES]]),
            now: 0,
        };
        while !running.node.ready() {
            let moved = running.step();
            if let Some(fault) = running.node.layer().fault() {
                let names: Vec<&str> = running.node.layer().devices().map(|port| name(paths, port)).collect();
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
        self.images.left = writes;
    }

    /// Whether the power is gone.
    pub fn is_cut(&self) -> bool {
        self.images.left == Some(0)
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

    /// Flushes, brings up to date what is not, and says that the array is clean.
    pub fn stop(&mut self) -> Result<(), String> {
        self.ask(Op::Flush, 0, 0)?;
        while !self.node.layer().is_settled() {
            if !self.step() {
                return Err("the array does not come to rest; see `orion raid examine`".into());
            }
        }
        Ok(())
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
        Ok(self.node.layer().mismatches())
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

    /// What is to be said of it.
    pub fn state(&self) -> String {
        let missing: Vec<String> = self.node.layer().missing().map(|role| role.to_string()).collect();
        if missing.is_empty() { String::new() } else { format!("; degraded, without member {}", missing.join(", ")) }
    }
}

fn name(paths: &[PathBuf], port: u8) -> &str {
    paths.get(usize::from(port)).and_then(|path| path.to_str()).unwrap_or("an image")
}

// SPDX-License-Identifier: MIT
//! A device under test as straight-line code sees it: requests are sent and answers awaited.
use crate::device::{Device, Expect};
use crate::pattern::content;
use orion_block::{Buf, Completion, Error, Lba, Limits, Op, RegionId, Request};
use std::cell::RefCell;
use std::future::poll_fn;
use std::ops::Range;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Tag of requests that are sent one at a time.
const ONE: u32 = 0xabcd;
/// Steps without an answer after which a device hangs.
const STEPS_MAX: u32 = 100_000;

/// A device under test, shared with whoever lets it go on.
#[derive(Debug)]
pub struct Under<D>(pub Rc<RefCell<D>>);

impl<D> Clone for Under<D> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<D: Device> Under<D> {
    /// What it offers, once it is ready.
    pub async fn limits(&self) -> Limits {
        poll_fn(|_| self.0.borrow_mut().limits().map_or(Poll::Pending, Poll::Ready)).await
    }

    /// How it refuses.
    pub fn expect(&self) -> Expect {
        self.0.borrow().expect()
    }

    /// Bytes of memory for payload.
    pub fn memory(&self) -> u64 {
        self.0.borrow().memory()
    }

    /// Sends a request as soon as the queue has room.
    pub async fn send(&self, tag: u32, req: Request) {
        poll_fn(|_| if self.0.borrow_mut().submit(tag, &req) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Sends a request if the queue has room; whether it had.
    pub fn try_send(&self, tag: u32, req: Request) -> bool {
        self.0.borrow_mut().submit(tag, &req)
    }

    /// The next answer.
    pub async fn next(&self) -> (u32, Completion) {
        poll_fn(|_| self.0.borrow_mut().next().map_or(Poll::Pending, Poll::Ready)).await
    }

    /// Sends a request and awaits its answer.
    pub async fn ask(&self, req: Request) -> Result<Completion, String> {
        self.send(ONE, req).await;
        let (tag, done) = self.next().await;
        if tag == ONE { Ok(done) } else { Err(format!("{req:?} was answered under another's tag, {tag:#x}")) }
    }

    /// The same of a request that must succeed, as a whole.
    pub async fn must(&self, req: Request) -> Result<(), String> {
        let done = self.ask(req).await?;
        whole(&req, done)
    }

    /// The same of a request that must be refused in one of these ways.
    pub async fn refused(&self, req: Request, with: &[Error]) -> Result<(), String> {
        let done = self.ask(req).await?;
        match done.status {
            Err(error) if with.contains(&error) && (done.blocks == 0 || done.blocks == req.blocks) => Ok(()),
            _ => Err(format!("{req:?} should be refused with {with:?} but was answered with {done:?}")),
        }
    }

    /// Writes version `version` of some blocks, through payload at `at`.
    pub async fn write(&self, version: u32, blocks: Range<u64>, at: u64, fua: bool) -> Result<(), String> {
        let req = self.prepare(version, blocks, at).await;
        self.must(Request { fua, ..req }).await
    }

    /// Puts the payload of a write into memory; the request.
    pub async fn prepare(&self, version: u32, blocks: Range<u64>, at: u64) -> Request {
        let bytes = self.limits().await.block.bytes() as usize;
        let payload: Vec<u8> = blocks.clone().flat_map(|lba| content(version, lba, bytes)).collect();
        self.0.borrow_mut().put(at, &payload);
        request(Op::Write, blocks, at)
    }

    /// Reads blocks one after another and compares each with a version that is allowed; says which versions it found.
    pub async fn versions(&self, blocks: Range<u64>, allowed: &[u32]) -> Result<Vec<u32>, String> {
        let mut found = Vec::new();
        for lba in blocks {
            self.scribble(0, 1).await;
            self.must(request(Op::Read, lba..lba + 1, 0)).await?;
            found.push(self.version(lba, 0, allowed).await?);
        }
        Ok(found)
    }

    /// Reads blocks with one request and compares them.
    pub async fn holds(&self, version: u32, blocks: Range<u64>) -> Result<(), String> {
        self.scribble(0, blocks.end - blocks.start).await;
        self.must(request(Op::Read, blocks.clone(), 0)).await?;
        let bytes = u64::from(self.limits().await.block.bytes());
        for lba in blocks.clone() {
            self.version(lba, (lba - blocks.start) * bytes, &[version]).await?;
        }
        Ok(())
    }

    /// The version of block `lba` whose content is in memory at `at`.
    pub async fn version(&self, lba: u64, at: u64, allowed: &[u32]) -> Result<u32, String> {
        let mut bytes = vec![0; self.limits().await.block.bytes() as usize];
        self.0.borrow_mut().get(at, &mut bytes);
        let found = allowed.iter().copied().find(|version| content(*version, lba, bytes.len()) == bytes);
        found.ok_or_else(|| {
            let other = (0..64).find(|version| content(*version, lba, bytes.len()) == bytes);
            let what = other.map_or_else(|| "nothing that was ever written there".into(), |v| format!("version {v}"));
            format!("block {lba} holds {what}; allowed: {allowed:?}")
        })
    }

    /// Fills memory with what no read returns, so that a read that moves nothing is noticed.
    pub async fn scribble(&self, at: u64, blocks: u64) {
        let bytes = blocks * u64::from(self.limits().await.block.bytes());
        self.0.borrow_mut().put(at, &vec![0x5a; bytes as usize]);
    }
}

/// A request without FUA for blocks, with payload at `at`.
pub fn request(op: Op, blocks: Range<u64>, at: u64) -> Request {
    let buf = Buf { region: RegionId(0), offset: at };
    Request { op, fua: false, lba: Lba(blocks.start), blocks: (blocks.end - blocks.start) as u32, buf }
}

/// Whether a request was done as a whole.
pub fn whole(req: &Request, done: Completion) -> Result<(), String> {
    let all = done.status.is_ok() && done.blocks == req.blocks;
    if all { Ok(()) } else { Err(format!("{req:?} was answered with {done:?}")) }
}

/// Runs what is asked of a device in this process to its end.
///
/// # Panics
/// Where the device hangs.
pub fn block_on<D: Device, T>(under: &Under<D>, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..STEPS_MAX {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        let mut idle = 0;
        // Time goes by with each step that moves nothing.
        while !under.0.borrow_mut().step() && idle < 4 {
            idle += 1;
        }
    }
    panic!("the device hangs: an answer that is owed never comes");
}

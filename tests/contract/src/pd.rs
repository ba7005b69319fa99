// SPDX-License-Identifier: MIT
//! The suite as a protection domain: a client of whatever `system.xml` grants it.
//!
//! Settings: `denies` (1: what is refused is refused by a gatekeeper); `restarts` (1: whoever runs this ends a program below and
//! starts it again where this says `restart`).
use crate::device::{Device, Expect};
use crate::report::Report;
use crate::suite;
use crate::under::Under;
use orion_block::{Completion, Error, Instant, Limits, Request};
use orion_pd::config::Role;
use orion_pd::links::{self, ReplayClient};
use orion_pd::{Channel, ChannelSet, InitError, ProtectionDomain, Verdict, World};
use orion_region::Window;
use orion_ring::Submission;
use std::cell::RefCell;
use std::fmt::{self, Debug, Formatter};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// What it prints when something below is to be restarted.
pub const RESTART: &str = "restart";
/// How long it waits before it looks again for a server that is not ready.
const POLL_NS: u64 = 1_000_000;
/// Most requests in flight.
const REQUESTS: usize = 256;

/// A device at the other end of a ring.
#[derive(Debug)]
struct Ring {
    client: ReplayClient<REQUESTS>,
    /// The suite's tags of the requests in flight, by their ids on the ring.
    tags: [Option<u32>; REQUESTS],
    data: Window,
    limits: Option<Limits>,
    denies: bool,
    /// Whether somebody restarts what is below when asked to, and whether that was asked.
    restarts: bool,
    restart: bool,
}

impl Device for Ring {
    fn limits(&mut self) -> Option<Limits> {
        self.limits = self.limits.or_else(|| {
            let info = self.client.server()?;
            Some(Limits { capacity: info.windows[0].blocks, ..info.limits })
        });
        self.limits
    }

    fn expect(&self) -> Expect {
        if self.denies { Expect { beyond: Error::Denied, read_only: Error::Denied } } else { Expect::default() }
    }

    fn memory(&self) -> u64 {
        self.data.len() as u64
    }

    fn put(&mut self, at: u64, bytes: &[u8]) {
        assert!(self.data.copy_in(at as usize, bytes), "the suite keeps to the memory");
    }

    fn get(&mut self, at: u64, bytes: &mut [u8]) {
        assert!(self.data.copy_out(at as usize, bytes), "the suite keeps to the memory");
    }

    fn submit(&mut self, tag: u32, req: &Request) -> bool {
        let Request { op, fua, lba, blocks, buf } = *req;
        let count = u16::try_from(blocks).expect("the suite asks for no more than a ring can");
        let Some(id) = self.tags.iter().position(Option::is_none) else { return false };
        let submission = Submission { id: id as u32, op, fua, block: lba.0, count, address: buf.offset };
        let sent = self.client.push(submission).is_ok();
        self.tags[id] = Some(tag).filter(|_| sent);
        sent
    }

    fn next(&mut self) -> Option<(u32, Completion)> {
        let answer = self.client.pop().expect("the server keeps to the protocol")?;
        let tag = self.tags[answer.id as usize].take().expect("the ring answers what was asked");
        Some((tag, Completion { status: answer.status, blocks: answer.blocks.into() }))
    }

    fn restart(&mut self) -> bool {
        self.restart = self.restarts;
        self.restarts
    }
}

/// The suite, as a protection domain.
pub struct Contract {
    device: Rc<RefCell<Ring>>,
    suite: Pin<Box<dyn Future<Output = Report>>>,
    channel: Channel,
    over: bool,
}

impl Debug for Contract {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Contract {{ over: {} }}", self.over)
    }
}

impl<W: World> ProtectionDomain<W> for Contract {
    fn init(world: &mut W) -> Result<Self, InitError> {
        let config = world.config();
        let (index, link) = config.links_as(Role::Client).next().ok_or(InitError("the suite needs a grant"))?;
        let region = config.regions.get(usize::from(link.data.get()));
        let region = region.ok_or(InitError("the suite needs memory for payload"))?;
        let data = world.window(region.vaddr.get()).ok_or(InitError("the memory for payload is not mapped"))?;
        let client = links::client(world, index)?;
        let [denies, restarts] = ["denies", "restarts"].map(|key| config.setting(key) == Some(1));
        let device = Rc::new(RefCell::new(Ring {
            client,
            tags: [None; REQUESTS],
            data,
            limits: None,
            denies,
            restarts,
            restart: false,
        }));
        let under = Under(Rc::clone(&device));
        let suite = Box::pin(async move { suite(&under).await });
        Ok(Self { device, suite, channel: Channel(link.channel.get() as u8), over: false })
    }

    fn notified(&mut self, _: ChannelSet, world: &mut W) -> Option<Instant> {
        self.device.borrow_mut().client.wake();
        while !self.over {
            if let Poll::Ready(report) = self.suite.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                self.over = true;
                tell(&report, world);
            }
            let device = &mut *self.device.borrow_mut();
            if device.client.publish() {
                world.notify(self.channel);
            }
            if std::mem::take(&mut device.restart) {
                world.print(format_args!("{RESTART}"));
            }
            if device.client.sleep() {
                return device.limits.is_none().then(|| world.now().after(POLL_NS));
            }
            device.client.wake();
        }
        None
    }
}

fn tell<W: World>(report: &Report, world: &mut W) {
    for (name, result) in &report.checks {
        match result {
            Ok(()) => world.print(format_args!("held: {name}")),
            Err(what) => world.print(format_args!("broken: {name}: {what}")),
        }
    }
    let well = report.failures().is_empty();
    world.finish(if well { Verdict::Passed } else { Verdict::Failed });
}

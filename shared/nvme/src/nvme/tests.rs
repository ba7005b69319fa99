// SPDX-License-Identifier: MIT
//! The driver against the controller model.
#![allow(clippy::cast_possible_truncation, reason = "small numbers of a test")]
use super::*;
use crate::model::{self, Mischief, Model, ModelRegisters, Shape, Shared, Space};
use orion_block::{BlockSize, Buf, Completion, Error, Lba, Op, RegionId, Request};
use orion_driver::{Engine, Unit};
use orion_region::Window;
use std::vec;
use std::vec::Vec;

mod access;
mod append;
mod compared;
mod data;
mod hostile;
mod orders;
mod pairs;
mod power;
mod setup;
mod traffic;
mod verify;
mod zones;

const DMA_BUS: u64 = 0x9000_0000;
const DATA_BUS: u64 = 0x1_4000_0000;
const DATA_LEN: usize = 4 << 20;
const SECOND: u64 = 1_000_000_000;
const REGION: RegionId = RegionId(1);

/// A driver, its controller, and the client's payload.
struct Rig<Q = One> {
    nvme: Nvme<ModelRegisters, u32, Q>,
    device: Shared,
    data: Window,
    dma: Window,
    /// The driver's memory once more, for each of its further lives.
    lives: Vec<Window>,
}

impl Rig {
    /// A good controller with one namespace of 2048 blocks of 512 bytes, and a change to it.
    fn new(change: impl FnOnce(&mut Shape)) -> Self {
        Self::with(Shape::new().with(change), vec![(1, Space::new(2048, 9))], &[Place::FIRST]).unwrap()
    }

    fn with(shape: Shape, spaces: Vec<(u32, Space)>, units: &[Place]) -> Result<Self, Fault> {
        Self::set_up(shape, spaces, units, DMA_BYTES, |_| {})
    }

    fn set_up(
        shape: Shape,
        spaces: Vec<(u32, Space)>,
        units: &[Place],
        bytes: usize,
        change: impl FnOnce(&mut Setup<'_>),
    ) -> Result<Self, Fault> {
        Self::wishing(shape, spaces, units, bytes, Wishes::default(), change)
    }
}

impl<Q: Queues> Rig<Q> {
    fn wishing(
        shape: Shape,
        spaces: Vec<(u32, Space)>,
        units: &[Place],
        bytes: usize,
        wishes: Wishes,
        change: impl FnOnce(&mut Setup<'_>),
    ) -> Result<Self, Fault> {
        let [dma, dma_device, dma_test, lives @ ..] = model::memory::<64>(bytes);
        let [data, data_device] = model::memory(DATA_LEN);
        let device = Model::new(shape, spaces, vec![(DMA_BUS, dma_device), (DATA_BUS, data_device)]);
        let nvme = driver(&device, dma, units, wishes, change)?;
        Ok(Self { nvme, device, data, dma: dma_test, lives: lives.into() })
    }

    /// The driver dies, and another begins on the same controller and memory.
    fn reborn(mut self) -> Self {
        let dma = self.lives.pop().expect("a test with fewer lives");
        self.nvme = driver(&self.device, dma, &[Place::FIRST], self.nvme.wishes, |_| {}).unwrap();
        self
    }

    fn at(&mut self, ns: u64) {
        self.nvme.set_time(Instant(ns));
    }

    fn send(&mut self, tag: u32, req: Request) {
        self.nvme.start(Unit(0), tag, &req);
    }

    fn drain(&mut self) -> Vec<(u32, Completion)> {
        core::iter::from_fn(|| self.nvme.finished()).collect()
    }

    /// Everything that is submitted, carried out.
    fn finish(&mut self) -> Vec<(u32, Completion)> {
        let mut all = self.drain();
        loop {
            self.nvme.kick();
            self.device.borrow_mut().serve();
            let some = self.drain();
            self.nvme.kick();
            if some.is_empty() && !self.device.borrow().is_notified() {
                return all;
            }
            all.extend(some);
        }
    }

    fn one(&mut self, req: Request) -> Completion {
        self.send(77, req);
        let done = self.finish();
        assert_eq!(done.len(), 1, "{req:?}: {done:?}");
        assert_eq!(done[0].0, 77);
        done[0].1
    }

    /// Lets the clock run, as the PD would, until `count` requests have ended: from `from` on, for a minute at most.
    fn wait(&mut self, from: u64, count: usize) -> Vec<(u32, Completion)> {
        let (mut done, mut now) = (Vec::new(), from);
        while done.len() < count {
            self.at(now);
            done.extend(self.drain());
            self.nvme.kick();
            while self.nvme.expire() {
                done.extend(self.drain());
                self.nvme.kick();
            }
            self.device.borrow_mut().serve();
            if self.device.borrow_mut().take_interrupt() {
                self.nvme.interrupted();
                done.extend(self.drain());
            }
            now = self.nvme.deadline().map_or(now, |at| at.0.max(now)) + 1;
            assert!(now < from + 60 * SECOND, "a hang: {} of {count} ended", done.len());
        }
        done
    }

    /// Everything that the controller has to say beside answers.
    fn settle(&mut self) {
        while self.device.borrow_mut().take_interrupt() {
            self.nvme.interrupted();
        }
    }

    fn payload(&self, offset: usize, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        assert!(self.data.copy_out(offset, &mut bytes));
        bytes
    }

    fn content(&self, bytes: core::ops::Range<usize>) -> Vec<u8> {
        self.device.borrow().spaces[&1].content[bytes].to_vec()
    }

    fn durable(&self, bytes: core::ops::Range<usize>) -> Vec<u8> {
        self.device.borrow().spaces[&1].durable[bytes].to_vec()
    }

    fn done(&self, opcode: u8) -> u64 {
        self.device.borrow().done.get(&(false, opcode)).copied().unwrap_or(0)
    }
}

fn driver<Q: Queues>(
    device: &Shared,
    dma: Window,
    units: &[Place],
    wishes: Wishes,
    change: impl FnOnce(&mut Setup<'_>),
) -> Result<Nvme<ModelRegisters, u32, Q>, Fault> {
    let span = Span { bus: DATA_BUS, size: DATA_LEN as u64 };
    let regions = [Span::default(), span];
    let (iommu, read_only, timeout_ns) = (false, false, 5 * SECOND);
    let mut setup = Setup { dma, dma_bus: DMA_BUS, regions: &regions, iommu, read_only, timeout_ns };
    change(&mut setup);
    Nvme::with(ModelRegisters(device.clone()), setup, units, wishes)
}

fn request(op: Op, lba: u64, blocks: u32, offset: u64) -> Request {
    Request { op, fua: false, lba: Lba(lba), blocks, buf: Buf { region: REGION, offset } }
}

/// Every tag below `n` once.
fn each_once(done: &[(u32, Completion)], n: u32) {
    let mut tags: Vec<u32> = done.iter().map(|(tag, _)| *tag).collect();
    tags.sort_unstable();
    assert_eq!(tags, (0..n).collect::<Vec<_>>(), "{done:?}");
}

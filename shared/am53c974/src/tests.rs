// SPDX-License-Identifier: MIT
//! The driver against the model of an adapter with targets.
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "small numbers of a test"
)]
use crate::model::{Manners, Mischief, Model, Ports, Shared, Synchronous};
use crate::{Am53c974, Fault};
use orion_block::{Buf, Completion, Error, Instant, Lba, Op, RegionId, Request};
use orion_driver::{Engine, Setup, Span, Unit};
use orion_region::Window;
use orion_region::model::memory;
use orion_scsi::model::{Bad, Bus, Disk, Fault as Failure};
use orion_scsi::{Choice, Place, Sense, Wanted};
use std::vec;
use std::vec::Vec;

mod errors;
mod hostile;
mod setup;
mod traffic;

const DMA_BUS: u64 = 0x9000_0000;
const DATA_BUS: u64 = 0xfff0_0000;
const DATA_LEN: usize = 256 << 10;
const SECOND: u64 = 1_000_000_000;
const REGION: RegionId = RegionId(1);
const FIRST: [Choice; 1] = [Choice::First];
const PLACE: Place = Place { target: 3, lun: 0 };

/// A driver, its adapter, and the client's payload.
struct Rig {
    driver: Am53c974<Ports>,
    device: Shared,
    data: Window,
    now: u64,
}

fn disk() -> Disk {
    Disk::new(2048, 512)
}

fn bus(disks: impl IntoIterator<Item = (Place, Disk)>) -> Bus {
    Bus { disks: disks.into_iter().collect() }
}

fn request(op: Op, lba: u64, blocks: u32, offset: u64) -> Request {
    Request { op, fua: false, lba: Lba(lba), blocks, buf: Buf { region: REGION, offset } }
}

impl Rig {
    fn new(manners: Manners) -> Self {
        Self::over(bus([(PLACE, disk())]), &FIRST, manners)
    }

    fn over(bus: Bus, choices: &[Choice], manners: Manners) -> Self {
        let mut rig = Self::with(bus, choices, manners, |_| {}).unwrap();
        rig.settle();
        rig
    }

    fn with(
        bus: Bus,
        choices: &[Choice],
        manners: Manners,
        change: impl FnOnce(&mut Setup<'_>),
    ) -> Result<Self, Fault> {
        let [dma, dma_device] = memory(256 << 10);
        let [data, data_device] = memory(DATA_LEN);
        let device = Model::new(bus, manners, vec![(DMA_BUS, dma_device), (DATA_BUS, data_device)]);
        let regions = [Span::default(), Span { bus: DATA_BUS, size: DATA_LEN as u64 }];
        let mut setup =
            Setup { dma, dma_bus: DMA_BUS, regions: &regions, iommu: false, read_only: false, timeout_ns: 8 * SECOND };
        change(&mut setup);
        let read_only = setup.read_only;
        let wanted: Vec<Wanted> = choices.iter().map(|choice| Wanted { read_only, ..Wanted::of(*choice) }).collect();
        let driver = crate::open(Ports(device.clone()), &wanted, setup)?;
        Ok(Self { driver, device, data, now: 1000 * SECOND })
    }

    /// Both sides act while there is something to do, then time goes to the next deadline, until `until`.
    fn run(&mut self, until: u64) -> Vec<(u32, Completion)> {
        let (mut all, mut rounds) = (Vec::new(), 0);
        loop {
            rounds += 1;
            assert!(rounds < 2_000_000, "no end");
            self.driver.set_time(Instant(self.now));
            if self.device.borrow().is_raised() {
                self.driver.interrupted();
            }
            all.extend(core::iter::from_fn(|| self.driver.finished()));
            self.driver.kick();
            if self.driver.expire() {
                continue;
            }
            if self.device.borrow().is_raised() {
                // A target that chatters without end must not stop the clock.
                self.now += 1_000_000;
                continue;
            }
            if (0..64).any(|_| self.device.borrow_mut().serve()) {
                continue;
            }
            match self.driver.deadline().filter(|at| at.0 <= until) {
                Some(at) => self.now = self.now.max(at.0),
                None => return all,
            }
        }
    }

    fn settle(&mut self) {
        let until = self.now + 20 * SECOND;
        assert_eq!(self.run(until), []);
    }

    fn finish(&mut self) -> Vec<(u32, Completion)> {
        let until = self.now + 40 * SECOND;
        self.run(until)
    }

    fn send(&mut self, tag: u32, unit: u8, req: Request) {
        self.driver.set_time(Instant(self.now));
        self.driver.start(Unit(unit), tag, &req);
    }

    fn one_of(&mut self, unit: u8, req: Request) -> Completion {
        self.send(77, unit, req);
        let done = self.finish();
        assert_eq!(done.len(), 1, "{req:?}: {done:?}");
        assert_eq!(done[0].0, 77);
        done[0].1
    }

    fn one(&mut self, req: Request) -> Completion {
        self.one_of(0, req)
    }

    fn payload(&self, offset: usize, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        assert!(self.data.copy_out(offset, &mut bytes));
        bytes
    }

    fn disk<R>(&self, f: impl FnOnce(&mut Disk) -> R) -> R {
        f(self.device.borrow_mut().bus.first())
    }

    fn content(&self, at: usize, len: usize) -> Vec<u8> {
        self.disk(|disk| disk.content[at..at + len].to_vec())
    }
}

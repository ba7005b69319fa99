// SPDX-License-Identifier: MIT
//! A world of a few lines for tests of a driver's PD: its clients above, each at its end of a ring, and the model of a device below.
//!
//! A [`Bench`] is laid out from a configuration; the test makes its device's model on [`Bench::bus`]; [`Bench::start`] starts the PD
//! between the two.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's surroundings stop at the first surprise"
)]
pub use orion_pd::model::{CAPACITY, DATA_BUS, DATA_LEN, IRQ, SECOND, TestWorld, channel as client, read};

use core::fmt;
use orion_block::Instant;
use orion_metrics::{Order, Reply, Row, acknowledged, give, read_row};
use orion_pd::config::{Builder, Config, Device, Link, Name, Setting};
use orion_pd::model::{Ring, config, link, payload};
use orion_pd::{Channel, ChannelSet, InitError, ProtectionDomain};
use orion_region::model::memory;
use orion_region::{Mmio, Window};
use orion_ring::{Answer, Client, Memory, ServerInfo, Submission};
use std::boxed::Box;
use std::vec::Vec;

/// A device's flag: nothing may be written to this disk.
pub const READ_ONLY: u32 = 2;
/// The bus address of the driver's own memory.
pub const DMA_BUS: u64 = 0x9000_0000;
/// The bus address of a function's registers.
pub const BAR_BUS: u64 = 0x1000_0000;
/// Where a function's configuration, or all registers of a device that is none, are mapped.
pub const CONFIG: u64 = 0x1000;
/// Where a function's registers are mapped.
pub const BAR: u64 = 0x8000;
const DMA: u64 = 0x2000;
/// The record of the first disk there is of a device: one without PCI, where `bar_len` is zero; else a PCI function with as many
/// bytes of registers, and messages.
pub fn device(name: &str, bar_len: usize) -> Device {
    let pci = bar_len > 0;
    let of_pci = |value: u64| if pci { value } else { 0 };
    Device {
        transport: u16::from(pci).into(),
        irq: u16::from(IRQ.0).into(),
        flags: 0.into(),
        config_vaddr: CONFIG.into(),
        config_offset: 0.into(),
        bar_vaddr: of_pci(BAR).into(),
        bar_bus: of_pci(BAR_BUS).into(),
        bar_size: (bar_len as u64).into(),
        msi_address: of_pci(0xfee0_1000).into(),
        msi_data: 0.into(),
        timeout_ms: 2000.into(),
        dma_vaddr: DMA.into(),
        dma_bus: DMA_BUS.into(),
        dma_size: 0.into(),
        unit: u32::MAX.into(),
        options: 0.into(),
        name: Name::new(name),
    }
}

/// The configuration of a driver with `dma_len` bytes of memory of its own, and a client for each of the disks of `devices`.
pub fn builder(devices: &[Device], dma_len: usize) -> Builder {
    Builder {
        name: "driver".into(),
        regions: [payload()].into(),
        links: (0..).zip(devices).map(|(nth, device)| link(nth, true, device.name)).collect(),
        devices: devices.iter().map(|device| Device { dma_size: (dma_len as u64).into(), ..*device }).collect(),
        ..Builder::default()
    }
}

/// The channel by which the manager calls.
pub const MANAGER: Channel = Channel(61);
const METRICS: u64 = 0x9000;
const ORDERS: u64 = 0xc000;

/// The configuration of a driver that a manager looks at, and tells what to do.
#[must_use]
pub fn managed(mut builder: Builder) -> Builder {
    let setting = |key, value: u64| Setting { key: Name::new(key), value: value.into() };
    let channel = u64::from(MANAGER.0);
    let orders = [setting("orders_vaddr", ORDERS), setting("orders_slot", 1)];
    builder.settings.extend([setting("metrics_vaddr", METRICS), setting("manager_channel", channel)]);
    builder.settings.extend(orders);
    builder
}

/// The manager's sides of the pages of orders and of figures.
#[derive(Debug)]
pub struct Manager {
    orders: Window,
    page: Window,
}

impl Manager {
    /// Tells the PD something, which it is called for after that; the sequence.
    pub fn tell(&self, order: Order) -> u32 {
        give(&self.orders, 1, order)
    }

    /// What the PD answered.
    pub fn reply(&self, sequence: u32) -> Option<Reply> {
        acknowledged(&self.page, sequence)
    }

    /// Its rows.
    pub fn rows(&self) -> Vec<Row> {
        let count = orion_metrics::read(&self.page).map_or(0, |(_, _, rows)| rows);
        (0..count).filter_map(|index| read_row(&self.page, index).ok()?.1).collect()
    }
}

/// All memory of a system with one driver, before that starts.
#[derive(Debug)]
pub struct Bench {
    config: Config<'static>,
    windows: Vec<(u64, Window)>,
    rings: Vec<Memory>,
    requests: Vec<Window>,
    data: Window,
    /// What the device reaches, by bus address.
    pub bus: Vec<(u64, Window)>,
}

impl Bench {
    /// Memory as `builder` says.
    ///
    /// # Panics
    /// Where it says no configuration.
    pub fn new(builder: &Builder) -> Self {
        let dma_len = builder.devices.first().map_or(4096, |device| device.dma_size.get());
        let [dma, dma_device] = memory(usize::try_from(dma_len).unwrap());
        let [data, data_device] = memory(DATA_LEN);
        let config = config(builder);
        let bus = [(DMA_BUS, dma_device), (DATA_BUS, data_device)].into();
        let (rings, requests) = (Vec::new(), Vec::new());
        let mut bench = Self { config, windows: [(DMA, dma)].into(), rings, requests, data, bus };
        builder.links.iter().for_each(|link| bench.ring(link));
        bench
    }

    /// The manager, where the configuration is [`managed`].
    pub fn manager(&mut self) -> Manager {
        let ([page, own], [orders, theirs]) = (memory(4 * 4096), memory(4096));
        self.windows.extend([(METRICS, own), (ORDERS, theirs)]);
        Manager { orders, page }
    }

    fn ring(&mut self, link: &Link) {
        let Ring { own, lives: [client, ..], requests } = Ring::new(link);
        self.windows.extend(own);
        self.rings.push(client);
        self.requests.push(requests);
    }

    /// Starts a driver on `registers`, by where they are mapped. `device`: the model works; whether it interrupts.
    ///
    /// # Errors
    /// Those of the PD's start.
    ///
    /// # Panics
    /// Where a ring cannot be attached to.
    pub fn start<M: Mmio, P: ProtectionDomain<TestWorld<M>>>(
        self,
        registers: Vec<(u64, M)>,
        device: impl FnMut() -> bool + 'static,
    ) -> Result<Rig<P, M>, InitError> {
        let mut world = TestWorld::new(self.config, self.windows, registers);
        let pd = P::init(&mut world)?;
        let clients = self.rings.into_iter().map(|ring| Client::attach(ring, CAPACITY).unwrap()).collect();
        Ok(Rig { pd, world, clients, device: Box::new(device), data: self.data, requests: self.requests })
    }
}

/// A driver's PD, its world, the clients above it and the device below.
pub struct Rig<P, M> {
    /// The PD.
    pub pd: P,
    /// Its world.
    pub world: TestWorld<M>,
    /// The clients' ends of its rings.
    pub clients: Vec<Client>,
    device: Box<dyn FnMut() -> bool>,
    /// Payload memory.
    pub data: Window,
    /// The clients' request queues, for who breaks the protocol.
    pub requests: Vec<Window>,
}

impl<P, M> fmt::Debug for Rig<P, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rig").finish_non_exhaustive()
    }
}

impl<P: ProtectionDomain<TestWorld<M>>, M: Mmio> Rig<P, M> {
    /// Lets all that are there work until the device has said who it is, and both ends of each ring agree to each other's lives;
    /// what the clients are offered.
    ///
    /// # Panics
    /// Where the PD offers nothing.
    pub fn introduce(&mut self) -> Vec<ServerInfo> {
        self.wake(ChannelSet::ALL);
        self.settle();
        for (nth, client_end) in (0..).zip(&mut self.clients) {
            assert!(client_end.server().is_none() && client_end.publish());
            self.pd.notified(ChannelSet::default().with(client(nth)), &mut self.world);
        }
        self.world.notified.clear();
        self.clients.iter_mut().map(|client| client.server().unwrap()).collect()
    }

    /// Calls the PD for what happened on the channels of `from`; when it wants to be called again.
    pub fn wake(&mut self, from: ChannelSet) -> Option<Instant> {
        self.pd.notified(from, &mut self.world)
    }

    /// What a client does with requests: push, publish, notify.
    ///
    /// # Panics
    /// Where the rings are full, or the driver is awake.
    pub fn send(&mut self, nth: u8, requests: &[Submission]) -> Option<Instant> {
        let client_end = &mut self.clients[usize::from(nth)];
        requests.iter().for_each(|request| client_end.push(*request).unwrap());
        assert!(client_end.publish(), "the driver sleeps, so it must be woken");
        self.wake(ChannelSet::default().with(client(nth)))
    }

    /// The device works once, and interrupts where it must; whether it did.
    pub fn serve(&mut self) -> bool {
        let interrupt = (self.device)();
        if interrupt {
            self.wake(ChannelSet::default().with(IRQ));
        }
        interrupt
    }

    /// The device works until it has nothing to say.
    ///
    /// # Panics
    /// Where there is no end of it.
    pub fn settle(&mut self) {
        assert!((0..1000).any(|_| !self.serve()), "it does not come to rest");
    }

    /// The answers that a client has.
    ///
    /// # Panics
    /// Where the PD breaks the ring's protocol.
    pub fn answers(&mut self, nth: u8) -> Vec<Answer> {
        let client_end = &mut self.clients[usize::from(nth)];
        core::iter::from_fn(|| client_end.pop().unwrap()).collect()
    }

    /// Bytes of the payload.
    ///
    /// # Panics
    /// Beyond its end.
    pub fn payload<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut bytes = [0; N];
        assert!(self.data.copy_out(offset, &mut bytes));
        bytes
    }
}

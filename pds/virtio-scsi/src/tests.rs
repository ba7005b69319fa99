// SPDX-License-Identifier: MIT
//! The PD in a world of a few lines, between clients' rings and the model of a host with disks.
use super::*;
use core::fmt;
use orion_block::{Completion, Error, Instant, Op};
use orion_pd::config::{self, Builder, Config, Link, NONE, Name};
use orion_pd::{Channel, ChannelSet, ProtectionDomain};
use orion_region::Window;
use orion_ring::{Answer, Client, Memory, Submission};
use orion_scsi::model::{Bus, Disk};
use orion_virtio::model::{ScsiMmio, ScsiModel, ScsiShape, SharedScsi, memory};
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

const IRQ: Channel = Channel(3);
const CLIENTS: [Channel; 2] = [Channel(7), Channel(8)];
const CAPACITY: u16 = 64;
const DATA_BUS: u64 = 0x1_4000_0000;
const DATA_LEN: usize = 64 << 10;
const DMA_BUS: u64 = 0x9000_0000;
const DMA_LEN: usize = 256 << 10;
const QUEUE_BYTES: usize = 16 << 10;
const SECOND: u64 = 1_000_000_000;

struct TestWorld {
    config: Config<'static>,
    windows: Vec<(u64, Window)>,
    registers: Option<ScsiMmio>,
    acknowledged: usize,
    now: Instant,
    printed: Vec<String>,
}

impl World for TestWorld {
    type Mmio = ScsiMmio;
    fn config(&self) -> Config<'static> {
        self.config
    }
    fn window(&mut self, vaddr: u64) -> Option<Window> {
        let index = self.windows.iter().position(|(at, _)| *at == vaddr)?;
        Some(self.windows.swap_remove(index).1)
    }
    fn mmio(&mut self, _: u64) -> Option<ScsiMmio> {
        self.registers.take()
    }
    fn notify(&mut self, _: Channel) {}
    fn irq_ack(&mut self, channel: Channel) {
        assert_eq!(channel, IRQ);
        self.acknowledged += 1;
    }
    fn now(&self) -> Instant {
        self.now
    }
    fn print(&mut self, line: fmt::Arguments<'_>) {
        self.printed.push(format!("{line}"));
    }
    fn finish(&mut self, _: orion_pd::Verdict) {}
}

fn device(name: &str, unit: u32, flags: u32) -> Device {
    Device {
        transport: 0.into(),
        irq: u16::from(IRQ.0).into(),
        flags: flags.into(),
        config_vaddr: 0x1000.into(),
        config_offset: 0.into(),
        bar_vaddr: 0.into(),
        bar_bus: 0.into(),
        bar_size: 0.into(),
        msi_address: 0.into(),
        msi_data: 0.into(),
        timeout_ms: 2000.into(),
        dma_vaddr: 0x2000.into(),
        dma_bus: DMA_BUS.into(),
        dma_size: (DMA_LEN as u64).into(),
        unit: unit.into(),
        options: 0.into(),
        name: Name::new(name),
    }
}

fn link(nth: usize, volume: &str) -> Link {
    let base = 0x10_0000 * (nth as u64 + 1);
    Link {
        role: 1.into(),
        channel: u16::from(CLIENTS[nth].0).into(),
        capacity: CAPACITY.into(),
        data: NONE.into(),
        flags: 0.into(),
        depth: 0.into(),
        grace_us: 0.into(),
        pad: 0.into(),
        info: (base + 0x3000).into(),
        ext: (base + 0x4000).into(),
        requests: (base + 0x5000).into(),
        responses: (base + 0x6000).into(),
        queue_bytes: (QUEUE_BYTES as u64).into(),
        peer: Name::new("gatekeeper"),
        volume: Name::new(volume),
    }
}

/// The PD with two disks, its world, the clients above it and the device below.
struct Rig {
    pd: VirtioScsiPd<TestWorld>,
    world: TestWorld,
    clients: Vec<Client>,
    device: SharedScsi,
    data: Window,
}

fn start(disks: Bus) -> Rig {
    let [dma, dma_device] = memory(DMA_LEN);
    let [data, data_device] = memory(DATA_LEN);
    let (mut windows, mut rings) = (vec![(0x2000, dma)], vec![]);
    for nth in 0..2u64 {
        let base = 0x10_0000 * (nth + 1);
        let [info, info_client] = memory(4096);
        let [ext, ext_client] = memory(4096);
        let [requests, requests_client] = memory(QUEUE_BYTES);
        let [responses, responses_client] = memory(QUEUE_BYTES);
        windows.extend([
            (base + 0x3000, info),
            (base + 0x4000, ext),
            (base + 0x5000, requests),
            (base + 0x6000, responses),
        ]);
        let ext = Some(ext_client);
        rings.push(Memory { info: info_client, ext, requests: requests_client, responses: responses_client });
    }
    let region = config::Region {
        id: 0.into(),
        flags: 0.into(),
        pad: 0.into(),
        vaddr: 0.into(),
        size: (DATA_LEN as u64).into(),
        bus: DATA_BUS.into(),
        name: Name::new("data"),
    };
    let builder = Builder {
        name: "scsi".into(),
        regions: vec![region],
        links: vec![link(0, "big"), link(1, "small")],
        devices: vec![device("big", u32::MAX, 0), device("small", 3 << 16 | 1, READ_ONLY)],
        ..Builder::default()
    };
    let device =
        ScsiModel::new(ScsiShape::new(3 << 28 | 6), disks, vec![(DMA_BUS, dma_device), (DATA_BUS, data_device)]);
    let mut world = TestWorld {
        config: Config::parse(Vec::leak(builder.bytes())).unwrap(),
        windows,
        registers: Some(ScsiMmio(device.clone())),
        acknowledged: 0,
        now: Instant(100 * SECOND),
        printed: vec![],
    };
    let pd = VirtioScsiPd::init(&mut world).unwrap();
    let clients = rings.into_iter().map(|ring| Client::attach(ring, CAPACITY).unwrap()).collect();
    let mut rig = Rig { pd, world, clients, device, data };
    rig.wake(ChannelSet::ALL);
    rig.settle();
    rig
}

impl Rig {
    fn wake(&mut self, from: ChannelSet) -> Option<Instant> {
        self.pd.notified(from, &mut self.world)
    }

    /// The device works, and interrupts where it must, until neither has anything to do.
    fn settle(&mut self) {
        loop {
            self.device.borrow_mut().serve();
            if !self.device.borrow_mut().take_interrupt() {
                return;
            }
            self.wake(ChannelSet::default().with(IRQ));
        }
    }

    fn ask(&mut self, client: usize, op: Op, block: u64) -> Vec<Answer> {
        let submission = Submission { id: 5, op, fua: false, block, count: 8, address: DATA_BUS };
        self.clients[client].push(submission).unwrap();
        assert!(self.clients[client].publish(), "the driver sleeps, so it must be woken");
        self.wake(ChannelSet::default().with(CLIENTS[client]));
        self.settle();
        core::iter::from_fn(|| self.clients[client].pop().unwrap()).collect()
    }
}

fn disks() -> Bus {
    let mut bus = Bus::default();
    bus.disks.insert(Place { target: 1, lun: 0 }, Disk::new(512, 512));
    bus.disks.insert(Place { target: 3, lun: 1 }, Disk::new(64, 512));
    bus
}

#[test]
fn each_client_has_the_disk_of_its_name_with_its_own_rights() {
    let mut rig = start(disks());
    for client in &mut rig.clients {
        assert!(client.server().is_none() && client.publish());
    }
    rig.wake(ChannelSet::ALL);
    let offers: Vec<_> = rig.clients.iter_mut().map(|client| client.server().unwrap()).collect();
    assert_eq!(offers.iter().map(|offer| offer.limits.capacity).collect::<Vec<_>>(), [512, 64]);
    assert_eq!(offers.iter().map(|offer| offer.limits.read_only).collect::<Vec<_>>(), [false, true]);
    assert_eq!(rig.world.printed.len(), 2, "{:?}", rig.world.printed);
    assert!(rig.world.printed[1].starts_with("small: virtio-scsi, target 3, logical unit 1: ORION MODEL DISK"));
    for (client, target, lun) in [(0, 1, 0), (1, 3, 1)] {
        assert_eq!(rig.ask(client, Op::Read, 8), [Answer { id: 5, status: Ok(()), blocks: 8 }]);
        let mut bytes = [0; 4096];
        assert!(rig.data.copy_out(0, &mut bytes));
        assert_eq!(bytes, rig.device.borrow().bus.disks[&Place { target, lun }].content[4096..8192]);
    }
    assert_eq!(rig.ask(1, Op::Write, 8), [Answer { id: 5, status: Err(Error::ReadOnly), blocks: 0 }]);
    assert_eq!(
        rig.ask(1, Op::Read, 64).iter().map(|answer| answer.status).collect::<Vec<_>>(),
        [Err(Error::OutOfRange)]
    );
    let _ = Completion::ok(0);
}

#[test]
fn interrupts_are_acknowledged_though_nothing_is_in_flight_for_events_come_by_themselves() {
    let mut rig = start(disks());
    let before = rig.world.acknowledged;
    rig.device.borrow_mut().report(3, Place { target: 1, lun: 0 }, 0x092a);
    rig.settle();
    assert!(rig.world.acknowledged > before);
    assert!(rig.wake(ChannelSet::default()).is_some());
}

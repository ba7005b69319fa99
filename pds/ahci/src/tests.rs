// SPDX-License-Identifier: MIT
//! The PD in a world of a few lines, between a client's ring and a controller model behind a PCI function.
use super::*;
use core::fmt;
use orion_ahci::model::{self, Abar, Drive, Mischief, Model, Shape, Shared};
use orion_block::{Error, Instant, Op};
use orion_pci::model::Side;
use orion_pd::config::{self, Builder, Config, Device, Link, NONE, Name};
use orion_pd::{Channel, ChannelSet, ProtectionDomain};
use orion_region::Window;
use orion_ring::{Answer, Client, Memory, ServerInfo, Submission};
use std::boxed::Box;
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

const IRQ: Channel = Channel(3);
const CLIENT: Channel = Channel(7);
const CAPACITY: u16 = 64;
const DATA_BUS: u64 = 0x1_4000_0000;
const DATA_LEN: usize = 64 << 10;
const DMA_BUS: u64 = 0x9000_0000;
const DMA_LEN: usize = 512 << 10;
const BAR_BUS: u64 = 0x1000_0000;
const BAR_LEN: usize = 0x8000;
const QUEUE_BYTES: usize = 16 << 10;
const SECOND: u64 = 1_000_000_000;

struct TestWorld {
    config: Config<'static>,
    windows: Vec<(u64, Window)>,
    registers: Vec<(u64, Side<Abar>)>,
    notified: Vec<Channel>,
    acknowledged: usize,
    now: Instant,
    printed: Vec<String>,
}

impl World for TestWorld {
    type Mmio = Side<Abar>;
    fn config(&self) -> Config<'static> {
        self.config
    }
    fn window(&mut self, vaddr: u64) -> Option<Window> {
        let index = self.windows.iter().position(|(at, _)| *at == vaddr)?;
        Some(self.windows.swap_remove(index).1)
    }
    fn mmio(&mut self, vaddr: u64) -> Option<Side<Abar>> {
        let index = self.registers.iter().position(|(at, _)| *at == vaddr)?;
        Some(self.registers.swap_remove(index).1)
    }
    fn notify(&mut self, channel: Channel) {
        self.notified.push(channel);
    }
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

fn device() -> Device {
    Device {
        transport: 1.into(),
        irq: u16::from(IRQ.0).into(),
        flags: 0.into(),
        config_vaddr: 0x1000.into(),
        config_offset: 0.into(),
        bar_vaddr: 0x8000.into(),
        bar_bus: BAR_BUS.into(),
        bar_size: (BAR_LEN as u64).into(),
        msi_address: 0xfee0_1000.into(),
        msi_data: 0.into(),
        timeout_ms: 2000.into(),
        dma_vaddr: 0x2000.into(),
        dma_bus: DMA_BUS.into(),
        dma_size: (DMA_LEN as u64).into(),
        unit: u32::MAX.into(),
        options: 0.into(),
        name: Name::new("d0"),
    }
}

fn builder() -> Builder {
    let link = Link {
        role: 1.into(),
        channel: u16::from(CLIENT.0).into(),
        capacity: CAPACITY.into(),
        data: NONE.into(),
        flags: 0.into(),
        depth: 0.into(),
        grace_us: 0.into(),
        pad: 0.into(),
        info: 0x3000.into(),
        ext: 0x4000.into(),
        requests: 0x5000.into(),
        responses: 0x6000.into(),
        queue_bytes: (QUEUE_BYTES as u64).into(),
        peer: Name::new("gatekeeper"),
        volume: Name::new("d0"),
    };
    let region = config::Region {
        id: 0.into(),
        flags: 0.into(),
        pad: 0.into(),
        vaddr: 0.into(),
        size: (DATA_LEN as u64).into(),
        bus: DATA_BUS.into(),
        name: Name::new("data"),
    };
    Builder {
        name: "blk_d0".into(),
        regions: vec![region],
        links: vec![link],
        devices: vec![device()],
        ..Builder::default()
    }
}

/// The PD, its world, the client above it and the controller below.
struct Rig {
    pd: AhciPd<TestWorld>,
    world: TestWorld,
    client: Client,
    device: Shared,
    data: Window,
}

fn start(shape: Shape, class: [u8; 3], builder: &Builder) -> Result<Rig, InitError> {
    let [dma, dma_device] = model::memory(DMA_LEN);
    let [data, data_device] = model::memory(DATA_LEN);
    let [info, info_client] = model::memory(4096);
    let [ext, ext_client] = model::memory(4096);
    let [requests, requests_client] = model::memory(QUEUE_BYTES);
    let [responses, responses_client] = model::memory(QUEUE_BYTES);
    let drives = vec![(2, Drive::new(512, 512)), (3, Drive::new(64, 4096))];
    let device = Model::new(shape, drives, vec![(DMA_BUS, dma_device), (DATA_BUS, data_device)]);
    let function = orion_pci::model::Shape::new([0x8086, 0x2922], class, 5);
    let function = if builder.devices[0].msi_address.get() == 0 { function } else { function.msi() };
    let function = orion_pci::model::function(function, Abar(device.clone()), BAR_BUS, BAR_LEN);
    let (config, window) = function.sides();
    device.borrow_mut().bus = Some(model::Bus(Box::new(move || function.master())));
    let memory =
        Memory { info: info_client, ext: Some(ext_client), requests: requests_client, responses: responses_client };
    let blob = Vec::leak(builder.bytes());
    let mut world = TestWorld {
        config: Config::parse(blob).unwrap(),
        windows: vec![(0x2000, dma), (0x3000, info), (0x4000, ext), (0x5000, requests), (0x6000, responses)],
        registers: vec![(0x1000, config), (0x8000, window)],
        notified: vec![],
        acknowledged: 0,
        now: Instant(SECOND),
        printed: vec![],
    };
    let pd = AhciPd::init(&mut world)?;
    let client = Client::attach(memory, CAPACITY).unwrap();
    Ok(Rig { pd, world, client, device, data })
}

impl Rig {
    fn new(shape: Shape, builder: &Builder) -> Self {
        let mut rig = start(shape, CLASS, builder).unwrap();
        rig.introduce();
        rig
    }

    /// Lets both ends of the ring agree to each other's lives; what the client is offered.
    fn introduce(&mut self) -> ServerInfo {
        self.wake(ChannelSet::ALL);
        // The drive says who it is, and how.
        (0..20).for_each(|_| self.serve());
        assert!(self.client.server().is_none() && self.client.publish());
        self.wake(ChannelSet::default().with(CLIENT));
        self.world.notified.clear();
        self.client.server().unwrap()
    }

    fn wake(&mut self, from: ChannelSet) -> Option<Instant> {
        self.pd.notified(from, &mut self.world)
    }

    /// What the client does with requests: push, publish, notify.
    fn send(&mut self, requests: &[Submission]) -> Option<Instant> {
        requests.iter().for_each(|r| self.client.push(*r).unwrap());
        assert!(self.client.publish(), "the driver sleeps, so it must be woken");
        self.wake(ChannelSet::default().with(CLIENT))
    }

    /// The controller works, and interrupts where it must.
    fn serve(&mut self) {
        self.device.borrow_mut().serve();
        if self.device.borrow_mut().take_interrupt() {
            self.wake(ChannelSet::default().with(IRQ));
        }
    }

    fn answers(&mut self) -> Vec<Answer> {
        core::iter::from_fn(|| self.client.pop().unwrap()).collect()
    }
}

fn read(id: u32, block: u64, count: u16, address: u64) -> Submission {
    Submission { id, op: Op::Read, fua: false, block, count, address }
}

fn ports() -> Shape {
    Shape { ports: 0b1100, ..Shape::default() }
}

#[test]
fn a_client_reads_what_the_drive_holds() {
    for messages in [true, false] {
        let mut builder = builder();
        if !messages {
            builder.devices[0].msi_address = 0.into();
        }
        let mut rig = Rig::new(ports(), &builder);
        let expected = "d0: SATA port 2, ORION MODEL DISK, 512 blocks of 512 bytes, 31 requests in flight, NCQ, volatile cache, discard";
        assert_eq!(rig.world.printed, [expected]);
        let info = rig.client.server().unwrap();
        assert_eq!((info.limits.capacity, info.windows[0].blocks, info.windows[0].rights), (512, 512, 0b11111));
        for round in 0..600 {
            rig.send(&[read(round, 100, 8, DATA_BUS + 4096)]);
            assert_eq!(rig.answers(), []);
            rig.serve();
            assert_eq!(rig.answers(), [Answer { id: round, status: Ok(()), blocks: 8 }]);
        }
        let mut bytes = [0; 4096];
        assert!(rig.data.copy_out(4096, &mut bytes));
        assert_eq!(bytes, rig.device.borrow_mut().drive(2).content[100 * 512..108 * 512]);
        assert_eq!(rig.wake(ChannelSet::default()), None, "nothing is in flight, so nothing has a deadline");
    }
}

#[test]
fn a_lost_request_is_given_up_and_the_next_succeeds() {
    let mut rig = Rig::new(ports(), &builder());
    rig.device.borrow_mut().mischief = Some(Mischief::Lose);
    let mut due = rig.send(&[read(1, 0, 1, DATA_BUS)]);
    rig.serve();
    for _ in 0..100 {
        let Some(at) = due else { break };
        rig.world.now = at;
        due = rig.wake(ChannelSet::default());
        rig.device.borrow_mut().serve();
        while rig.device.borrow_mut().take_interrupt() {
            due = rig.wake(ChannelSet::default().with(IRQ));
            rig.device.borrow_mut().serve();
        }
    }
    assert_eq!(rig.answers(), [Answer { id: 1, status: Err(Error::TimedOut), blocks: 0 }]);
    let last = rig.world.printed.last().unwrap();
    let expected =
        "d0: a request took too long; the disk is reset, and serves again (0 protocol errors, 1 timeouts so far)";
    assert_eq!(last, expected);
    rig.send(&[read(2, 0, 1, DATA_BUS)]);
    rig.serve();
    assert_eq!(rig.answers(), [Answer { id: 2, status: Ok(()), blocks: 1 }]);
}

#[test]
fn a_controller_that_leaves_is_offline() {
    let mut rig = Rig::new(ports(), &builder());
    rig.send(&[read(1, 0, 1, DATA_BUS)]);
    rig.device.borrow_mut().gone = true;
    rig.wake(ChannelSet::default().with(IRQ));
    rig.send(&[read(2, 0, 1, DATA_BUS)]);
    let offline = |id| Answer { id, status: Err(Error::Offline), blocks: 0 };
    assert_eq!(rig.answers(), [offline(1), offline(2)]);
    assert!(rig.world.printed.last().unwrap().contains("the disk is offline"), "{:?}", rig.world.printed);
}

#[test]
fn each_disk_is_a_port_with_rights_of_its_own() {
    let mut builder = builder();
    builder.devices = [2, 3].map(|unit| Device { unit: unit.into(), ..device() }).to_vec();
    builder.devices[0].flags = READ_ONLY.into();
    builder.devices[1].name = Name::new("d1");
    for (volume, block, rights, read_only) in [("d0", 512, 0b101, true), ("d1", 4096, 0b11111, false)] {
        builder.links[0].volume = Name::new(volume);
        let mut rig = start(ports(), CLASS, &builder).unwrap();
        let info = rig.introduce();
        assert_eq!((info.limits.block.bytes(), info.windows[0].rights), (block, rights));
        rig.send(&[Submission { op: Op::Write, ..read(1, 5, 1, DATA_BUS) }]);
        rig.serve();
        assert_eq!(rig.answers()[0].status, if read_only { Err(Error::ReadOnly) } else { Ok(()) });
    }
}

#[test]
fn what_the_configuration_lacks_is_said() {
    let refused = |change: fn(&mut Builder)| {
        let mut builder = builder();
        change(&mut builder);
        start(ports(), CLASS, &builder).map(|_| ()).unwrap_err().0
    };
    assert!(refused(|b| b.devices[0].transport = 0.into()).contains("transport"));
    assert!(refused(|b| b.devices[0].dma_bus = 1.into()).contains("DMA"));
    assert!(refused(|b| b.devices[0].unit = 7.into()).contains("no port"));
    assert!(refused(|b| b.devices = vec![device(); 9]).contains("eight disks"));
    assert!(start(ports(), [1, 8, 2], &builder()).map(|_| ()).unwrap_err().0.contains("no AHCI controller"));
}

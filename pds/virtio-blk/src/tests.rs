// SPDX-License-Identifier: MIT
//! The PD in a world of a few lines, between a client's ring and the device model.
use super::*;
use core::fmt;
use orion_block::{Completion, Error, Instant, Op};
use orion_pd::config::{self, Builder, Config, Device, Link, NONE, Name};
use orion_pd::{Channel, ChannelSet, ProtectionDomain};
use orion_region::Window;
use orion_ring::{Answer, Client, Memory, ServerInfo, Submission};
use orion_virtio::blk::wire::feature;
use orion_virtio::model::{self, Mischief, MmioModel, Model, Shape, Shared};
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
const DMA_LEN: usize = 32 << 10;
const QUEUE_BYTES: usize = 16 << 10;
const SECOND: u64 = 1_000_000_000;

struct TestWorld {
    config: Config<'static>,
    windows: Vec<(u64, Window)>,
    registers: Option<MmioModel>,
    notified: Vec<Channel>,
    acknowledged: usize,
    now: Instant,
    printed: Vec<String>,
}

impl World for TestWorld {
    type Mmio = MmioModel;
    fn config(&self) -> Config<'static> {
        self.config
    }
    fn window(&mut self, vaddr: u64) -> Option<Window> {
        let index = self.windows.iter().position(|(at, _)| *at == vaddr)?;
        Some(self.windows.swap_remove(index).1)
    }
    fn mmio(&mut self, _: u64) -> Option<MmioModel> {
        self.registers.take()
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
        transport: 0.into(),
        irq: u16::from(IRQ.0).into(),
        flags: 0.into(),
        config_vaddr: 0x1000.into(),
        config_offset: (MmioModel::BASE as u64).into(),
        bar_vaddr: 0.into(),
        bar_bus: 0.into(),
        bar_size: 0.into(),
        msi_address: 0.into(),
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

/// The PD, its world, the client above it and the device below.
struct Rig {
    pd: VirtioBlkPd<TestWorld>,
    world: TestWorld,
    client: Client,
    device: Shared,
    data: Window,
    requests: Window,
}

fn shape() -> Shape {
    Shape::new(512, feature::FLUSH | 3 << 28)
}

fn start(shape: Shape, builder: &Builder) -> Result<Rig, InitError> {
    let [dma, dma_device] = model::memory(DMA_LEN);
    let [data, data_device] = model::memory(DATA_LEN);
    let [info, info_client] = model::memory(4096);
    let [ext, ext_client] = model::memory(4096);
    let [requests, requests_client, requests_raw] = model::memory(QUEUE_BYTES);
    let [responses, responses_client] = model::memory(QUEUE_BYTES);
    let device = Model::new(shape, vec![(DMA_BUS, dma_device), (DATA_BUS, data_device)]);
    let memory =
        Memory { info: info_client, ext: Some(ext_client), requests: requests_client, responses: responses_client };
    let blob = Vec::leak(builder.bytes());
    let mut world = TestWorld {
        config: Config::parse(blob).unwrap(),
        windows: vec![(0x2000, dma), (0x3000, info), (0x4000, ext), (0x5000, requests), (0x6000, responses)],
        registers: Some(MmioModel(device.clone())),
        notified: vec![],
        acknowledged: 0,
        now: Instant(SECOND),
        printed: vec![],
    };
    let pd = VirtioBlkPd::init(&mut world)?;
    let client = Client::attach(memory, CAPACITY).unwrap();
    Ok(Rig { pd, world, client, device, data, requests: requests_raw })
}

impl Rig {
    fn new() -> Self {
        let mut rig = start(shape(), &builder()).unwrap();
        rig.introduce();
        rig
    }

    /// Lets both ends of the ring agree to each other's lives; what the client is offered.
    fn introduce(&mut self) -> ServerInfo {
        assert_eq!(self.wake(ChannelSet::ALL), None);
        assert!(self.client.server().is_none() && self.client.publish());
        assert_eq!(self.wake(ChannelSet::default().with(CLIENT)), None);
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

    /// The device works, and interrupts where it must.
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

#[test]
fn a_client_reads_what_the_device_holds() {
    let mut rig = Rig::new();
    let expected =
        "d0: virtio-blk, 512 blocks of 512 bytes, 128 requests in flight, indirect descriptors, volatile cache";
    assert_eq!(rig.world.printed, [expected]);
    let info = rig.client.server().unwrap();
    assert_eq!((info.limits.capacity, info.windows[0].blocks, info.windows[0].rights), (512, 512, 0b11111));
    let deadline = rig.send(&[read(5, 100, 8, DATA_BUS + 4096)]);
    assert_eq!(deadline, Some(Instant(3 * SECOND)), "a request of the device's has a deadline");
    assert_eq!(rig.answers(), []);
    rig.serve();
    assert_eq!(rig.answers(), [Answer { id: 5, status: Ok(()), blocks: 8 }]);
    let mut bytes = [0; 4096];
    assert!(rig.data.copy_out(4096, &mut bytes));
    assert_eq!(bytes, rig.device.borrow().content[100 * 512..108 * 512]);
    assert_eq!(rig.wake(ChannelSet::default()), None, "nothing is in flight, so nothing has a deadline");
}

#[test]
fn every_shape_of_queue_serves_a_client() {
    for options in (0..2048u32).filter(|options| options & 0xff <= 4 && options & 0xff != 1) {
        let [queues, switches, ..] = options.to_le_bytes();
        let [packed, in_order, queue_reset] = [1, 2, 4].map(|bit| switches & bit != 0);
        let wishes = orion_virtio::Wishes { queues: queues.into(), packed, in_order, queue_reset };
        let mut builder = builder();
        builder.devices[0].options = options.into();
        let mut rig = start(shape().offering(wishes), &builder).unwrap();
        rig.introduce();
        let line = rig.world.printed[0].clone();
        let has = [queues > 1, packed, in_order];
        assert_eq!([" queues", "packed ring", "in order"].map(|word| line.contains(word)), has, "{line}");
        let batch: Vec<Submission> = (0..32).map(|id| read(id, u64::from(id) * 8, 8, DATA_BUS)).collect();
        rig.send(&batch);
        rig.serve();
        let mut ids: Vec<u32> =
            rig.answers().iter().filter(|answer| answer.status.is_ok()).map(|answer| answer.id).collect();
        ids.sort_unstable();
        assert_eq!(ids, (0..32).collect::<Vec<_>>(), "{line}");
    }
}

#[test]
fn an_interrupt_is_acknowledged_as_soon_as_the_device_may_raise_another() {
    let mut rig = Rig::new();
    rig.send(&[read(0, 0, 8, DATA_BUS)]);
    for round in 1..4 {
        let before = rig.world.acknowledged;
        rig.serve();
        assert_eq!(rig.answers().len(), 1);
        assert_eq!(rig.world.acknowledged, before, "round {round}: the device holds nothing");
        rig.send(&[read(round, 0, 8, DATA_BUS)]);
        assert_eq!(rig.world.acknowledged, before + 1, "round {round}: now it holds something");
    }
}

#[test]
fn a_batch_is_one_notification_down_and_one_up() {
    let mut rig = Rig::new();
    let batch: Vec<Submission> = (0..32).map(|id| read(id, u64::from(id), 1, DATA_BUS)).collect();
    rig.world.notified.clear();
    assert!(rig.client.sleep());
    rig.send(&batch);
    assert_eq!(rig.device.borrow().notifications, 1);
    rig.serve();
    assert_eq!(rig.answers().len(), 32);
    assert_eq!(rig.world.notified, [CLIENT]);
}

#[test]
fn a_resize_is_told_to_the_clients() {
    let mut rig = Rig::new();
    let capacity = |rig: &mut Rig| rig.client.server().unwrap().limits.capacity;
    assert_eq!(capacity(&mut rig), 512);
    for (round, size) in [1024u16, 256, 600].into_iter().enumerate() {
        let blocks = u64::from(size);
        rig.send(&[read(5, 0, 8, DATA_BUS)]);
        rig.serve();
        assert_eq!(rig.answers().len(), 1);
        rig.world.notified.clear();
        rig.device.borrow_mut().resize(size.into());
        rig.wake(ChannelSet::default().with(IRQ));
        assert_eq!(rig.world.notified, [CLIENT], "round {round}");
        rig.client.wake();
        assert_eq!(capacity(&mut rig), blocks);
        assert!(rig.world.printed.last().unwrap().contains(&format!("virtio-blk, {blocks} blocks")));
        rig.send(&[read(6, blocks - 1, 1, DATA_BUS), read(7, blocks, 1, DATA_BUS)]);
        rig.serve();
        let answers = rig.answers();
        assert_eq!(answers.iter().find(|a| a.id == 6).unwrap().status, Ok(()));
        assert_eq!(answers.iter().find(|a| a.id == 7).unwrap().status, Err(Error::OutOfRange));
    }
    (0..40).for_each(|n| {
        rig.device.borrow_mut().resize(700 + n);
        rig.wake(ChannelSet::default().with(IRQ));
    });
    assert_eq!(rig.world.printed.len(), 1 + 16, "a device cannot flood the console");
    assert_eq!(capacity(&mut rig), 739);
}

#[test]
fn more_requests_than_slots_wait_and_are_all_answered() {
    let mut builder = builder();
    builder.links[0].capacity = CAPACITY.into();
    // Eight descriptors without indirect tables: two slots.
    let small = Shape { queue_max: 8, features: 1 << 32 | 1 << 29, ..shape() };
    let mut rig = start(small, &builder).unwrap();
    rig.introduce();
    rig.send(&(0..u32::from(CAPACITY)).map(|id| read(id, u64::from(id), 1, DATA_BUS)).collect::<Vec<_>>());
    let mut done = vec![];
    for _ in 0..CAPACITY {
        rig.serve();
        done.extend(rig.answers().iter().map(|a| (a.id, a.status)));
    }
    assert_eq!(done, (0..u32::from(CAPACITY)).map(|id| (id, Ok(()))).collect::<Vec<_>>());
}

#[test]
fn payload_outside_the_known_regions_never_reaches_the_device() {
    let mut rig = Rig::new();
    let end = DATA_BUS + DATA_LEN as u64;
    for address in [0, DMA_BUS, DATA_BUS - 512, end - 512, end, u64::MAX - 511] {
        rig.send(&[read(1, 0, 2, address)]);
        assert_eq!(rig.answers(), [Answer { id: 1, status: Err(Error::Invalid), blocks: 0 }], "{address:#x}");
    }
    assert_eq!(rig.device.borrow().notifications, 0);
}

#[test]
fn a_request_that_the_device_loses_times_out_and_the_next_succeeds() {
    let mut rig = Rig::new();
    rig.device.borrow_mut().mischief = Some(Mischief::Lose);
    let deadline = rig.send(&[read(1, 0, 1, DATA_BUS)]).unwrap();
    rig.serve();
    assert_eq!(rig.answers(), []);
    rig.world.now = deadline;
    assert_eq!(rig.wake(ChannelSet::default()), None);
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
fn a_device_that_is_given_up_leaves_clients_answered() {
    let mut rig = Rig::new();
    for id in 0..8 {
        rig.device.borrow_mut().mischief = Some(Mischief::UseId(9999));
        rig.send(&[read(id, 0, 1, DATA_BUS)]);
        rig.serve();
        let expected = if id < 4 { Error::Io } else { Error::Offline };
        assert_eq!(rig.answers(), [Answer { id, status: Err(expected), blocks: 0 }]);
    }
    assert!(rig.world.printed.last().unwrap().contains("the disk is offline"), "{:?}", rig.world.printed);
}

#[test]
fn a_device_cannot_flood_the_console() {
    let mut rig = Rig::new();
    for _ in 0..40 {
        rig.device.borrow_mut().mischief = Some(Mischief::UseId(9999));
        for _ in 0..2 {
            rig.send(&[read(1, 0, 1, DATA_BUS)]);
            rig.serve();
            assert_eq!(rig.answers().len(), 1);
        }
    }
    assert_eq!(rig.world.printed.len(), 1 + 16);
    assert!(rig.world.printed[16].ends_with("; further faults are only counted"));
}

#[test]
fn a_client_that_breaks_the_ring_is_closed_and_said_once() {
    let mut rig = Rig::new();
    // The tail of the request queue, far beyond what its capacity allows.
    assert!(rig.requests.write(4, 0x8000_0000u32));
    for _ in 0..3 {
        rig.wake(ChannelSet::default().with(CLIENT));
    }
    assert_eq!(rig.world.printed[1..], ["d0: a client broke the ring protocol; its connection is closed"]);
}

#[test]
fn what_the_configuration_lacks_is_said() {
    let refused = |change: fn(&mut Builder)| {
        let mut builder = builder();
        change(&mut builder);
        start(shape(), &builder).map(|_| ()).unwrap_err().0
    };
    assert!(refused(|b| b.devices.clear()).contains("needs a device"));
    assert!(refused(|b| b.devices[0].irq = NONE.into()).contains("interrupt"));
    assert!(refused(|b| b.devices[0].transport = 2.into()).contains("transport"));
    assert!(refused(|b| b.devices[0].dma_vaddr = 1.into()).contains("not mapped"));
    assert!(refused(|b| b.devices[0].dma_bus = 1.into()).contains("DMA"));
    assert!(refused(|b| b.devices[0].config_offset = 0x200.into()).contains("another type"));
    assert!(refused(|b| b.devices[0].flags = 1.into()).contains("iommu_platform=on"));
    assert!(refused(|b| b.regions = vec![b.regions[0]; 65]).contains("64"));
}

#[test]
fn the_right_to_write_is_not_announced_where_policy_forbids_it() {
    let mut builder = builder();
    builder.devices[0].flags = 2.into();
    let mut rig = start(shape(), &builder).unwrap();
    let info = rig.introduce();
    assert_eq!((info.limits.read_only, info.windows[0].rights), (true, 0b101));
    rig.send(&[Submission { op: Op::Write, ..read(1, 0, 1, DATA_BUS) }]);
    assert_eq!(rig.answers()[0].status, Completion::error(Error::ReadOnly).status);
}

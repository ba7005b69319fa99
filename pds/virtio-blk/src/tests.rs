// SPDX-License-Identifier: MIT
//! The PD in a world of a few lines, between a client's ring and the device model.
use super::*;
use orion_block::{Completion, Error, Instant, Op};
use orion_driver_pd::model::{
    Bench, CAPACITY, CONFIG, DATA_BUS, DATA_LEN, DMA_BUS, IRQ, Rig, SECOND, TestWorld, builder, client, device, read,
};
use orion_pd::ChannelSet;
use orion_pd::config::{Builder, Device, NONE};
use orion_ring::{Answer, Submission};
use orion_virtio::blk::wire::feature;
use orion_virtio::model::{Mischief, MmioModel, Model, Shape, Shared};
use std::format;
use std::vec;
use std::vec::Vec;

const DMA_LEN: usize = 32 << 10;

type BlkRig = Rig<VirtioBlkPd<TestWorld<MmioModel>>, MmioModel>;

fn one_disk() -> Builder {
    let at = (MmioModel::BASE as u64).into();
    builder(&[Device { config_offset: at, ..device("d0", 0) }], DMA_LEN)
}

fn shape() -> Shape {
    Shape::new(512, feature::FLUSH | 3 << 28)
}

fn start(shape: Shape, builder: &Builder) -> Result<(BlkRig, Shared), InitError> {
    let mut bench = Bench::new(builder);
    let device = Model::new(shape, core::mem::take(&mut bench.bus));
    let served = device.clone();
    let rig = bench.start(vec![(CONFIG, MmioModel(device.clone()))], move || {
        served.borrow_mut().serve();
        served.borrow_mut().take_interrupt()
    })?;
    Ok((rig, device))
}

fn running() -> (BlkRig, Shared) {
    let (mut rig, device) = start(shape(), &one_disk()).unwrap();
    rig.introduce();
    (rig, device)
}

#[test]
fn a_client_reads_what_the_device_holds() {
    let (mut rig, device) = running();
    let expected =
        "d0: virtio-blk, 512 blocks of 512 bytes, 128 requests in flight, indirect descriptors, volatile cache";
    assert_eq!(rig.world.printed, [expected]);
    let info = rig.clients[0].server().unwrap();
    assert_eq!((info.limits.capacity, info.windows[0].blocks, info.windows[0].rights), (512, 512, 0b11111));
    let deadline = rig.send(0, &[read(5, 100, 8, DATA_BUS + 4096)]);
    assert_eq!(deadline, Some(Instant(3 * SECOND)), "a request of the device's has a deadline");
    assert_eq!(rig.answers(0), []);
    rig.serve();
    assert_eq!(rig.answers(0), [Answer { id: 5, status: Ok(()), blocks: 8 }]);
    assert_eq!(rig.payload::<4096>(4096), device.borrow().content[100 * 512..108 * 512]);
    assert_eq!(rig.wake(ChannelSet::default()), None, "nothing is in flight, so nothing has a deadline");
}

#[test]
fn every_shape_of_queue_serves_a_client() {
    for options in (0..2048u32).filter(|options| options & 0xff <= 4 && options & 0xff != 1) {
        let [queues, switches, ..] = options.to_le_bytes();
        let [packed, in_order, queue_reset] = [1, 2, 4].map(|bit| switches & bit != 0);
        let wishes = orion_virtio::Wishes { queues: queues.into(), packed, in_order, queue_reset };
        let mut builder = one_disk();
        builder.devices[0].options = options.into();
        let (mut rig, _) = start(shape().offering(wishes), &builder).unwrap();
        rig.introduce();
        let line = rig.world.printed[0].clone();
        let has = [queues > 1, packed, in_order];
        assert_eq!([" queues", "packed ring", "in order"].map(|word| line.contains(word)), has, "{line}");
        let batch: Vec<Submission> = (0..32).map(|id| read(id, u64::from(id) * 8, 8, DATA_BUS)).collect();
        rig.send(0, &batch);
        rig.serve();
        let mut ids: Vec<u32> =
            rig.answers(0).iter().filter(|answer| answer.status.is_ok()).map(|answer| answer.id).collect();
        ids.sort_unstable();
        assert_eq!(ids, (0..32).collect::<Vec<_>>(), "{line}");
    }
}

#[test]
fn an_interrupt_is_acknowledged_as_soon_as_the_device_may_raise_another() {
    let (mut rig, _) = running();
    rig.send(0, &[read(0, 0, 8, DATA_BUS)]);
    for round in 1..4 {
        let before = rig.world.acknowledged;
        rig.serve();
        assert_eq!(rig.answers(0).len(), 1);
        assert_eq!(rig.world.acknowledged, before, "round {round}: the device holds nothing");
        rig.send(0, &[read(round, 0, 8, DATA_BUS)]);
        assert_eq!(rig.world.acknowledged, before + 1, "round {round}: now it holds something");
    }
}

#[test]
fn a_batch_is_one_notification_down_and_one_up() {
    let (mut rig, device) = running();
    let batch: Vec<Submission> = (0..32).map(|id| read(id, u64::from(id), 1, DATA_BUS)).collect();
    rig.world.notified.clear();
    assert!(rig.clients[0].sleep());
    rig.send(0, &batch);
    assert_eq!(device.borrow().notifications, 1);
    rig.serve();
    assert_eq!(rig.answers(0).len(), 32);
    assert_eq!(rig.world.notified, [client(0)]);
}

#[test]
fn a_resize_is_told_to_the_clients() {
    let (mut rig, device) = running();
    let capacity = |rig: &mut BlkRig| rig.clients[0].server().unwrap().limits.capacity;
    assert_eq!(capacity(&mut rig), 512);
    for (round, size) in [1024u16, 256, 600].into_iter().enumerate() {
        let blocks = u64::from(size);
        rig.send(0, &[read(5, 0, 8, DATA_BUS)]);
        rig.serve();
        assert_eq!(rig.answers(0).len(), 1);
        rig.world.notified.clear();
        device.borrow_mut().resize(size.into());
        rig.wake(ChannelSet::default().with(IRQ));
        assert_eq!(rig.world.notified, [client(0)], "round {round}");
        rig.clients[0].wake();
        assert_eq!(capacity(&mut rig), blocks);
        assert!(rig.world.printed.last().unwrap().contains(&format!("virtio-blk, {blocks} blocks")));
        rig.send(0, &[read(6, blocks - 1, 1, DATA_BUS), read(7, blocks, 1, DATA_BUS)]);
        rig.serve();
        let answers = rig.answers(0);
        assert_eq!(answers.iter().find(|a| a.id == 6).unwrap().status, Ok(()));
        assert_eq!(answers.iter().find(|a| a.id == 7).unwrap().status, Err(Error::OutOfRange));
    }
    (0..40).for_each(|n| {
        device.borrow_mut().resize(700 + n);
        rig.wake(ChannelSet::default().with(IRQ));
    });
    assert_eq!(rig.world.printed.len(), 1 + 16, "a device cannot flood the console");
    assert_eq!(capacity(&mut rig), 739);
}

#[test]
fn more_requests_than_slots_wait_and_are_all_answered() {
    let mut builder = one_disk();
    builder.links[0].capacity = CAPACITY.into();
    // Eight descriptors without indirect tables: two slots.
    let small = Shape { queue_max: 8, features: 1 << 32 | 1 << 29, ..shape() };
    let (mut rig, _) = start(small, &builder).unwrap();
    rig.introduce();
    rig.send(0, &(0..u32::from(CAPACITY)).map(|id| read(id, u64::from(id), 1, DATA_BUS)).collect::<Vec<_>>());
    let mut done = vec![];
    for _ in 0..CAPACITY {
        rig.serve();
        done.extend(rig.answers(0).iter().map(|a| (a.id, a.status)));
    }
    assert_eq!(done, (0..u32::from(CAPACITY)).map(|id| (id, Ok(()))).collect::<Vec<_>>());
}

#[test]
fn payload_outside_the_known_regions_never_reaches_the_device() {
    let (mut rig, device) = running();
    let end = DATA_BUS + DATA_LEN as u64;
    for address in [0, DMA_BUS, DATA_BUS - 512, end - 512, end, u64::MAX - 511] {
        rig.send(0, &[read(1, 0, 2, address)]);
        assert_eq!(rig.answers(0), [Answer { id: 1, status: Err(Error::Invalid), blocks: 0 }], "{address:#x}");
    }
    assert_eq!(device.borrow().notifications, 0);
}

#[test]
fn a_request_that_the_device_loses_times_out_and_the_next_succeeds() {
    let (mut rig, device) = running();
    device.borrow_mut().mischief = Some(Mischief::Lose);
    let deadline = rig.send(0, &[read(1, 0, 1, DATA_BUS)]).unwrap();
    rig.serve();
    assert_eq!(rig.answers(0), []);
    rig.world.now = deadline;
    assert_eq!(rig.wake(ChannelSet::default()), None);
    assert_eq!(rig.answers(0), [Answer { id: 1, status: Err(Error::TimedOut), blocks: 0 }]);
    let last = rig.world.printed.last().unwrap();
    let expected =
        "d0: a request took too long; the disk is reset, and serves again (0 protocol errors, 1 timeouts so far)";
    assert_eq!(last, expected);
    rig.send(0, &[read(2, 0, 1, DATA_BUS)]);
    rig.serve();
    assert_eq!(rig.answers(0), [Answer { id: 2, status: Ok(()), blocks: 1 }]);
}

#[test]
fn a_device_that_is_given_up_leaves_clients_answered() {
    let (mut rig, device) = running();
    for id in 0..8 {
        device.borrow_mut().mischief = Some(Mischief::UseId(9999));
        rig.send(0, &[read(id, 0, 1, DATA_BUS)]);
        rig.serve();
        let expected = if id < 4 { Error::Io } else { Error::Offline };
        assert_eq!(rig.answers(0), [Answer { id, status: Err(expected), blocks: 0 }]);
    }
    assert!(rig.world.printed.last().unwrap().contains("the disk is offline"), "{:?}", rig.world.printed);
}

#[test]
fn a_device_cannot_flood_the_console() {
    let (mut rig, device) = running();
    for _ in 0..40 {
        device.borrow_mut().mischief = Some(Mischief::UseId(9999));
        for _ in 0..2 {
            rig.send(0, &[read(1, 0, 1, DATA_BUS)]);
            rig.serve();
            assert_eq!(rig.answers(0).len(), 1);
        }
    }
    assert_eq!(rig.world.printed.len(), 1 + 16);
    assert!(rig.world.printed[16].ends_with("; further faults are only counted"));
}

#[test]
fn a_client_that_breaks_the_ring_is_closed_and_said_once() {
    let (mut rig, _) = running();
    // The tail of the request queue, far beyond what its capacity allows.
    assert!(rig.requests[0].write(4, 0x8000_0000u32));
    for _ in 0..3 {
        rig.wake(ChannelSet::default().with(client(0)));
    }
    assert_eq!(rig.world.printed[1..], ["d0: a client broke the ring protocol; its connection is closed"]);
}

#[test]
fn what_the_configuration_lacks_is_said() {
    let refused = |change: fn(&mut Builder)| {
        let mut builder = one_disk();
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
    let mut builder = one_disk();
    builder.devices[0].flags = 2.into();
    let (mut rig, _) = start(shape(), &builder).unwrap();
    let info = rig.introduce()[0];
    assert_eq!((info.limits.read_only, info.windows[0].rights), (true, 0b101));
    rig.send(0, &[Submission { op: Op::Write, ..read(1, 0, 1, DATA_BUS) }]);
    assert_eq!(rig.answers(0)[0].status, Completion::error(Error::ReadOnly).status);
}

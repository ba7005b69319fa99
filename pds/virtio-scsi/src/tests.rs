// SPDX-License-Identifier: MIT
//! The PD in a world of a few lines, between clients' rings and the model of a host with disks.
use super::*;
use orion_block::{Error, Op};
use orion_driver_pd::model::{Bench, CONFIG, DATA_BUS, READ_ONLY, Rig, TestWorld, builder, device, read};
use orion_pd::ChannelSet;
use orion_ring::{Answer, Submission};
use orion_scsi::Place;
use orion_scsi::model::{Bus, Disk};
use orion_virtio::model::{ScsiMmio, ScsiModel, ScsiShape, SharedScsi};
use std::vec;
use std::vec::Vec;

const DMA_LEN: usize = 256 << 10;

type ScsiRig = Rig<VirtioScsiPd<TestWorld<ScsiMmio>>, ScsiMmio>;

/// The PD with two disks, and the device below.
fn start(disks: Bus) -> (ScsiRig, SharedScsi) {
    let small = Device { unit: (3 << 16 | 1).into(), flags: READ_ONLY.into(), ..device("small", 0) };
    let mut bench = Bench::new(&builder(&[device("big", 0), small], DMA_LEN));
    let device = ScsiModel::new(ScsiShape::new(3 << 28 | 6), disks, core::mem::take(&mut bench.bus));
    let host = device.clone();
    let rig = bench.start(vec![(CONFIG, ScsiMmio(device.clone()))], move || {
        host.borrow_mut().serve();
        host.borrow_mut().take_interrupt()
    });
    (rig.unwrap(), device)
}

fn ask(rig: &mut ScsiRig, client: u8, op: Op, block: u64) -> Vec<Answer> {
    rig.send(client, &[Submission { op, ..read(5, block, 8, DATA_BUS) }]);
    rig.settle();
    rig.answers(client)
}

fn disks() -> Bus {
    let mut bus = Bus::default();
    bus.disks.insert(Place { target: 1, lun: 0 }, Disk::new(512, 512));
    bus.disks.insert(Place { target: 3, lun: 1 }, Disk::new(64, 512));
    bus
}

#[test]
fn each_client_has_the_disk_of_its_name_with_its_own_rights() {
    let (mut rig, device) = start(disks());
    let offers = rig.introduce();
    assert_eq!(offers.iter().map(|offer| offer.limits.capacity).collect::<Vec<_>>(), [512, 64]);
    assert_eq!(offers.iter().map(|offer| offer.limits.read_only).collect::<Vec<_>>(), [false, true]);
    assert_eq!(rig.world.printed.len(), 2, "{:?}", rig.world.printed);
    assert!(rig.world.printed[1].starts_with("small: virtio-scsi, target 3, logical unit 1: ORION MODEL DISK"));
    for (client, target, lun) in [(0, 1, 0), (1, 3, 1)] {
        assert_eq!(ask(&mut rig, client, Op::Read, 8), [Answer { id: 5, status: Ok(()), blocks: 8 }]);
        assert_eq!(rig.payload::<4096>(0), device.borrow().bus.disks[&Place { target, lun }].content[4096..8192]);
    }
    assert_eq!(ask(&mut rig, 1, Op::Write, 8), [Answer { id: 5, status: Err(Error::ReadOnly), blocks: 0 }]);
    assert_eq!(
        ask(&mut rig, 1, Op::Read, 64).iter().map(|answer| answer.status).collect::<Vec<_>>(),
        [Err(Error::OutOfRange)]
    );
}

#[test]
fn interrupts_are_acknowledged_though_nothing_is_in_flight_for_events_come_by_themselves() {
    let (mut rig, device) = start(disks());
    rig.introduce();
    let before = rig.world.acknowledged;
    device.borrow_mut().report(3, Place { target: 1, lun: 0 }, 0x092a);
    rig.settle();
    assert!(rig.world.acknowledged > before);
    assert!(rig.wake(ChannelSet::default()).is_some());
}

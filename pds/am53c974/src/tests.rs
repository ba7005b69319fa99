// SPDX-License-Identifier: MIT
//! The PD in a world of a few lines, between clients' rings and an adapter model behind a PCI function with ports.
use super::*;
use orion_am53c974::model::{Manners, Mischief, Model, Ports, Shared, Switch};
use orion_block::{Error, Op};
use orion_driver_pd::model::{
    BAR as WINDOW, Bench, CONFIG, DATA_BUS, READ_ONLY, Rig, SECOND, TestWorld, builder, device, read,
};
use orion_pci::model::{Side, function as model_function};
use orion_pd::ChannelSet;
use orion_pd::config::Builder;
use orion_ring::{Answer, Submission};
use orion_scsi::Place;
use orion_scsi::model::{Bus, Disk};
use std::boxed::Box;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

const PORTS: u64 = 0xd000;
const PORTS_LEN: usize = 0x100;
const DMA_LEN: usize = 256 << 10;

type Registers = Side<Ports>;
type AmdRig = Rig<Am53c974Pd<TestWorld<Registers>>, Registers>;
type Function = Rc<orion_pci::model::Model<Ports>>;

/// Vendor and device.
const IDS: [u16; 2] = [0x1022, 0x2020];

/// Two disks behind an adapter, whose registers are ports and which interrupts by its pin.
fn two_disks() -> Builder {
    let ports = Device {
        transport: 2.into(),
        bar_bus: PORTS.into(),
        bar_size: (PORTS_LEN as u64).into(),
        msi_address: 0.into(),
        ..device("big", PORTS_LEN)
    };
    let small = Device { unit: (6 << 16 | 1).into(), flags: READ_ONLY.into(), name: device("small", 0).name, ..ports };
    builder(&[ports, small], DMA_LEN)
}

fn start(ids: [u16; 2], manners: Manners, builder: &Builder) -> Result<(AmdRig, Shared, Function), InitError> {
    let mut bench = Bench::new(builder);
    let mut disks = Bus::default();
    disks.disks.insert(Place { target: 1, lun: 0 }, Disk::new(512, 512));
    disks.disks.insert(Place { target: 6, lun: 1 }, Disk::new(64, 512));
    let device = Model::new(disks, manners, core::mem::take(&mut bench.bus));
    let mut shape = orion_pci::model::Shape::new(ids, [1, 0, 0], BAR);
    shape.masks[0] = 0xffff_ff81;
    let function = model_function(shape, Ports(device.clone()), PORTS, PORTS_LEN);
    let (config, window) = function.sides();
    let (adapter, switch) = (device.clone(), function.clone());
    device.borrow_mut().switch = Some(Switch(Box::new(move || switch.master())));
    let rig = bench.start(vec![(CONFIG, config), (WINDOW, window)], move || {
        adapter.borrow_mut().serve();
        adapter.borrow().is_raised()
    })?;
    Ok((rig, device, function))
}

fn ask(rig: &mut AmdRig, client: u8, op: Op, block: u64) -> Vec<Answer> {
    rig.send(client, &[Submission { op, ..read(5, block, 8, DATA_BUS) }]);
    settle(rig);
    rig.answers(client)
}

/// A target that has disconnected takes its time.
fn settle(rig: &mut AmdRig) {
    (0..40).for_each(|_| rig.settle());
}

/// Lets the time of the bus's reset pass, until the disks are known.
fn up(rig: &mut AmdRig) {
    rig.wake(ChannelSet::ALL);
    for _ in 0..3 {
        settle(rig);
        rig.world.now = rig.world.now.after(SECOND / 4);
        rig.wake(ChannelSet::default());
    }
    settle(rig);
}

#[test]
fn each_client_has_the_disk_of_its_name_with_its_own_rights() {
    for manners in [Manners::PLAIN, Manners::lively(1)] {
        let (mut rig, device, function) = start(IDS, manners, &two_disks()).unwrap();
        assert!(!function.master(), "the bus has not settled");
        up(&mut rig);
        let offers = rig.introduce();
        assert_eq!(offers.iter().map(|offer| offer.limits.capacity).collect::<Vec<_>>(), [512, 64]);
        assert_eq!(offers.iter().map(|offer| offer.limits.read_only).collect::<Vec<_>>(), [false, true]);
        assert_eq!(rig.world.printed.len(), 2, "{:?}", rig.world.printed);
        assert!(rig.world.printed[1].starts_with("small: Am53C974, target 6, logical unit 1: ORION MODEL DISK"));
        for (client, target, lun) in [(0, 1, 0), (1, 6, 1)] {
            assert_eq!(ask(&mut rig, client, Op::Read, 8), [Answer { id: 5, status: Ok(()), blocks: 8 }]);
            assert_eq!(rig.payload::<4096>(0), device.borrow().bus.disks[&Place { target, lun }].content[4096..8192]);
        }
        assert_eq!(ask(&mut rig, 1, Op::Write, 8), [Answer { id: 5, status: Err(Error::ReadOnly), blocks: 0 }]);
        assert_eq!(ask(&mut rig, 0, Op::Read, 512).first().map(|answer| answer.status), Some(Err(Error::OutOfRange)));
    }
}

#[test]
fn what_broke_the_rules_is_said_and_the_disk_serves_again() {
    let (mut rig, device, _) = start(IDS, Manners::PLAIN, &two_disks()).unwrap();
    up(&mut rig);
    rig.introduce();
    rig.world.printed.clear();
    device.borrow_mut().mischief = Some(Mischief::BadPhase);
    rig.send(0, &[read(9, 0, 8, DATA_BUS)]);
    up(&mut rig);
    assert_eq!(rig.answers(0), [Answer { id: 9, status: Ok(()), blocks: 8 }]);
    let expected = "big: a target shows a phase that there is not; the disk is reset, and serves again (1 protocol errors, \
                    0 timeouts so far)";
    assert_eq!(rig.world.printed, [expected]);
}

#[test]
fn what_is_no_adapter_or_has_no_place_is_refused() {
    let refused = |ids, builder: &Builder| start(ids, Manners::PLAIN, builder).map(|_| ()).unwrap_err().0;
    assert!(refused([0x1022, 0x2000], &two_disks()).starts_with("no Am53C974 at the configured place"));
    let mut wrong = two_disks();
    wrong.devices[1].unit = (7 << 16).into();
    assert!(refused(IDS, &wrong).contains("targets are 0 to 6"));
    let mut high = two_disks();
    high.regions[0].bus = (1 << 32).into();
    assert!(refused(IDS, &high).contains("above 4 GiB"));
}

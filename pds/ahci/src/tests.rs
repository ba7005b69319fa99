// SPDX-License-Identifier: MIT
//! The PD in a world of a few lines, between a client's ring and an adapter model behind a PCI function.
use super::*;
use orion_ahci::model::{self, Abar, Drive, Mischief, Model, Shape, Shared};
use orion_block::{Error, Op};
use orion_driver_pd::model::{
    BAR, BAR_BUS, Bench, CONFIG, DATA_BUS, IRQ, READ_ONLY, Rig, TestWorld, builder, device, read,
};
use orion_pci::model::Side;
use orion_pd::ChannelSet;
use orion_pd::config::{Builder, Device, Name};
use orion_ring::{Answer, Submission};
use std::boxed::Box;
use std::vec;

const BAR_LEN: usize = 0x8000;
const DMA_LEN: usize = 512 << 10;

type Registers = Side<Abar>;
type AhciRig = Rig<AhciPd<TestWorld<Registers>>, Registers>;

fn one_disk() -> Builder {
    builder(&[device("d0", BAR_LEN)], DMA_LEN)
}

fn start(shape: Shape, class: [u8; 3], builder: &Builder) -> Result<(AhciRig, Shared), InitError> {
    let mut bench = Bench::new(builder);
    let drives = vec![(2, Drive::new(512, 512)), (3, Drive::new(64, 4096))];
    let device = Model::new(shape, drives, core::mem::take(&mut bench.bus));
    let function = orion_pci::model::Shape::new([0x8086, 0x2922], class, 5);
    let function = if builder.devices[0].msi_address.get() == 0 { function } else { function.msi() };
    let function = orion_pci::model::function(function, Abar(device.clone()), BAR_BUS, BAR_LEN);
    let (config, window) = function.sides();
    device.borrow_mut().bus = Some(model::Bus(Box::new(move || function.master())));
    let adapter = device.clone();
    let rig = bench.start(vec![(CONFIG, config), (BAR, window)], move || {
        adapter.borrow_mut().serve();
        adapter.borrow_mut().take_interrupt()
    })?;
    Ok((rig, device))
}

fn running(shape: Shape, builder: &Builder) -> (AhciRig, Shared) {
    let (mut rig, device) = start(shape, CLASS, builder).unwrap();
    rig.introduce();
    (rig, device)
}

fn ports() -> Shape {
    Shape { ports: 0b1100, ..Shape::default() }
}

#[test]
fn a_client_reads_what_the_drive_holds() {
    for messages in [true, false] {
        let mut builder = one_disk();
        if !messages {
            builder.devices[0].msi_address = 0.into();
        }
        let (mut rig, device) = running(ports(), &builder);
        let expected = "d0: SATA port 2, ORION MODEL DISK, 512 blocks of 512 bytes, 31 requests in flight, NCQ, volatile cache, discard";
        assert_eq!(rig.world.printed, [expected]);
        let info = rig.clients[0].server().unwrap();
        assert_eq!((info.limits.capacity, info.windows[0].blocks, info.windows[0].rights), (512, 512, 0b11111));
        for round in 0..600 {
            rig.send(0, &[read(round, 100, 8, DATA_BUS + 4096)]);
            assert_eq!(rig.answers(0), []);
            rig.serve();
            assert_eq!(rig.answers(0), [Answer { id: round, status: Ok(()), blocks: 8 }]);
        }
        assert_eq!(rig.payload::<4096>(4096), device.borrow_mut().drive(2).content[100 * 512..108 * 512]);
        assert_eq!(rig.wake(ChannelSet::default()), None, "nothing is in flight, so nothing has a deadline");
    }
}

#[test]
fn a_lost_request_is_given_up_and_the_next_succeeds() {
    let (mut rig, device) = running(ports(), &one_disk());
    device.borrow_mut().mischief = Some(Mischief::Lose);
    let mut due = rig.send(0, &[read(1, 0, 1, DATA_BUS)]);
    rig.serve();
    for _ in 0..100 {
        let Some(at) = due else { break };
        rig.world.now = at;
        due = rig.wake(ChannelSet::default());
        device.borrow_mut().serve();
        while device.borrow_mut().take_interrupt() {
            due = rig.wake(ChannelSet::default().with(IRQ));
            device.borrow_mut().serve();
        }
    }
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
fn a_controller_that_leaves_is_offline() {
    let (mut rig, device) = running(ports(), &one_disk());
    rig.send(0, &[read(1, 0, 1, DATA_BUS)]);
    device.borrow_mut().gone = true;
    rig.wake(ChannelSet::default().with(IRQ));
    rig.send(0, &[read(2, 0, 1, DATA_BUS)]);
    let offline = |id| Answer { id, status: Err(Error::Offline), blocks: 0 };
    assert_eq!(rig.answers(0), [offline(1), offline(2)]);
    assert!(rig.world.printed.last().unwrap().contains("the disk is offline"), "{:?}", rig.world.printed);
}

#[test]
fn each_disk_is_a_port_with_rights_of_its_own() {
    let disks = [2, 3].map(|unit| Device { unit: unit.into(), ..device("d0", BAR_LEN) });
    let mut builder = builder(&disks, DMA_LEN);
    builder.links.truncate(1);
    builder.devices[0].flags = READ_ONLY.into();
    builder.devices[1].name = Name::new("d1");
    for (volume, block, rights, read_only) in [("d0", 512, 0b101, true), ("d1", 4096, 0b11111, false)] {
        builder.links[0].volume = Name::new(volume);
        let (mut rig, _) = start(ports(), CLASS, &builder).unwrap();
        let info = rig.introduce()[0];
        assert_eq!((info.limits.block.bytes(), info.windows[0].rights), (block, rights));
        rig.send(0, &[Submission { op: Op::Write, ..read(1, 5, 1, DATA_BUS) }]);
        rig.serve();
        assert_eq!(rig.answers(0)[0].status, if read_only { Err(Error::ReadOnly) } else { Ok(()) });
    }
}

#[test]
fn what_the_configuration_lacks_is_said() {
    let refused = |change: fn(&mut Builder)| {
        let mut builder = one_disk();
        change(&mut builder);
        start(ports(), CLASS, &builder).map(|_| ()).unwrap_err().0
    };
    assert!(refused(|b| b.devices[0].transport = 0.into()).contains("transport"));
    assert!(refused(|b| b.devices[0].dma_bus = 1.into()).contains("DMA"));
    assert!(refused(|b| b.devices[0].unit = 7.into()).contains("no port"));
    assert!(refused(|b| b.devices = vec![b.devices[0]; 9]).contains("more disks"));
    assert!(start(ports(), [1, 8, 2], &one_disk()).map(|_| ()).unwrap_err().0.contains("no AHCI controller"));
}

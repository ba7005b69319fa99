// SPDX-License-Identifier: MIT
//! The PD in a world of a few lines, between a client's ring and a controller model behind a PCI function.
use super::*;
use orion_block::{Error, Instant, Op};
use orion_driver_pd::model::{
    BAR, BAR_BUS, Bench, CONFIG, DATA_BUS, IRQ, MANAGER, READ_ONLY, Rig, SECOND, TestWorld, builder, device, managed,
    read,
};
use orion_metrics::{Order, Progress, Reply, Row, Verb, Work};
use orion_nvme::DMA_BYTES;
use orion_nvme::model::{self, Mischief, Model, ModelRegisters, Shape, Shared, Space};
use orion_pci::model::Side;
use orion_pd::ChannelSet;
use orion_pd::config::{Builder, Device, Name};
use orion_ring::{Answer, Submission};
use std::boxed::Box;
use std::format;
use std::vec;

const BAR_LEN: usize = 0x8000;
/// Of a device's flags: an operator may have it do what destroys data.
const ADMIN: u32 = 4;

type Registers = Side<ModelRegisters>;
type NvmeRig = Rig<NvmePd<TestWorld<Registers>>, Registers>;

fn one_disk() -> Builder {
    builder(&[device("d0", BAR_LEN)], DMA_BYTES)
}

fn start(shape: Shape, class: [u8; 3], builder: &Builder) -> Result<(NvmeRig, Shared), InitError> {
    start_on(Bench::new(builder), shape, class)
}

fn start_on(mut bench: Bench, shape: Shape, class: [u8; 3]) -> Result<(NvmeRig, Shared), InitError> {
    let spaces = vec![(1, Space::new(512, 9)), (2, Space::new(64, 12))];
    let messages = shape.messages;
    let device = Model::new(shape, spaces, core::mem::take(&mut bench.bus));
    let function = orion_pci::model::Shape::new([0x1b36, 0x10], class, 0);
    let function = if messages { function.msix() } else { function };
    let function = orion_pci::model::function(function, ModelRegisters(device.clone()), BAR_BUS, BAR_LEN);
    let (config, window) = function.sides();
    device.borrow_mut().bus = Some(model::Bus(Box::new(move || function.master())));
    let controller = device.clone();
    let rig = bench.start(vec![(CONFIG, config), (BAR, window)], move || {
        controller.borrow_mut().serve();
        controller.borrow_mut().take_interrupt()
    })?;
    Ok((rig, device))
}

fn running(shape: Shape, builder: &Builder) -> (NvmeRig, Shared) {
    let (mut rig, device) = start(shape, CLASS, builder).unwrap();
    rig.introduce();
    (rig, device)
}

#[test]
fn a_client_reads_what_the_namespace_holds() {
    for messages in [true, false] {
        let mut builder = one_disk();
        if !messages {
            builder.devices[0].msi_address = 0.into();
        }
        let (mut rig, device) = running(Shape::new().with(|shape| shape.messages = messages), &builder);
        let expected = format!(
            "d0: NVMe 1.4, Orion model, serial serial 1, namespace 1, 512 blocks of 512 bytes, 128 requests in flight, \
             SGL{}, volatile cache, discard",
            if messages { ", shadow doorbells" } else { "" }
        );
        assert_eq!(rig.world.printed, [expected]);
        let info = rig.clients[0].server().unwrap();
        assert_eq!((info.limits.capacity, info.windows[0].blocks, info.windows[0].rights), (512, 512, 0b11111));
        for round in 0..600 {
            rig.send(0, &[read(round, 100, 8, DATA_BUS + 4096)]);
            assert_eq!(rig.answers(0), []);
            rig.serve();
            assert_eq!(rig.answers(0), [Answer { id: round, status: Ok(()), blocks: 8 }]);
        }
        assert_eq!(rig.payload::<4096>(4096), device.borrow().spaces[&1].content[100 * 512..108 * 512]);
        assert_eq!(rig.wake(ChannelSet::default()), None, "nothing is in flight, so nothing has a deadline");
        assert!(messages || !device.borrow_mut().take_interrupt(), "the pin is down");
    }
}

/// Orders of a manager, which are done or not by what the driver's own configuration says.
#[test]
fn what_the_configuration_does_not_allow_no_order_does() {
    for (flags, unit, expected) in [
        (0, 0, Reply::Forbidden),
        (READ_ONLY, 0, Reply::Forbidden),
        (ADMIN, 1, Reply::Absent),
        (ADMIN, 0, Reply::Begun),
    ] {
        let mut builder = managed(one_disk());
        builder.devices[0].flags = flags.into();
        let mut bench = Bench::new(&builder);
        let manager = bench.manager();
        let shape = Shape::new().with(|shape| shape.controller.oacs = 2.into());
        let (mut rig, device) = start_on(bench, shape, CLASS).unwrap();
        rig.introduce();
        let work = |rig: &mut NvmeRig, work: Work| {
            let sequence = manager.tell(Order::Disk(work));
            rig.wake(ChannelSet::default().with(MANAGER));
            manager.reply(sequence)
        };
        assert_eq!(work(&mut rig, Work::new(Verb::Format, unit)), Some(expected), "{flags}");
        let formats = device.borrow().manage.formatting.is_some();
        assert_eq!(formats, expected == Reply::Begun);
        assert!(rig.world.printed.last().unwrap().contains(&format!("told to format: {expected}")));
        if formats {
            assert_eq!(work(&mut rig, Work::new(Verb::Format, 0)), Some(Reply::Busy));
            rig.send(0, &[read(1, 0, 1, DATA_BUS)]);
            assert_eq!(rig.answers(0), [Answer { id: 1, status: Err(Error::Offline), blocks: 0 }]);
            device.borrow_mut().format_ends();
            rig.settle();
            rig.wake(ChannelSet::default().with(MANAGER));
            let done = |row: &Row| matches!(row, Row::DiskWork(row) if row.progress == Progress::Done.number());
            assert!(manager.rows().iter().any(done));
        }
        rig.send(0, &[read(2, 0, 1, DATA_BUS)]);
        rig.settle();
        assert_eq!(rig.answers(0), [Answer { id: 2, status: Ok(()), blocks: 1 }]);
    }
}

#[test]
fn queues_are_as_the_configuration_wishes() {
    // Bits 0 to 7: pairs; 11: of different weight; 16 to 23: answers that an interrupt waits for, 24 to 31: times 100 us.
    for (options, words, pairs) in
        [(0, "", 1), (1, "", 1), (4, ", 4 queues", 4), (8 << 16 | 3 << 24, "", 1), (1 << 11, ", 3 queues, weighted", 3)]
    {
        let mut builder = one_disk();
        builder.devices[0].options = u32::into(options);
        let (mut rig, device) = running(Shape::new().with(|shape| shape.capabilities |= 1 << 17), &builder);
        let line = format!("128 requests in flight{words}, SGL, shadow doorbells");
        assert!(rig.world.printed[0].contains(&line), "{options:#x}: {:?}", rig.world.printed);
        assert_eq!(device.borrow().pairs().len(), pairs);
        let gathered = device.borrow().features.get(&8).copied();
        assert_eq!(gathered, (options >> 16 != 0).then_some(3 << 8 | 7), "{options:#x}");
        for round in 0..20 {
            rig.send(0, &[read(round, 100, 8, DATA_BUS + 4096)]);
            device.borrow_mut().serve();
            device.borrow_mut().elapse(300);
            rig.serve();
            assert_eq!(rig.answers(0), [Answer { id: round, status: Ok(()), blocks: 8 }]);
        }
    }
}

#[test]
fn writes_are_compared_where_the_configuration_wishes_it() {
    for (options, compares) in [(0, 0), (1 << 9, 1)] {
        let mut builder = one_disk();
        builder.devices[0].options = u32::into(options);
        let (mut rig, device) = running(Shape::new(), &builder);
        rig.send(0, &[Submission { op: Op::Write, ..read(1, 8, 8, DATA_BUS) }]);
        rig.settle();
        assert_eq!(rig.answers(0), [Answer { id: 1, status: Ok(()), blocks: 8 }]);
        assert_eq!(device.borrow().done.get(&(false, 5)).copied().unwrap_or(0), compares);
    }
    let mut builder = one_disk();
    builder.devices[0].options = u32::into(1 << 9);
    let refused = start(Shape::new().plain(), CLASS, &builder).err().unwrap();
    assert!(refused.0.contains("verify-writes=\"yes\" needs the Compare command"), "{}", refused.0);
}

#[test]
fn a_lost_request_is_given_up_and_the_next_succeeds() {
    let (mut rig, device) = running(Shape::new(), &one_disk());
    device.borrow_mut().mischief = Some(Mischief::Swallow);
    let mut due = rig.send(0, &[read(1, 0, 1, DATA_BUS)]);
    rig.serve();
    for _ in 0..20 {
        let Some(at) = due else { break };
        rig.world.now = at;
        due = rig.wake(ChannelSet::default());
    }
    assert_eq!(rig.answers(0), [Answer { id: 1, status: Err(Error::TimedOut), blocks: 0 }]);
    let last = rig.world.printed.last().unwrap();
    let expected =
        "d0: a request took too long; the disk is reset, and serves again (0 protocol errors, 1 timeouts so far)";
    assert_eq!(last, expected);
    rig.wake(ChannelSet::default().with(IRQ));
    rig.send(0, &[read(2, 0, 1, DATA_BUS)]);
    rig.serve();
    assert_eq!(rig.answers(0), [Answer { id: 2, status: Ok(()), blocks: 1 }]);
}

#[test]
fn warnings_are_no_faults_and_cannot_flood_the_console() {
    let (mut rig, device) = running(Shape::new(), &one_disk());
    let before = rig.world.printed.len();
    for _ in 0..40 {
        device.borrow_mut().tell(2 << 16 | 1);
        for _ in 0..3 {
            rig.wake(ChannelSet::default().with(IRQ));
        }
    }
    let said = &rig.world.printed[before..];
    assert!(said.iter().all(|line| line == "d0: the controller warns of its health: see `orion health`"), "{said:?}");
    assert_eq!(said.len(), 16);
}

#[test]
fn a_controller_that_leaves_is_offline() {
    let (mut rig, device) = running(Shape::new(), &one_disk());
    rig.send(0, &[read(1, 0, 1, DATA_BUS)]);
    device.borrow_mut().mischief = Some(Mischief::Unplug);
    rig.serve();
    rig.world.now = Instant(2 * SECOND);
    rig.wake(ChannelSet::default());
    rig.send(0, &[read(2, 0, 1, DATA_BUS)]);
    let offline = |id| Answer { id, status: Err(Error::Offline), blocks: 0 };
    assert_eq!(rig.answers(0), [offline(1), offline(2)]);
    assert!(rig.world.printed.last().unwrap().contains("the disk is offline"), "{:?}", rig.world.printed);
}

#[test]
fn each_disk_is_a_namespace_with_rights_of_its_own() {
    let disks = [1, 2].map(|unit| Device { unit: unit.into(), ..device("d0", BAR_LEN) });
    let mut builder = builder(&disks, DMA_BYTES);
    builder.links.truncate(1);
    builder.devices[0].flags = READ_ONLY.into();
    builder.devices[1].name = Name::new("d1");
    for (volume, block, rights, read_only) in [("d0", 512, 0b101, true), ("d1", 4096, 0b11111, false)] {
        builder.links[0].volume = Name::new(volume);
        let (mut rig, _) = start(Shape::new(), CLASS, &builder).unwrap();
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
        start(Shape::new(), CLASS, &builder).map(|_| ()).unwrap_err().0
    };
    assert!(refused(|b| b.devices[0].transport = 0.into()).contains("transport"));
    assert!(refused(|b| b.devices[0].dma_bus = 1.into()).contains("DMA"));
    assert!(refused(|b| b.devices[0].unit = 3.into()).contains("namespaces"));
    assert!(refused(|b| b.devices = vec![b.devices[0]; 17]).contains("more disks"));
    assert!(start(Shape::new(), [1, 6, 1], &one_disk()).map(|_| ()).unwrap_err().0.contains("no NVMe controller"));
}

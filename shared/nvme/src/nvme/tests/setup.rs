// SPDX-License-Identifier: MIT
//! What the driver makes of controllers when it starts, and of what they say about themselves.
use super::*;
use orion_block::{DiscardReads, Limits};
use proptest::prelude::*;
use zerocopy::FromBytes;

fn one() -> Vec<(u32, Space)> {
    vec![(1, Space::new(2048, 9))]
}

fn places(units: &[u32]) -> Vec<Place> {
    units.iter().map(|namespace| Place { namespace: *namespace, ..Place::FIRST }).collect()
}

fn refused(change: impl FnOnce(&mut Shape)) -> Fault {
    Rig::with(Shape::new().with(change), one(), &[Place::FIRST]).map(|_| ()).unwrap_err()
}

#[test]
fn a_controller_that_cannot_be_used_is_refused_with_its_reason() {
    assert_eq!(refused(|s| s.version = 0), Fault::NotNvme);
    assert_eq!(refused(|s| s.capabilities &= !(1 << 37)), Fault::Capabilities);
    assert_eq!(refused(|s| s.capabilities |= 1 << 48), Fault::Capabilities);
    assert_eq!(refused(|s| s.capabilities |= 10 << 32), Fault::Registers);
    assert_eq!(refused(|s| s.capabilities &= !0xffff), Fault::Queues);
    for sizes in [0, 0x77, 0x55] {
        assert_eq!(refused(|s| s.controller.sqes = sizes), Fault::Identify);
    }
    assert_eq!(refused(|s| s.controller.cqes = 0x55), Fault::Identify);
    assert_eq!(refused(|s| s.controller.namespaces = 0.into()), Fault::Identify);
    let with = |spaces, units: &[u32]| Rig::with(Shape::new(), spaces, &places(units)).map(|_| ()).unwrap_err();
    assert_eq!(with(vec![], &[u32::MAX]), Fault::Namespaces);
    assert_eq!(with(one(), &[2]), Fault::Namespaces);
    assert_eq!(with(one(), &[0]), Fault::Namespaces);
    assert_eq!(with(one(), &[]), Fault::Units);
    assert_eq!(with(one(), &[1; 17]), Fault::Units);
}

#[test]
fn a_namespace_that_cannot_be_driven_is_no_disk() {
    type Change = fn(&mut crate::wire::Namespace);
    let changes: [Change; 9] = [
        |n| n.size = 0.into(),
        |n| n.size = u64::MAX.into(),
        |n| n.size = (1 << 55).into(),
        |n| n.formats[0] = (8 << 16).into(),
        |n| n.formats[0] = (13 << 16).into(),
        |n| n.formats[0] = (255 << 16).into(),
        |n| n.formats[0] = (9 << 16 | 8).into(),
        |n| (n.formats[0], n.dps) = ((9 << 16 | 16).into(), 1),
        |n| n.format = 3,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let spaces = vec![(1, Space::new(64, 9)), (2, Space::new(64, 9).with(change))];
        let rig = Rig::with(Shape::new(), spaces, &places(&[1, 2])).unwrap();
        assert!(rig.nvme.limits(Unit(0)).is_some());
        assert_eq!(rig.nvme.limits(Unit(1)), None, "{number}");
    }
}

#[test]
fn limits_say_what_the_namespace_promised() {
    let limits = Rig::new(|_| {}).nvme.limits(Unit(0)).unwrap();
    let expected = Limits {
        block: BlockSize::B512,
        physical: BlockSize::B512,
        capacity: 2048,
        max_blocks: 524_288,
        optimal_blocks: 1024,
        atomic_blocks: 1,
        queue_depth: 128,
        discard_granularity: 1,
        discard_reads: DiscardReads::Zeroes,
        volatile_cache: true,
        fua: true,
        write_zeroes: true,
        ..Limits::default()
    };
    assert_eq!(limits, expected);
    let space = Space::new(4096, 9).with(|n| {
        n.features = 1 << 1 | 1 << 4;
        n.atomic = [7.into(), 3.into(), 0.into()];
        (n.write, n.deallocate, n.optimal) = ([7.into(); 2], [15.into(); 2], 255.into());
        (n.boundary, n.dlfeat) = (256.into(), 0);
    });
    let limits = Rig::with(Shape::new(), vec![(1, space)], &[Place::FIRST]).unwrap().nvme.limits(Unit(0)).unwrap();
    assert_eq!((limits.physical, limits.atomic_blocks, limits.boundary), (BlockSize::B4096, 4, 0));
    assert_eq!((limits.optimal_blocks, limits.discard_granularity), (256, 16));
    assert_eq!(limits.discard_reads, DiscardReads::Undefined);
}

#[test]
fn the_dma_region_must_hold_the_queues_and_be_aligned() {
    let with = |bytes, bus| {
        Rig::set_up(Shape::new(), one(), &[Place::FIRST], bytes, |setup| setup.dma_bus = bus)
            .map(|rig| rig.nvme.depth())
    };
    assert_eq!(with(DMA_BYTES, DMA_BUS), Ok(128));
    assert_eq!(with(1 << 20, DMA_BUS), Ok(128));
    assert_eq!(with(64 << 10, DMA_BUS), Ok(5));
    assert_eq!(with(44 << 10, DMA_BUS), Err(Fault::Dma));
    assert_eq!(with(DMA_BYTES, DMA_BUS + 64), Err(Fault::Dma));
    assert_eq!(with(DMA_BYTES, u64::MAX - 0xfff), Err(Fault::Dma));
    let small = Rig::new(|shape| shape.capabilities = shape.capabilities & !0xffff | 3);
    assert_eq!((small.nvme.depth(), small.nvme.limits(Unit(0)).unwrap().queue_depth), (3, 3));
}

#[test]
fn a_controller_that_takes_its_time_is_waited_for() {
    let mut rig = Rig::new(|shape| shape.slow = 104_000);
    assert_eq!((rig.nvme.limits(Unit(0)), rig.nvme.has_room(Unit(0))), (None, false));
    let (mut now, mut steps) = (5 * SECOND, 0);
    while rig.nvme.limits(Unit(0)).is_none() {
        rig.at(now);
        rig.nvme.expire();
        now = rig.nvme.deadline().expect("something to wait for").0;
        steps += 1;
        assert!(steps < 200_000);
    }
    assert!(rig.nvme.take_change() && !rig.nvme.take_change());
    assert_eq!(rig.one(request(Op::Read, 3, 1, 0)), Completion::ok(1));
}

#[test]
fn one_that_never_becomes_ready_is_given_up_after_the_time_that_it_asks_for() {
    for (change, fault) in [((|s| s.never_ready = true) as fn(&mut Shape), Fault::Enable)] {
        let mut rig = Rig::new(change);
        rig.at(0);
        assert!(!rig.nvme.expire());
        for (now, given_up) in [(9 * SECOND, false), (10 * SECOND, true)] {
            rig.at(now);
            assert_eq!(rig.nvme.expire(), given_up);
        }
        assert_eq!(rig.nvme.take_fault(), Some(fault.text()));
        assert!(!rig.device.borrow().master && rig.nvme.deadline().is_none());
        assert_eq!(rig.one(request(Op::Read, 3, 1, 0)), Completion::error(Error::Offline));
    }
}

#[test]
fn a_controller_is_taken_over_from_any_state() {
    for messages in [true, false] {
        let mut rig = Rig::new(|shape| shape.messages = messages);
        for round in 0..40u32 {
            // What the life before left: requests not taken, taken, answered, and answers given back.
            let left = round % 8;
            (0..left).for_each(|tag| rig.send(tag, request(Op::Write, 1, 1, 0)));
            rig.nvme.kick();
            rig.device.borrow_mut().take();
            for _ in 0..round % 5 {
                if !rig.device.borrow().taken.is_empty() {
                    rig.device.borrow_mut().finish(0);
                }
            }
            if round % 3 == 0 {
                rig.drain();
            }
            rig = rig.reborn();
            rig.settle();
            assert!(messages || !rig.device.borrow_mut().take_interrupt(), "the pin is stuck in round {round}");
            assert_eq!(rig.one(request(Op::Read, 3, 1, 0)), Completion::ok(1));
            rig.settle();
            assert!(messages || !rig.device.borrow_mut().take_interrupt(), "the pin is stuck in round {round}");
        }
    }
}

#[test]
fn health_is_what_the_log_says() {
    let mut rig = Rig::new(|shape| shape.health[0] = 4);
    rig.settle();
    let health = *rig.nvme.health(Unit(0)).unwrap();
    assert_eq!((health.model.as_str(), health.serial.as_str()), ("Orion model", "serial 1"));
    assert_eq!((health.firmware.as_str(), health.failing), ("1.0", Some(true)));
    assert_eq!((health.temperature, health.used_percent, health.spare_percent), (Some(37), Some(3), Some(98)));
    assert_eq!((health.power_on_hours, health.media_errors), (None.or(health.power_on_hours), Some(0)));
    rig.device.borrow_mut().shape.health[1..3].copy_from_slice(&330u16.to_le_bytes());
    rig.nvme.refresh();
    rig.settle();
    assert_eq!(rig.nvme.health(Unit(0)).unwrap().temperature, Some(57));
}

#[test]
fn a_namespace_is_called_what_it_says_and_one_that_is_called_otherwise_is_another() {
    let named = |uuid: u8| {
        let mut space = Space::new(64, 9).with(|identify| (identify.eui64, identify.nguid) = ([1; 8], [2; 16]));
        space.uuid = [uuid; 16];
        space
    };
    let places = [1, 2, 3].map(|namespace| Place { namespace, ..Place::FIRST });
    let spaces = vec![(1, named(0)), (2, named(0xab)), (3, Space::new(64, 9))];
    let mut rig = Rig::with(Shape::new(), spaces, &places).unwrap();
    rig.settle();
    let shown = |rig: &Rig, unit| std::string::ToString::to_string(&rig.nvme.identity(Unit(unit)));
    assert_eq!(shown(&rig, 0), "nguid.02020202020202020202020202020202");
    assert_eq!(shown(&rig, 1), "abababab-abab-abab-abab-abababababab");
    assert_eq!((shown(&rig, 2), shown(&rig, 9)), (std::string::String::new(), std::string::String::new()));
    // Another in the place of one that was told of.
    rig.device.borrow_mut().spaces.get_mut(&2).unwrap().uuid = [0xcd; 16];
    rig.device.borrow_mut().tell(4 << 16 | 2);
    rig.settle();
    assert!(rig.nvme.limits(Unit(1)).is_none() && rig.nvme.limits(Unit(0)).is_some());
    // Before 1.3 there was no such list.
    let old = Shape::new().with(|shape| shape.controller.version = 0x0001_0200.into());
    let mut rig = Rig::with(old, vec![(1, named(0xab))], &[Place::FIRST]).unwrap();
    rig.settle();
    assert_eq!(shown(&rig, 0), "nguid.02020202020202020202020202020202");
}

#[test]
fn events_are_looked_into() {
    let mut rig = Rig::new(|_| {});
    rig.settle();
    rig.nvme.take_change();
    // A namespace grew (5.2: a notice, its log page is 4).
    for size in [4096u64, 8192] {
        rig.device.borrow_mut().spaces.get_mut(&1).unwrap().identify.size = size.into();
        rig.device.borrow_mut().tell(4 << 16 | 2);
        rig.settle();
        assert_eq!(rig.nvme.limits(Unit(0)).unwrap().capacity, size);
        assert!(rig.nvme.take_change());
    }
    // It shrank: who was told of more must not use it.
    rig.device.borrow_mut().spaces.get_mut(&1).unwrap().identify.size = 64.into();
    rig.device.borrow_mut().tell(4 << 16 | 2);
    rig.settle();
    assert!(rig.nvme.limits(Unit(0)).is_none() && rig.nvme.take_change());
    // A warning.
    rig.device.borrow_mut().shape.health[0] = 1;
    rig.device.borrow_mut().tell(2 << 16 | 1);
    rig.settle();
    assert_eq!(rig.nvme.health(Unit(0)).unwrap().failing, Some(true));
    assert!(rig.nvme.take_fault().is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// Whatever a controller and its namespace say, the driver refuses them or keeps to limits that make sense.
    #[test]
    fn any_identity_is_refused_or_makes_sense(
        controller in prop::collection::vec(any::<u8>(), 540),
        namespace in prop::collection::vec(any::<u8>(), 192),
        sound: bool,
        capabilities: u64,
    ) {
        let mut shape = Shape::new();
        shape.controller = crate::wire::Controller::read_from_bytes(&controller).unwrap();
        if sound {
            (shape.controller.sqes, shape.controller.cqes) = (0x66, 0x44);
            shape.capabilities = capabilities & 0xff0f_ffff_ffff_ffff & !(0xf << 32) & !(0xf << 48) | 1 << 37 | 1;
        }
        let identify = crate::wire::Namespace::read_from_bytes(&namespace).unwrap();
        let space = Space { identify, ..Space::new(0, 9) };
        let rig = Rig::with(shape, vec![(1, space)], &[Place::FIRST]);
        if let Some(limits) = rig.ok().and_then(|rig| rig.nvme.limits(Unit(0))) {
            prop_assert!(limits.max_blocks > 0 && limits.max_blocks << limits.block.shift() == 256 << 20);
            prop_assert!(limits.capacity > 0 && limits.capacity.checked_mul(limits.block.bytes().into()).is_some());
            prop_assert!(limits.physical >= limits.block && limits.atomic_blocks > 0 && limits.queue_depth > 0);
        }
    }
}

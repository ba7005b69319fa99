// SPDX-License-Identifier: MIT
//! What the driver makes of devices when it starts, and of what they say about themselves.
use super::*;
use proptest::prelude::*;

fn refused(shape: Shape) -> Fault {
    let faults = VIAS.map(|via| Rig::with(shape.clone(), via, |_| {}).map(|_| ()).unwrap_err());
    assert!(faults.iter().all(|f| *f == faults[0]), "{faults:?}");
    faults[0]
}

#[test]
fn a_device_that_cannot_be_used_is_refused_with_its_reason() {
    let good = full;
    assert_eq!(refused(Shape { features: INDIRECT, ..good() }), Fault::Legacy);
    assert_eq!(refused(Shape { refuses: true, ..good() }), Fault::Features);
    assert_eq!(refused(Shape { stuck: true, ..good() }.field(0, [0])), Fault::Reset);
    assert_eq!(refused(Shape { unsteady: true, ..good() }), Fault::Unsteady);
    assert_eq!(refused(Shape { queue_max: 0, ..good() }), Fault::Queue);
    assert_eq!(refused(Shape { queue_max: 2, features: 1 << 32, ..good() }), Fault::Queue);
    for (offset, bytes) in [(0, u64::MAX.to_le_bytes()), (20, 511u64.to_le_bytes()), (8, 0u64.to_le_bytes())] {
        assert_eq!(refused(good().field(offset, bytes)), Fault::Config);
    }
    let short = Shape { features: good().features | feature::SIZE_MAX, ..good() };
    assert_eq!(refused(short.field(wire::config::SIZE_MAX, 511u32.to_le_bytes())), Fault::Config);
}

#[test]
fn a_device_of_another_type_is_refused() {
    for device_type in [0, 1, 8, 26, u32::MAX] {
        let shape = Shape { device_type, ..full() };
        assert_eq!(Rig::with(shape, Via::Mmio, |_| {}).err(), Some(Fault::WrongType));
    }
}

#[test]
fn a_device_is_taken_over_from_any_state() {
    for via in VIAS {
        let mut rig = Rig::new(full(), via);
        (0..8).for_each(|tag| rig.submit(tag, Op::Write, 1, 1, 0));
        rig.blk.kick();
        rig.device.borrow_mut().take();
        // The driver dies and another is started: same device, same memory.
        let Rig { blk, device, data, dma } = rig;
        drop(blk);
        let setup = Setup {
            dma,
            dma_bus: DMA_BUS,
            regions: &[Span::default(), Span { bus: DATA_BUS, size: DATA_LEN as u64 }],
            iommu: false,
            read_only: false,
            timeout_ns: SECOND,
        };
        let blk = VirtioBlk::new(bus(&device, via).unwrap(), setup).unwrap();
        let [_, dma] = model::memory(8);
        let mut rig = Rig { blk, device, data, dma };
        assert_eq!(rig.one(request(Op::Read, 3, 1, 0)), Completion::ok(1));
        assert_eq!(rig.device.borrow().resets, 1);
    }
}

#[test]
fn behind_an_iommu_a_device_must_not_bypass_it() {
    let behind = |shape| Rig::with(shape, Via::PciMessage, |s| s.iommu = true);
    assert_eq!(behind(full()).err(), Some(Fault::Bypass));
    let mut rig = behind(Shape { features: full().features | PLATFORM, ..full() }).unwrap();
    assert_ne!(rig.device.borrow().negotiated() & PLATFORM, 0);
    assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::ok(1));
    // Without one it is not asked to translate.
    let rig = Rig::new(Shape { features: full().features | PLATFORM, ..full() }, Via::PciMessage);
    assert_eq!(rig.device.borrow().negotiated() & PLATFORM, 0);
}

#[test]
fn the_dma_region_must_hold_a_queue_and_be_aligned() {
    let with = |bytes, bus| Rig::in_memory(full(), Via::Mmio, bytes, |s| s.dma_bus = bus).map(|r| r.blk.depth());
    assert_eq!(with(64 << 10, DMA_BUS), Ok(128));
    assert_eq!(with(8 << 10, DMA_BUS), Ok(32));
    assert_eq!(with(256, DMA_BUS), Err(Fault::Dma));
    assert_eq!(with(64 << 10, DMA_BUS + 64), Err(Fault::Dma));
    assert_eq!(with(64 << 10, u64::MAX - 0xfff), Err(Fault::Dma));
}

#[test]
fn limits_say_what_the_device_promised() {
    let limits = Rig::new(full(), Via::PciPin).blk.limits(Unit(0)).unwrap();
    let expected = Limits {
        block: BlockSize::B512,
        physical: BlockSize::B4096,
        capacity: 2048,
        max_blocks: 524_288,
        optimal_blocks: 128,
        atomic_blocks: 1,
        queue_depth: 128,
        discard_granularity: 8,
        volatile_cache: true,
        fua: true,
        write_zeroes: true,
        ..Limits::default()
    };
    assert_eq!(limits, expected);
    // Without the feature that makes a field valid, the field is not read: here all are garbage.
    let mut garbage = Shape::new(128, 0);
    garbage.config[8..].fill(0xff);
    let limits = Rig::new(garbage, Via::Mmio).blk.limits(Unit(0)).unwrap();
    let plain = Limits {
        capacity: 128,
        max_blocks: 524_288,
        atomic_blocks: 1,
        fua: true,
        queue_depth: 85,
        ..Limits::default()
    };
    assert_eq!(limits, plain);
}

#[test]
fn a_size_limit_of_the_device_is_a_limit_of_ours() {
    let shape = Shape::new(64, feature::SIZE_MAX).field(wire::config::SIZE_MAX, 5000u32.to_le_bytes());
    assert_eq!(Rig::new(shape, Via::Mmio).blk.limits(Unit(0)).unwrap().max_blocks, 9);
}

proptest! {
    /// Every payload that is accepted lies in its region, by arithmetic that cannot overflow.
    #[test]
    fn a_payload_lies_in_its_region(bus: u64, size: u64, offset: u64, len: u64) {
        let span = Span { bus, size }.sound();
        let end = u128::from(offset) + u128::from(len);
        let reached = bus.checked_add(size).is_some();
        let fits = end <= if reached { size.into() } else { 0 };
        prop_assert_eq!(span.address(offset, len).is_some(), fits);
        if let Some(address) = span.address(offset, len) {
            prop_assert_eq!(address, if reached { bus + offset } else { 0 });
        }
    }

    /// Whatever the configuration space holds, the driver refuses it or keeps to limits that make sense.
    #[test]
    fn any_configuration_is_refused_or_makes_sense(config in prop::collection::vec(any::<u8>(), 60), features: u64) {
        let shape = Shape { config, features: features | 1 << 32, ..full() };
        if let Ok(rig) = Rig::with(shape, Via::Mmio, |_| {}) {
            let limits = rig.blk.limits(Unit(0)).unwrap();
            prop_assert!(limits.max_blocks > 0 && limits.max_blocks << limits.block.shift() <= 256 << 20);
            prop_assert!(limits.capacity < 1 << 55 && limits.atomic_blocks == 1);
            prop_assert!(limits.physical >= limits.block);
        }
    }
}

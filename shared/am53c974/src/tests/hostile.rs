// SPDX-License-Identifier: MIT
//! An adapter that answers anything: nothing panics, every request ends once and in time.
use super::*;
use core::cell::Cell;
use orion_driver::Registers;
use orion_region::Mmio;
use proptest::prelude::*;

/// Registers that read as what a seed says, mostly as values that mean something.
#[derive(Debug)]
struct Noise {
    numbers: Cell<u64>,
    /// Of so many values one has any bits.
    wild: u64,
}

impl Noise {
    fn next(&self) -> u64 {
        let mut z = self.numbers.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.numbers.set(z);
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

impl Mmio for Noise {
    fn len(&self) -> usize {
        0x80
    }
    fn read8(&self, offset: usize) -> u8 {
        let any = self.next();
        if any.is_multiple_of(self.wild) {
            return (any >> 32) as u8;
        }
        let pick = |from: &[u8]| from[(any >> 32) as usize % from.len()];
        match offset {
            // Status: every phase, seldom an error.
            0x10 => 0x80 | pick(&[0, 1, 2, 3, 6, 7, 0x10, 0x11, 0x13, 0x21]),
            0x14 => pick(&[0x18, 0x10, 8, 0x20, 0x20, 4, 0x24, 0x80]),
            0x18 => pick(&[0, 1, 2, 3, 4]),
            0x1c => pick(&[0, 1, 1, 2, 2, 3, 16, 31]),
            0x08 => pick(&[0, 0, 2, 4, 7, 0x20, 0x21, 1, 3, 0x88, 0x81, 0x80]),
            _ => pick(&[0, 1, 255]),
        }
    }
    fn read16(&self, _: usize) -> u16 {
        0
    }
    fn read32(&self, offset: usize) -> u32 {
        let any = self.next();
        match offset {
            0x54 if any.is_multiple_of(8 * self.wild) => any as u32,
            // An interrupt, mostly, with the DMA engine in any state.
            0x54 => [0x10, 0x18, 0x30, 0][(any >> 32) as usize % 4],
            _ => (any >> 40) as u32,
        }
    }
    fn read64(&self, _: usize) -> u64 {
        0
    }
    fn write8(&self, _: usize, _: u8) {}
    fn write16(&self, _: usize, _: u16) {}
    fn write32(&self, _: usize, _: u32) {}
    fn write64(&self, _: usize, _: u64) {}
}

impl Registers for Noise {}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn nothing_that_an_adapter_says_breaks_the_driver(seed in any::<u64>(), wild in 2..200u64, fills in any::<u8>()) {
        let [dma, theirs] = memory(256 << 10);
        assert!(theirs.copy_in(0, &vec![fills; 256 << 10]));
        let regions = [Span::default(), Span { bus: DATA_BUS, size: DATA_LEN as u64 }];
        let setup =
            Setup { dma, dma_bus: DMA_BUS, regions: &regions, iommu: false, read_only: false, timeout_ns: SECOND };
        let wanted = [Choice::First, Choice::At(PLACE)].map(Wanted::of);
        let mut driver: Am53c974<Noise> = match crate::open(Noise { numbers: Cell::new(seed), wild }, &wanted, setup) {
            Ok(driver) => driver,
            Err(fault) => {
                prop_assert_eq!(fault, Fault::Nothing);
                return Ok(());
            }
        };
        let (mut now, mut sent, mut ended) = (SECOND, 0u32, Vec::new());
        for round in 0..400u32 {
            driver.set_time(Instant(now));
            if round % 8 == 0 && driver.has_room(Unit(0)) {
                let op = [Op::Read, Op::Write, Op::Flush, Op::WriteZeroes][round as usize / 8 % 4];
                driver.start(Unit(round as u8 / 8 % 2), sent, &request(op, 0, 1, 0));
                sent += 1;
            }
            // Noise has no end: what a driver's PD takes in one call is bounded by the port.
            (0..4).for_each(|_| ended.extend(driver.finished()));
            driver.kick();
            driver.expire();
            now += SECOND / 100;
        }
        for _ in 0..2000 {
            now += SECOND / 100;
            driver.set_time(Instant(now));
            ended.extend(driver.finished());
            driver.expire();
            driver.kick();
        }
        ended.sort_unstable_by_key(|(tag, _)| *tag);
        prop_assert_eq!(ended.iter().map(|(tag, _)| *tag).collect::<Vec<_>>(), (0..sent).collect::<Vec<_>>());
    }
}

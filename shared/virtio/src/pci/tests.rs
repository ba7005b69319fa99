// SPDX-License-Identifier: MIT
//! The PCI transport against functions that are right, wrong and hostile.
use super::*;
use crate::model::{self, Model, PciBars, PciConfig, PciModel, Shape};
use core::cell::RefCell;
use proptest::prelude::*;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

const BUS: u64 = 0xd000_0000;
const MSI: Msi = Msi { address: 0x1_fee0_0000, data: 0x42 };

fn function(change: impl FnOnce(&mut PciModel)) -> Rc<RefCell<PciModel>> {
    let function = model::pci(&Model::new(Shape::new(64, 0), vec![]), BUS, 0x8000);
    change(&mut function.borrow_mut());
    function
}

fn open(function: &Rc<RefCell<PciModel>>, msi: Option<Msi>) -> core::result::Result<PciTransport<Either>, Fault> {
    let (config, bars) = (PciConfig(function.clone()), PciBars(function.clone()));
    PciTransport::new(Either::Config(config), Either::Bars(bars), BUS, msi)
}

fn fault(change: impl FnOnce(&mut PciModel)) -> Fault {
    open(&function(change), Some(MSI)).map(|_| ()).unwrap_err()
}

/// Either register file, since a transport has one type for both.
#[derive(Debug)]
enum Either {
    Config(PciConfig),
    Bars(PciBars),
    Plain(Plain),
}

crate::registers!(Either: Config, Bars, Plain);

#[test]
fn bars_are_placed_in_the_window_and_leave_no_firmware_addresses() {
    let function = function(|_| {});
    let transport = open(&function, Some(MSI)).unwrap();
    let page = function.borrow().page.clone();
    let bar = |at: usize| u32::from_le_bytes(page[at..at + 4].try_into().unwrap());
    assert_eq!((bar(0x20), bar(0x24)), (0xd000_000c, 0));
    assert_eq!(bar(0x14), 0xd000_4000);
    // Memory decoding is on, I/O decoding off, the pin off; no access to memory before it is given.
    assert_eq!(u16::from_le_bytes([page[4], page[5]]), 1 << 10 | 1 << 1);
    assert_eq!(transport.device_type(), DeviceType::Block);
}

#[test]
fn a_wide_bar_goes_above_4_gib_and_a_narrow_one_does_not() {
    let device = Model::new(Shape::new(64, 0), vec![]);
    let high = 0x80_0000_0000;
    let place = |function: &Rc<RefCell<PciModel>>| {
        let (config, bars) = (PciConfig(function.clone()), PciBars(function.clone()));
        PciTransport::new(Either::Config(config), Either::Bars(bars), high, None).map(|_| ())
    };
    let function = model::pci(&device, high, 0x8000);
    assert_eq!(place(&function), Err(Fault::Window));
    let function = model::pci(&device, high, 0x8000);
    function.borrow_mut().masks[1] = 0;
    function.borrow_mut().page[0x70 + 1] = 0x60;
    function.borrow_mut().page[0x34] = 0x84;
    assert_eq!(place(&function), Ok(()));
    assert_eq!(function.borrow().page[0x20..0x28], [0x0c, 0, 0, 0, 0x80, 0, 0, 0]);
}

#[test]
fn the_message_interrupt_is_programmed_and_unmasked() {
    let function = function(|_| {});
    assert!(open(&function, Some(MSI)).unwrap().messages());
    let function = function.borrow();
    assert_eq!(function.table[..16], [0, 0, 0xe0, 0xfe, 1, 0, 0, 0, 0x42, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(function.page[0x9b] & 0xc0, 0x80);
}

#[test]
fn without_a_message_msix_is_off_and_the_pin_on() {
    let function = function(|m| m.page[0x9b] = 0x80);
    assert!(!open(&function, None).unwrap().messages());
    let function = function.borrow();
    assert_eq!((function.page[0x9b], function.page[5] & 4), (0, 0));
}

#[test]
fn a_function_that_cannot_be_used_is_refused_with_its_reason() {
    assert_eq!(fault(|m| m.page[0] = 0x86), Fault::NotVirtio);
    assert_eq!(fault(|m| m.page[0..4].fill(0xff)), Fault::NotVirtio);
    assert_eq!(fault(|m| m.page[0x0e] = 1), Fault::NotVirtio);
    assert_eq!(fault(|m| m.page[2] = 0x7e), Fault::WrongType);
    assert_eq!(open(&function(|m| m.page[6] = 0), None).map(|_| ()).unwrap_err(), Fault::Legacy);
    assert_eq!(fault(|m| m.page.truncate(0xff)), Fault::Registers);
    // No common configuration; one that leaves its BAR; one that is too short; one in a BAR that is absent.
    assert_eq!(fault(|m| m.page[0x84 + 3] = 9), Fault::Capabilities);
    assert_eq!(fault(|m| m.page[0x84 + 11] = 0x80), Fault::Capabilities);
    assert_eq!(
        fault(|m| m.page[0x84 + 8..0x84 + 16].copy_from_slice(&[0, 0x40, 0, 0, 0, 1, 0, 0])),
        Fault::Capabilities
    );
    assert_eq!(fault(|m| m.page[0x84 + 12..0x84 + 16].copy_from_slice(&[55, 0, 0, 0])), Fault::Capabilities);
    assert_eq!(fault(|m| m.page[0x84 + 4] = 2), Fault::Capabilities);
    assert_eq!(fault(|m| m.page[0x84 + 4] = 0xff), Fault::Capabilities);
    // A message is wanted and there is no MSI-X; its table leaves its BAR.
    assert_eq!(fault(|m| m.page[0x34] = 0x84), Fault::NoMsix);
    assert_eq!(fault(|m| m.page[0x98 + 2..0x98 + 4].fill(0xff)), Fault::Capabilities);
    // A BAR larger than the window; one whose size is no power of two.
    assert_eq!(fault(|m| m.masks[4] = 0xffff_000c), Fault::Window);
    assert_eq!(fault(|m| m.masks[1] = 0xff0f_f000), Fault::Capabilities);
}

#[test]
fn a_capability_list_that_is_a_loop_ends() {
    assert_eq!(fault(|m| m.page[0x98 + 1] = 0x98), Fault::Capabilities);
    assert_eq!(fault(|m| m.page[0x70 + 1] = 0x84), Fault::Capabilities);
    let mut page = function(|_| {}).borrow().page.clone();
    page[0x10..0x28].fill(0);
    (page[0x34], page[0x70 + 1]) = (0x84, 0x84);
    let (config, accesses) = plain(page, vec![0xff; 4096]);
    assert!(PciTransport::new(config, plain(vec![], vec![]).0, BUS, None).is_err());
    assert!((50..800).contains(&accesses.get()), "{} accesses", accesses.get());
}

#[test]
fn the_window_may_be_just_large_enough() {
    let open = |len| {
        let function = model::pci(&Model::new(Shape::new(64, 0), vec![]), BUS, len);
        let (config, bars) = (PciConfig(function.clone()), PciBars(function));
        PciTransport::new(Either::Config(config), Either::Bars(bars), BUS, None).map(|_| ())
    };
    assert_eq!((open(0x5000), open(0x4fff)), (Ok(()), Err(Fault::Window)));
}

#[test]
fn of_two_capabilities_of_a_kind_the_first_counts() {
    let function = function(|m| {
        // The last capability, which is of no use to us, becomes a second common configuration elsewhere.
        m.page[0xb0 + 3] = 1;
        m.page[0xb0 + 8..0xb0 + 16].copy_from_slice(&[0, 0x20, 0, 0, 0, 0x10, 0, 0]);
    });
    assert_eq!(open(&function, None).unwrap().caps.common.base, 0);
}

#[test]
fn a_queue_without_a_vector_or_with_a_doorbell_elsewhere_is_not_accepted() {
    let refused = function(|m| m.no_vector = true);
    let mut transport = open(&refused, Some(MSI)).unwrap();
    transport.queue_set(0, 64, 0x1000, 0x2000, 0x3000);
    assert_eq!(transport.accepted(), Err(Fault::NoMsix));
    let far = function(|m| m.page[0x58..0x5c].copy_from_slice(&0x1000u32.to_le_bytes()));
    let mut transport = open(&far, Some(MSI)).unwrap();
    transport.queue_set(0, 64, 0x1000, 0x2000, 0x3000);
    assert_eq!(transport.accepted(), Err(Fault::Capabilities));
    transport.notify(0);
    assert_eq!(far.borrow().device.borrow().notifications, 0);
}

/// A register file of plain bytes, some of which keep their value: what a hostile function could be.
#[derive(Debug)]
struct Plain {
    bytes: RefCell<Vec<u8>>,
    fixed: Vec<u8>,
    accesses: Rc<core::cell::Cell<usize>>,
}

impl Plain {
    fn get(&self, at: usize, width: usize) -> u64 {
        self.accesses.set(self.accesses.get() + 1);
        assert_eq!(at % width, 0, "a misaligned access");
        let bytes = self.bytes.borrow();
        let end = bytes.get(at..at + width);
        end.map_or(u64::MAX, |b| b.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)))
    }
    fn set(&self, at: usize, value: u64, width: usize) {
        self.accesses.set(self.accesses.get() + 1);
        assert_eq!(at % width, 0, "a misaligned access");
        let mut bytes = self.bytes.borrow_mut();
        for (at, value) in (at..at + width).zip(value.to_le_bytes()) {
            let fixed = self.fixed.get(at).copied().unwrap_or(0);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = *byte & fixed | value & !fixed;
            }
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the width is that of the type")]
impl Mmio for Plain {
    fn len(&self) -> usize {
        self.bytes.borrow().len()
    }
    fn read8(&self, at: usize) -> u8 {
        self.get(at, 1) as u8
    }
    fn read16(&self, at: usize) -> u16 {
        self.get(at, 2) as u16
    }
    fn read32(&self, at: usize) -> u32 {
        self.get(at, 4) as u32
    }
    fn read64(&self, at: usize) -> u64 {
        self.get(at, 8)
    }
    fn write8(&self, at: usize, value: u8) {
        self.set(at, value.into(), 1);
    }
    fn write16(&self, at: usize, value: u16) {
        self.set(at, value.into(), 2);
    }
    fn write32(&self, at: usize, value: u32) {
        self.set(at, value.into(), 4);
    }
    fn write64(&self, at: usize, value: u64) {
        self.set(at, value, 8);
    }
}

fn plain(bytes: Vec<u8>, fixed: Vec<u8>) -> (Either, Rc<core::cell::Cell<usize>>) {
    let accesses = Rc::new(core::cell::Cell::new(0));
    (Either::Plain(Plain { bytes: RefCell::new(bytes), fixed, accesses: accesses.clone() }), accesses)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    /// Whatever the configuration page holds and whichever of its bits can be written: no panic, no misaligned access, an
    /// end, and every register group that is accepted lies within the window.
    #[test]
    fn any_function_is_refused_or_kept_within_the_window(
        noise in prop::collection::vec((0usize..256, any::<u8>()), 0..12),
        fixed in prop::collection::vec((0usize..256, any::<u8>()), 0..12),
        bars in prop::collection::vec(any::<u8>(), 0x8000),
        message: bool,
        len in prop::sample::select(vec![0usize, 0x1000, 0x4000, 0x7fff, 0x8000]),
    ) {
        let mut page = function(|_| {}).borrow().page.clone();
        noise.iter().for_each(|(at, byte)| page[*at] = *byte);
        let mut keep = vec![0; 4096];
        // Bits of the two BARs that sizing finds fixed.
        keep[0x14..0x18].copy_from_slice(&[0xff, 0x0f, 0, 0]);
        keep[0x20..0x24].copy_from_slice(&[0xff, 0x3f, 0, 0]);
        keep[0x40..0x100].fill(0xff);
        page[0x14..0x18].fill(0);
        page[0x20..0x24].copy_from_slice(&[0x0c, 0, 0, 0]);
        fixed.iter().for_each(|(at, byte)| keep[*at] = *byte);
        let (config, accesses) = plain(page, keep);
        let mut bars = bars;
        bars.truncate(len);
        let opened = PciTransport::new(config, plain(bars, vec![]).0, BUS, message.then_some(MSI));
        // Finding, sizing and placing are bounded, also where the list of capabilities is a loop.
        prop_assert!(accesses.get() < 800, "{} accesses", accesses.get());
        if let Ok(mut transport) = opened {
            let caps = transport.caps;
            for part in [caps.common, caps.notify, caps.isr, caps.device] {
                prop_assert!(part.base + part.len <= len);
            }
            transport.queue_set(0, 64, 1, 2, 3);
            if let (Ok(()), Some(doorbell)) = (transport.accepted(), transport.doorbells[0]) {
                prop_assert!(doorbell + 2 <= len);
                transport.notify(0);
            }
            transport.ack_interrupt();
            let _ = transport.read_config_space::<u64>(usize::MAX - 3).unwrap_err();
        }
    }
}

// SPDX-License-Identifier: MIT
//! Functions that are right, wrong and hostile.
use crate::model::{Model, Shape, Side, TABLE, function};
use crate::*;
use core::cell::{Cell, RefCell};
use orion_driver::Registers;
use orion_region::Mmio;
use proptest::prelude::*;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

const BUS: u64 = 0xd000_0000;
const MESSAGE: Message = Message { address: 0xfee0_0000, data: 0x42 };

/// A register file of plain bytes, some of whose bits keep their value: what a hostile function could be.
#[derive(Debug)]
struct Plain {
    bytes: RefCell<Vec<u8>>,
    fixed: Vec<u8>,
    accesses: Rc<Cell<usize>>,
}

fn plain(bytes: Vec<u8>, fixed: Vec<u8>) -> Plain {
    Plain { bytes: RefCell::new(bytes), fixed, accesses: Rc::default() }
}

impl Plain {
    fn get<const N: usize>(&self, at: usize) -> [u8; N] {
        self.accesses.set(self.accesses.get() + 1);
        assert_eq!(at % N, 0, "a misaligned access");
        let bytes = self.bytes.borrow();
        bytes.get(at..at + N).map_or([0xff; N], |b| b.try_into().unwrap())
    }
    fn set<const N: usize>(&self, at: usize, value: [u8; N]) {
        self.accesses.set(self.accesses.get() + 1);
        assert_eq!(at % N, 0, "a misaligned access");
        for (at, value) in (at..).zip(value) {
            let fixed = self.fixed.get(at).copied().unwrap_or(0);
            if let Some(byte) = self.bytes.borrow_mut().get_mut(at) {
                *byte = *byte & fixed | value & !fixed;
            }
        }
    }
}

impl Mmio for Plain {
    fn len(&self) -> usize {
        self.bytes.borrow().len()
    }
    fn read8(&self, at: usize) -> u8 {
        u8::from_le_bytes(self.get(at))
    }
    fn read16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.get(at))
    }
    fn read32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.get(at))
    }
    fn read64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.get(at))
    }
    fn write8(&self, at: usize, value: u8) {
        self.set(at, value.to_le_bytes());
    }
    fn write16(&self, at: usize, value: u16) {
        self.set(at, value.to_le_bytes());
    }
    fn write32(&self, at: usize, value: u32) {
        self.set(at, value.to_le_bytes());
    }
    fn write64(&self, at: usize, value: u64) {
        self.set(at, value.to_le_bytes());
    }
}

fn nvme() -> Shape {
    Shape::new([0x1b36, 0x0010], [1, 8, 2], 0).msix()
}

fn model(shape: Shape) -> Rc<Model<Plain>> {
    function(shape, plain(vec![0; 0x4000], vec![]), BUS, 0x8000)
}

fn open(model: &Rc<Model<Plain>>, message: Option<Message>) -> Result<Function<Side<Plain>>, Fault> {
    let (config, window) = model.sides();
    Function::new(config, window, BUS, message)
}

fn fault(change: impl FnOnce(&mut Shape), message: Option<Message>) -> Fault {
    let mut shape = nvme();
    change(&mut shape);
    open(&model(shape), message).map(|_| ()).unwrap_err()
}

#[test]
fn a_function_is_placed_decoded_and_kept_from_memory() {
    let model = model(nvme());
    let function = open(&model, Some(MESSAGE)).unwrap();
    assert_eq!(function.identity(), Identity { vendor: 0x1b36, device: 0x10, class: [1, 8, 2], subsystem: 0 });
    assert_eq!((model.word(0x10), model.master()), (0xd000_0000, false));
    let mut registers = function.registers(0).unwrap();
    assert_eq!((registers.len(), registers.messages()), (0x4000, true));
    registers.set_dma(true);
    // Decoding stays on, the pin off.
    assert_eq!(model.word(4) & 0xffff, 1 << 10 | 1 << 2 | 1 << 1);
    registers.set_dma(false);
    assert!(!model.master());
}

#[test]
fn registers_are_those_behind_the_bar_and_no_others() {
    // The larger BAR comes first in the window, so the registers begin at its end.
    let mut shape = Shape::new([0x1b36, 0x10], [1, 8, 2], 0);
    shape.masks = [0xffff_f000, 0xffff_c000, 0, 0, 0, 0];
    let model = model(shape);
    let registers = open(&model, None).unwrap().registers(0).unwrap();
    assert_eq!((registers.len(), model.word(0x10)), (0x1000, 0xd000_4000));
    registers.write32(8, 0x1122_3344);
    registers.doorbell32(0xffc, 7);
    assert_eq!(model.registers.read64(8), 0x1122_3344);
    assert_eq!((registers.read16(10), registers.read8(8), registers.read64(0xff8)), (0x1122, 0x44, 7 << 32));
    for beyond in [0x1000, 0xffd, usize::MAX] {
        registers.write32(beyond, 0);
        assert_eq!(registers.read32(beyond), u32::MAX);
    }
    assert!(model.registers.bytes.borrow()[0x1000..].iter().all(|byte| *byte == 0));
    let absent = open(&model, None).unwrap();
    assert_eq!(absent.registers(2).map(|_| ()), Err(Fault::NoBar));
}

#[test]
fn the_best_interrupt_that_there_is_is_set_up() {
    let wide = Message { address: 0x1_fee0_0000, data: 0x1_0000 };
    let by_msix = model(nvme());
    assert_eq!(open(&by_msix, Some(wide)).unwrap().interrupt(), Interrupt::Msix);
    assert_eq!(by_msix.message(), Some((0x1_fee0_0000, 0x1_0000)));
    let by_msi = model(Shape::new([0x8086, 0x2922], [1, 6, 1], 5).msi());
    assert_eq!(open(&by_msi, Some(MESSAGE)).unwrap().interrupt(), Interrupt::Msi);
    assert_eq!((by_msi.message(), by_msi.word(4) >> 10 & 1), (Some((0xfee0_0000, 0x42)), 1));
    // Without a message whatever a life before left is off, and the pin on.
    for model in [by_msix, by_msi] {
        let function = open(&model, None).unwrap();
        assert_eq!((function.interrupt(), function.messages()), (Interrupt::Pin, false));
        assert_eq!((model.message(), model.word(4) >> 10 & 1), (None, 0));
    }
}

#[test]
fn of_msi_and_msix_only_one_is_on() {
    let mut shape = nvme();
    shape.bytes.push((0x41, vec![0x60]));
    shape.bytes.push((0x60, vec![0x05, 0, 0xf1, 0xff, 0, 0]));
    let model = model(shape);
    assert_eq!(open(&model, Some(MESSAGE)).unwrap().interrupt(), Interrupt::Msix);
    assert_eq!(model.word(0x60) >> 16, 0xff80);
    open(&model, None).unwrap();
    assert_eq!(model.word(0x60) >> 16 & 0x71, 0);
    assert_eq!(model.table.borrow()[..4], [0, 0, 0xe0, 0xfe]);
    assert_eq!(TABLE, 0x2000);
}

#[test]
fn an_msi_is_written_by_its_own_layout() {
    let bytes = |control: u16, message| {
        let [low, high] = control.to_le_bytes();
        let mut shape = Shape::new([0x8086, 0x2922], [1, 6, 1], 5);
        shape.bytes = vec![(0x50, vec![0x05, 0, low, high]), (0x54, vec![0xee; 24]), (0x34, vec![0x50])];
        shape.bytes.push((0x40, vec![0; 8]));
        let model = model(shape);
        model.page.borrow_mut()[0x34] = 0x50;
        open(&model, Some(message)).map(|_| model.page.borrow()[0x52..0x68].to_vec())
    };
    let e = 0xee;
    assert_eq!(bytes(0, MESSAGE).unwrap(), [1, 0, 0, 0, 0xe0, 0xfe, 0x42, 0, e, e, e, e, e, e, e, e, e, e, e, e, e, e]);
    assert_eq!(
        bytes(0x100, MESSAGE).unwrap(),
        [1, 1, 0, 0, 0xe0, 0xfe, 0x42, 0, e, e, 0, 0, 0, 0, e, e, e, e, e, e, e, e]
    );
    let high = Message { address: 0x1_fee0_0000, data: 0x42 };
    assert_eq!(
        bytes(0x180, high).unwrap(),
        [0x81, 1, 0, 0, 0xe0, 0xfe, 1, 0, 0, 0, 0x42, 0, e, e, 0, 0, 0, 0, e, e, e, e]
    );
    // What it cannot send: an address above 4 GiB, more than 16 bits of data.
    assert_eq!(bytes(0, high), Err(Fault::NoMessage));
    assert_eq!(bytes(0x80, Message { data: 0x1_0000, ..MESSAGE }), Err(Fault::NoMessage));
}

#[test]
fn ports_are_placed_in_a_window_of_ports() {
    let mut shape = Shape::new([0x1022, 0x2020], [1, 0, 0], 0);
    shape.masks = [0xff81, 0xffff_f000, 0, 0, 0, 0];
    let model = function(shape, plain(vec![0x5a; 0x80], vec![]), 0xc000, 0x100);
    let (config, window) = model.sides();
    let registers = Function::with_ports(config, window, 0xc000, None).unwrap().registers(0).unwrap();
    assert_eq!((model.word(0x10), model.word(4) & 3, model.word(0x14)), (0xc001, 1, 0));
    assert_eq!((registers.len(), registers.read8(0x7f)), (0x80, 0x5a));
    let (config, window) = model.sides();
    assert_eq!(Function::with_ports(config, window, 0xffc0, None).map(|_| ()), Err(Fault::Window));
    // Its registers are no memory.
    let (config, window) = model.sides();
    let memory = Function::new(config, window, 0xc000_0000, None);
    assert!(memory.is_err() || memory.unwrap().registers(0).is_err());
}

#[test]
fn a_wide_bar_goes_above_4_gib_and_a_narrow_one_does_not() {
    let high = 0x80_0000_0000;
    let place = |masks: [u32; 2]| {
        let mut shape = nvme();
        shape.masks[..2].copy_from_slice(&masks);
        let model = function(shape, plain(vec![0; 0x4000], vec![]), high, 0x8000);
        let (config, window) = model.sides();
        Function::new(config, window, high, None).map(|_| [model.word(0x10), model.word(0x14)])
    };
    assert_eq!(place([0xffff_c004, 0xffff_ffff]), Ok([4, 0x80]));
    assert_eq!(place([0xffff_c000, 0]), Err(Fault::Window));
}

#[test]
fn a_function_that_cannot_be_used_is_refused_with_its_reason() {
    let by = Some(MESSAGE);
    assert_eq!(fault(|s| s.id = [0xffff, 0xffff], by), Fault::Absent);
    assert_eq!(fault(|s| s.id = [0, 0], by), Fault::Absent);
    assert_eq!(fault(|s| s.bytes.push((0x0e, vec![1])), by), Fault::Kind);
    assert_eq!(fault(|s| s.bytes.clear(), by), Fault::NoMessage);
    assert_eq!(fault(|s| s.bytes.push((0x42, vec![0xff, 0x07])), by), Fault::Capability);
    assert_eq!(fault(|s| s.bytes.push((0x44, vec![2])), by), Fault::Capability);
    assert_eq!(fault(|s| s.masks[0] = 0xffff_0000, by), Fault::Window);
    assert_eq!(fault(|s| s.masks[1] = 0xff0f_f000, None), Fault::Size);
    assert_eq!(fault(|s| s.masks[5] = 0xffff_f004, None), Fault::Size);
    let short = function(nvme(), plain(vec![], vec![]), BUS, 0x8000);
    short.page.borrow_mut().truncate(0xff);
    assert_eq!(open(&short, None).map(|_| ()), Err(Fault::Page));
    // An MSI whose last word lies beyond what every function has.
    let mut shape = Shape::new([1, 1], [1, 6, 1], 5).msi();
    shape.bytes.push((0xf8, vec![0x05, 0, 0, 0]));
    let late = model(shape);
    late.page.borrow_mut()[0x34] = 0xf8;
    assert_eq!(open(&late, by).map(|_| ()), Err(Fault::Capability));
}

#[test]
fn a_list_of_capabilities_that_is_a_loop_ends() {
    let mut shape = Shape::new([1, 1], [1, 8, 2], 0);
    shape.bytes = vec![(0x40, vec![0x09, 0x80]), (0x80, vec![0x09, 0x42])];
    let looped = model(shape);
    assert_eq!(open(&looped, Some(MESSAGE)).map(|_| ()), Err(Fault::NoMessage));
    let found: Vec<_> = open(&looped, None).unwrap().capabilities().map(|c| (c.id, c.at)).collect();
    assert_eq!((found.len(), found[0], found[1], found[47]), (48, (9, 0x40), (9, 0x80), (9, 0x80)));
    looped.page.borrow_mut()[6] = 0;
    assert_eq!(open(&looped, None).unwrap().capabilities().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    /// Whatever the configuration page holds and whichever of its bits can be written: no panic, no misaligned access, an
    /// end, and registers that lie within the window.
    #[test]
    fn any_function_is_refused_or_kept_within_the_window(
        noise in prop::collection::vec((0usize..256, any::<u8>()), 0..12),
        fixed in prop::collection::vec((0usize..256, any::<u8>()), 0..12),
        message in any::<bool>(),
        ports in any::<bool>(),
        msi in any::<bool>(),
        len in prop::sample::select(vec![0usize, 0x100, 0x1000, 0x4000, 0x7fff, 0x8000]),
    ) {
        let shape = Shape::new([0x1b36, 0x10], [1, 8, 2], 0);
        let mut page = model(if msi { shape.msi() } else { shape.msix() }).page.borrow().clone();
        let mut keep = vec![0; 4096];
        keep[0x10..0x14].copy_from_slice(&[0xff, 0x0f, 0, 0]);
        keep[0x14..0x28].fill(0xff);
        keep[0x40..0x100].fill(0xf0);
        noise.iter().for_each(|(at, byte)| page[*at] = *byte);
        fixed.iter().for_each(|(at, byte)| keep[*at] = *byte);
        let (config, window) = (plain(page, keep), plain(vec![0x5a; len], vec![]));
        let accesses = config.accesses.clone();
        let message = message.then_some(MESSAGE);
        let opened = if ports { Function::with_ports(config, window, 0x8000, message) } else { Function::new(config, window, BUS, message) };
        // Two walks of 48 capabilities, the sizes of six BARs, their places and the interrupt.
        prop_assert!(accesses.get() < 300, "{} accesses", accesses.get());
        if let Ok(function) = opened {
            for bar in 0..7 {
                let Some(part) = function.place(bar) else { continue };
                prop_assert!(part.base + part.len <= len && part.len.is_power_of_two());
            }
            if let Ok(registers) = function.registers(0) {
                prop_assert_eq!(registers.read8(registers.len()), 0xff);
            }
        }
    }
}

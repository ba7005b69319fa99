// SPDX-License-Identifier: MIT
//! A function with registers of anybody's behind one of its BARs: decodes, interrupts and masters the bus as it is told.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this is a test's other side, which says what is wrong by panicking"
)]
use core::cell::RefCell;
use orion_region::Mmio;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

/// Where the MSI-X table of [`Shape::msix`] lies: behind the registers, in the same BAR.
pub const TABLE: usize = 0x2000;

/// What a function is.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Vendor and device.
    pub id: [u16; 2],
    /// Class, subclass, interface.
    pub class: [u8; 3],
    /// What each BAR reads after all ones were written to it.
    pub masks: [u32; 6],
    /// The BAR that the registers stand behind.
    pub bar: usize,
    /// Bytes of configuration, each with its place: capabilities, or lies. The list begins at 0x40.
    pub bytes: Vec<(usize, Vec<u8>)>,
}

impl Shape {
    /// A function with registers in `bar`, 32 bits wide and 16 KiB long, without capabilities.
    pub fn new(id: [u16; 2], class: [u8; 3], bar: usize) -> Self {
        let mut masks = [0; 6];
        masks[bar] = 0xffff_c000;
        Self { id, class, masks, bar, bytes: vec![] }
    }

    /// With an MSI-X capability of two entries at 0x40, whose table is at [`TABLE`].
    #[must_use]
    pub fn msix(mut self) -> Self {
        let bar = u8::try_from(self.bar).unwrap();
        self.bytes.push((0x40, vec![0x11, 0, 1, 0, bar, 0x20, 0, 0, bar, 0x30, 0, 0]));
        self
    }

    /// With an MSI capability at 0x40, for 32-bit addresses.
    #[must_use]
    pub fn msi(mut self) -> Self {
        self.bytes.push((0x40, vec![0x05, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
        self
    }
}

/// The function.
#[derive(Debug)]
pub struct Model<R> {
    /// Its configuration page.
    pub page: RefCell<Vec<u8>>,
    /// The MSI-X table.
    pub table: RefCell<Vec<u8>>,
    /// What stands behind its BAR.
    pub registers: R,
    shape: Shape,
    bus: u64,
    len: usize,
}

/// One of the two register files by which a driver sees the function.
#[derive(Debug)]
pub enum Side<R> {
    /// The configuration page.
    Config(Rc<Model<R>>),
    /// The window for its BARs.
    Window(Rc<Model<R>>),
}

/// A function with `registers`, whose BARs are to be placed in a window of `len` bytes at `bus`: as firmware, or the life
/// before, may have left it.
pub fn function<R: Mmio>(shape: Shape, registers: R, bus: u64, len: usize) -> Rc<Model<R>> {
    let mut page = vec![0; 4096];
    let [vendor, device] = shape.id.map(u16::to_le_bytes);
    page[..8].copy_from_slice(&[vendor[0], vendor[1], device[0], device[1], 7, 0, 0, 0]);
    let [class, subclass, interface] = shape.class;
    page[9..12].copy_from_slice(&[interface, subclass, class]);
    for (index, mask) in shape.masks.iter().enumerate() {
        page[0x10 + 4 * index] = u8::try_from(mask & if mask & 1 == 1 { 3 } else { 0xf }).unwrap();
    }
    for (at, bytes) in &shape.bytes {
        page[*at..*at + bytes.len()].copy_from_slice(bytes);
        page[6] = 0x10;
        page[0x34] = 0x40;
    }
    Rc::new(Model { page: page.into(), table: vec![0; 0x1000].into(), registers, shape, bus, len })
}

impl<R: Mmio> Model<R> {
    /// Both sides of it: its configuration, and the window.
    pub fn sides(self: &Rc<Self>) -> (Side<R>, Side<R>) {
        (Side::Config(self.clone()), Side::Window(self.clone()))
    }

    /// A word of its configuration.
    pub fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.page.borrow()[at..at + 4].try_into().unwrap())
    }

    /// Whether it may reach memory.
    pub fn master(&self) -> bool {
        self.page.borrow()[4] & 4 != 0
    }

    /// The message that it sends when it interrupts: address and data. `None`: it raises its pin, if that is allowed.
    pub fn message(&self) -> Option<(u64, u32)> {
        let page = self.page.borrow();
        let half = |bytes: &[u8]| u64::from(u32::from_le_bytes(bytes[..4].try_into().unwrap()));
        if page[0x40] == 0x05 && page[0x42] & 1 != 0 {
            return Some((half(&page[0x44..]), u32::from(u16::from_le_bytes([page[0x48], page[0x49]]))));
        }
        let table = self.table.borrow();
        let sends = page[0x40] == 0x11 && page[0x43] & 0xc0 == 0x80 && table[12] & 1 == 0;
        let data = u32::from_le_bytes(table[8..12].try_into().unwrap());
        sends.then(|| (half(&table) | half(&table[4..]) << 32, data))
    }

    fn write_config(&self, at: usize, value: u64, width: usize) {
        let mut page = self.page.borrow_mut();
        let mut value = value;
        if (0x10..0x28).contains(&at) {
            assert!(width == 4 && page[4] & 3 == 0, "a BAR was written while it was decoded");
            let mask = self.shape.masks[(at - 0x10) / 4];
            // The upper half of a wide BAR has no kind bits.
            let upper = at > 0x10 && self.shape.masks[(at - 0x14) / 4] & 7 == 4;
            let kind = if upper { 0 } else { mask & if mask & 1 == 1 { 3 } else { 0xf } };
            value = value & u64::from(mask) | u64::from(kind);
        }
        for (byte, value) in page[at..at + width].iter_mut().zip(value.to_le_bytes()) {
            *byte = value;
        }
    }

    /// The offset behind the registers' BAR that an offset of the window decodes to.
    fn decode(&self, offset: usize) -> Option<usize> {
        let mask = self.shape.masks[self.shape.bar];
        let kind = if mask & 1 == 1 { 1 } else { 2 };
        assert!(self.page.borrow()[4] & kind != 0, "an access while decoding is off");
        let low = 0x10 + 4 * self.shape.bar;
        let high = if mask & 7 == 4 { u64::from(self.word(low + 4)) << 32 } else { 0 };
        let base = u64::from(self.word(low) & if mask & 1 == 1 { !3 } else { !0xf }) | high;
        usize::try_from((self.bus + offset as u64).checked_sub(base)?).ok()
    }

    fn table_at(&self, at: usize) -> Option<usize> {
        let any = self.page.borrow()[0x40] == 0x11;
        at.checked_sub(TABLE).filter(|at| any && *at < 0x1000)
    }

    fn read<T>(&self, offset: usize, absent: T, read: impl FnOnce(&R, usize) -> T) -> T {
        self.decode(offset).filter(|at| self.table_at(*at).is_none()).map_or(absent, |at| read(&self.registers, at))
    }

    fn write<T: Into<u64>>(&self, offset: usize, value: T, write: impl FnOnce(&R, usize, T)) {
        let Some(at) = self.decode(offset) else { return };
        match self.table_at(at) {
            Some(at) => {
                let bytes = value.into().to_le_bytes();
                self.table.borrow_mut()[at..at + size_of::<T>()].copy_from_slice(&bytes[..size_of::<T>()]);
            }
            None => write(&self.registers, at, value),
        }
    }
}

macro_rules! accesses {
    ($($read:ident $write:ident $type:ty),*) => {
        impl<R: Mmio> Mmio for Side<R> {
            fn len(&self) -> usize {
                match self {
                    Self::Config(model) => model.page.borrow().len(),
                    Self::Window(model) => model.len,
                }
            }
            $(
                fn $read(&self, offset: usize) -> $type {
                    match self {
                        Self::Config(model) => {
                            let page = model.page.borrow();
                            let bytes = page.get(offset..offset.saturating_add(size_of::<$type>()));
                            bytes.map_or(<$type>::MAX, |b| <$type>::from_le_bytes(b.try_into().unwrap()))
                        }
                        Self::Window(model) => model.read(offset, <$type>::MAX, R::$read),
                    }
                }
                fn $write(&self, offset: usize, value: $type) {
                    match self {
                        Self::Config(model) => model.write_config(offset, value.into(), size_of::<$type>()),
                        Self::Window(model) => model.write(offset, value, R::$write),
                    }
                }
            )*
        }
    };
}

accesses!(read8 write8 u8, read16 write16 u16, read32 write32 u32, read64 write64 u64);

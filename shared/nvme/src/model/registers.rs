// SPDX-License-Identifier: MIT
//! The controller's registers.
use super::{Model, Shared, queues::Pair};
use orion_driver::Registers;
use orion_region::Mmio;

/// The registers of a model.
#[derive(Clone, Debug)]
pub struct ModelRegisters(pub Shared);

impl Model {
    fn get(&self, offset: usize) -> u64 {
        match offset {
            0x00 => self.shape.capabilities,
            0x08 => self.shape.version.into(),
            0x14 => self.config.into(),
            0x1c => self.current_status().into(),
            0x30 => self.bases[1],
            _ => panic!("read of register {offset:#x}"),
        }
    }

    /// The status, which follows the configuration after a while.
    fn current_status(&self) -> u32 {
        let reads = self.reads.get();
        self.reads.set(reads.saturating_sub(1));
        let (enabled, ready) = (self.config & 1, self.status & 1);
        let stuck = if enabled == 1 { self.shape.never_ready } else { self.shape.never_stops };
        let now = if reads > 0 && self.shape.slow > 0 || stuck { ready } else { enabled };
        self.status & !1 | now
    }

    fn set(&mut self, offset: usize, value: u64) {
        match offset {
            0x14 => self.configure(value as u32),
            0x24 => self.sizes = value as u32,
            0x28 => self.bases[0] = value,
            0x30 => self.bases[1] = value,
            0x1000.. => self.rung(offset - 0x1000, value as u32),
            _ => panic!("write of register {offset:#x}"),
        }
    }

    fn configure(&mut self, config: u32) {
        let before = core::mem::replace(&mut self.config, config);
        if before & 1 == config & 1 {
            return;
        }
        // What it was told before is done.
        self.status = self.status & !1 | if before & 1 == 1 && !self.shape.never_ready { 1 } else { 0 };
        self.reads.set(self.shape.slow);
        if config & 1 == 0 {
            return self.reset();
        }
        let arbitration = config >> 11 & 7;
        assert!(arbitration == 0 || arbitration == 1 && self.shape.capabilities >> 17 & 1 != 0, "arbitration");
        let sets = if self.shape.capabilities >> 43 & 1 == 0 { 0 } else { 6 << 4 };
        assert_eq!(config & 0xff_c7f0, 6 << 16 | 4 << 20 | sets, "the configuration");
        assert!(self.bases.iter().all(|base| base % 4096 == 0 && *base != 0), "misaligned queues");
        self.enables += 1;
        let entries = [self.sizes & 0xfff, self.sizes >> 16 & 0xfff].map(|size| size + 1);
        let [commands, answers] = self.bases;
        self.admin = Pair { commands, answers, entries, phase: true, ..Pair::default() };
    }

    fn reset(&mut self) {
        self.manage_reset();
        self.requests.clear();
        self.halves.clear();
        self.features.clear();
        (self.shadows, self.gathered) = (None, 0);
        (self.power.state, self.power.table) = (0, None);
        self.admin = Pair::default();
        self.taken.clear();
        self.lost.clear();
        self.events.clear();
        (self.raised, self.kicked) = (false, false);
        self.status &= !2;
    }

    fn rung(&mut self, offset: usize, value: u32) {
        let stride = self.stride() as usize;
        assert_eq!(offset % stride, 0, "between doorbells");
        let (queue, head) = ((offset / stride / 2) as u16, !(offset / stride).is_multiple_of(2));
        if queue == 0 {
            let mut pair = self.admin;
            if head {
                self.given_back(&mut pair, value);
            } else {
                pair.tail = value;
            }
            self.admin = pair;
            if !head {
                self.serve_admin();
            }
            return;
        }
        let mut pair = *self.requests.get(&queue).expect("a doorbell of a queue that is not there");
        if head {
            self.given_back(&mut pair, value);
        } else {
            pair.tail = value;
            self.kicked = true;
        }
        self.doorbells[usize::from(head)] += 1;
        self.requests.insert(queue, pair);
    }

    /// What accesses to it find.
    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }
}

impl Mmio for ModelRegisters {
    fn len(&self) -> usize {
        0x2000
    }
    fn read8(&self, offset: usize) -> u8 {
        panic!("8-bit read at {offset:#x}")
    }
    fn read16(&self, offset: usize) -> u16 {
        panic!("16-bit read at {offset:#x}")
    }
    fn read32(&self, offset: usize) -> u32 {
        let model = self.0.borrow();
        if model.is_gone() { u32::MAX } else { model.get(offset) as u32 }
    }
    fn read64(&self, offset: usize) -> u64 {
        let model = self.0.borrow();
        if model.is_gone() { u64::MAX } else { model.get(offset) }
    }
    fn write8(&self, offset: usize, _: u8) {
        panic!("8-bit write at {offset:#x}")
    }
    fn write16(&self, offset: usize, _: u16) {
        panic!("16-bit write at {offset:#x}")
    }
    fn write32(&self, offset: usize, value: u32) {
        let mut model = self.0.borrow_mut();
        if !model.is_gone() {
            model.set(offset, value.into());
        }
    }
    fn write64(&self, offset: usize, value: u64) {
        let mut model = self.0.borrow_mut();
        if !model.is_gone() {
            model.set(offset, value);
        }
    }
}

impl Registers for ModelRegisters {
    fn set_dma(&mut self, on: bool) {
        self.0.borrow_mut().master = on;
    }
    fn messages(&self) -> bool {
        self.0.borrow().shape.messages
    }
}

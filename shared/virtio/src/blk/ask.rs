// SPDX-License-Identifier: MIT
//! What the driver asks the device for itself: its serial number (GET_ID) and how worn it is (GET_LIFETIME), 5.2.6.
//!
//! A question takes a slot like any request, and has a deadline like any; a device that does not answer is reset.
use super::VirtioBlk;
use super::slots::{Question, Rest, Slot};
use super::wire::{self, feature};
use crate::Bus;
use crate::queue::Ring;
use orion_driver::{Health, Text};

/// What is known, and whether a question is under way.
#[derive(Debug, Default)]
pub struct Asked {
    health: Health,
    known: bool,
    open: bool,
}

impl Asked {
    /// The question under way is lost.
    pub fn forget(&mut self) {
        self.open = false;
    }

    /// What the device said, if anything.
    pub fn health(&self) -> Option<&Health> {
        self.known.then_some(&self.health)
    }
}

impl<B: Bus, T: Copy + Default, Q: Ring> VirtioBlk<B, T, Q> {
    /// Asks, if no question is under way and no request would have to wait for it.
    #[cold]
    #[inline(never)]
    pub(super) fn ask(&mut self) {
        if !self.alive || self.asked.open || self.free.count() <= self.done.count() {
            return;
        }
        if self.free.is_full() {
            self.watch = self.deadline;
        }
        if let Some(slot) = self.free.take() {
            self.asked.open = true;
            self.put(slot, Question::Id);
        }
    }

    fn put(&mut self, slot: u16, question: Question) {
        let (record, rest) = (self.slots.get_mut(usize::from(slot)), self.rests.get_mut(usize::from(slot)));
        if let (Some(record), Some(rest)) = (record, rest) {
            *record = Slot { follows: true, deadline: self.deadline, ..Slot::default() };
            *rest = Rest::Asked(question);
        }
        let (kind, len) = match question {
            Question::Id => (wire::GET_ID, wire::ID_BYTES),
            Question::Lifetime => (wire::GET_LIFETIME, wire::LIFETIME_BYTES),
        };
        let payload = self.queue.blank(slot, len);
        self.queue.stage(slot, [kind.into(), 0], payload);
    }

    /// The device has answered.
    pub(super) fn answered(&mut self, slot: u16, question: Question) {
        let words = self.queue.written(slot);
        let bytes = words.map(u64::to_le_bytes);
        let health = &mut self.asked.health;
        match question {
            Question::Id => {
                health.serial = Text::new(bytes.as_flattened().get(..wire::ID_BYTES as usize).unwrap_or_default());
            }
            Question::Lifetime => wear(health, words[0]),
        }
        self.asked.known = true;
        self.next_question(slot, question);
    }

    /// The device could not answer: a serial number is not for every device.
    pub(super) fn unanswered(&mut self, slot: u16, question: Question) {
        self.next_question(slot, question);
    }

    fn next_question(&mut self, slot: u16, last: Question) {
        if last == Question::Id && self.terms.features & feature::LIFETIME != 0 {
            return self.put(slot, Question::Lifetime);
        }
        self.asked.open = false;
        self.free.give(slot);
    }
}

/// `virtio_blk_lifetime`: the state of the spare blocks, then the wear of two kinds of cells in steps of ten per cent, as eMMC
/// counts them (JESD84-B51, EXT_CSD 267 to 269).
fn wear(health: &mut Health, word: u64) {
    let half = |nth: u32| u8::try_from(word >> (16 * nth) & 0xffff).ok();
    let worn = [half(1), half(2)].into_iter().flatten().filter(|step| (1..=0xb).contains(step)).max();
    health.used_percent = worn.map(|step| step * 10);
    health.spare_percent = match half(0) {
        Some(2) => Some(20),
        Some(3) => Some(10),
        _ => None,
    };
    let known = worn.is_some() || matches!(half(0), Some(1..=3));
    health.failing = known.then_some(half(0) == Some(3) || worn == Some(0xb));
}

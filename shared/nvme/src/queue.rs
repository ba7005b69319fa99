// SPDX-License-Identifier: MIT
//! A submission and a completion queue (section 4.1), with their doorbells and what shadows them.
//!
//! The driver never holds more commands at the controller than a queue has entries less one, so neither queue can be full and
//! the head that a completion reports need not be looked at. Of an entry of the completion queue one word is read: it has
//! the phase tag, and all that a command for blocks is answered with.
use crate::wire::Command;
use core::sync::atomic::{AtomicU64, Ordering, fence};
use orion_region::{Fixed, Mmio, Table, Window};

/// Bytes of an entry of a submission queue.
pub const COMMAND: usize = 64;
/// Bytes of an entry of a completion queue.
pub const ANSWER: usize = 16;
/// The phase tag in the second half of an entry.
const PHASE: u64 = 1 << 48;

/// A doorbell, and the two words by which most of its writes are spared (section 7.13): the value for the controller, and the
/// value at which it wants to be told.
#[derive(Debug)]
pub struct Doorbell {
    at: usize,
    shadow: Option<[Fixed<4>; 2]>,
}

impl Doorbell {
    /// The register at `at`, nothing shadows it.
    pub const fn new(at: usize) -> Self {
        Self { at, shadow: None }
    }

    /// From now on the words at `value` and `event` of `memory` shadow it, which must both hold what it was last set to.
    pub fn shadow(&mut self, memory: &Window, value: usize, event: usize) {
        self.shadow =
            Fixed::within(memory, value).zip(Fixed::within(memory, event)).map(|(value, event)| [value, event]);
    }

    /// Sets it from `old` to `new`; whether the register was written.
    #[inline]
    fn ring(&self, registers: &impl Mmio, old: u32, new: u32) -> bool {
        let [value, event] = match &self.shadow {
            None => {
                // The entries come before the doorbell.
                fence(Ordering::Release);
                registers.doorbell32(self.at, new);
                return true;
            }
            Some(shadow) => shadow,
        };
        value.store(0, new.to_le(), Ordering::Release);
        // Whether the controller waits is read after the value was written, or a doorbell may be lost.
        fence(Ordering::SeqCst);
        let event = u32::from_le(event.load(0, Ordering::Relaxed));
        // Its values are indices of 16 bits that wrap at the queue's size, so the comparison is that of virtio's event index.
        let [old, wanted, new] = [old, event, new].map(|index| index & 0xffff);
        let told = new.wrapping_sub(wanted).wrapping_sub(1) & 0xffff < new.wrapping_sub(old) & 0xffff;
        if told {
            registers.nudge32(self.at, new);
        }
        told
    }
}

/// A submission queue.
#[derive(Debug)]
pub struct Submission {
    tail: usize,
    shown: usize,
    entries: Table<[AtomicU64; 8]>,
    doorbell: Doorbell,
}

impl Submission {
    /// An empty queue of `entries` entries at `offset` of `memory`, which must hold them.
    pub fn new(memory: &Window, offset: usize, entries: u16, doorbell: Doorbell) -> Self {
        // What is zero of every command is written here, and never again.
        (offset..offset + usize::from(entries) * COMMAND).step_by(8).for_each(|at| {
            memory.write(at, 0u64);
        });
        let entries = Table::new(memory, offset, entries.into()).unwrap_or_else(Table::empty);
        Self { tail: 0, shown: 0, entries, doorbell }
    }

    /// Its doorbell.
    pub fn doorbell(&mut self) -> &mut Doorbell {
        &mut self.doorbell
    }

    /// Whether words in memory shadow its doorbell.
    pub fn is_shadowed(&self) -> bool {
        self.doorbell.shadow.is_some()
    }

    /// Shows the controller nothing of what was written: it is left alone.
    pub fn forget(&mut self) {
        self.shown = self.tail;
    }

    /// Writes a command, which the controller sees at the next [`kick`](Self::kick).
    #[inline(always)]
    pub fn push(&mut self, command: Command) {
        if let Some([head, _, _, first, second, low, middle, high]) = self.entries.get(self.tail) {
            let words = [head, first, second, low, middle, high];
            let Command { head, first, second, low, middle, high } = command;
            for (word, value) in words.into_iter().zip([head, first, second, low, middle, high]) {
                word.store(value.to_le(), Ordering::Relaxed);
            }
        }
        self.tail = if self.tail + 1 < self.entries.len() { self.tail + 1 } else { 0 };
    }

    /// Shows the controller what was written; whether that took a write of its register.
    #[inline]
    pub fn kick(&mut self, registers: &impl Mmio) -> bool {
        if self.tail == self.shown {
            return false;
        }
        let old = core::mem::replace(&mut self.shown, self.tail);
        self.doorbell.ring(registers, index(old), index(self.tail))
    }
}

/// A completion queue.
#[derive(Debug)]
pub struct Completion {
    head: usize,
    shown: usize,
    /// The phase tag of entries that are new.
    phase: u64,
    entries: Table<[AtomicU64; 2]>,
    doorbell: Doorbell,
    /// Writes of the doorbell's register.
    rung: u64,
    /// Entries that may be kept before they are given back.
    patience: usize,
    /// Where the next life of this driver finds how far it was read: head, and the phase in the uppermost bit.
    note: Option<Fixed<4>>,
}

/// An entry of a completion queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer(u64);

impl Answer {
    /// One for no command that there is.
    pub const STRANGE: Self = Self(0xffff << 32);

    /// The command that it is for.
    #[inline]
    pub const fn id(self) -> u16 {
        (self.0 >> 32 & 0xffff) as u16
    }

    /// Status, without the phase tag.
    #[inline]
    pub const fn status(self) -> u16 {
        (self.0 >> 49) as u16
    }
}

impl Completion {
    /// An empty queue of `entries` entries at `offset` of `memory`, which must hold them.
    pub fn new(memory: &Window, offset: usize, entries: u16, doorbell: Doorbell, note: Option<Fixed<4>>) -> Self {
        (offset..offset + usize::from(entries) * ANSWER).step_by(8).for_each(|at| {
            memory.write(at, 0u64);
        });
        let entries = Table::new(memory, offset, entries.into()).unwrap_or_else(Table::empty);
        let queue = Self { head: 0, shown: 0, phase: PHASE, entries, doorbell, rung: 0, patience: 0, note };
        queue.take_note();
        queue
    }

    /// What is left of a queue of the life before, which wrote `note`: nothing of it is touched but its doorbell.
    pub fn found(memory: &Window, offset: usize, entries: u16, doorbell: Doorbell, note: u32) -> Option<Self> {
        let head = usize::try_from(note & 0xffff).ok().filter(|head| *head < entries.into())?;
        let phase = if note >> 31 == 0 { 0 } else { PHASE };
        let entries = Table::new(memory, offset, entries.into())?;
        Some(Self { head, shown: head, phase, entries, doorbell, rung: 0, patience: 0, note: None })
    }

    /// Its doorbell.
    pub fn doorbell(&mut self) -> &mut Doorbell {
        &mut self.doorbell
    }

    #[inline]
    fn entry(&self) -> Option<&[AtomicU64; 2]> {
        self.entries.get(self.head)
    }

    /// Whether there is something to take.
    pub fn pending(&self) -> bool {
        self.entry().is_some_and(|[_, last]| (u64::from_le(last.load(Ordering::Acquire)) ^ self.phase) & PHASE == 0)
    }

    /// Nothing is taken of it any more: its controller is left alone.
    pub fn close(&mut self) {
        (self.entries, self.shown, self.note) = (Table::empty(), self.head, None);
    }

    /// Takes at most `most` entries, as if they were not there.
    pub fn discard(&mut self, registers: &impl Mmio, most: u16) {
        for _ in 0..most {
            if self.pop().is_none() {
                break;
            }
        }
        self.release(registers);
    }

    /// The first two dwords of the entry that comes next: what a command is answered with beside its status.
    pub fn result(&self) -> u64 {
        self.entry().map_or(0, |[first, _]| u64::from_le(first.load(Ordering::Relaxed)))
    }

    /// The same of the entry that was taken last, which is not given back yet.
    pub fn last_result(&self) -> u64 {
        let last = self.head.checked_sub(1).unwrap_or(self.entries.len().saturating_sub(1));
        self.entries.get(last).map_or(0, |[first, _]| u64::from_le(first.load(Ordering::Relaxed)))
    }

    /// Takes the next entry.
    #[inline]
    pub fn pop(&mut self) -> Option<Answer> {
        let [_, last] = self.entry()?;
        // Acquire: payload comes before the entry, which comes before its phase tag.
        let word = u64::from_le(last.load(Ordering::Acquire));
        if (word ^ self.phase) & PHASE != 0 {
            return None;
        }
        self.head += 1;
        if self.head == self.entries.len() {
            (self.head, self.phase) = (0, self.phase ^ PHASE);
        }
        Some(Answer(word))
    }

    /// Gives the entries that were taken back to the controller. Never the same value twice: QEMU's INTx would get stuck.
    #[inline]
    pub fn release(&mut self, registers: &impl Mmio) {
        if self.head != self.shown {
            self.give_back(registers);
        }
    }

    fn give_back(&mut self, registers: &impl Mmio) {
        if self.patience != 0 && self.kept() <= self.patience {
            return;
        }
        let old = core::mem::replace(&mut self.shown, self.head);
        self.take_note();
        self.rung += u64::from(self.doorbell.ring(registers, index(old), index(self.head)));
    }

    /// Entries that were taken and not given back.
    fn kept(&self) -> usize {
        let turn = if self.head < self.shown { self.entries.len() } else { 0 };
        (self.head + turn).saturating_sub(self.shown)
    }

    /// From now on so many entries may be kept before they are given back.
    pub fn keep(&mut self, patience: usize) {
        self.patience = patience;
    }

    /// How often the register of its doorbell was written.
    pub fn rung(&self) -> u64 {
        self.rung
    }

    #[inline]
    fn take_note(&self) {
        if let Some(note) = &self.note {
            let phase = if self.phase == 0 { 0 } else { 1 << 31 };
            note.store(0, index(self.head) | phase, Ordering::Relaxed);
        }
    }
}

/// As doorbells have it: queues have less than 65,536 entries.
#[expect(clippy::cast_possible_truncation, reason = "16 bits are kept")]
const fn index(entry: usize) -> u32 {
    (entry & 0xffff) as u32
}

// SPDX-License-Identifier: MIT
//! What lies where in the driver's DMA region.
use super::MOST;
use crate::Fault;
use crate::queue::{ANSWER, COMMAND, Completion, Doorbell, Submission};
use crate::queues::PAIRS;
use crate::wire::register::{self, Capabilities};
use core::sync::atomic::Ordering;
use orion_driver::Registers;
use orion_region::{Fixed, Window};

/// Bytes of a page, for the controller.
pub const PAGE: usize = 4096;
/// Entries of the administrative queues.
pub const ADMIN_ENTRIES: u16 = 32;
/// Entries of a queue for requests, at most.
const ENTRIES: u16 = 256;

const ADMIN_COMMANDS: usize = 0;
const ADMIN_ANSWERS: usize = PAGE;
/// What the next life of the driver is told: a word that says that there is anything, entries of a queue for requests, and
/// how far each completion queue was read, that of the administrative one first; and pairs of queues for requests.
const NOTES: usize = PAGE + 0x800;
const NOTES_HEADS: usize = NOTES + 8;
const NOTES_PAIRS: usize = NOTES_HEADS + 4 * (PAIRS as usize + 1);
const MAGIC: u32 = 0x4e56_4d32;
/// What commands of the driver's own read and write.
const DATA: usize = 2 * PAGE;
/// A range of blocks for each slot.
const RANGES: usize = 3 * PAGE;
const SHADOWS: usize = 4 * PAGE;
const EVENTS: usize = 5 * PAGE;
const COMMANDS: usize = 6 * PAGE;
const ANSWERS: usize = COMMANDS + ENTRIES as usize * COMMAND;
/// A PRP list for each slot.
const LISTS: usize = ANSWERS + ENTRIES as usize * ANSWER;
/// Entries of a PRP list.
const LIST: usize = PAGE / 8;

/// The queues of each pair but the first: commands, answers.
const FURTHER: usize = LISTS + MOST * PAGE;
const FURTHER_BYTES: usize = ENTRIES as usize * COMMAND + PAGE;

/// Bytes of DMA memory for as many requests as the engine can have in flight, in as many queues as it can have.
pub const DMA_BYTES: usize = FURTHER + (PAIRS as usize - 1) * FURTHER_BYTES;
/// Most bytes of a request by PRP: all that a list of one page names, wherever the first page begins.
pub const PRP_BYTES: u64 = (LIST * PAGE) as u64;

/// The DMA region.
#[derive(Debug)]
pub struct Memory {
    window: Window,
    bus: u64,
}

impl Memory {
    /// The region, and the entries that a queue for requests gets.
    pub fn new(window: Window, bus: u64, capabilities: Capabilities) -> Result<(Self, u16), Fault> {
        let mapped = window.base().addr().get().is_multiple_of(PAGE);
        let ends = bus.checked_add(window.len() as u64).is_some();
        if !mapped || !bus.is_multiple_of(PAGE as u64) || !ends || window.len() < LISTS + PAGE {
            return Err(Fault::Dma);
        }
        let entries = u16::try_from(capabilities.entries()).unwrap_or(u16::MAX).min(ENTRIES);
        if entries < 2 {
            return Err(Fault::Queues);
        }
        Ok((Self { window, bus }, entries))
    }

    /// Requests that can be in flight: a queue with one entry less than that is never full, and each has a list.
    pub fn slots(&self, entries: u16) -> u16 {
        let lists = self.window.len().min(FURTHER).saturating_sub(LISTS) / PAGE;
        u16::try_from(lists.min(MOST)).unwrap_or(0).min(entries - 1)
    }

    /// Bytes from the region's start, as the controller names them.
    fn address(&self, offset: usize) -> u64 {
        self.bus.wrapping_add(offset as u64)
    }

    /// Bus addresses of the administrative queues: commands, answers.
    pub fn admin_addresses(&self) -> [u64; 2] {
        [ADMIN_COMMANDS, ADMIN_ANSWERS].map(|offset| self.address(offset))
    }

    /// Most pairs of queues for requests: all doorbells are there, those that are shadowed within a page, and there is memory.
    pub fn pairs(&self, registers: &impl Registers, capabilities: Capabilities) -> u8 {
        let doorbells = registers.len().saturating_sub(register::DOORBELLS).min(PAGE) / (2 * capabilities.stride());
        let places = self.window.len().saturating_sub(FURTHER) / FURTHER_BYTES;
        u8::try_from(doorbells.saturating_sub(1).min(places + 1)).unwrap_or(PAIRS).clamp(1, PAIRS)
    }

    /// Bus addresses of the queues of a pair for requests, counted from 1: commands, answers.
    pub fn request_addresses(&self, pair: u8) -> [u64; 2] {
        places(pair).map(|offset| self.address(offset))
    }

    /// Bus addresses of what shadows doorbells, and of their event indices.
    pub fn shadow_addresses(&self) -> [u64; 2] {
        [SHADOWS, EVENTS].map(|offset| self.address(offset))
    }

    /// Bus address of the page for the driver's own commands.
    pub fn data(&self) -> u64 {
        self.address(DATA)
    }

    /// Empties that page: what a controller leaves unwritten reads as nothing.
    pub fn clear_data(&self) {
        (DATA..DATA + PAGE).step_by(8).for_each(|at| {
            self.window.write(at, 0u64);
        });
    }

    /// What a controller has written into that page.
    pub fn load<S: crate::wire::Structure>(&self) -> S {
        let mut found = S::new_zeroed();
        self.window.copy_out(DATA, found.as_mut_bytes());
        found
    }

    /// What a controller has written into that page, from `offset` on.
    pub fn load_at<S: crate::wire::Structure>(&self, offset: usize) -> S {
        let mut found = S::new_zeroed();
        self.window.copy_out(DATA + offset, found.as_mut_bytes());
        found
    }

    /// Writes what a controller is to read into that page.
    pub fn store<S: crate::wire::Structure>(&self, what: &S) {
        self.window.copy_in(DATA, what.as_bytes());
    }

    /// The first namespace in a list in that page.
    pub fn first_listed(&self) -> u32 {
        u32::from_le(self.window.load(DATA, Ordering::Relaxed))
    }

    /// The empty administrative queues.
    pub fn admin(&self, capabilities: Capabilities, messages: bool) -> (Submission, Completion) {
        let [tail, head] = doorbells(capabilities, 0);
        let commands = Submission::new(&self.window, ADMIN_COMMANDS, ADMIN_ENTRIES, tail);
        (commands, Completion::new(&self.window, ADMIN_ANSWERS, ADMIN_ENTRIES, head, self.note(0, messages)))
    }

    /// The empty queues of a pair for requests, counted from 1; pairs are made in their order.
    pub fn requests(
        &self,
        capabilities: Capabilities,
        entries: u16,
        messages: bool,
        pair: u8,
    ) -> (Submission, Completion) {
        let [tail, head] = doorbells(capabilities, pair.into());
        self.window.write(NOTES + 4, u32::from(entries));
        self.window.write(NOTES_PAIRS, u32::from(pair));
        self.window.write(NOTES, if messages { 0 } else { MAGIC });
        let [first, second] = places(pair);
        let commands = Submission::new(&self.window, first, entries, tail);
        (commands, Completion::new(&self.window, second, entries, head, self.note(pair.into(), messages)))
    }

    /// Where a completion queue's head is noted; nowhere where interrupts are messages.
    fn note(&self, queue: usize, messages: bool) -> Option<Fixed<4>> {
        if messages { None } else { Fixed::within(&self.window, NOTES_HEADS + 4 * queue) }
    }

    /// Makes words of this region shadow the doorbells of a pair for requests. Of entries that no command can need, half are then
    /// given back together: what offers this is software, which interrupts for each new entry, and whose doorbells are dear.
    pub fn shadow(
        &self,
        capabilities: Capabilities,
        commands: &mut Submission,
        answers: &mut Completion,
        (entries, pair): (u16, u8),
    ) {
        let patience = (entries - 1 - self.slots(entries)) / 2;
        let [tail, head] = [0, 1].map(|which| (2 * usize::from(pair) + which) * capabilities.stride());
        commands.doorbell().shadow(&self.window, SHADOWS + tail, EVENTS + tail);
        answers.doorbell().shadow(&self.window, SHADOWS + head, EVENTS + head);
        answers.keep(usize::from(patience));
    }

    /// Empties what shadows doorbells.
    pub fn clear_shadows(&self) {
        (SHADOWS..EVENTS + PAGE).step_by(8).for_each(|at| {
            self.window.write(at, 0u64);
        });
    }

    /// Takes what the controller has answered to the driver's life before, if that one worked with this very memory. QEMU keeps
    /// count of completion queues that are not empty over a reset: an INTx pin would never be lowered again.
    pub fn settle_predecessor(&self, registers: &impl Registers, capabilities: Capabilities) {
        let [_, answers] = self.admin_addresses();
        let enabled = registers.read32(register::CC) & register::cc::EN != 0;
        let ours = registers.read64(register::ACQ) & !0xfff == answers;
        if registers.messages() || !enabled || !ours || self.window.read::<u32>(NOTES) != Some(MAGIC) {
            return;
        }
        let word = |at| self.window.read::<u32>(at).unwrap_or(0);
        let entries = u16::try_from(word(NOTES + 4)).unwrap_or(0).min(ENTRIES);
        let pairs = u8::try_from(word(NOTES_PAIRS)).unwrap_or(0).min(self.pairs(registers, capabilities));
        let pairs = (1..=pairs).map(|pair| (pair, places(pair)[1], entries));
        for (id, at, entries) in core::iter::once((0, ADMIN_ANSWERS, ADMIN_ENTRIES)).chain(pairs) {
            let id = usize::from(id);
            let ([_, head], note) = (doorbells(capabilities, id), word(NOTES_HEADS + 4 * id));
            let Some(mut queue) = Completion::found(&self.window, at, entries, head, note) else { continue };
            queue.discard(registers, entries);
        }
    }

    /// Writes the list of a payload's pages after the first, `pages` pages from `address` on; where it is.
    pub fn list(&self, slot: u16, address: u64, pages: u64) -> u64 {
        let at = LISTS + usize::from(slot) * PAGE;
        for (entry, page) in (at..at + PAGE).step_by(8).zip(0..pages) {
            self.window.write(entry, address.wrapping_add(page * PAGE as u64).to_le());
        }
        self.address(at)
    }

    /// The page of a slot's list, for a command that has none; where it is.
    pub fn page(&self, slot: u16) -> u64 {
        self.list(slot, 0, 0);
        self.address(LISTS + usize::from(slot) * PAGE)
    }

    /// What a controller has written into that page.
    pub fn load_page<S: crate::wire::Structure>(&self, slot: u16) -> S {
        let mut found = S::new_zeroed();
        self.window.copy_out(LISTS + usize::from(slot) * PAGE, found.as_mut_bytes());
        found
    }

    /// Writes a range for dataset management; where it is.
    pub fn range(&self, slot: u16, lba: u64, blocks: u32) -> u64 {
        let at = RANGES + usize::from(slot) * 16;
        self.window.write(at, [0u32.to_le(), blocks.to_le()]);
        self.window.write(at + 8, lba.to_le());
        self.address(at)
    }
}

/// Where the queues of a pair for requests are, counted from 1: commands, answers.
fn places(pair: u8) -> [usize; 2] {
    let further = FURTHER + usize::from(pair.saturating_sub(2)) * FURTHER_BYTES;
    if pair < 2 { [COMMANDS, ANSWERS] } else { [further, further + FURTHER_BYTES - PAGE] }
}

/// Offsets of a queue's doorbells: tail of the submission queue, head of the completion queue.
fn doorbells(capabilities: Capabilities, queue: usize) -> [Doorbell; 2] {
    [0, 1].map(|which| Doorbell::new(register::DOORBELLS + (2 * queue + which) * capabilities.stride()))
}

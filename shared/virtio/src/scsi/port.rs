// SPDX-License-Identifier: MIT
//! The device as a SCSI transport: what each command writes and reads.
use super::memory::{ANSWER, EVENTS, HEADER, STATUS};
use super::ring::{DESCRIPTOR, flags, tail};
use super::wire::{self, ANSWER_LEN, EVENT_LEN, NO_RESPONSE, REQUEST_LEN, SENSE};
use super::{VirtioPort, queue, start};
use crate::Bus;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use orion_scsi::{Answer, Command, Event, Misused, Own, Port, Task, Trouble};

/// How often events are looked for before the caller gets a turn.
const ROUNDS: u8 = 16;
/// Most bytes of a request: as many as an entry of a ring can ask for.
const REQUEST_BYTES: u32 = 256 << 20;

impl<B: Bus> VirtioPort<B> {
    pub(super) fn put<const N: usize>(&self, at: usize, values: [u64; N]) {
        if let Some(words) = self.memory.longs::<N>(at) {
            words.iter().zip(values).for_each(|(word, value)| word.store(value.to_le(), Ordering::Relaxed));
        }
    }

    fn bus_of(&self, offset: usize) -> u64 {
        self.bus_base.wrapping_add(offset as u64)
    }

    /// Writes what never changes of a slot: where its header is, and its tag.
    pub(super) fn prepare(&self) {
        for slot in 0..self.layout.slots {
            let (own, chain, link) = (self.layout.slot(slot), self.layout.chain(slot), self.layout.link(slot));
            (0..512).step_by(64).for_each(|at| self.put(own + at, [0u64; 8]));
            self.put(own + HEADER + 8, [u64::from(slot)]);
            self.put(chain, [self.bus_of(own + HEADER), tail(REQUEST_LEN, flags::NEXT, link + 1)]);
            if self.layout.indirect() {
                self.put(self.layout.head_at(slot), [self.bus_of(chain), tail(48, flags::INDIRECT, 0)]);
            }
        }
        let (control, task) = (self.layout.control.table, self.layout.task);
        let request = [self.bus_of(task), tail(wire::TASK_LEN, flags::NEXT, 1)];
        self.put(control, request);
        self.put(control + DESCRIPTOR, [self.bus_of(task + 64), tail(1, flags::WRITE, 0)]);
    }

    /// Gives the device a buffer for an event.
    pub(super) fn await_event(&mut self, nth: u16) {
        let at = self.layout.event + usize::from(nth) * EVENT_LEN as usize;
        let descriptor = self.layout.events.table + usize::from(nth) * DESCRIPTOR;
        self.put(descriptor, [self.bus_of(at), tail(EVENT_LEN, flags::WRITE, 0)]);
        self.events.offer(nth);
    }

    /// A request that the device used.
    #[inline]
    fn used(&mut self, queue: u16, id: u32, written: u32) -> Result<Event, Misused> {
        let slot =
            self.layout.slot_of(queue, id).ok_or(Misused("the device used a descriptor that heads no request"))?;
        let held = self.held.get_mut(usize::from(slot));
        let Some(data) = held.and_then(Option::take) else {
            return Err(Misused("the device used a request that it does not hold"));
        };
        let at = self.layout.slot(slot) + ANSWER;
        let words = self.memory.longs::<2>(at).map(|words| words.each_ref().map(load));
        let [first, second] = words.unwrap_or([0, u64::MAX]);
        let [_, missing] = crate::mmio::halves(first);
        let [_, _, status, response, ..] = second.to_le_bytes();
        // What the device says it did not move, and what it cannot have moved by the bytes that it wrote.
        let payload = written.saturating_sub(ANSWER_LEN);
        let unwritten = if data.read { data.len.saturating_sub(payload) } else { 0 };
        let missing = missing.max(unwritten).min(data.len);
        let trouble = if response == 0 { None } else { trouble(response) };
        Ok(Event::Answered(Answer { slot, trouble, status, missing }))
    }

    /// Asks for an interrupt at the next request that ends; whether one did meanwhile.
    #[inline]
    fn arm_requests(&mut self) -> bool {
        let mut fresh = false;
        for ring in self.requests.iter_mut().take(1 << self.layout.shift) {
            fresh |= ring.arm();
        }
        fresh
    }

    /// What comes seldom: the end of a task management function, an event.
    #[cold]
    #[inline(never)]
    fn seldom(&mut self) -> Result<Option<Event>, Misused> {
        if let Some((id, _)) = self.control.pop().map_err(misused)? {
            if id != 0 || !core::mem::take(&mut self.managing) {
                return Err(Misused("the device ended a function that it was not asked for"));
            }
            let mut response = [NO_RESPONSE];
            self.memory.copy_out(self.layout.task + 64, &mut response);
            return Ok(Some(Event::Managed(response.iter().all(|r| wire::DONE.contains(r)))));
        }
        // At most as many as there are buffers: a device that floods us is looked at again after an interrupt.
        for _ in 0..EVENTS {
            let Some((id, _)) = self.events.pop().map_err(misused)? else { return Ok(None) };
            let nth = u16::try_from(id).ok().filter(|nth| *nth < self.layout.events.size);
            let nth = nth.ok_or(Misused("the device used a buffer for events that is none"))?;
            let mut bytes = [0; 16];
            self.memory.copy_out(self.layout.event + usize::from(nth) * EVENT_LEN as usize, &mut bytes);
            self.await_event(nth);
            self.fresh_events = true;
            let [a, b, c, d, lun @ .., e, f, g, h] = bytes;
            let (number, reason) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
            if let Some((place, change)) = wire::event(number, u64::from_le_bytes(lun), reason) {
                return Ok(Some(Event::Changed(place, change)));
            }
        }
        Ok(None)
    }
}

fn load(word: &AtomicU64) -> u64 {
    u64::from_le(word.load(Ordering::Relaxed))
}

fn misused(crate::queue::Misused(what): crate::queue::Misused) -> Misused {
    Misused(what)
}

#[cold]
fn trouble(response: u8) -> Option<Trouble> {
    wire::trouble(response)
}

impl<B: Bus> Port for VirtioPort<B> {
    const NAME: &'static str = "virtio-scsi";

    fn slots(&self) -> u16 {
        self.layout.slots
    }

    fn targets(&self) -> u16 {
        self.targets
    }

    fn bytes_max(&self) -> u32 {
        self.bytes_max.min(REQUEST_BYTES)
    }

    fn own(&self) -> Own<'_> {
        Own { memory: &self.memory, offset: self.layout.own, bus: self.bus_of(self.layout.own) }
    }

    #[inline]
    fn send(&mut self, slot: u16, command: &Command) {
        let (own, chain, link) = (self.layout.slot(slot), self.layout.chain(slot), self.layout.link(slot));
        let data = command.data;
        if let Some(held) = self.held.get_mut(usize::from(slot)) {
            *held = Some(data);
        }
        let [a, b, c] = wire::command(&command.cdb);
        self.put(own + HEADER, [wire::lun(command.place)]);
        self.put(own + HEADER + 16, [a, b, c]);
        // Residual, then a response that is none.
        self.put(own + ANSWER, [0, u64::from(NO_RESPONSE) << 24]);
        let answer = self.bus_of(own + ANSWER);
        // What the device reads comes before what it writes (2.7.4.2).
        let two = match (data.len, data.read) {
            (0, _) => [answer, tail(ANSWER_LEN, flags::WRITE, 0), 0, 0],
            (len, true) => {
                let first = tail(ANSWER_LEN, flags::WRITE | flags::NEXT, link + 2);
                [answer, first, data.bus, tail(len, flags::WRITE, 0)]
            }
            (len, false) => [data.bus, tail(len, flags::NEXT, link + 2), answer, tail(ANSWER_LEN, flags::WRITE, 0)],
        };
        self.put(chain + DESCRIPTOR, two);
        if let Some(ring) = self.requests.get_mut(usize::from(self.layout.queue(slot))) {
            ring.offer(self.layout.head(slot));
        }
    }

    fn manage(&mut self, task: Task) -> bool {
        if core::mem::replace(&mut self.managing, true) {
            return false;
        }
        let (subtype, place, slot) = match task {
            Task::Abort(slot, place) => (wire::task::ABORT, place, slot),
            Task::ResetUnit(place) => (wire::task::RESET_UNIT, place, 0),
        };
        // Type 0 (task management), the function, the unit, the tag.
        self.put(self.layout.task, [u64::from(subtype) << 32, wire::lun(place), u64::from(slot)]);
        self.put(self.layout.task + 64, [u64::from(NO_RESPONSE)]);
        self.control.offer(0);
        true
    }

    fn publish(&mut self) -> u64 {
        let mut kicks = 0;
        let mut kick = |wanted, number, bus: &mut B| {
            if wanted {
                bus.notify(number);
                kicks += 1;
            }
        };
        for (number, ring) in (queue::REQUEST..).zip(&mut self.requests).take(1 << self.layout.shift) {
            kick(ring.publish(), number, &mut self.bus);
        }
        kick(self.control.publish(), queue::CONTROL, &mut self.bus);
        kick(core::mem::take(&mut self.fresh_events) && self.events.publish(), queue::EVENT, &mut self.bus);
        kicks
    }

    #[inline]
    fn next(&mut self) -> Result<Option<Event>, Misused> {
        let mut rounds = 0;
        loop {
            // Each queue in its turn: a device that fills one does not keep the others waiting.
            for _ in 0..self.layout.queues() {
                let queue = self.turn;
                let Some(ring) = self.requests.get_mut(usize::from(queue)) else { break };
                if let Some((id, written)) = ring.pop().map_err(misused)? {
                    return self.used(queue, id, written).map(Some);
                }
                self.turn = self.layout.queue(queue + 1);
            }
            let others = self.control.arm() | self.events.arm();
            if others && let Some(event) = self.seldom()? {
                return Ok(Some(event));
            }
            rounds += 1;
            // A device that floods us with events that say nothing is looked at again when something else happens.
            if (!others || rounds > ROUNDS) && !self.arm_requests() {
                // What was given back for further events is shown at once: nothing else may be sent for long.
                if core::mem::take(&mut self.fresh_events) && self.events.publish() {
                    self.bus.notify(queue::EVENT);
                }
                return Ok(None);
            }
        }
    }

    fn interrupted(&mut self) {
        if !self.bus.messages() {
            self.bus.ack_interrupt();
        }
    }

    fn sense(&self, slot: u16, into: &mut [u8]) -> usize {
        let at = self.layout.slot(slot) + ANSWER;
        let mut len = [0; 4];
        self.memory.copy_out(at, &mut len);
        let len = u32::from_le_bytes(len).min(wire::SENSE_SIZE);
        let len = usize::try_from(len).unwrap_or(0).min(into.len());
        let room = into.get_mut(..len).unwrap_or_default();
        self.memory.copy_out(at + SENSE, room);
        len
    }

    fn reset(&mut self) -> Result<(), &'static str> {
        start::again(self).map_err(|fault| fault.text())
    }

    fn abandon(&mut self) {
        start::abandon(&mut self.bus);
    }

    fn has_events(&self) -> bool {
        true
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |yes, word| if yes { word } else { "" };
        if self.layout.shift > 0 {
            write!(f, ", {} queues", self.layout.queues())?;
        }
        write!(f, "{}", word(self.layout.indirect(), ", indirect descriptors"))
    }
}

const _: () = assert!(STATUS == ANSWER + 8 && EVENTS.is_power_of_two());

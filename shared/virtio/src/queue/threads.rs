// SPDX-License-Identifier: MIT
//! The queue between two threads that sleep: whether a wake-up can be lost between looking and sleeping.
//!
//! That depends on the fences between a store of one side and its load of what the other stored, which one thread
//! cannot show. Both threads asleep with work left is found by the one that falls asleep last, without any clock.
#![allow(clippy::cast_possible_truncation, reason = "halves of words")]
use super::{Layout, Payload, Queue, needs_event};
use crate::model::memory;
use core::sync::atomic::{Ordering, fence};
use orion_region::Window;
use std::sync::{Arc, Condvar, Mutex};

const BUS: u64 = 0x1000_0000;
const TOTAL: u32 = 150_000;
const DRIVER: usize = 0;
const DEVICE: usize = 1;

#[derive(Default)]
struct State {
    rung: [bool; 2],
    asleep: [bool; 2],
    ended: bool,
    stuck: bool,
}

/// A bell for each side.
#[derive(Default)]
struct Bells(Mutex<State>, Condvar);

impl Bells {
    fn ring(&self, whose: usize) {
        self.0.lock().unwrap().rung[whose] = true;
        self.1.notify_all();
    }

    fn end(&self) {
        self.0.lock().unwrap().ended = true;
        self.1.notify_all();
    }

    /// Sleeps until `who`'s bell rings; whether there is more to do.
    fn sleep(&self, who: usize) -> bool {
        let mut state = self.0.lock().unwrap();
        state.asleep[who] = true;
        while !state.rung[who] && !state.ended && !state.stuck {
            let other = 1 - who;
            if state.asleep[other] && !state.rung[other] {
                state.stuck = true;
                self.1.notify_all();
                break;
            }
            state = self.1.wait(state).unwrap();
        }
        (state.asleep[who], state.rung[who]) = (false, false);
        !state.ended && !state.stuck
    }
}

/// The device's side, with the fences that the specification asks of it.
fn device(memory: &Window, layout: Layout, event_idx: bool, bells: &Bells) {
    let index = |at| (memory.load(at, Ordering::Acquire) >> 16) as u16;
    let mut done = 0u16;
    loop {
        let available = index(layout.avail());
        while done != available {
            let head = memory.read::<u16>(layout.avail_entry(done)).unwrap();
            memory.write(layout.used_entry(done), u32::from(head));
            memory.write(layout.used_entry(done) + 4, 1u32);
            let old = done;
            done = done.wrapping_add(1);
            // The flags stay 0: the device always wants notifications where there is no event index.
            memory.store(layout.used(), u32::from(done) << 16, Ordering::Release);
            fence(Ordering::SeqCst);
            let event = memory.load(layout.used_event(), Ordering::Relaxed) as u16;
            if !event_idx || needs_event(event, done, old) {
                bells.ring(DRIVER);
            }
        }
        memory.store(layout.avail_event(), done.into(), Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if index(layout.avail()) == done && !bells.sleep(DEVICE) {
            return;
        }
    }
}

fn driver(queue: &mut Queue, depth: u16, bells: &Bells) -> u32 {
    let (mut sent, mut ended) = (0, 0);
    let mut free: std::vec::Vec<u16> = (0..depth).collect();
    while ended < TOTAL {
        // One at a time, so that the two sides meet between nearly any two instructions.
        if let Some(slot) = free.pop().filter(|_| sent < TOTAL) {
            queue.stage(slot, [0; 2], Payload::NONE);
            sent += 1;
            if queue.publish() {
                bells.ring(DEVICE);
            }
        }
        let before = ended;
        while let Some(used) = queue.pop().unwrap() {
            free.push(used.slot);
            ended += 1;
        }
        let waits = free.is_empty() || sent == TOTAL;
        if waits && ended == before && ended < TOTAL && queue.arm() != super::Armed::Late && !bells.sleep(DRIVER) {
            break;
        }
    }
    bells.end();
    ended
}

#[test]
fn no_wake_up_is_lost_between_looking_and_sleeping() {
    for (event_idx, depth) in [(true, 1), (true, 2), (true, 8), (false, 2)] {
        let [ours, theirs] = memory(64 << 10);
        let layout = Layout::fit(64 << 10, 64, true).unwrap();
        let mut queue = Queue::new(ours, BUS, layout, event_idx).unwrap();
        let bells = Arc::new(Bells::default());
        let other = Arc::clone(&bells);
        let thread = std::thread::spawn(move || device(&theirs, layout, event_idx, &other));
        let ended = driver(&mut queue, depth, &bells);
        thread.join().unwrap();
        assert_eq!(ended, TOTAL, "both sides sleep with work left (event index: {event_idx}, depth {depth})");
    }
}

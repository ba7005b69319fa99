// SPDX-License-Identifier: MIT
//! The relay between clients and disks of a few lines.
use super::*;
use core::fmt;
use orion_block::{Completion, Error, Instant, Limits, Request};
use orion_driver::Counters;
use orion_layer::Submission;
use orion_metrics::Figures;
use std::collections::VecDeque;
use std::vec::Vec;

/// Clients with some requests each; what they were answered.
#[derive(Default)]
struct Clients {
    waiting: Vec<VecDeque<u32>>,
    answered: Vec<(u8, u32)>,
}

impl Uppers for Clients {
    fn count(&self) -> u8 {
        u8::try_from(self.waiting.len()).unwrap()
    }
    fn next(&mut self, upper: u8) -> Option<Submission> {
        let tag = self.waiting[usize::from(upper)].pop_front()?;
        Some(Submission { tag, req: Request::default() })
    }
    fn complete(&mut self, upper: u8, tag: u32, _: Completion) {
        self.answered.push((upper, tag));
    }
}

/// `UNITS` disks with room for some requests each; they refuse those with odd tags at once.
struct Disks<const UNITS: u8> {
    room: usize,
    held: [Vec<Origin>; 2],
    refused: VecDeque<Origin>,
    order: Vec<u8>,
}

impl<const UNITS: u8> Disks<UNITS> {
    fn new(room: usize) -> Self {
        Self { room, held: Default::default(), refused: VecDeque::new(), order: Vec::new() }
    }
}

impl<const N: u8> Engine<Origin> for Disks<N> {
    const UNITS: u8 = N;

    fn has_room(&self, unit: Unit) -> bool {
        self.held[usize::from(unit.0)].len() + self.refused.len() < self.room
    }
    fn start(&mut self, unit: Unit, origin: Origin, _: &Request) {
        assert!(self.has_room(unit));
        self.order.push(origin.upper);
        if origin.tag % 2 == 1 { self.refused.push_back(origin) } else { self.held[usize::from(unit.0)].push(origin) }
    }
    fn finished(&mut self) -> Option<(Origin, Completion)> {
        self.refused.pop_front().map(|origin| (origin, Completion::error(Error::Invalid)))
    }
    fn has_answers(&self) -> bool {
        !self.refused.is_empty()
    }
    fn set_time(&mut self, _: Instant) {}
    fn interrupted(&mut self) {}
    fn limits(&self, _: Unit) -> Option<Limits> {
        None
    }
    fn kick(&mut self) {}
    fn expire(&mut self) -> bool {
        false
    }
    fn deadline(&self) -> Option<Instant> {
        None
    }
    fn depth(&self) -> u16 {
        u16::try_from(self.room).unwrap()
    }
    fn figures(&self) -> Figures {
        Figures::EMPTY
    }
    fn counters(&self) -> Counters {
        Counters::default()
    }
    fn take_fault(&mut self) -> Option<&'static str> {
        None
    }
    fn describe(&self, _: Unit, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

/// A relay whose clients have these disks.
fn relay(units: &[u8]) -> Relay {
    let mut relay = Relay { turn: 0, units: [Unit(0); UPPERS_MAX] };
    relay.units.iter_mut().zip(units).for_each(|(to, unit)| *to = Unit(*unit));
    relay
}

#[test]
fn clients_take_turns_and_each_answer_goes_back_to_its_sender() {
    let waiting = (0..3).map(|c| (0..40).map(|i| c * 100 + 2 * i).collect()).collect();
    let mut clients = Clients { waiting, ..Clients::default() };
    let (mut disks, mut relay) = (Disks::<1>::new(9), relay(&[]));
    relay.run(&mut clients, &mut disks, true);
    assert_eq!(disks.order, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    while !disks.held[0].is_empty() {
        disks.refused.extend(disks.held[0].drain(..));
        relay.run(&mut clients, &mut disks, true);
    }
    assert_eq!(clients.answered.len(), 120);
    assert!(clients.answered.iter().all(|(upper, tag)| u32::from(*upper) == tag / 100));
}

#[test]
fn requests_that_are_refused_at_once_hold_up_nobody() {
    // More refusals than the disk has room for, and nothing that would wake us again.
    let waiting = std::vec![(0..100).map(|i| 2 * i + 1).collect()];
    let mut clients = Clients { waiting, ..Clients::default() };
    relay(&[]).run(&mut clients, &mut Disks::<1>::new(4), true);
    assert_eq!(clients.answered.len(), 100);
}

#[test]
fn a_full_disk_keeps_nobody_from_another() {
    let waiting = (0..3).map(|c| (0..6).map(|i| c * 100 + 2 * i).collect()).collect();
    let mut clients = Clients { waiting, ..Clients::default() };
    let (mut disks, mut relay) = (Disks::<2>::new(6), relay(&[1, 0, 1]));
    relay.run(&mut clients, &mut disks, true);
    assert_eq!(disks.held.each_ref().map(Vec::len), [6, 6]);
    assert!(disks.held[0].iter().all(|origin| origin.upper == 1));
    // What the full one had no room for waits, and is taken when it has.
    let done = disks.held[1].drain(..).collect::<Vec<_>>();
    disks.refused.extend(done);
    relay.run(&mut clients, &mut disks, true);
    assert_eq!(disks.held.each_ref().map(Vec::len), [6, 6]);
    assert!(clients.waiting.iter().all(VecDeque::is_empty));
}

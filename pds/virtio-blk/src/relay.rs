// SPDX-License-Identifier: MIT
//! Hands requests of several clients to one device and its answers back: all that a node does for a driver.
//!
//! A node around a layer that changes nothing would cost a request as much again as the driver. Left out is splitting:
//! clients are told the largest request, and the device takes more at once than a ring can ask for.
use orion_block::{Completion, Request};
use orion_layer::Uppers;
use orion_virtio::{Bus, VirtioBlk};

/// Whose request it is, and what they call it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    upper: u8,
    tag: u32,
}

/// What the relay needs of a device.
pub trait Device {
    /// Whether there is room for a request.
    fn has_room(&self) -> bool;
    /// Takes a request.
    fn start(&mut self, origin: Origin, req: &Request);
    /// The next request that has ended.
    fn finished(&mut self) -> Option<(Origin, Completion)>;
    /// Whether some ended without the device.
    fn has_answers(&self) -> bool;
}

impl<B: Bus> Device for VirtioBlk<B, Origin> {
    fn has_room(&self) -> bool {
        self.has_room()
    }
    fn start(&mut self, origin: Origin, req: &Request) {
        self.start(origin, req);
    }
    fn finished(&mut self) -> Option<(Origin, Completion)> {
        self.finished()
    }
    fn has_answers(&self) -> bool {
        self.has_answers()
    }
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Relay {
    turn: u8,
}

impl Relay {
    /// Gives answers back until the device has none, if it is to be looked at, and takes requests until nobody has any or
    /// there is no room.
    #[inline]
    pub fn run(&mut self, uppers: &mut impl Uppers, device: &mut impl Device, look: bool) {
        if look {
            drain(uppers, device);
        }
        while self.admit(uppers, device) && device.has_answers() {
            drain(uppers, device);
        }
    }

    /// Takes requests, one of each client in turn, or all of one that is alone; whether there were any.
    fn admit(&mut self, uppers: &mut impl Uppers, device: &mut impl Device) -> bool {
        let (mut asking, mut any) = (uppers.asking(), false);
        while asking != 0 && device.has_room() {
            let upper = orion_layer::turn(asking, self.turn);
            self.turn = upper + 1;
            let alone = asking == 1 << upper;
            loop {
                let Some(submission) = uppers.next(upper) else {
                    asking &= !(1 << upper);
                    break;
                };
                device.start(Origin { upper, tag: submission.tag }, &submission.req);
                any = true;
                if !alone || !device.has_room() {
                    break;
                }
            }
        }
        any
    }
}

fn drain(uppers: &mut impl Uppers, device: &mut impl Device) {
    while let Some((origin, done)) = device.finished() {
        uppers.complete(origin.upper, origin.tag, done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orion_block::Error;
    use orion_layer::Submission;
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

    /// A device with room for some requests; it refuses those with odd tags at once.
    struct Some8 {
        room: usize,
        held: Vec<Origin>,
        refused: VecDeque<Origin>,
        order: Vec<u8>,
    }

    impl Device for Some8 {
        fn has_room(&self) -> bool {
            self.held.len() + self.refused.len() < self.room
        }
        fn start(&mut self, origin: Origin, _: &Request) {
            assert!(self.has_room());
            self.order.push(origin.upper);
            if origin.tag % 2 == 1 { self.refused.push_back(origin) } else { self.held.push(origin) }
        }
        fn finished(&mut self) -> Option<(Origin, Completion)> {
            self.refused.pop_front().map(|origin| (origin, Completion::error(Error::Invalid)))
        }
        fn has_answers(&self) -> bool {
            !self.refused.is_empty()
        }
    }

    #[test]
    fn clients_take_turns_and_each_answer_goes_back_to_its_sender() {
        let mut clients = Clients {
            waiting: (0..3).map(|c| (0..40).map(|i| c * 100 + 2 * i).collect()).collect(),
            ..Clients::default()
        };
        let mut device = Some8 { room: 9, held: Vec::new(), refused: VecDeque::new(), order: Vec::new() };
        let mut relay = Relay::default();
        relay.run(&mut clients, &mut device, true);
        assert_eq!(device.order, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
        while !device.held.is_empty() {
            device.refused.extend(device.held.drain(..));
            relay.run(&mut clients, &mut device, true);
        }
        assert_eq!(clients.answered.len(), 120);
        assert!(clients.answered.iter().all(|(upper, tag)| u32::from(*upper) == tag / 100));
    }

    #[test]
    fn requests_that_are_refused_at_once_hold_up_nobody() {
        // More refusals than the device has room for, and nothing that would wake us again.
        let mut clients = Clients { waiting: std::vec![(0..100).map(|i| 2 * i + 1).collect()], ..Clients::default() };
        let mut device = Some8 { room: 4, held: Vec::new(), refused: VecDeque::new(), order: Vec::new() };
        Relay::default().run(&mut clients, &mut device, true);
        assert_eq!(clients.answered.len(), 100);
    }
}

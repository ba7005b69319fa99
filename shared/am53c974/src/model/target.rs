// SPDX-License-Identifier: MIT
//! What targets do: they hear messages, take commands, and choose the phase.
use super::adapter::cause;
use super::nexus::{Nexus, wanted};
use super::{Mischief, Model, Synchronous, Talk};
use orion_scsi::Place;
use orion_scsi::model::Reply;
use std::vec;
use std::vec::Vec;

/// This initiator, as the disks know it.
const NEXUS: u64 = 1;

impl Model {
    /// The target that is connected hears messages: how many bytes it takes; `None` where it lets the bus go.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            at += match rest {
                [identify @ 0x80..=0xff, ..] => {
                    let lun = u16::from(identify & 7);
                    assert!(
                        self.talk == Talk::Fresh && self.fresh.lun.is_none_or(|known| known == lun),
                        "another unit"
                    );
                    self.fresh.lun = Some(lun);
                    self.fresh.may_disconnect = identify & 0x40 != 0;
                    1
                }
                [0x20, tag, ..] => {
                    assert!(self.talk == Talk::Fresh && self.fresh.lun.is_some(), "a tag follows IDENTIFY");
                    if self.wrong(Mischief::RejectTag) {
                        self.speech.push_back(7);
                        return Some(at + 2);
                    }
                    self.fresh.tag = Some(*tag);
                    2
                }
                [1, 3, 1, factor, offset, ..] => {
                    if !self.proposal(*factor, *offset) {
                        return None;
                    }
                    5
                }
                // INITIATOR DETECTED ERROR: the pointers go back, and the bytes come again.
                [5, ..] => {
                    let Talk::With(nth) = self.talk else { panic!("an error of no command") };
                    if !self.wrong(Mischief::ParityIgnored) {
                        self.nexuses[nth].restore();
                        self.speech.push_back(3);
                    }
                    1
                }
                [7, ..] => {
                    let target = self.target();
                    self.agreements[usize::from(target)] = (0, 0);
                    1
                }
                [8 | 9, ..] => 1,
                [told @ (6 | 0x0c | 0x0d), ..] => {
                    self.told.push(*told);
                    if self.mischief != Some(Mischief::Deaf) {
                        self.give_up(*told);
                        return None;
                    }
                    1
                }
                other => panic!("a message of {other:x?}"),
            };
        }
        Some(at)
    }

    /// The target that is connected.
    fn target(&self) -> u16 {
        match self.talk {
            Talk::With(nth) => self.nexuses[nth].place.target,
            _ => self.fresh.target,
        }
    }

    /// We propose synchronous transfers, or answer the target's proposal; whether it stays.
    fn proposal(&mut self, factor: u8, offset: u8) -> bool {
        assert!(factor >= 25 && offset <= 15, "more than the adapter can");
        let target = usize::from(self.target());
        if core::mem::take(&mut self.proposed[target]) {
            self.agreements[target] = (factor, offset);
            return true;
        }
        let agreed = match self.manners.synchronous {
            Synchronous::Ignores => return true,
            Synchronous::Rejects => {
                self.agreements[target] = (0, 0);
                self.speech.push_back(7);
                return true;
            }
            Synchronous::Leaves => {
                self.talk = Talk::Free;
                self.adapter.fifo.clear();
                self.adapter.atn = false;
                self.adapter.interrupt(cause::DISCONNECTED);
                return false;
            }
            Synchronous::Answers(f, o) => (f.max(factor), o.min(offset)),
            Synchronous::Insists(f, o) => (f, o),
        };
        self.agreements[target] = agreed;
        self.speech.extend([1, 3, 1, agreed.0, agreed.1]);
        true
    }

    /// ABORT, ABORT TAG, BUS DEVICE RESET.
    fn give_up(&mut self, told: u8) {
        let (target, fresh) = (self.target(), self.talk == Talk::Fresh);
        let (place, tag) = match self.talk {
            Talk::With(nth) => (self.nexuses[nth].place, self.nexuses[nth].tag),
            _ => (Place { target, lun: self.fresh.lun.unwrap() }, self.fresh.tag),
        };
        assert!(told != 0x0d || tag.is_some() || !fresh, "ABORT TAG without a tag");
        if told == 0x0c {
            self.agreements[usize::from(target)] = (0, 0);
            let units = self.bus.disks.iter_mut().filter(|(place, _)| place.target == target);
            units.for_each(|(_, disk)| disk.reset());
        }
        self.nexuses.retain(|nexus| match told {
            0x0c => nexus.place.target != target,
            0x0d => nexus.place != place || nexus.tag != tag,
            _ => nexus.place != place,
        });
        self.senses.retain(|at, _| *at != place);
        self.free();
    }

    /// The bus is free.
    fn free(&mut self) {
        (self.talk, self.leaves, self.rest) = (Talk::Free, false, 0);
        self.speech.clear();
        self.adapter.atn = false;
        self.adapter.interrupt(cause::DISCONNECTED);
    }

    /// A whole command came.
    pub(super) fn commanded(&mut self, cdb: &[u8]) {
        if self.talk != Talk::Fresh || self.mischief == Some(Mischief::CommandAgain) {
            return;
        }
        let place = Place { target: self.fresh.target, lun: self.fresh.lun.expect("IDENTIFY comes first") };
        let tag = self.fresh.tag;
        let others: Vec<&Nexus> = self.nexuses.iter().filter(|nexus| nexus.place == place).collect();
        let overlap = |other: &&&Nexus| other.tag.is_none() || other.tag == tag;
        let sense = cdb[0] == 3;
        assert!(sense || !others.iter().any(|other| tag.is_none() || overlap(&other)), "overlapped commands");
        assert!(sense || !self.senses.contains_key(&place), "a command before the last one's sense data");
        assert!(tag.is_none() || self.manners.flags & 2 != 0, "a tag for a unit that has none");
        let full = others.len() >= self.manners.depth && !sense;
        self.tagged += u64::from(tag.is_some());
        let block = self.bus.disks.get(&place).map(|disk| disk.block);
        let reply = full.then(|| Reply { status: 0x28, ..Reply::default() });
        self.nexuses.push(Nexus {
            place,
            tag,
            cdb: cdb.to_vec(),
            may_disconnect: self.fresh.may_disconnect,
            wants: if full { 0 } else { block.map_or(0, |block| wanted(cdb, block)) },
            out: vec![],
            reply,
            sent: 0,
            saved: 0,
            disconnected: false,
            ready: false,
            forgotten: false,
            concluded: false,
            rested: false,
        });
        self.talk = Talk::With(self.nexuses.len() - 1);
    }

    fn perform(&mut self, nth: usize) {
        let Nexus { place, cdb, out, .. } = self.nexuses[nth].clone();
        let mut reply = if cdb[0] == 3 {
            let mut data = self.senses.remove(&place).unwrap_or(vec![0x70, 0, 0, 0, 0, 0, 0, 0]);
            data.truncate(cdb[4].into());
            Reply { data, ..Reply::default() }
        } else {
            self.bus.perform(NEXUS, place, &cdb, &out).expect("a target that was selected")
        };
        if cdb[0] == 0x12 && cdb[1] & 1 == 0 && reply.data.len() > 7 {
            reply.data[7] = self.manners.flags;
        }
        self.nexuses[nth].reply = Some(reply);
    }

    /// The target that is connected says a byte.
    pub(super) fn said(&mut self, byte: u8) {
        if self.rest > 0 {
            self.rest -= 1;
            return;
        }
        let Talk::With(nth) = self.talk else { return self.rest = usize::from(byte == 0x20) };
        let nexus = &mut self.nexuses[nth];
        match byte {
            0 => self.leaves = true,
            1 => self.rest = 4,
            2 => nexus.saved = nexus.at(),
            3 => nexus.restore(),
            4 => {
                self.leaves = true;
                nexus.disconnected = true;
                nexus.ready = false;
                self.disconnections += 1;
                nexus.forgotten = self.mischief == Some(Mischief::Forget);
                if nexus.forgotten {
                    self.mischief = None;
                }
            }
            0x20 => self.rest = 1,
            _ => {}
        }
    }

    /// The target goes on to its next phase; the adapter interrupts for `why`.
    pub(super) fn go_on(&mut self, why: u8) {
        if self.wrong(Mischief::Hold) {
            self.held = true;
        }
        if self.held {
            return;
        }
        if self.wrong(Mischief::BusReset) {
            self.bus_reset();
            return self.adapter.interrupt(cause::RESET);
        }
        if self.wrong(Mischief::Gross) {
            self.adapter.errors |= 0x40;
        }
        if self.leaves {
            return self.leave();
        }
        self.adapter.phase = if self.adapter.atn { 6 } else { self.phase() };
        self.adapter.interrupt(why);
    }

    /// COMMAND COMPLETE or DISCONNECT was accepted.
    fn leave(&mut self) {
        if let Talk::With(nth) = self.talk
            && !self.nexuses[nth].disconnected
        {
            let nexus = self.nexuses.remove(nth);
            let reply = nexus.reply.unwrap_or_default();
            if nexus.concluded && reply.status == 2 {
                self.senses.insert(nexus.place, reply.sense);
            }
        }
        self.free();
    }

    fn phase(&mut self) -> u8 {
        if self.mischief == Some(Mischief::Chatter) {
            self.speech.push_back(8);
        }
        if !self.speech.is_empty() || self.rest > 0 {
            return 7;
        }
        if self.wrong(Mischief::BadPhase) {
            return 4;
        }
        let Talk::With(nth) = self.talk else { return 2 };
        let target = usize::from(self.nexuses[nth].place.target);
        if self.manners.proposes && self.agreements[target] == (0, 0) && !self.proposed[target] {
            self.manners.proposes = false;
            self.proposed[target] = true;
            self.speech.extend([1, 3, 1, 20, 31]);
            return 7;
        }
        self.work_phase(nth)
    }

    fn work_phase(&mut self, nth: usize) -> u8 {
        let nexus = &self.nexuses[nth];
        let (may, moved) = (nexus.may_disconnect && !nexus.rested && !nexus.concluded, nexus.at() > nexus.saved);
        if may && (self.mischief == Some(Mischief::Forget) || self.chance(self.manners.disconnects)) {
            self.nexuses[nth].rested = true;
            // Without SAVE DATA POINTER what was moved is moved again.
            if moved && !self.chance(4) {
                self.speech.push_back(2);
            }
            self.speech.push_back(4);
            return 7;
        }
        if let Some((_, to_us)) = self.nexuses[nth].payload() {
            return u8::from(to_us != self.wrong(Mischief::WrongWay));
        }
        if self.nexuses[nth].reply.is_none() {
            self.perform(nth);
            return self.work_phase(nth);
        }
        if self.wrong(Mischief::Overrun) {
            return u8::from(self.nexuses[nth].wants == 0);
        }
        if self.wrong(Mischief::NoStatus) {
            self.speech.push_back(0);
            return 7;
        }
        3
    }
}

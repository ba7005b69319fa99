// SPDX-License-Identifier: MIT
//! A namespace of zones, each written one block after the other.
use super::{Model, Taken};
use crate::wire::status;
use crate::wire::zone::{Report, ZONES, Zone};
use std::vec;
use std::vec::Vec;
use zerocopy::{FromZeros, IntoBytes};

const EMPTY: u8 = 1;
const IMPLICIT: u8 = 2;
const OPEN: u8 = 3;
const CLOSED: u8 = 4;
const READ_ONLY: u8 = 13;
const FULL: u8 = 14;
const OFFLINE: u8 = 15;
/// Notice: zones changed, which the log page BFh has (TP 4053); which namespace's is in the second dword.
const CHANGED: u64 = 2 | 0xef << 8 | 0xbf << 16;
/// The zone's state does not allow that.
const TRANSITION: u16 = 0x1bf;

/// The zones of a namespace.
#[derive(Clone, Debug)]
pub struct Zones {
    /// Blocks from one zone to the next.
    pub(super) size: u64,
    /// Blocks of a zone that can be written.
    capacity: u64,
    /// Zones that can be open at a time.
    most_open: usize,
    /// State and write pointer of each.
    pub list: Vec<(u8, u64)>,
    /// First blocks of those that changed by themselves since that was read last.
    changed: Vec<u64>,
    /// It was told that there are such.
    told: bool,
}

impl Zones {
    /// `count` empty zones.
    pub fn new(count: u64, size: u64, capacity: u64, most_open: usize) -> Self {
        let list = (0..count).map(|n| (EMPTY, n * size)).collect();
        Self { size, capacity, most_open, list, changed: Vec::new(), told: false }
    }

    /// Where the zone of a block is written next.
    pub(super) fn pointer(&self, lba: u64) -> u64 {
        self.list[(lba / self.size) as usize].1
    }

    fn opens(&self) -> bool {
        self.list.iter().filter(|(state, _)| matches!(*state, IMPLICIT | OPEN)).count() < self.most_open
    }

    /// A read: it stays within a zone.
    fn read(&self, lba: u64, blocks: u32) -> u16 {
        let last = lba + u64::from(blocks) - 1;
        if self.list[(lba / self.size) as usize].0 == OFFLINE {
            return status::ZONE_OFFLINE;
        }
        if lba / self.size == last / self.size { 0 } else { status::ZONE_BOUNDARY }
    }

    /// A write: at the pointer, which goes on.
    pub(super) fn write(&mut self, lba: u64, blocks: u32) -> u16 {
        let zone = (lba / self.size) as usize;
        let (state, pointer) = self.list[zone];
        let end = zone as u64 * self.size + self.capacity;
        match state {
            FULL => return status::ZONE_FULL,
            READ_ONLY => return status::ZONE_READ_ONLY,
            OFFLINE => return status::ZONE_OFFLINE,
            _ => {}
        }
        if lba != pointer {
            return status::ZONE_INVALID_WRITE;
        }
        if lba + u64::from(blocks) > end {
            return status::ZONE_BOUNDARY;
        }
        if !matches!(state, IMPLICIT | OPEN) && !self.opens() {
            return status::ZONES_OPEN;
        }
        let pointer = pointer + u64::from(blocks);
        let state = if state == OPEN { OPEN } else { IMPLICIT };
        self.list[zone] = (if pointer == end { FULL } else { state }, pointer);
        0
    }

    fn change(&mut self, zone: usize, action: u32) -> u16 {
        let opens = self.opens();
        let first = zone as u64 * self.size;
        let (state, pointer) = &mut self.list[zone];
        match (action, *state) {
            (1, IMPLICIT | OPEN) if *pointer == first => *state = EMPTY,
            (1, IMPLICIT | OPEN) => *state = CLOSED,
            (1, CLOSED) | (2, FULL) | (3, OPEN) | (4, EMPTY) => {}
            (2, _) => (*state, *pointer) = (FULL, first + self.size),
            (3, EMPTY | CLOSED) if !opens => return status::ZONES_OPEN,
            (3, EMPTY | CLOSED | IMPLICIT) => *state = OPEN,
            (4, _) => (*state, *pointer) = (EMPTY, first),
            _ => return TRANSITION,
        }
        0
    }
}

impl Model {
    /// A zone of a namespace gets into another state by itself: 13 read-only, 15 offline. Tells of it, if it is to and has not.
    pub fn zone_becomes(&mut self, namespace: u32, zone: usize, state: u8) {
        let wanted = self.features.get(&0x0b).is_some_and(|events| events >> 27 & 1 == 1);
        let zones = self.spaces.get_mut(&namespace).unwrap().zones.as_mut().unwrap();
        zones.list[zone].0 = state;
        zones.changed.push(zone as u64 * zones.size);
        if wanted && !core::mem::replace(&mut zones.told, true) {
            self.tell(CHANGED | u64::from(namespace) << 32);
        }
    }

    /// The log page of zones that changed.
    pub(super) fn changed_log(&mut self, command: &Taken) -> Vec<u8> {
        let space = self.spaces.get_mut(&command.namespace()).expect("a namespace that is there");
        let zones = space.zones.as_mut().expect("a namespace of zones");
        zones.told = false;
        let changed = core::mem::take(&mut zones.changed);
        let count = if changed.len() > 511 { 0xffff } else { changed.len() as u64 };
        [count].into_iter().chain(changed.into_iter().take(511)).flat_map(u64::to_le_bytes).collect()
    }

    /// What a read or a write of a zoned namespace is refused with, if it is.
    pub(super) fn zone_transfer(&mut self, command: &Taken, lba: u64, blocks: u32) -> u16 {
        let Some(zones) = self.spaces.get_mut(&command.namespace()).and_then(|space| space.zones.as_mut()) else {
            return 0;
        };
        if matches!(command.opcode(), 2 | 5) { zones.read(lba, blocks) } else { zones.write(lba, blocks) }
    }

    /// Zone management.
    pub(super) fn manage_zones(&mut self, command: &Taken) -> u16 {
        let (lba, thirteen) = (command.long(10), command.dwords[13]);
        let Some(space) = self.spaces.get_mut(&command.namespace()).filter(|space| space.zones.is_some()) else {
            return status::INVALID_OPCODE;
        };
        let (shift, zones) = (space.shift(), space.zones.as_mut().unwrap());
        if command.opcode() == 0x7a {
            assert_eq!(command.dwords[12], 1023, "a report of a page");
            let report = match thirteen {
                0x1_0000 => report(zones, lba),
                0x600 => counted(zones, READ_ONLY),
                0x700 => counted(zones, OFFLINE),
                other => panic!("a report of {other:#x}"),
            };
            self.bus().store(command.long(6), report.as_bytes());
            return 0;
        }
        let all = thirteen >> 8 & 1 == 1;
        if !all && lba % zones.size != 0 {
            return status::INVALID_FIELD;
        }
        let which =
            if all { 0..zones.list.len() } else { (lba / zones.size) as usize..(lba / zones.size) as usize + 1 };
        for zone in which {
            let refused = zones.change(zone, thirteen & 0xff);
            if refused != 0 {
                return refused;
            }
            if thirteen & 0xff == 4 {
                let bytes = (zones.size << shift) as usize;
                space.content[zone * bytes..(zone + 1) * bytes].fill(0);
            }
        }
        0
    }
}

fn report(zones: &Zones, lba: u64) -> Report {
    let mut report = Report::new_zeroed();
    let from = (lba / zones.size) as usize;
    let some = zones.list.iter().enumerate().skip(from).take(ZONES);
    for ((nth, (state, pointer)), to) in some.zip(&mut report.zones) {
        *to = Zone {
            kind: 2,
            state: state << 4,
            capacity: zones.capacity.into(),
            first: (nth as u64 * zones.size).into(),
            pointer: (*pointer).into(),
            ..Zone::new_zeroed()
        };
    }
    report.count = ((zones.list.len() - from).min(ZONES) as u64).into();
    report
}

/// How many zones are in a state.
fn counted(zones: &Zones, wanted: u8) -> Report {
    let mut report = Report::new_zeroed();
    report.count = (zones.list.iter().filter(|(state, _)| *state == wanted).count() as u64).into();
    report
}

/// The descriptor of a zoned namespace's command set.
pub(super) fn descriptor() -> Vec<u8> {
    vec![4, 1, 0, 0, crate::wire::zone::SET]
}

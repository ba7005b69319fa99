// SPDX-License-Identifier: MIT
//! Zones that change by themselves (TP 4053): a device takes zones out of use, for writes or at all, and tells of it by an event. Its list
//! says which zones changed; reading it lets the next event come. How many are read-only or offline is asked by two reports.
use super::slots::State;
use super::{Nvme, UNITS};
use crate::queues::Queues;
use crate::wire::Command;
use crate::wire::command::nvm;
use crate::wire::zone::{ChangedZones, READ_ONLY, Report};
use orion_block::Request;
use orion_driver::{Registers, Text, Unit};

/// Dwords of a page, less one.
const PAGE_DWORDS: u64 = 4096 / 4 - 1;

/// What is known of zones that changed.
#[derive(Clone, Copy, Debug)]
pub struct Zoned {
    /// Namespaces whose lists are to be read; 0: none. Of more than these the next event tells.
    lists: [u32; UNITS as usize],
    /// Units whose zones are to be counted, by their numbers' bits.
    wanted: u16,
    /// Zones that changed by themselves since the driver began.
    changed: u64,
    /// Of each unit: zones that can only be read, and those that are gone.
    lost: [[u64; 2]; UNITS as usize],
}

impl Zoned {
    /// Nothing.
    pub const NONE: Self = Self { lists: [0; UNITS as usize], wanted: 0, changed: 0, lost: [[0; 2]; UNITS as usize] };

    /// The namespace whose list is read next.
    pub fn next_list(&mut self) -> Option<u32> {
        self.lists.iter_mut().find(|list| **list != 0).map(core::mem::take)
    }

    /// A unit's zones are to be counted.
    pub fn count_again(&mut self, unit: u8) {
        self.wanted |= 1u16.checked_shl(unit.into()).unwrap_or(0);
    }

    /// Whether zones are to be counted.
    pub fn is_wanted(&self) -> bool {
        self.wanted != 0
    }

    /// As health shows it; nothing where there is nothing to show.
    fn text(&self) -> Text {
        let sum =
            |nth: usize| self.lost.iter().filter_map(|lost| lost.get(nth)).fold(0, |sum, n| n.saturating_add(sum));
        let (changed, read_only, offline) = (self.changed, sum(0), sum(1));
        if changed == 0 && read_only == 0 && offline == 0 {
            return Text::default();
        }
        Text::format(format_args!("{changed} changed, {read_only} read-only, {offline} offline"))
    }
}

impl<R: Registers, T: Copy + Default, Q: Queues> Nvme<R, T, Q> {
    /// Zones of a namespace changed by themselves: which, its list says.
    pub(super) fn zones_changed(&mut self, namespace: u32) {
        let lists = &mut self.zoned.lists;
        if namespace == 0 || lists.contains(&namespace) {
            return;
        }
        if let Some(place) = lists.iter_mut().find(|list| **list == 0) {
            *place = namespace;
        }
    }

    /// The list of a namespace was read.
    pub(super) fn zones_listed(&mut self, namespace: u32, done: bool) {
        let list: ChangedZones = self.memory.load();
        if done {
            self.zoned.changed += u64::from(list.count());
            self.health.zones = self.zoned.text();
        }
        for (unit, disk) in (0..).zip(&self.disks) {
            if disk.present && disk.is_zoned() && disk.id == namespace {
                self.zoned.count_again(unit);
            }
        }
    }

    /// The zones of all units are to be counted.
    pub(super) fn count_zones(&mut self) {
        for (unit, disk) in (0..).zip(&self.disks) {
            if disk.present && disk.is_zoned() {
                self.zoned.count_again(unit);
            }
        }
    }

    /// Counts the zones of those units that are to be, as far as there are slots.
    pub(super) fn look_at_zones(&mut self) {
        while self.zoned.wanted != 0 {
            let unit = u8::try_from(self.zoned.wanted.trailing_zeros()).unwrap_or(0);
            let Ok(slot) = self.take(Unit(unit), T::default(), &Request::default(), State::Looks) else { break };
            self.zoned.wanted &= self.zoned.wanted - 1;
            self.send(slot);
        }
        self.counters.kicks += self.queues.kick(&self.registers);
    }

    /// The command in a slot: a report of the zones in one of two states, which says how many there are.
    pub(super) fn look_command(&self, slot: u16, head: u64, nth: u32) -> Command {
        Command {
            head: head | u64::from(nvm::ZONE_RECEIVE),
            first: self.memory.page(slot),
            middle: PAGE_DWORDS | u64::from(READ_ONLY + nth) << (32 + 8),
            ..Command::default()
        }
    }

    /// It was answered.
    pub(super) fn looked(&mut self, slot: u16, status: u16) {
        let report: Report = self.memory.load_page(slot);
        let Some(record) = self.slots.get_mut(usize::from(slot)) else { return };
        let (unit, nth) = (record.unit, usize::try_from(record.sent).unwrap_or(0));
        if status == 0 {
            let known = self.zoned.lost.get_mut(usize::from(unit)).and_then(|lost| lost.get_mut(nth));
            if let Some(known) = known {
                if report.count.get() > *known {
                    self.fault = Some("zones are read-only or offline that were not: see `orion health`");
                }
                *known = report.count.get();
            }
            self.health.zones = self.zoned.text();
            self.resets = 0;
        }
        if status == 0 && nth == 0 {
            record.sent = 1;
            return self.send(slot);
        }
        self.free_zone(slot);
    }
}

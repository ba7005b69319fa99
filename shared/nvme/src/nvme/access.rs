// SPDX-License-Identifier: MIT
//! Which disk a namespace is, and what the way to it over this controller is worth (8.20).
use super::Nvme;
use crate::queues::Queues;
use crate::wire::access::{AccessLog, NOTICES, Named, REPORTED, family};
use crate::wire::command::page;
use crate::wire::status::PATH;
use orion_block::{Access, Route};
use orion_driver::{Registers, Unit};

impl<R: Registers, T: Copy + Default, Q: Queues> Nvme<R, T, Q> {
    /// Whether the controller says what it is worth.
    pub(super) fn reports_access(&self) -> bool {
        self.controller.cmic & REPORTED != 0
    }

    /// The changes of which it is asked to tell.
    pub(super) fn access_notices(&self) -> u32 {
        if self.reports_access() { self.controller.oaes.get() & NOTICES } else { 0 }
    }

    /// What the controller is part of; its page is in memory.
    pub(super) fn family_found(&mut self) {
        self.family = family(&self.controller, &self.memory.load::<Named>());
    }

    /// The log page of access states has come, or is refused: then all stays as it was.
    pub(super) fn access_logged(&mut self, done: bool) {
        if !done || !self.reports_access() {
            return;
        }
        let log: AccessLog = self.memory.load();
        let seconds = self.controller.ana_seconds;
        for disk in &mut self.disks {
            let group = disk.found.map_or(0, |found| found.ana_group.get());
            // One in no group is reached as if there were none.
            let access = if group == 0 { Access::Optimised } else { log.access(group, seconds) };
            self.changed |= disk.present && access != disk.access;
            disk.access = access;
        }
    }

    /// A request was refused because of the way that it came: what it is worth now must have changed.
    pub(super) fn refused_by_way(&mut self, status: u16) {
        if status & 0x700 == PATH && self.reports_access() {
            self.admin.wanted.logs |= 1 << page::ACCESS;
            self.next_job();
            self.attend();
        }
    }

    /// Which disk a unit is, and what the way to it is worth.
    pub(super) fn route_of(&self, Unit(unit): Unit) -> Route {
        let Some(disk) = self.disks.get(usize::from(unit)) else { return Route::default() };
        Route { identity: disk.names.text().padded(), family: self.family, access: disk.access }
    }
}

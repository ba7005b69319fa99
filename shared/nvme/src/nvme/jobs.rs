// SPDX-License-Identifier: MIT
//! What the controller is asked, one thing after the other: to learn what it is when it starts, and later how it is.
use super::disk::{Around, Disk};
use super::orders::Ask;
use super::{FIRST, Nvme};
use crate::Fault;
use crate::queues::Queues;
use crate::wire::command::{ALL, admin, cns, feature, page};
use crate::wire::zone;
use crate::wire::{Command, Controller, ErrorEntry, Firmware, Namespace, Smart};
use orion_driver::{Registers, Text};

/// Weights of arbitration (5.21.1.1) for reads, writes and the rest, less one, and the binary logarithm of how many commands are
/// taken of a queue at once.
const WEIGHTS: u32 = (16 - 1) << 24 | (4 - 1) << 16 | 3;
/// Asynchronous event configuration (5.21.1.11): all critical warnings; and, where offered, changes of namespaces.
const WARNINGS: u32 = 0x1f;
const NAMESPACE_CHANGES: u32 = 1 << 8;
/// Of the log page of access states (5.14.1.12): groups alone.
const GROUPS_ONLY: u32 = 1 << 8;

/// The version from which on namespaces have descriptors of their names.
pub(super) const NAMES_SINCE: u32 = 0x0001_0300;

/// What the controller is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// What it is.
    Controller,
    /// For pairs of queues.
    Queues,
    /// To arbitrate by weights.
    Weights,
    /// To hold interrupts back.
    Gather,
    /// Whether its cache is on.
    Cache,
    /// To make the completion queue of a pair, counted from 1.
    Answers(u8),
    /// To make the submission queue of a pair.
    Commands(u8),
    /// To look at words in memory before doorbells.
    Doorbells,
    /// Which namespaces there are.
    List,
    /// What a unit's namespace is.
    Namespace(u8),
    /// What it is called.
    Names(u8),
    /// How large its zones are.
    Zoned(u8),
    /// How much can be appended to one.
    Appends(u8),
    /// Which zones of a namespace changed by themselves.
    ChangedZones(u32),
    /// What the ways to namespaces are worth, before it serves.
    Access,
    /// To rest when idle.
    Rest,
    /// In which power state it is.
    PowerState,
    /// To tell of events.
    Events,
    /// For a log page.
    Log(u8),
    /// To abort the request in a slot.
    Abort(u16),
    /// For a part of an order.
    Order(Ask),
    /// How much of a unit's format is left.
    FormatLeft(u8),
    /// How far the device is with a sanitize, while it serves; and before that.
    Sanitize,
    /// See `Sanitize`.
    SanitizeFirst,
}

impl<R: Registers, T: Copy + Default, Q: Queues> Nvme<R, T, Q> {
    /// The command for a job.
    pub(super) fn command(&mut self, job: Job) -> Command {
        self.memory.clear_data();
        let data = self.memory.data();
        let size = u32::from(self.entries - 1) << 16;
        match job {
            Job::Controller => Command::admin(admin::IDENTIFY, 0, data).with(cns::CONTROLLER, 0),
            Job::Queues => {
                // Of each so many, less one.
                let more = u32::from(self.pairs.saturating_sub(1));
                Command::admin(admin::SET_FEATURES, 0, 0).with(feature::QUEUES, more << 16 | more)
            }
            Job::Weights => Command::admin(admin::SET_FEATURES, 0, 0).with(feature::ARBITRATION, WEIGHTS),
            Job::Gather => {
                let units = u32::from(self.wishes.gather_us / 100).min(0xff);
                let entries = u32::from(self.wishes.gather.saturating_sub(1));
                Command::admin(admin::SET_FEATURES, 0, 0).with(feature::COALESCING, units << 8 | entries)
            }
            Job::Cache => Command::admin(admin::GET_FEATURES, 0, 0).with(feature::CACHE, 0),
            // Physically contiguous, with interrupts at vector 0, which any kind of interrupt has.
            Job::Answers(pair) => {
                let [_, answers] = self.memory.request_addresses(pair);
                Command::admin(admin::CREATE_CQ, 0, answers).with(size | u32::from(pair), 3)
            }
            Job::Commands(pair) => {
                let [commands, _] = self.memory.request_addresses(pair);
                // The first is of high priority, the others of medium and low.
                let priority = if self.weighted() { u32::from(pair) << 1 } else { 0 };
                let (size, answers) = (size | u32::from(pair), u32::from(pair) << 16);
                Command::admin(admin::CREATE_SQ, 0, commands).with(size, answers | priority | 1)
            }
            Job::Doorbells => {
                self.memory.clear_shadows();
                let [values, events] = self.memory.shadow_addresses();
                Command { second: events, ..Command::admin(admin::DOORBELLS, 0, values) }
            }
            Job::List => Command::admin(admin::IDENTIFY, 0, data).with(cns::LIST, 0),
            Job::Namespace(unit) | Job::FormatLeft(unit) => {
                let id = self.disks.get(usize::from(unit)).map_or(0, |disk| disk.id);
                Command::admin(admin::IDENTIFY, id, data).with(cns::NAMESPACE, 0)
            }
            Job::Names(unit) => {
                let id = self.disks.get(usize::from(unit)).map_or(0, |disk| disk.id);
                Command::admin(admin::IDENTIFY, id, data).with(cns::NAMES, 0)
            }
            Job::Zoned(unit) => {
                let id = self.disks.get(usize::from(unit)).map_or(0, |disk| disk.id);
                Command::admin(admin::IDENTIFY, id, data).with(cns::OF_SET, u32::from(zone::SET) << 24)
            }
            Job::Appends(_) => {
                Command::admin(admin::IDENTIFY, 0, data).with(cns::CONTROLLER_OF_SET, u32::from(zone::SET) << 24)
            }
            Job::ChangedZones(namespace) => {
                let ten = u32::from(page::CHANGED_ZONES) | (4096 / 4 - 1) << 16;
                Command::admin(admin::GET_LOG, namespace, data).with(ten, 0)
            }
            Job::Access => self.command(Job::Log(page::ACCESS)),
            Job::Rest => self.rest_command(),
            Job::PowerState => Command::admin(admin::GET_FEATURES, 0, 0).with(feature::POWER, 0),
            Job::Events => {
                let changes = self.controller.oaes.get() & (NAMESPACE_CHANGES | zone::NOTICES) | self.access_notices();
                Command::admin(admin::SET_FEATURES, 0, 0).with(feature::EVENTS, WARNINGS | changes)
            }
            Job::Log(log) => {
                let bytes: u32 = match log {
                    page::ERRORS => 64,
                    page::CHANGED | page::ACCESS => 4096,
                    _ => 512,
                };
                // Dwords, less one. Reading it clears its event.
                let groups = if log == page::ACCESS { GROUPS_ONLY } else { 0 };
                Command::admin(admin::GET_LOG, ALL, data).with(u32::from(log) | groups | (bytes / 4 - 1) << 16, 0)
            }
            Job::Abort(slot) => {
                Command::admin(admin::ABORT, 0, 0).with(u32::from(slot) << 16 | u32::from(self.queues.pair_of(slot)), 0)
            }
            Job::Order(ask) => self.order_command(ask),
            Job::Sanitize | Job::SanitizeFirst => self.command(Job::Log(page::SANITIZE)),
        }
    }

    /// What the controller says of itself.
    pub(super) fn identified(&mut self, done: bool) -> Result<(), Fault> {
        let now: Controller = self.memory.load();
        if !done || !now.sound() {
            return Err(Fault::Identify);
        }
        if self.known && !self.controller.outlives(&now) {
            return Err(Fault::Changed);
        }
        self.controller = now;
        self.sgl = now.sgl();
        self.family_found();
        self.power_found();
        self.health.model = Text::new(&now.model);
        self.health.serial = Text::new(&now.serial);
        self.health.firmware = Text::new(&now.firmware);
        Ok(())
    }

    /// Which namespaces there are. Controllers before 1.1 have no list, but a first namespace.
    pub(super) fn listed(&mut self, done: bool) {
        let first = if done { self.memory.first_listed() } else { 1 };
        for disk in &mut self.disks {
            disk.id = if disk.wanted != FIRST {
                disk.wanted
            } else if disk.found.is_some() {
                disk.id
            } else {
                first
            };
        }
    }

    /// What a unit's namespace says of itself: one that is not there is all zeroes. False where it is not to be driven as is wished,
    /// and nobody was told of it yet.
    pub(super) fn found(&mut self, unit: u8, done: bool) -> bool {
        let now: Namespace = if done { self.memory.load() } else { zerocopy::FromZeros::new_zeroed() };
        let access = if self.reports_access() { 1 << page::ACCESS } else { 0 };
        let around = Around { controller: &self.controller, volatile_cache: self.volatile_cache };
        if let Some(disk) = self.disks.get_mut(usize::from(unit)) {
            let before = (disk.present, disk.limits);
            let group = |disk: &Disk| disk.found.map(|found| found.ana_group);
            let group_before = group(disk);
            disk.become_what(&now, around);
            if self.open && group(disk) != group_before {
                self.admin.wanted.logs |= access;
            }
            self.changed |= before != (disk.present, disk.limits);
            return self.known || !disk.lacks_compare(&now, around);
        }
        true
    }

    /// What comes after a namespace: the next one while the controller starts; then it serves.
    pub(super) fn after_namespace(&mut self, unit: u8) -> Option<Job> {
        let next = unit + 1;
        if self.open {
            None
        } else if next < self.units {
            Some(Job::Namespace(next))
        } else if self.reports_access() {
            Some(Job::Access)
        } else {
            self.ready();
            None
        }
    }

    /// What a unit's namespace is called.
    pub(super) fn named(&mut self, unit: u8) {
        let list = self.memory.load();
        if let Some(disk) = self.disks.get_mut(usize::from(unit)) {
            let before = disk.present;
            disk.called(disk.names.with(&list));
            self.changed |= before != disk.present;
        }
    }

    pub(super) fn logged(&mut self, log: u8, done: bool) {
        match log {
            page::HEALTH if done => self.memory.load::<Smart>().put(&mut self.health),
            page::ERRORS if done => {
                let entry: ErrorEntry = self.memory.load();
                self.health.errors_logged = Some(entry.count.get()).max(self.health.errors_logged);
            }
            page::FIRMWARE if done => {
                if let Some(running) = self.memory.load::<Firmware>().running() {
                    self.health.firmware = running;
                }
            }
            // Which ones is not looked at: there are few.
            page::SANITIZE => self.sanitize_looked(done),
            page::CHANGED => {
                self.admin.wanted.units = u16::try_from((1u32 << self.units) - 1).unwrap_or(u16::MAX);
            }
            page::ACCESS => self.access_logged(done),
            _ => {}
        }
    }
}

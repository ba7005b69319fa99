// SPDX-License-Identifier: MIT
//! The driver's own commands, in the slot that clients do not get: who the drive is, how it is to work, whose fault it was.
use super::steps::After;
use super::{Class, Mode, Next, Port, Slot, Step, Trouble, flag};
use crate::Power;
use crate::layout;
use crate::wire::ata::{QUEUED_ERROR_LOG, TaskFile, command, device, feature};
use crate::wire::fis;
use crate::wire::identify::{Drive, Identify};
use crate::wire::log::QueuedError;
use core::sync::atomic::{Ordering, fence};
use orion_block::BlockSize;
use orion_driver::Health;
use orion_region::Mmio;
use zerocopy::FromBytes;

/// A command of the driver's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Job {
    /// None.
    #[default]
    None,
    /// IDENTIFY DEVICE.
    Identify,
    /// SET FEATURES: write cache.
    Cache,
    /// SET FEATURES: look-ahead.
    LookAhead,
    /// SET FEATURES: the drive lets an idle link save power.
    Power,
    /// SECURITY FREEZE LOCK.
    Freeze,
    /// A reset by software: it begins, or ends.
    Soft(bool),
    /// READ LOG EXT of queued commands' errors.
    Log,
    /// SMART, while clients are served.
    Smart(Smart),
}

/// What SMART is asked, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Smart {
    On,
    Status,
    Data,
    Thresholds,
    Tests,
}

impl Job {
    /// Whether clients are served meanwhile.
    pub fn is_smart(self) -> bool {
        matches!(self, Self::Smart(_))
    }
}

impl<T: Copy + Default> Port<T> {
    /// Issues one of the driver's own commands, alone unless clients are served meanwhile.
    pub(super) fn start_job<R: Mmio>(&mut self, registers: &R, job: Job) -> Next {
        let smart = |sub| self.smart_task(sub);
        let set = |on: Option<bool>, yes, no| TaskFile {
            command: command::SET_FEATURES,
            features: if on == Some(true) { yes } else { no },
            ..TaskFile::default()
        };
        let task = match job {
            Job::None => return Next::Wait,
            Job::Soft(begin) => return self.start_soft(registers, begin),
            Job::Identify => TaskFile { command: command::IDENTIFY, ..TaskFile::default() },
            Job::Cache => set(self.options.write_cache, feature::CACHE_ON, feature::CACHE_OFF),
            Job::LookAhead => set(self.options.look_ahead, feature::LOOK_AHEAD_ON, feature::LOOK_AHEAD_OFF),
            Job::Power => TaskFile {
                command: command::SET_FEATURES,
                features: feature::SATA_ON,
                count: feature::DEVICE_POWER,
                ..TaskFile::default()
            },
            Job::Freeze => TaskFile { command: command::FREEZE, ..TaskFile::default() },
            Job::Log => TaskFile {
                command: command::READ_LOG_EXT,
                count: 1,
                lba: QUEUED_ERROR_LOG,
                device: device::LBA,
                ..TaskFile::default()
            },
            Job::Smart(sub) => smart(sub),
        };
        let reads = matches!(job, Job::Identify | Job::Log)
            || matches!(job, Job::Smart(Smart::Data | Smart::Thresholds | Smart::Tests));
        if reads {
            // What an earlier command left there is no answer to this one.
            (0..64).for_each(|word| {
                self.dma.write(layout::DATA + word * 8, 0u64);
            });
            self.describe(self.spare, fis::words(&task), false, self.dma_bus + layout::DATA as u64, 512);
        } else {
            self.describe_empty(self.spare, &task);
        }
        if let Some(record) = self.slots.get_mut(usize::from(self.spare)) {
            *record = Slot { flags: flag::OWN, ..Slot::default() };
        }
        self.plain |= self.spare_bit();
        (self.job, self.outcome, self.began) = (job, None, None);
        if !job.is_smart() {
            self.step = Step::Job;
        }
        self.pump(registers);
        Next::Wait
    }

    /// The command of the driver's own has ended.
    pub(super) fn job_ended(&mut self, well: bool) {
        self.plain &= !self.spare_bit();
        self.outcome = Some(well);
    }

    /// The command of the driver's own, if there is one, is forgotten.
    pub(super) fn drop_job(&mut self) {
        self.plain &= !self.spare_bit();
        (self.job, self.outcome) = (Job::None, None);
    }

    /// The 512 bytes that such a command has read.
    pub(super) fn data(&self) -> [u8; 512] {
        fence(Ordering::Acquire);
        let mut bytes = [0; 512];
        self.dma.copy_out(layout::DATA, &mut bytes);
        bytes
    }

    pub(super) fn job_step<R: Mmio>(&mut self, registers: &R, late: bool) -> Next {
        self.collect(registers);
        if self.ended & self.spare_bit() != 0 {
            let _ = self.finish(self.spare);
        }
        let Some(well) = self.outcome else {
            self.pump(registers);
            if late {
                self.timeouts += 1;
                self.judge();
                return self.failed(registers, "the drive did not answer one of the driver's own commands");
            }
            return Next::Wait;
        };
        match self.job {
            Job::Identify if well => self.identified(registers),
            Job::Identify => self.failed(registers, "the drive does not say who it is"),
            Job::Soft(begin) if well => self.soft_ended(registers, begin),
            Job::Soft(_) => self.failed(registers, "the drive does not get ready"),
            Job::Cache => {
                if let (Some(drive), true) = (&mut self.drive, well) {
                    drive.cache = self.options.write_cache.unwrap_or(drive.cache);
                }
                self.set_up(registers, Job::Cache)
            }
            Job::Log => {
                self.job = Job::None;
                self.read_log(well);
                // A drive that has not been asked aborts whatever comes, until it is reset.
                if well { self.ready(false) } else { self.stop(registers, After::Reset) }
            }
            done => self.set_up(registers, done),
        }
    }

    /// Whose fault the log says it was. Where it says nothing sound, whoever was alone, or one after the other until it is known.
    fn read_log(&mut self, well: bool) {
        let log = QueuedError::read_from_bytes(&self.data()).ok().filter(|_| well);
        let failed = log.and_then(|log| Some((log.failed()?, log.status)));
        if let Some(((slot, error), status)) = failed.filter(|((slot, _), _)| self.lost >> slot & 1 != 0) {
            self.trouble = Trouble::Slot(slot, u32::from(error) << 8 | u32::from(status));
        }
        self.judge();
    }

    /// The drive said who it is: whether it is the one that clients know.
    fn identified<R: Mmio>(&mut self, registers: &R) -> Next {
        let found = match Identify::read_from_bytes(&self.data()).map(|identify| identify.parse()) {
            Ok(Ok(drive)) => drive,
            Ok(Err(lie)) => return self.failed(registers, lie.text()),
            Err(_) => return self.failed(registers, "the drive does not say who it is"),
        };
        if self.known.as_ref().is_some_and(|old| !old.outlives(&found)) {
            // What was asked of one drive is not done to another, and clients count in the blocks of the one that they know.
            return self.dead(
                "another drive was put in, or this one has changed: it is not used before the driver starts anew",
            );
        }
        self.adopt(found);
        self.set_up(registers, Job::Identify)
    }

    fn adopt(&mut self, found: Drive) {
        let (able, options) = (self.able, self.options);
        let dma = options.dma && found.dma;
        let lba48 = options.lba48 && found.lba48;
        let known = u32::MAX.checked_shr(32u32.saturating_sub(found.queue.into())).unwrap_or(0);
        let queued = options.ncq && able.ncq && dma && lba48 && self.mine & known != 0;
        if self.known.is_none() {
            // One slot is the driver's own; a tag is a slot, which the drive must know.
            self.all = if queued { self.mine & known } else { self.mine };
            self.free = self.all;
            self.health =
                Health { model: found.model, serial: found.serial, firmware: found.firmware, ..Health::default() };
            self.known = Some(found);
        }
        self.mode = Mode { queued, dma, lba48, fua: found.fua && dma && lba48 };
        self.class = if queued { Class::Queued } else { Class::Plain };
        self.shift = found.block.shift();
        self.capacity = if lba48 { found.capacity } else { found.capacity.min(1 << 28) };
        let most = if lba48 { 1 << 16 } else { 1 << 8 };
        self.most = most.min(layout::REQUEST_BYTES >> self.shift);
        self.read_only = self.policy_read_only || self.shift > BlockSize::B4096.shift();
        self.drive = Some(found);
    }

    /// What is next to be set after `done`, or to serve.
    fn set_up<R: Mmio>(&mut self, registers: &R, done: Job) -> Next {
        let Some(drive) = self.drive else { return self.failed(registers, "the drive does not say who it is") };
        let options = self.options;
        let cache = drive.cache_control && options.write_cache.is_some_and(|on| on != drive.cache);
        let ahead = drive.look_ahead && options.look_ahead.is_some();
        let power = drive.device_power && self.saves() != Power::Active && self.device.is_none();
        let freeze = drive.unfrozen && options.freeze;
        let next = match done {
            Job::Identify if cache => Job::Cache,
            Job::Identify | Job::Cache if ahead => Job::LookAhead,
            Job::Identify | Job::Cache | Job::LookAhead if power => Job::Power,
            Job::Identify | Job::Cache | Job::LookAhead | Job::Power if freeze => Job::Freeze,
            _ => Job::None,
        };
        if next != Job::None {
            return self.start_job(registers, next);
        }
        self.job = Job::None;
        self.changed |= !self.serving || self.cache != drive.cache;
        (self.serving, self.cache) = (true, drive.cache);
        self.asked = true;
        if self.device.is_none() {
            self.rest(registers);
        }
        self.ready(true)
    }
}

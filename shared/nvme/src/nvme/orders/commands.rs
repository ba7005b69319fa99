// SPDX-License-Identifier: MIT
//! The commands of orders.
use super::Ask;
use crate::nvme::Nvme;
use crate::queues::Queues;
use crate::wire::Command;
use crate::wire::command::{admin, cns};
use crate::wire::manage::NewSpace;
use orion_driver::Registers;
use orion_metrics::{Work, sanitize};
use zerocopy::byteorder::little_endian::U16;

/// Namespace management: to delete (5.20).
const DELETE: u32 = 1;
/// Namespace attachment: to detach (5.19).
const DETACH: u32 = 1;
/// Sanitize: the medium is overwritten once (5.24). 0 would be 16 times.
const ONE_PASS: u32 = 1 << 4;

impl<R: Registers, T: Copy + Default, Q: Queues> Nvme<R, T, Q> {
    /// The command for a part of the order that is under way.
    pub(in crate::nvme) fn order_command(&mut self, ask: Ask) -> Command {
        let Some(task) = self.orders.task else { return Command::default() };
        let (work, data) = (&task.work, self.memory.data());
        let own = self.disks.get(usize::from(work.unit)).map_or(0, |disk| disk.id);
        match ask {
            Ask::Format => Command::admin(admin::FORMAT, own, 0).with(self.format_command(work).unwrap_or(0), 0),
            Ask::Sanitize => {
                // 5.24: no unrestricted exit, so that what could not be sanitized is not read either.
                let passes = if work.how == sanitize::OVERWRITE { ONE_PASS } else { 0 };
                Command::admin(admin::SANITIZE, 0, 0).with(work.how | passes, 0)
            }
            Ask::Create => {
                if let Some(space) = self.new_space(work) {
                    self.memory.store(&space);
                }
                Command::admin(admin::NAMESPACE, 0, data)
            }
            Ask::Delete(id) => Command::admin(admin::NAMESPACE, id, 0).with(DELETE, 0),
            Ask::Attach(id) => self.attachment(id, 0),
            Ask::Detach(id) => self.attachment(id, DETACH),
            Ask::Power => self.power_command(work.first),
            Ask::Rest => {
                self.power.bound_us = u32::try_from(work.first).unwrap_or(0);
                self.rest_command()
            }
            // They are no administrative commands.
            Ask::Zones | Ask::Zone | Ask::Verify => Command::default(),
            Ask::Attached => Command::admin(admin::IDENTIFY, 0, data).with(cns::LIST, 0),
            Ask::Allocated => Command::admin(admin::IDENTIFY, 0, data).with(cns::ALLOCATED, 0),
            Ask::Space(at) => {
                let which = if self.manages_namespaces() { cns::ALLOCATED_NAMESPACE } else { cns::NAMESPACE };
                Command::admin(admin::IDENTIFY, self.orders.found.id(at).unwrap_or(0), data).with(which, 0)
            }
        }
    }

    /// To attach or detach: a list of controllers that has this one.
    fn attachment(&self, id: u32, how: u32) -> Command {
        self.memory.store(&[U16::new(1), self.controller.id]);
        Command::admin(admin::ATTACHMENT, id, self.memory.data()).with(how, 0)
    }

    /// Dword 10 of Format NVM: the format, and how what was written is erased; nothing where the disk has no such format.
    pub(super) fn format_command(&self, work: &Work) -> Option<u32> {
        let found = self.disks.get(usize::from(work.unit))?.found?;
        let erase = work.how << 9;
        if work.first == 0 || work.first == u64::from(found.block_bytes()) {
            // As it is: the format, where metadata is, protection and where that is.
            let metadata = u32::from(found.format & 1 << 4);
            let protection = u32::from(found.dps & 7) << 5 | u32::from(found.dps & 8) << 5;
            return Some(u32::from(found.format & 0xf) | metadata | protection | erase);
        }
        let known = matches!(work.first, 512 | 1024 | 2048 | 4096);
        found.format_of(work.first).filter(|_| known).map(|format| u32::from(format & 0xf) | erase)
    }

    /// The namespace that is to be made, if there can be such.
    pub(super) fn new_space(&self, work: &Work) -> Option<NewSpace> {
        // The formats are the same for all namespaces of a controller.
        let found = self.disks.iter().find_map(|disk| disk.found)?;
        let bytes = if work.first == 0 { u64::from(found.block_bytes()) } else { work.first };
        let format = found.format_of(bytes)?;
        (work.count != 0 && work.count.checked_mul(bytes).is_some()).then(|| NewSpace::new(work.count, format))
    }
}

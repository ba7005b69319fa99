// SPDX-License-Identifier: MIT
//! Zones: reports of them and changes to them are commands like reads and writes, and take a request's slot, as verifying does.
use super::{Ask, Step};
use crate::nvme::Nvme;
use crate::nvme::slots::State;
use crate::queues::Queues;
use crate::wire::Command;
use crate::wire::command::nvm;
use crate::wire::zone::{Report, action};
use orion_block::Request;
use orion_driver::{Registers, Unit};
use orion_metrics::{Progress, Verb};

/// Dwords of a page, less one.
const PAGE_DWORDS: u64 = 4096 / 4 - 1;
/// Dword 13 of a zone management receive: all zones from there on, and only so many are counted as there is room for.
const PARTIAL: u64 = 1 << 16;

impl<R: Registers, T: Copy + Default, Q: Queues> Nvme<R, T, Q> {
    /// Sends the command of the order that is under way, if there is a slot for it.
    pub(super) fn ask_zone(&mut self, ask: Ask) {
        let Some(task) = self.orders.task.map(|task| task.work) else { return };
        let Ok(slot) = self.take(Unit(task.unit), T::default(), &Request::default(), State::Zone) else { return };
        if let Some(task) = &mut self.orders.task {
            task.step = Step::Sent(ask);
        }
        self.orders.progress(Progress::Runs);
        self.send(slot);
        self.counters.kicks += self.queues.kick(&self.registers);
    }

    /// The command in a slot, which is about zones of the namespace that `head` names.
    pub(in crate::nvme) fn zone_command(&self, slot: u16, head: u64) -> Command {
        let Some(work) = self.orders.task.map(|task| task.work) else { return Command::default() };
        if work.verb == Verb::Verify {
            return self.check_command(head);
        }
        match action(work.verb) {
            Some(action) => Command {
                head: head | u64::from(nvm::ZONE_SEND),
                low: work.first,
                middle: u64::from(action) << 32,
                ..Command::default()
            },
            None => Command {
                head: head | u64::from(nvm::ZONE_RECEIVE),
                first: self.memory.page(slot),
                low: work.first,
                middle: PAGE_DWORDS | PARTIAL << 32,
                ..Command::default()
            },
        }
    }

    /// The controller has answered the command in a slot.
    pub(in crate::nvme) fn zone_answered(&mut self, slot: u16, status: u16) {
        self.free_zone(slot);
        if status == 0 {
            self.resets = 0;
        }
        if let Some(ask) =
            self.orders.task.and_then(|task| if let Step::Sent(ask) = task.step { Some(ask) } else { None })
        {
            if ask == Ask::Zones && status == 0 {
                let report: Report = self.memory.load_page(slot);
                report.zones().for_each(|zone| self.orders.found.push_zone(zone.row()));
            }
            self.order_answered(ask, status, 0);
            self.next_job();
            self.attend();
        }
    }

    pub(in crate::nvme) fn free_zone(&mut self, slot: u16) {
        if let Some(record) = self.slots.get_mut(usize::from(slot)) {
            record.state = State::Free;
            self.free.give(slot);
        }
    }

    /// The controller holds no command any more.
    pub(in crate::nvme) fn forget_zone(&mut self) {
        let of_ours = |state| matches!(state, State::Zone | State::Looks);
        for slot in (0u16..).take(self.slots.len()) {
            let record = self.slots.get(usize::from(slot)).filter(|record| of_ours(record.state));
            if let Some((state, unit)) = record.map(|record| (record.state, record.unit)) {
                self.free_zone(slot);
                if state == State::Looks {
                    self.zoned.count_again(unit);
                }
            }
        }
    }
}

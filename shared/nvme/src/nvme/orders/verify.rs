// SPDX-License-Identifier: MIT
//! To verify (6.16): the controller reads blocks and gives none of them away. One command at a time beside requests, as large as it
//! takes; where one fails its blocks are narrowed down, until the ones that cannot be read are known.
use super::{Ask, Step};
use crate::nvme::Nvme;
use crate::queues::Queues;
use crate::wire::Command;
use crate::wire::command::nvm;
use crate::wire::status::{INVALID_FIELD, Meaning, meaning};
use crate::wire::zone;
use orion_block::Error;
use orion_driver::{Registers, Text};
use orion_metrics::{Progress, Reply, Work};

/// Blocks that cannot be read, after which it looks no further: such a disk is to be replaced.
const BAD_MAX: u64 = 1000;

/// How far it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Check {
    /// The first block, and one past the last.
    first: u64,
    end: u64,
    /// The block that comes next.
    at: u64,
    /// Blocks of the command that is under way, or comes next; and of one at most.
    blocks: u32,
    most: u32,
    /// Blocks that cannot be read, and the first of them.
    bad: u64,
    first_bad: u64,
}

impl Check {
    /// None.
    pub const NONE: Self = Self { first: 0, end: 0, at: 0, blocks: 0, most: 0, bad: 0, first_bad: 0 };

    /// So many of the blocks of the next command are there.
    fn now(&self) -> u32 {
        u32::try_from(self.end.saturating_sub(self.at)).unwrap_or(u32::MAX).min(self.blocks)
    }

    fn narrow(&mut self) {
        self.blocks = (self.now() / 2).max(1);
    }

    fn go_on(&mut self, blocks: u32) {
        self.at += u64::from(blocks);
        self.blocks = self.blocks.saturating_mul(2).clamp(1, self.most);
    }

    fn permille(&self) -> u16 {
        let (done, all) = (u128::from(self.at - self.first), u128::from(self.end - self.first).max(1));
        u16::try_from(done * 1000 / all).unwrap_or(1000)
    }
}

impl<R: Registers, T: Copy + Default, Q: Queues> Nvme<R, T, Q> {
    /// The first command of such an order.
    pub(super) fn plan_check(&self, work: &Work) -> Result<Ask, Reply> {
        let disk = self.disks.get(usize::from(work.unit)).filter(|disk| disk.present).ok_or(Reply::Absent)?;
        // Some do it and do not say so in ONCS, QEMU's among them; who does not says that when asked.
        if disk.names.set == zone::SET {
            return Err(Reply::Unsupported);
        }
        check(disk.limits.capacity, disk.command_blocks, work).map(|_| Ask::Verify).ok_or(Reply::Invalid)
    }

    /// It begins.
    pub(super) fn begin_check(&mut self, work: &Work) {
        let disk = self.disks.get(usize::from(work.unit));
        let found = disk.and_then(|disk| check(disk.limits.capacity, disk.command_blocks, work));
        self.orders.check = found.unwrap_or(Check::NONE);
    }

    /// The next command, of the namespace that `head` names.
    pub(super) fn check_command(&self, head: u64) -> Command {
        let check = self.orders.check;
        let middle = u64::from(check.now().saturating_sub(1));
        Command { head: head | u64::from(nvm::VERIFY), low: check.at, middle, ..Command::default() }
    }

    /// The controller has answered a command.
    pub(super) fn checked(&mut self, status: u16) {
        let check = &mut self.orders.check;
        let blocks = check.now();
        match meaning(status) {
            Meaning::Done => check.go_on(blocks),
            Meaning::Failed(Error::Medium) if blocks > 1 => check.narrow(),
            Meaning::Failed(Error::Medium) => {
                check.first_bad = if check.bad == 0 { check.at } else { check.first_bad };
                check.bad += 1;
                check.go_on(1);
                check.blocks = 1;
            }
            // More than it takes at once, which nothing says before TP 4040.
            _ if status & 0x7ff == INVALID_FIELD && blocks > 1 => {
                check.narrow();
                check.most = check.blocks;
            }
            _ => return self.order_refused(status),
        }
        let check = *check;
        let row = &mut self.orders.row;
        (row.permille, row.value) = (check.permille().into(), check.bad.into());
        if check.at < check.end && check.bad < BAD_MAX {
            return self.order_goes_on(Step::Next(Ask::Verify));
        }
        if check.bad == 0 {
            return self.order_goes_on(Step::Settle);
        }
        let why = Text::format(format_args!("{} unreadable, the first is {}", check.bad, check.first_bad));
        self.order_ended(Progress::Failed, status, why.as_str());
    }
}

/// The blocks that are to be verified, if the disk has them.
fn check(capacity: u64, most: u32, work: &Work) -> Option<Check> {
    let end = if work.count == 0 { capacity } else { work.first.checked_add(work.count)? };
    let sound = work.first < end && end <= capacity;
    sound.then_some(Check { first: work.first, end, at: work.first, blocks: most, most, ..Check::NONE })
}

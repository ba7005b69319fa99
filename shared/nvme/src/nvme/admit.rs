// SPDX-License-Identifier: MIT
//! What is done with a request before the controller sees it.
use super::Nvme;
use super::disk::Disk;
use super::memory::PAGE;
use super::slots::{Slot, State};
use crate::queues::Queues;
use crate::wire::Command;
use crate::wire::command::{SGL, nvm};
use orion_block::{Completion, Error, Instant, Op, Request};
use orion_driver::{Registers, Unit};

/// While requests are in flight, the controller's status is looked at so often: it does not interrupt when it fails.
const CHECK_NS: u64 = 1_000_000_000;
const PAGE_BYTES: u64 = PAGE as u64;

impl<R: Registers, T: Copy + Default, Q: Queues> Nvme<R, T, Q> {
    /// Checks a request against what the disk can do, and stages it. What it is refused for is its answer.
    #[inline(always)]
    pub(super) fn admit(&mut self, unit: Unit, tag: T, req: &Request) -> Result<(), Error> {
        // A copy, whose parts stay in registers: only what is rare needs it in memory.
        let req = *req;
        let disk = self.disks.get(usize::from(unit.0)).filter(|disk| disk.present).ok_or(Error::Offline)?;
        let opcode = match req.op {
            Op::Read => nvm::READ,
            Op::Write if disk.careful => return self.admit_careful(unit, tag, req),
            Op::Write => nvm::WRITE,
            _ => return self.admit_other(unit, tag, req),
        };
        // What one command can have is less than the most of a request.
        if !disk.at_once(req.lba.0, req.blocks) {
            return self.admit_parts(unit, tag, req);
        }
        if req.end().is_none_or(|end| end > disk.limits.capacity) {
            return Err(Error::OutOfRange);
        }
        let command = disk.command(opcode, &req);
        let (len, address) = self.payload(disk, &req)?;
        let slot = self.take(unit, tag, &req, State::Held)?;
        self.transfer(slot, command, address, len);
        Ok(())
    }

    /// Operations without payload: rare enough to be kept out of the others' way.
    #[cold]
    #[inline(never)]
    fn admit_other(&mut self, unit: Unit, tag: T, req: Request) -> Result<(), Error> {
        let req = &req;
        let disk = self.disks.get(usize::from(unit.0)).ok_or(Error::Offline)?;
        let limits = disk.limits;
        if req.op == Op::Flush {
            if !limits.volatile_cache {
                // 6.8: without a volatile cache what has been completed is durable.
                self.done.push(tag, Completion::ok(0));
                return Ok(());
            }
        } else {
            let offered = if req.op == Op::Discard { limits.discard_granularity != 0 } else { limits.write_zeroes };
            if limits.read_only {
                return Err(Error::ReadOnly);
            }
            if !offered {
                return Err(Error::Unsupported);
            }
            inside(disk, req)?;
            if req.op == Op::WriteZeroes && !disk.compares && !disk.at_once(req.lba.0, req.blocks) {
                return self.admit_parts(unit, tag, *req);
            }
        }
        // Dataset management has no FUA.
        let flush = req.op == Op::Discard && req.fua && limits.volatile_cache;
        if disk.compares && req.op != Op::Flush {
            return self.admit_alone(unit, tag, req, if flush { State::ThenFlush } else { State::Parts });
        }
        let slot = self.take(unit, tag, req, if flush { State::ThenFlush } else { State::Held })?;
        self.send(slot);
        Ok(())
    }

    /// More than one command can have: its parts are sent one after the other, so that those before a failed one are done.
    #[cold]
    #[inline(never)]
    fn admit_parts(&mut self, unit: Unit, tag: T, req: Request) -> Result<(), Error> {
        let req = &req;
        let disk = self.disks.get(usize::from(unit.0)).ok_or(Error::Offline)?;
        inside(disk, req)?;
        if req.op.has_payload() {
            self.payload(disk, req)?;
        }
        // Between boundaries that are no power of two it may be one after all.
        let whole = disk.part(req.lba.0, req.blocks) == req.blocks;
        let slot = self.take(unit, tag, req, if whole { State::Held } else { State::Parts })?;
        self.send(slot);
        Ok(())
    }

    /// Stages the request in a slot, once more or as the second half of it.
    #[cold]
    #[inline(never)]
    pub(super) fn send(&mut self, slot: u16) {
        let Some(Slot { mut req, unit, state, sent, .. }) = self.slots.get(usize::from(slot)).copied() else { return };
        let Some(disk) = self.disks.get(usize::from(unit)) else { return };
        if state == State::Zone {
            let command = self.zone_command(slot, disk.head);
            return self.queues.push(command.called(slot));
        }
        if state == State::Looks {
            let command = self.look_command(slot, disk.head, sent);
            return self.queues.push(command.called(slot));
        }
        if state == State::ComparesAppended {
            // From there on where it begins.
            req.lba.0 += u64::from(sent);
        }
        if state.in_parts() {
            let part = disk.part(req.lba.0.wrapping_add(u64::from(sent)), req.blocks - sent);
            req = req.part(sent, part, disk.limits.block.shift());
        }
        let command = match (state, req.op) {
            (State::Flushing, _) | (_, Op::Flush) => {
                Command { head: disk.head | u64::from(nvm::FLUSH), ..Command::default() }
            }
            (_, Op::Read | Op::Write) => {
                let opcode = match req.op {
                    Op::Read => nvm::READ,
                    _ if state.is_compared() => nvm::COMPARE,
                    _ if state == State::Appends => nvm::ZONE_APPEND,
                    _ => nvm::WRITE,
                };
                // What is compared is what the medium has (6.6), not what the controller remembers.
                req.fua |= state.is_compared();
                let command = disk.command(opcode, &req);
                if let Ok((len, address)) = self.payload(disk, &req) {
                    self.transfer(slot, command, address, len);
                }
                return;
            }
            (_, Op::Discard) => Command {
                head: disk.head | u64::from(nvm::DATASET),
                first: self.memory.range(slot, req.lba.0, req.blocks),
                // One range, which is said by 0.
                low: nvm::DEALLOCATE,
                ..Command::default()
            },
            (_, Op::WriteZeroes) => disk.command(nvm::WRITE_ZEROES, &req),
        };
        self.queues.push(command.called(slot));
    }

    /// Stages a command that moves `len` bytes at the bus address `address`.
    #[inline(always)]
    fn transfer(&mut self, slot: u16, command: Command, address: u64, len: u64) {
        let first = PAGE_BYTES - address % PAGE_BYTES;
        let (flag, second) = if len <= first {
            (0, 0)
        } else if len <= first + PAGE_BYTES {
            (0, address.wrapping_add(first))
        } else {
            self.long(slot, address, len)
        };
        let head = command.head | u64::from(slot) << 16 | flag;
        self.queues.push(Command { head, first: address, second, ..command });
    }

    /// More than two pages: an SGL descriptor where the controller takes one (4.4), else a PRP list (4.3). What it adds to the
    /// command's first word, and its second pointer: a whole command handed over would have to lie in memory for every request.
    #[inline(never)]
    fn long(&self, slot: u16, address: u64, len: u64) -> (u64, u64) {
        if self.sgl {
            // A data block: type and subtype are 0.
            return (SGL, len);
        }
        let first = PAGE_BYTES - address % PAGE_BYTES;
        let pages = (len - first).div_ceil(PAGE_BYTES);
        (0, self.memory.list(slot, address.wrapping_add(first), pages))
    }

    /// A slot for a request.
    #[inline]
    pub(super) fn take(&mut self, Unit(unit): Unit, tag: T, req: &Request, state: State) -> Result<u16, Error> {
        if self.free.is_full() {
            let check = self.now.after(CHECK_NS).min(self.deadline);
            self.watch = if self.busy { check.min(self.watch) } else { check };
        }
        let slot = self.free.take().ok_or(Error::Again)?;
        if let Some(record) = self.slots.get_mut(usize::from(slot)) {
            let deadline = self.deadline;
            *record = Slot { tag, deadline, req: *req, unit, sent: 0, state, retries: 0, aborted: false };
        }
        Ok(slot)
    }

    /// Bytes of a payload and their bus address, if its region has them. Both ways to name it want whole dwords (4.3, 4.4).
    #[inline]
    pub(super) fn payload(&self, disk: &Disk, req: &Request) -> Result<(u64, u64), Error> {
        let span = self.regions.get(usize::from(req.buf.region.0)).ok_or(Error::Invalid)?;
        let len = u64::from(req.blocks) << disk.limits.block.shift();
        let address = span.address(req.buf.offset, len).ok_or(Error::Invalid)?;
        if address.is_multiple_of(4) { Ok((len, address)) } else { Err(Error::Invalid) }
    }

    /// The next time that the controller's status is looked at, for requests in flight.
    pub(super) fn next_check(&self) -> Instant {
        self.now.after(CHECK_NS)
    }
}

impl Disk {
    /// A command for the blocks of a request, which it must have: without payload, not called anything yet.
    #[inline(always)]
    fn command(&self, opcode: u8, req: &Request) -> Command {
        // A read has it too (6.9), and who asks for it gets what is on the medium.
        let fua = u64::from(req.fua) << nvm::FUA.trailing_zeros();
        let middle = u64::from(req.blocks - 1) | fua | self.protection;
        let high = req.lba.0 & self.reference;
        Command { head: self.head | u64::from(opcode), low: req.lba.0, middle, high, ..Command::default() }
    }
}

/// Whether the disk has the blocks, and takes so many at once.
#[inline]
pub(super) fn inside(disk: &Disk, req: &Request) -> Result<(), Error> {
    if req.blocks.wrapping_sub(1) >= disk.limits.max_blocks {
        return Err(Error::Invalid);
    }
    if req.end().is_none_or(|end| end > disk.limits.capacity) {
        return Err(Error::OutOfRange);
    }
    Ok(())
}

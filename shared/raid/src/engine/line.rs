// SPDX-License-Identifier: MIT
//! What a line does, with as few reads as that takes: it reads, computes, and writes.
use super::background::Goal;
use super::lines::{Line, Phase, Way};
use super::members::{Roles, base, bases, bit, both, each, twin, twins};
use super::{Ctx, FANOUT, Raid, blames};
use crate::geometry::Stripe;
use orion_block::{Completion, Error, Op};
use orion_layer::{Id, Io};

/// The members that hold parity in a stripe.
pub(super) fn parity_of(stripe: &Stripe) -> Roles {
    bit(stripe.p) | stripe.q.map_or(0, bit)
}

/// The members that hold data in a stripe.
pub(super) fn data_of(stripe: &Stripe) -> Roles {
    stripe.all() & !parity_of(stripe)
}

impl Raid {
    /// How parity is found with fewest reads, and what has to be read for it; `None` where too much is lost.
    fn plan(&self, line: &Line) -> Option<(Way, Roles)> {
        let stripe = line.stripe?;
        let end = (line.band + 1).saturating_mul(self.lines.height);
        let (data, parity) = (data_of(&stripe), parity_of(&stripe));
        let can = self.members.that_hold(end) & !line.lost | self.stand_ins(line.lost, end);
        let can = can & (data | parity);
        if line.sync {
            let copied = bases(self.members.filling);
            if self.only_copies() && line.writes | line.wants == 0 && copied & !can == 0 {
                return Some((Way::Copy, copied));
            }
            return Some((Way::Construct, can));
        }
        let unknown = data & !line.covered;
        if unknown & !can == 0 && line.wants == 0 {
            let modify = line.writes | self.known(parity);
            let can_modify = modify & !can == 0 && self.meta.synced(end);
            let cheaper = modify.count_ones() < unknown.count_ones();
            return Some(if can_modify && cheaper { (Way::Modify, modify) } else { (Way::Construct, unknown) });
        }
        if unknown & !can == 0 {
            return Some((Way::Construct, unknown));
        }
        // What is missing follows from all that is not, and from as much parity; from P first.
        let lacking = (data & !can).count_ones();
        let p = bit(stripe.p) & can;
        let needed = if lacking == 1 && p != 0 { p } else { parity & can };
        (needed.count_ones() >= lacking).then_some((Way::Construct, data & can | needed))
    }

    /// Reads what is needed and not in memory yet.
    pub(super) fn read_line(&mut self, n: usize, io: &mut Io<'_, Ctx>) {
        let planned = self.lines.get(n).and_then(|line| self.plan(line));
        let Some((way, reads)) = planned else {
            return self.line_failed(n, io);
        };
        if let Some(line) = self.lines.get_mut(n) {
            (line.phase, line.way) = (Phase::Read, way);
            (line.reads, line.have, line.todo) = (reads, line.have & reads, reads & !line.have);
        }
        self.send_all(n, io);
    }

    /// Sends as much of a phase as can be out, and goes on when nothing is.
    fn send_all(&mut self, n: usize, io: &mut Io<'_, Ctx>) {
        // The first of its list sends the lower requests of a line.
        let Some(id) = self.lines.get(n).and_then(|line| line.list.first) else { return };
        let mut child = 0;
        while usize::from(child) < FANOUT && self.send_next(n, id, child, io) {
            child += 1;
        }
        self.phase_ended(n, io);
    }

    /// The next member to be asked.
    fn next_of_line(&mut self, n: usize) -> Option<u32> {
        let height = self.lines.height;
        loop {
            let line = self.lines.get_mut(n).filter(|line| line.todo != 0)?;
            let role = line.todo.trailing_zeros();
            line.todo &= line.todo - 1;
            if line.phase != Phase::Read {
                return Some(self.members.as_now(role));
            }
            if line.lost & bit(role) != 0 {
                return Some(twin(role));
            }
            if self.members.holds(role, (line.band + 1).saturating_mul(height)) {
                return Some(role);
            }
            // Another took its place since that was planned.
            line.lost |= bit(role);
        }
    }

    /// Sends the next lower request of a line; whether there was one.
    fn send_next(&mut self, n: usize, id: Id, child: u8, io: &mut Io<'_, Ctx>) -> bool {
        let height = self.lines.height;
        let Some(role) = self.next_of_line(n) else { return false };
        let Some(line) = self.lines.get_mut(n) else { return false };
        line.out += 1;
        if let Some(asked) = line.asked.get_mut(usize::from(child)) {
            *asked = u8::try_from(role).unwrap_or(u8::MAX);
        }
        let (writes, own) = (line.phase == Phase::Write, bit(base(role)));
        let (op, fua) = if writes { (Op::Write, line.fua) } else { (Op::Read, false) };
        let (first, mut low, mut high) = (line.band * height, line.low, line.high);
        if writes && line.writes & !line.covered & !line.lost & own != 0 && !line.sync {
            // Of data that are written, no more than clients did.
            let cover = self.lines.cover(n, base(role));
            (low, high) = (cover.trailing_zeros().into(), u64::from(u32::BITS - cover.leading_zeros()));
        }
        let buf = self.lines.buf(self.work, n, base(role), low);
        let (port, below) = self.members.transfer(role, op, fua, (first + low, high - low), buf);
        io.lower(id, port, child, below);
        true
    }

    /// A lower request of a line ended, or of a reader that has none.
    pub(super) fn stripe_ended(&mut self, id: Id, child: u8, done: Completion, io: &mut Io<'_, Ctx>) {
        let Some(&mut Ctx { role, line, .. }) = io.ctx(id) else { return };
        if role != u8::MAX {
            return self.read_alone(id, done, io);
        }
        let (n, port) = (usize::from(line), io.child_port(id, child));
        let Some(line) = self.lines.get_mut(n) else { return };
        line.out = line.out.saturating_sub(1);
        let role = u32::from(line.asked.get(usize::from(child)).copied().unwrap_or(u8::MAX));
        // Another may have taken the member's place meanwhile, and has nothing to do with it.
        let now = self.members.now(role, port);
        match (line.phase, done.status) {
            (Phase::Read, Ok(())) if now == Some(role) => line.have |= bit(base(role)),
            (Phase::Read, Ok(())) => line.lost |= bit(role),
            (_, Ok(())) => line.did = true,
            (_, Err(error)) => self.line_hurt(n, role, now, error),
        }
        let more = self.send_next(n, id, child, io);
        if !more {
            self.phase_ended(n, io);
        }
    }

    /// A lower request of a line failed.
    #[cold]
    fn line_hurt(&mut self, n: usize, role: u32, now: Option<u32>, error: Error) {
        let Some(line) = self.lines.get_mut(n) else { return };
        line.error = Some(error);
        if line.phase == Phase::Read {
            line.lost |= bit(role);
        } else if blames(error) {
            line.changed = true;
            let borne = now.is_none_or(|role| self.fail(role));
            self.lines.get_mut(n).into_iter().for_each(|line| line.broke |= !borne);
        } else if let Some(role) = now {
            line.refused |= bit(role);
        }
    }

    fn phase_ended(&mut self, n: usize, io: &mut Io<'_, Ctx>) {
        let Some(line) = self.lines.get(n).filter(|line| line.out == 0) else { return };
        match line.phase {
            Phase::Read => self.line_read(n, io),
            Phase::Write => self.line_written(n, io),
            Phase::Free | Phase::Gather | Phase::Log => {}
        }
    }

    /// All that can be read is: what is missing has to follow from it, or from more.
    fn line_read(&mut self, n: usize, io: &mut Io<'_, Ctx>) {
        let Some(line) = self.lines.get(n) else { return };
        let Some(stripe) = line.stripe else { return };
        if line.reads & !line.have != 0 {
            return self.read_line(n, io);
        }
        let writes = line.writes;
        if !self.compute(n, &stripe, io) {
            return self.line_failed(n, io);
        }
        if writes != 0 && self.journal.there {
            return self.journal_line(n, io);
        }
        if writes != 0 && self.logs() && self.members.is_used(stripe.p) {
            return self.log_line(n, io);
        }
        self.write_line(n, io);
    }

    /// Writes what is in a line's memory.
    pub(super) fn write_line(&mut self, n: usize, io: &mut Io<'_, Ctx>) {
        if self.meta.broken().is_some() {
            return self.line_failed(n, io);
        }
        let writes = self.stripe_of(n).map_or(0, |stripe| self.to_write(n, &stripe));
        if let Some(line) = self.lines.get_mut(n) {
            (line.phase, line.todo) = (Phase::Write, writes);
        }
        self.send_all(n, io);
    }

    /// The members that are to be written: with new data, with the parity of these, with what they could not read, and with
    /// what they lack because they are new.
    pub(super) fn to_write(&self, n: usize, stripe: &Stripe) -> Roles {
        let Some(line) = self.lines.get(n) else { return 0 };
        let changed = line.writes != 0 || (line.sync && line.differs);
        let new = match self.background.goal {
            Goal::Rebuild if line.sync => self.members.filling,
            Goal::Sync if line.sync => twins(self.members.filling),
            _ => 0,
        };
        let again = if line.way == Way::Construct { line.lost } else { 0 };
        let members = line.writes | if changed { parity_of(stripe) } else { 0 } | again;
        (both(members) | new) & self.members.used()
    }

    /// Everything is written, but what failed.
    fn line_written(&mut self, n: usize, io: &mut Io<'_, Ctx>) {
        let Some(line) = self.lines.get(n) else { return };
        let &Line { did, writes, error, broke, changed, .. } = line;
        let refused = if did { line.refused } else { 0 };
        let spurned = !did && line.refused != 0 && writes != 0;
        let broke = !self.leave(refused) || broke;
        if broke {
            // What the stripe holds now is not known: nothing more is written, and the superblocks say that it was in use.
            self.meta.breaks();
        }
        // That what a reader could not read cannot be written again is no concern of his.
        self.end_line(n, error.filter(|_| broke || spurned), changed || refused != 0, io);
    }

    /// Leaves members behind; whether the array bears that.
    fn leave(&mut self, roles: Roles) -> bool {
        let mut borne = true;
        each(roles).for_each(|role| borne &= self.fail(role));
        borne
    }

    /// Too much is lost for what was asked.
    fn line_failed(&mut self, n: usize, io: &mut Io<'_, Ctx>) {
        let error = self.lines.get(n).and_then(|line| line.error).unwrap_or(Error::Io);
        if self.lines.get(n).is_some_and(|line| line.sync && self.background.goal == Goal::Rebuild) {
            self.background.stuck = true;
        }
        self.end_line(n, Some(error), false, io);
    }
}

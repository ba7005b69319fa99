// SPDX-License-Identifier: MIT
//! An array that became another gets its partial parity log again, empty: no request is in flight meanwhile.
use super::grow::{LOG_LEAST, Stage};
use super::members::bit;
use super::{Ctx, Raid};
use crate::{Level, Ppl, Super};
use orion_block::Completion;
use orion_layer::Io;

impl Raid {
    /// Where the log of each device is from now on: as large as the data leave room for. `None` where there is not enough, or the
    /// level has none.
    fn logs_now(&self) -> Option<heapless::Vec<(u8, Ppl), { super::PORTS_MAX }>> {
        let level5 = self.meta.all().all(|(_, own)| own.level == 5);
        let parity = matches!(self.geometry.as_ref()?.level(), Level::Parity(_));
        let mut logs = heapless::Vec::new();
        let mut least = u16::MAX;
        for (port, own) in self.meta.all().filter(|_| level5 && parity) {
            let ppl = self.moving.grow.logs.iter().find(|(at, _)| *at == port).map(|(_, ppl)| *ppl)?;
            let room = u16::try_from(own.data_offset.checked_sub(ppl.at)?).unwrap_or(u16::MAX);
            least = least.min(room).min(ppl.sectors);
            logs.push((port, ppl)).ok()?;
        }
        logs.iter_mut().for_each(|(_, ppl)| ppl.sectors = least);
        let fits = u64::from(least) >= u64::from(LOG_LEAST).max(8 + self.lines.height);
        (fits && !logs.is_empty()).then_some(logs)
    }

    /// Begins to give it its log again; `false` where it had none, or there is no room for it any more.
    pub(super) fn log_again(&mut self, io: &mut Io<'_, Ctx>) -> bool {
        if self.moving.grow.logs.is_empty() || self.log.there || self.vacancy().is_some() {
            return false;
        }
        let Some(logs) = self.logs_now() else { return false };
        self.moving.grow.logs = logs;
        self.moving.grow.left = self.members.used();
        self.log.generation = self.log.generation.wrapping_add(1);
        self.moving.grow.stage = Stage::Relog;
        self.next_log(io);
        true
    }

    /// Makes the next log empty; behind the last the superblocks say that there are logs.
    fn next_log(&mut self, io: &mut Io<'_, Ctx>) {
        let left = self.moving.grow.left;
        if left == 0 {
            return self.logs_said(io);
        }
        let role = left.trailing_zeros();
        self.moving.grow.left &= !bit(role);
        let port = self.members.get(role).filter(|_| self.members.is_used(role)).map(|member| member.port);
        let at = self.moving.grow.logs.iter().find(|(at, _)| Some(*at) == port).map(|(_, ppl)| ppl.at);
        match port.zip(at) {
            Some((port, at)) => self.empty_log(port, at, io),
            None => self.grown(io),
        }
    }

    /// A log is empty, or cannot be written: then there is none.
    pub(super) fn relogged(&mut self, done: Completion, io: &mut Io<'_, Ctx>) {
        if done.status.is_ok() { self.next_log(io) } else { self.grown(io) }
    }

    fn logs_said(&mut self, io: &mut Io<'_, Ctx>) {
        let logs = core::mem::take(&mut self.moving.grow.logs);
        let mut all = self.meta.known();
        for (own, (_, ppl)) in all.iter_mut().zip(logs) {
            let features = own.features | self.moving.grow.said;
            *own = Super { features, ppl: Some(ppl), ..own.clone() };
        }
        self.meta.replace(&all);
        // What is left of logs in turn, which are of another geometry, has lower numbers than the header at their start.
        self.log.ring.turn();
        // What was written without them is flushed before the superblocks say so.
        (self.log.there, self.log.unsettled) = (true, false);
        self.meta.wants();
        self.moving.grow.stage = Stage::Said(self.meta.wanted());
        self.go_on(io);
    }
}

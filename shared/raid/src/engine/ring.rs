// SPDX-License-Identifier: MIT
//! Partial parity logs where there is room for several: one is written behind the other, and when there is no more room, again from
//! the start. At a start the last is looked for along them, from the first header on, which is why that is never one with entries:
//! whatever a log that is only half written leaves, the ones before it are found.
//!
//! Linux replays no more than the last, and so all that one protects is durable before the next is written, as where there is room
//! for one only.
use super::log::Stage;
use super::members::{Roles, bit, each};
use super::{Ctx, PORTS_MAX, Raid};
use crate::Ppl;
use crate::ppl::{self, HEADER_BYTES, TURN_SECTORS};
use orion_block::{Buf, Lba, Op, Request};
use orion_layer::Io;

/// Sectors before the header that is written when the turn begins again, behind which logs begin. That at the very start may be
/// Linux's, and have entries behind those that count; this one has none, and so changes in one sector, which is written whole or not at all.
pub(super) const BASE: u64 = 8;
const FIRST: u16 = 16;
/// Sectors that are cleared at a time.
pub(super) const PIECE: u64 = 128;
/// Bytes behind a log in which no header may be found: its first fields are in the second sector.
pub(super) const BEHIND: usize = 1024;

/// Whether logs are written in turn.
fn turns(ppl: &Ppl) -> bool {
    ppl.sectors >= TURN_SECTORS
}

/// What a member's log holds before it is used, in the page at this sector of it, but the first.
pub(super) fn fresh(ppl: &Ppl, sector: u64, signature: u32, generation: u64) -> [u8; HEADER_BYTES] {
    let mut page = [0; HEADER_BYTES];
    if sector == 0 || (sector == BASE && turns(ppl)) {
        ppl::emit(&mut page, signature, generation, &[]);
    }
    page
}

/// Where the next log of each member begins, in sectors, and of what is to replace one.
#[derive(Clone, Debug)]
pub(super) struct Ring([u16; 2 * PORTS_MAX]);

impl Default for Ring {
    fn default() -> Self {
        Self([FIRST; 2 * PORTS_MAX])
    }
}

impl Ring {
    /// Where that of this member begins.
    pub fn place(&self, role: u32, ppl: &Ppl) -> u64 {
        let own = usize::try_from(role).ok().and_then(|role| self.0.get(role));
        if turns(ppl) { own.copied().unwrap_or(FIRST).into() } else { 0 }
    }

    /// The next one begins behind one that ends here.
    pub fn ends(&mut self, role: u32, end: u64) {
        let own = usize::try_from(role).ok().and_then(|role| self.0.get_mut(role));
        own.into_iter().for_each(|own| *own = u16::try_from(end).unwrap_or(u16::MAX));
    }

    /// Whatever there is behind the first header: all turns begin again.
    pub fn turn(&mut self) {
        self.0.fill(u16::MAX);
    }

    /// The device of one role has another.
    pub fn moves(&mut self, from: u32, to: u32) {
        let own = usize::try_from(from).ok().and_then(|role| self.0.get(role)).copied();
        self.ends(to, own.unwrap_or(FIRST).into());
    }

    /// A device has taken this role: its logs begin anew.
    pub fn begin(&mut self, role: u32) {
        self.ends(role, FIRST.into());
    }
}

impl Raid {
    /// The partial parity log of a member.
    pub(super) fn ppl_of(&self, role: u32) -> Option<Ppl> {
        let port = self.members.get(role)?.port;
        self.meta.all().find(|(at, _)| *at == port)?.1.ppl
    }

    /// The members that have no room behind their last log for one of so many lines, which `lines` says of each.
    pub(super) fn turning(&self, roles: Roles, lines: impl Fn(u32) -> usize) -> Roles {
        let full = |role: &u32| {
            let Some(ppl) = self.ppl_of(*role).filter(turns) else { return false };
            let most = 8 + lines(*role) as u64 * self.lines.height;
            self.log.ring.place(*role, &ppl) + most > ppl.sectors.into()
        };
        each(roles).filter(full).map(bit).sum()
    }

    /// The header that is written when a member's turn begins again: what is found behind it from before has a lower number.
    pub(super) fn stage_turn(&mut self, role: u32, buf: Buf, io: &mut Io<'_, Ctx>) -> Option<(u8, Request)> {
        let (member, ppl) = (*self.members.get(role)?, self.ppl_of(role)?);
        io.write_payload(buf, &fresh(&ppl, BASE, self.log.signature, self.log.generation));
        self.log.ring.begin(role);
        let fua = io.below(member.port).is_some_and(|limits| limits.fua);
        let blocks = u32::try_from(8u64 >> member.scale).ok()?;
        let lba = Lba((ppl.at + BASE) >> member.scale);
        Some((member.port, Request { op: Op::Write, fua, lba, blocks, buf }))
    }

    /// What follows a stage of the logs that is done.
    pub(super) fn log_follows(stage: Stage) -> Option<Stage> {
        match stage {
            Stage::Before | Stage::Flush => Some(Stage::Idle),
            Stage::Turn => Some(Stage::Turned),
            Stage::Turned => Some(Stage::Entries),
            Stage::Entries => Some(Stage::Settle),
            Stage::Settle => Some(Stage::Lines),
            Stage::Lines | Stage::Idle => None,
        }
    }
}

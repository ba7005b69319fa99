// SPDX-License-Identifier: MIT
//! Arrays without superblocks, as `mdadm --build` makes them: what they are is known from elsewhere.
use super::find::Want;
use super::members::{Member, bit};
use super::{Ctx, PORTS_MAX, Raid};
use crate::{Error, Geometry, Kind, Level};
use heapless::Vec;
use orion_block::Buf;
use orion_layer::Io;

/// What an array without superblocks is.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The level.
    pub level: Level,
    /// Sectors of a chunk.
    pub chunk: u32,
    /// Sectors that each member keeps before its data.
    pub offset: u64,
    /// Members that are read only where no other can be, a bit each.
    pub mostly: u64,
}

impl Raid {
    /// An array of all devices below, the first of them member 0, that has no superblocks: nothing of its state is kept.
    pub fn build(plan: Plan, work: Buf) -> Self {
        let mut raid = Self::new(None, work);
        raid.find.want = Want::Plan(plan);
        raid
    }

    /// Puts it together.
    pub(super) fn built(&mut self, plan: Plan, io: &Io<'_, Ctx>) -> Result<(), Error> {
        let mut sizes: Vec<u64, PORTS_MAX> = Vec::new();
        for limits in (0..).map_while(|port| io.below(port)) {
            let port = u8::try_from(sizes.len()).unwrap_or(u8::MAX);
            let here = |kind| Error { kind, at: port.into() };
            let scale = limits.block.shift().saturating_sub(9);
            self.scale = self.scale.max(scale);
            let sectors = (limits.capacity << scale).checked_sub(plan.offset).ok_or(here(Kind::Size))?;
            sizes.push(sectors).map_err(|_| here(Kind::TooMany))?;
            let mostly = plan.mostly & bit(port.into()) != 0;
            let member = Member { port, scale, offset: plan.offset, mostly, ..Member::default() };
            self.members.list.push(member).map_err(|_| here(Kind::TooMany))?;
            self.members.whole |= bit(port.into());
        }
        let here = |kind| Error { kind, at: 0 };
        let used = sizes.iter().copied().min().unwrap_or(0);
        let count = u32::try_from(sizes.len()).unwrap_or(u32::MAX);
        let geometry = Geometry::new(plan.level, count, plan.chunk, used, &sizes).map_err(here)?;
        self.serve(geometry).map_err(here)
    }
}

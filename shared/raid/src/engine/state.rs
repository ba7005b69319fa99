// SPDX-License-Identifier: MIT
//! What people want to know of an array in use.
use super::Raid;
use super::background::Goal;
use super::members::twin;
use crate::{Geometry, Role, Super};

/// How a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It holds all that it should.
    Whole,
    /// It is being rebuilt.
    Filling,
    /// It is missing, or was left behind.
    Missing,
}

/// A member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How it is.
    pub condition: Condition,
    /// The port of its device; of one that was left behind, where that was; `None`: it was never there.
    pub port: Option<u8>,
    /// The port of the device that is to replace it.
    pub by: Option<u8>,
}

/// All that changes of its members' conditions, as one value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    whole: u64,
    filling: u64,
    work: Goal,
}

impl Raid {
    /// What the superblocks say of the array; `None` while that is not known, or where it has none.
    pub fn described(&self) -> Option<&Super> {
        self.meta.all().next().map(|(_, known)| known)
    }

    /// Whether a check or a repair that was asked for has not ended; what was mended is durable then.
    pub fn checks(&self) -> bool {
        let work = &self.background;
        let loose = !self.meta.has_written(work.durable) && self.meta.broken().is_none();
        work.asked.is_some() || matches!(work.goal, Goal::Check { .. }) || loose
    }

    /// Whether it is put together, and its logs are replayed.
    pub fn is_served(&self) -> bool {
        self.started
    }

    /// Whether all copies, and all parity, are known to agree; of an array that is served.
    pub fn is_in_sync(&self) -> bool {
        self.started && self.meta.sync.is_none()
    }

    /// The members' conditions, to be compared with what they were.
    #[inline]
    pub fn conditions(&self) -> Conditions {
        Conditions { whole: self.members.whole, filling: self.members.filling, work: self.background.goal }
    }

    /// How each member is, in their order.
    pub fn seen(&self) -> impl Iterator<Item = Seen> + '_ {
        let count = self.geometry.as_ref().map_or(0, Geometry::members);
        (0..count).map(|role| {
            let condition = match (self.members.is_whole(role), self.members.is_used(role)) {
                (true, _) => Condition::Whole,
                (_, true) => Condition::Filling,
                _ => Condition::Missing,
            };
            let port = self.members.get(role).map(|member| member.port);
            let of = |port: u8| self.meta.all().any(|(at, own)| at == port && own.role == Role::Active(short(role)));
            let port = port.filter(|port| condition != Condition::Missing || of(*port));
            Seen { condition, port, by: self.members.get(twin(role)).map(|member| member.port) }
        })
    }

    /// Devices of the array that are no member.
    pub fn idle(&self) -> impl Iterator<Item = u8> + '_ {
        self.meta
            .all()
            .map(|(port, _)| port)
            .filter(|port| !self.seen().any(|seen| [seen.port, seen.by].contains(&Some(*port))))
    }
}

fn short(role: u32) -> u16 {
    u16::try_from(role).unwrap_or(u16::MAX)
}

// SPDX-License-Identifier: MIT
//! Refused requests, as people are told of them.
use crate::{Place, Rights};
use core::fmt;
use orion_block::{Op, Request};

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The client has no capability in that window.
    NoCapability,
    /// The capability lacks the right.
    Right,
    /// The blocks don't all lie in the capability's extent.
    Extent,
    /// The capability, or one that it was derived from, is suspended.
    Frozen,
    /// It waited for its capability's budget, and the capability was taken back.
    Revoked,
    /// It would change a volume, and the supervisor does not live.
    Unwatched,
}

/// A refused request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Who asked.
    pub client: u8,
    /// For what; the address as the client wrote it.
    pub req: Request,
    /// Why not.
    pub reason: Reason,
    /// Line of `system.xml` of the capability that did not suffice; 0 if none.
    pub line: u32,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { window, block } = Place::of(self.req.lba);
        write!(f, "{:?}", self.req.op)?;
        if self.req.op != Op::Flush {
            write!(f, " of blocks {block}..{}", block.saturating_add(u64::from(self.req.blocks)))?;
        }
        match self.reason {
            Reason::NoCapability => write!(f, " through window {window}, which holds no capability"),
            Reason::Right => write!(f, " without the right to {}", Rights::needed(self.req.op)),
            Reason::Extent => write!(f, " outside its extent"),
            Reason::Frozen => write!(f, " through a suspended capability"),
            Reason::Revoked => write!(f, " through a capability that was taken back while it waited"),
            Reason::Unwatched => write!(f, " while the supervisor does not live"),
        }?;
        if self.line > 0 { write!(f, " (system.xml line {})", self.line) } else { Ok(()) }
    }
}

// SPDX-License-Identifier: MIT
//! Arrays that are given another geometry: more or fewer members, another chunk, layout or level.
//!
//! Meanwhile an array has two geometries and a position in logical sectors. Everything on one side of it lies in the new
//! geometry, everything on the other in the old one. The new one also begins at another sector of each member, so that what is
//! written lies apart from what is still needed, and no backup has to be kept anywhere. The position is in the superblocks
//! before anything is written over that the old side still needs by what they said before: power may go at any time, and whoever
//! comes next goes on from there, Linux too.
mod backup;
mod before;
mod groups;
mod mover;
mod place;
mod plan;
mod supers;
mod takeover;
mod work;

pub use before::Before;
pub(crate) use before::parts;
pub(crate) use groups::Groups;
pub use mover::{Mover, Write, write_supers};
pub use plan::{Change, Plan, Room};
pub(crate) use supers::end;
pub use supers::{begin, catch_up, hear, save};
pub(crate) use takeover::foresee;
pub use takeover::{Next, Takeover, next, take_over};
pub use work::{Stage, work};

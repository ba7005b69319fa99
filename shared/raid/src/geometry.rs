// SPDX-License-Identifier: MIT
//! Where each sector of an array lies on its members, and where its parity is.
mod copies;
mod stripes;
mod zones;

use crate::{Kind, MEMBERS_MAX};
pub use copies::Copies;
use heapless::Vec;
pub use stripes::{Parity, Stripe};
use zones::Zones;

/// How the members of a RAID 0 that differ in size were laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Multizone {
    /// The chunk's number in the array chooses the member: Linux before 3.14.
    Original,
    /// The chunk's number in its zone chooses the member: Linux since 3.14.
    Alternate,
}

/// A level and what it needs to know beside the sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// One member after the other.
    Linear,
    /// Striped; how, if the members differ in size.
    Raid0(Option<Multizone>),
    /// Mirrored.
    Raid1,
    /// Striped with parity: 4, 5 and 6.
    Parity(Parity),
    /// Striped and mirrored.
    Raid10(Copies),
}

/// A place of a logical sector, and how many sectors follow it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The member's role.
    pub member: u32,
    /// The sector of the member's data.
    pub sector: u64,
    /// Logical sectors from this one on that lie there one after the other.
    pub run: u64,
}

/// Where everything lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Geometry {
    level: Level,
    members: u32,
    /// Sectors of a chunk; of a mirror and a linear array, all.
    chunk: u64,
    sectors: u64,
    /// Sectors of each member that are used, if they are alike.
    used: u64,
    zones: Zones,
}

impl Level {
    /// The level that a superblock's numbers mean. `raid0` says whether the layout counts for RAID 0.
    ///
    /// # Errors
    /// [`Kind::Level`], [`Kind::Layout`].
    pub fn parse(level: i32, layout: u32, raid0: bool) -> Result<Self, Kind> {
        Ok(match level {
            -1 => Self::Linear,
            0 => Self::Raid0(match (raid0, layout) {
                (false, _) | (true, 0) => None,
                (true, 1) => Some(Multizone::Original),
                (true, 2) => Some(Multizone::Alternate),
                (true, other) => return Err(Kind::Layout(other)),
            }),
            1 => Self::Raid1,
            4 => Self::Parity(Parity::RAID4),
            5 => Self::Parity(Parity::raid5(layout).ok_or(Kind::Layout(layout))?),
            6 => Self::Parity(Parity::raid6(layout).ok_or(Kind::Layout(layout))?),
            10 => Self::Raid10(Copies::parse(layout).ok_or(Kind::Layout(layout))?),
            other => return Err(Kind::Level(other)),
        })
    }

    /// Members that may be missing, at best, of a complete array of so many.
    pub fn spares(self, members: u32) -> u32 {
        match self {
            Self::Linear | Self::Raid0(_) => 0,
            Self::Raid1 => members.saturating_sub(1),
            Self::Parity(parity) => parity.count(),
            Self::Raid10(copies) => copies.count().saturating_sub(1),
        }
    }
}

impl Geometry {
    /// Of an array of `members` that each use `used` sectors, or have `sizes` sectors if the level uses all they have.
    ///
    /// # Errors
    /// [`Kind`] of what can't be.
    pub fn new(level: Level, members: u32, chunk: u32, used: u64, sizes: &[u64]) -> Result<Self, Kind> {
        let least = match level {
            Level::Parity(parity) => parity.least(),
            Level::Raid10(copies) => copies.count(),
            _ => 1,
        };
        if members < least {
            return Err(Kind::TooFew(members));
        }
        if usize::try_from(members).map_or(true, |members| members > MEMBERS_MAX) {
            return Err(Kind::Members(members));
        }
        let power = chunk.is_power_of_two() && chunk >= 8;
        let fits = match level {
            Level::Linear | Level::Raid1 => true,
            Level::Raid0(_) => chunk > 0,
            Level::Parity(_) | Level::Raid10(_) => power,
        };
        if !fits {
            return Err(Kind::Chunk(chunk));
        }
        let mut geometry = Self {
            level,
            members,
            chunk: chunk.into(),
            sectors: 0,
            used,
            zones: Zones { zones: Vec::new(), sizes: Vec::new() },
        };
        geometry.sectors = geometry.size(sizes).ok_or(Kind::Size)?;
        match (level, geometry.zones.zones.len()) {
            (Level::Raid0(None), 2..) => Err(Kind::Raid0Layout),
            _ if geometry.sectors == 0 => Err(Kind::Size),
            _ => Ok(geometry),
        }
    }

    /// Sectors of the array; `None` where they overflow.
    fn size(&mut self, sizes: &[u64]) -> Option<u64> {
        let (members, chunk) = (u64::from(self.members), self.chunk);
        match self.level {
            Level::Linear => {
                self.zones = Zones::linear(sizes, chunk, self.members)?;
                self.zones.end()
            }
            Level::Raid0(_) => {
                self.zones = Zones::striped(sizes, chunk, self.members)?;
                self.zones.end()
            }
            Level::Raid1 => Some(self.used),
            Level::Parity(parity) => {
                self.used -= self.used % chunk;
                self.used.checked_mul(members.checked_sub(parity.count().into())?)
            }
            Level::Raid10(copies) => {
                self.used = copies.used(self.used, chunk, members)?;
                copies.size(self.used, chunk, members)
            }
        }
    }

    /// The level.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Members of the complete array.
    pub fn members(&self) -> u32 {
        self.members
    }

    /// Logical sectors.
    pub fn sectors(&self) -> u64 {
        self.sectors
    }

    /// Sectors of a chunk; 0: none.
    pub fn chunk(&self) -> u64 {
        self.chunk
    }

    /// Sectors of its data that the member of this role uses.
    pub fn used(&self, member: u32) -> u64 {
        match self.level {
            Level::Linear | Level::Raid0(_) => self.zones.size(member),
            _ => self.used,
        }
    }

    /// Where copy `copy` of a logical sector lies: 0 is the first. `None` past the array's end or the last copy.
    pub fn place(&self, sector: u64, copy: u32) -> Option<Place> {
        let left = self.sectors.checked_sub(sector).filter(|&left| left > 0)?;
        let found = match self.level {
            Level::Raid1 => (copy < self.members).then_some(Place { member: copy, sector, run: left }),
            Level::Raid10(copies) => copies.place(sector, copy, self.chunk, self.members.into(), self.used),
            _ if copy > 0 => None,
            Level::Linear => self.zones.in_turn(sector),
            Level::Raid0(layout) => self.zones.place(sector, self.chunk, layout.unwrap_or(Multizone::Alternate)),
            Level::Parity(parity) => {
                // A power of two, as `new` found.
                let (chunk, within) = (sector.checked_shr(self.chunk.trailing_zeros())?, sector & (self.chunk - 1));
                let (number, index) = (chunk / self.data_members(), u32::try_from(chunk % self.data_members()).ok()?);
                let at = number.checked_mul(self.chunk)?.checked_add(within)?;
                Some(Place {
                    member: parity.stripe(number, self.members).data(index),
                    sector: at,
                    run: self.chunk - within,
                })
            }
        };
        found.map(|place| Place { run: place.run.min(left), ..place })
    }

    /// Whether every sector is on one of the members that `has` says are here, or follows from them.
    pub fn bears(&self, has: impl Fn(u32) -> bool) -> bool {
        if let Level::Raid10(_) = self.level {
            // Where the copies are repeats after as many chunks as there are members.
            let kept = |sector| (0..).map_while(|copy| self.place(sector, copy)).any(|place| has(place.member));
            let first = (0..u64::from(self.members)).map(|n| n.saturating_mul(self.chunk));
            return first.filter(|&sector| sector < self.sectors).all(kept);
        }
        let missing = (0..self.members).filter(|&role| !has(role)).count();
        usize::try_from(self.level.spares(self.members)).is_ok_and(|most| missing <= most)
    }

    /// Members that hold data in a stripe; at least 1.
    pub fn data_members(&self) -> u64 {
        let parity = if let Level::Parity(parity) = self.level { parity.count() } else { 0 };
        u64::from(self.members.saturating_sub(parity)).max(1)
    }

    /// The stripe that a sector of the members belongs to; `None` where the level has no parity.
    pub fn stripe(&self, sector: u64) -> Option<Stripe> {
        let Level::Parity(parity) = self.level else { return None };
        Some(parity.stripe(sector.checked_shr(self.chunk.trailing_zeros())?, self.members))
    }
}

// SPDX-License-Identifier: MIT
//! What an operator orders while the array is in use: members are left behind, taken out and brought in.
use super::members::{base, bit, twin};
use super::{Ctx, Raid};
use crate::{Kind, Role, Uuid};
use core::fmt;
use orion_block::Error;
use orion_layer::Io;

/// Why an order is refused. What is said of a port is about the device below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The array is not served, or not for writing, or has no superblocks.
    Fixed,
    /// Nothing of the array is at this port.
    Stranger(u8),
    /// No device is at this port.
    Absent(u8),
    /// The array cannot be without it.
    Needed(u8),
    /// It is in use, as this member.
    InUse(u8, u32),
    /// It belongs to the array already.
    Known(u8),
    /// It belongs to another array.
    Other(u8, Uuid),
    /// It has so many sectors for data, and needs more.
    Small(u8, u64, u64),
    /// Its blocks are larger than those of the array, or its data would begin within one.
    Blocks(u8),
    /// The array knows as many devices as it can.
    Full,
    /// Another device is being made ready, or it is being rebuilt or replaced, or the array is being reshaped.
    Busy,
    /// It is no member that is whole, and cannot be replaced.
    NoMember(u8),
    /// It is no spare.
    NotSpare(u8),
    /// No spare could replace it.
    NoSpare,
    /// Each sector has as many copies as can be written at a time.
    Copies,
    /// It holds nothing of this array, or there is no bitmap, or it left before what the bitmap tells of: it can only be added anew.
    Anew(u8),
    /// It could not be read or written.
    Failed(u8, Error),
    /// The array cannot become what is wanted.
    Change(Kind),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed => {
                f.write_str("the array is not served for writing, or has no superblocks: nothing is changed")
            }
            Self::Stranger(port) => write!(f, "device {port} is none of the array's; name one that is"),
            Self::Absent(port) => write!(f, "no device is at {port}; plug it in first"),
            Self::Needed(port) => {
                write!(f, "the array cannot be without device {port}; add another and have it rebuilt first")
            }
            Self::InUse(port, role) => write!(f, "device {port} is in use as member {role}; set it faulty first"),
            Self::Known(port) => write!(f, "device {port} belongs to the array already; remove it first"),
            Self::Other(port, set) => {
                write!(
                    f,
                    "device {port} is a member of array {set}; erase its superblock first if that is no more needed"
                )
            }
            Self::Small(port, has, needs) => {
                write!(f, "device {port} has {has} sectors for data and {needs} are needed; give a larger one")
            }
            Self::Blocks(port) => {
                write!(f, "device {port} has blocks larger than the array's; give one with smaller blocks")
            }
            Self::Full => {
                f.write_str("the array knows as many devices as its superblocks have room for; remove one first")
            }
            Self::Busy => f.write_str(
                "a device is being made ready, rebuilt or replaced, or the array is being reshaped; order it again when that is done",
            ),
            Self::NoMember(port) => write!(f, "device {port} is no member of the array; name one that is to be replaced"),
            Self::NotSpare(port) => write!(f, "device {port} is no spare of the array; add it first"),
            Self::NoSpare => f.write_str("no spare is there that is large enough; add one first"),
            Self::Copies => f.write_str("each sector has as many copies as can be written at a time; remove one first"),
            Self::Anew(port) => {
                write!(f, "what device {port} lacks is not known (no bitmap, or it left too long ago); add it anew")
            }
            Self::Failed(port, error) => {
                write!(f, "device {port} could not be read or written ({error:?}); replace it")
            }
            Self::Change(Kind::FewSpares(count)) => {
                write!(f, "the array needs {count} more spares to become that: add them first")
            }
            Self::Change(kind) => write!(f, "the array cannot become that in use: {kind}"),
        }
    }
}

impl core::error::Error for Refusal {}

impl Refusal {
    /// The port that it is about, where it is about one.
    pub const fn port(&self) -> Option<u8> {
        match *self {
            Self::Stranger(port)
            | Self::Absent(port)
            | Self::Needed(port)
            | Self::InUse(port, _)
            | Self::Known(port)
            | Self::Other(port, _)
            | Self::Small(port, ..)
            | Self::Blocks(port)
            | Self::Anew(port)
            | Self::NoMember(port)
            | Self::NotSpare(port)
            | Self::Failed(port, _) => Some(port),
            Self::Change(_) | Self::Fixed | Self::Full | Self::Busy | Self::NoSpare | Self::Copies => None,
        }
    }
}

/// What a device below is to the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A member that holds all that it should.
    Member(u32),
    /// A member that is being rebuilt, which holds so many sectors of its data.
    Rebuilding(u32, u64),
    /// It replaces this member, of whose data it holds so many sectors.
    Replacing(u32, u64),
    /// It holds the write journal.
    Journal,
    /// It takes the place of one that fails.
    Spare,
    /// It failed, or was left behind.
    Faulty,
    /// It is being made ready.
    Preparing,
    /// Nothing.
    Nothing,
}

impl Raid {
    /// What the device at this port is to the array.
    pub fn use_of(&self, port: u8) -> Use {
        match (self.members.role_of(port), self.meta.own(port)) {
            (Some(super::journal::JOURNAL), _) => Use::Journal,
            (Some(role), _) if self.members.is_whole(role) => Use::Member(role),
            (Some(role), _) => {
                let place = self.members.get(role).map_or(0, |member| member.place);
                if role == base(role) { Use::Rebuilding(role, place) } else { Use::Replacing(base(role), place) }
            }
            (None, _) if self.prepare.is_busy(port) => Use::Preparing,
            (None, Some(own)) if own.role == Role::Spare => Use::Spare,
            (None, Some(_)) => Use::Faulty,
            (None, None) => Use::Nothing,
        }
    }

    /// Whether orders can be followed at all.
    pub(super) fn is_fixed(&self) -> bool {
        !self.started || self.read_only || self.meta.is_bare() || self.meta.broken().is_some()
    }

    /// Leaves the member or spare at this port behind, as if it had failed (`mdadm --fail`).
    ///
    /// # Errors
    /// [`Refusal::Needed`] where the array cannot be without it, [`Refusal::Stranger`], [`Refusal::Fixed`].
    pub fn set_faulty(&mut self, port: u8, io: &mut Io<'_, Ctx>) -> Result<(), Refusal> {
        if self.is_fixed() {
            return Err(Refusal::Fixed);
        }
        match self.use_of(port) {
            Use::Journal => return Err(Refusal::Needed(port)),
            Use::Member(role) | Use::Rebuilding(role, _) if !self.fail(role) => return Err(Refusal::Needed(port)),
            Use::Replacing(role, _) => self.leave_behind(twin(role)),
            Use::Spare => self.meta.spoil(port),
            Use::Preparing => return Err(Refusal::Busy),
            Use::Nothing => return Err(Refusal::Stranger(port)),
            Use::Member(_) | Use::Rebuilding(..) | Use::Faulty => {}
        }
        self.go_on(io);
        io.alarm(io.now());
        Ok(())
    }

    /// Takes a device that failed, or a spare, out of the array (`mdadm --remove`). Nothing is written to it.
    ///
    /// # Errors
    /// [`Refusal::InUse`] of a member, [`Refusal::Stranger`], [`Refusal::Busy`], [`Refusal::Fixed`].
    pub fn remove(&mut self, port: u8, io: &mut Io<'_, Ctx>) -> Result<(), Refusal> {
        if self.is_fixed() {
            return Err(Refusal::Fixed);
        }
        match self.use_of(port) {
            Use::Journal => return Err(Refusal::Needed(port)),
            Use::Member(role) | Use::Rebuilding(role, _) | Use::Replacing(role, _) => {
                return Err(Refusal::InUse(port, role));
            }
            Use::Preparing => return Err(Refusal::Busy),
            Use::Nothing => return Err(Refusal::Stranger(port)),
            Use::Spare | Use::Faulty => {}
        }
        self.meta.forget(port);
        self.go_on(io);
        Ok(())
    }

    /// Takes a new device into the array, as a spare with this identifier (`mdadm --add`): where a member is missing it takes its
    /// place at once. Begins it: how it ends is told by [`outcome`](Self::outcome). What the device holds is lost, unless it is
    /// another array's.
    ///
    /// # Errors
    /// [`Refusal::Known`], [`Refusal::Absent`], [`Refusal::Busy`], [`Refusal::Fixed`], [`Refusal::Blocks`].
    pub fn add(&mut self, port: u8, device: Uuid, io: &mut Io<'_, Ctx>) -> Result<(), Refusal> {
        if self.is_fixed() {
            return Err(Refusal::Fixed);
        }
        match self.use_of(port) {
            Use::Nothing => {}
            Use::Member(role) | Use::Rebuilding(role, _) | Use::Replacing(role, _) => {
                return Err(Refusal::InUse(port, role));
            }
            Use::Journal | Use::Spare | Use::Faulty => return Err(Refusal::Known(port)),
            Use::Preparing => return Err(Refusal::Busy),
        }
        if self.prepare.is_anything() || self.reshapes() {
            return Err(Refusal::Busy);
        }
        let limits = io.below(port).filter(|limits| limits.capacity > 0).ok_or(Refusal::Absent(port))?;
        if limits.block.shift().saturating_sub(9) > self.scale {
            return Err(Refusal::Blocks(port));
        }
        self.begin_add(port, device, io);
        Ok(())
    }

    /// Takes a member back that failed or was taken out (`mdadm --re-add`): what it lacks is known from the bitmap, and only that is
    /// rebuilt. Begins it: how it ends is told by [`outcome`](Self::outcome).
    ///
    /// # Errors
    /// [`Refusal::InUse`], [`Refusal::Known`] of a spare, [`Refusal::Absent`], [`Refusal::Anew`], [`Refusal::Busy`], [`Refusal::Fixed`].
    pub fn re_add(&mut self, port: u8, io: &mut Io<'_, Ctx>) -> Result<(), Refusal> {
        if self.is_fixed() {
            return Err(Refusal::Fixed);
        }
        match self.use_of(port) {
            Use::Nothing | Use::Faulty => {}
            Use::Member(role) | Use::Rebuilding(role, _) | Use::Replacing(role, _) => {
                return Err(Refusal::InUse(port, role));
            }
            Use::Journal | Use::Spare => return Err(Refusal::Known(port)),
            Use::Preparing => return Err(Refusal::Busy),
        }
        if self.prepare.is_anything() || self.reshapes() {
            return Err(Refusal::Busy);
        }
        io.below(port).filter(|limits| limits.capacity > 0).ok_or(Refusal::Absent(port))?;
        if !self.bits.there {
            return Err(Refusal::Anew(port));
        }
        self.begin_re_add(port, io);
        Ok(())
    }

    /// How the last [`add`](Self::add) or [`re_add`](Self::re_add) ended, or [`replace`](Self::replace) began, once: `None` before
    /// that, and where none was asked for.
    pub fn outcome(&mut self) -> Option<Result<(), Refusal>> {
        self.prepare.outcome.take()
    }

    /// The first role that no device has.
    pub(super) fn vacancy(&self) -> Option<u32> {
        let geometry = self.geometry.as_ref()?;
        (0..geometry.members()).find(|role| self.members.used() & bit(*role) == 0)
    }
}

// SPDX-License-Identifier: MIT
//! Which partition is meant.
use crate::{Guid, Partition, Table};
use core::fmt;
use heapless::String;

/// How a partition is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// By its number.
    Number(u32),
    /// By its own identifier.
    Uuid(Guid),
    /// By its name.
    Name(String<63>),
}

/// Why no one partition is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// None is so called.
    None,
    /// Several are so called: these two, by number.
    Several(u32, u32),
    /// Another client has it.
    Taken,
}

impl Select {
    /// What `number=2`, `uuid=...` or `name=...` means.
    pub fn parse(text: &str) -> Option<Self> {
        let (how, what) = text.split_once('=')?;
        match how {
            "number" => what.parse().ok().filter(|&n| n != 0).map(Self::Number),
            "uuid" => Guid::parse(what).filter(|&g| g != Guid::ZERO).map(Self::Uuid),
            "name" if !what.is_empty() => String::try_from(what).ok().map(Self::Name),
            _ => None,
        }
    }

    fn is(&self, partition: &Partition) -> bool {
        match self {
            Self::Number(number) => partition.number == *number,
            Self::Uuid(guid) => partition.unique == Some(*guid),
            Self::Name(name) => partition.name().eq(name.chars()),
        }
    }

    /// The one partition of `table` that is meant.
    ///
    /// # Errors
    /// [`NotFound`] where none is, or several are.
    pub fn find<'a>(&self, table: &'a Table) -> Result<&'a Partition, NotFound> {
        let mut found = table.partitions.iter().filter(|p| self.is(p));
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (Some(one), Some(other)) => Err(NotFound::Several(one.number, other.number)),
            (None, _) => Err(NotFound::None),
        }
    }
}

impl fmt::Display for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "number {number}"),
            Self::Uuid(guid) => write!(f, "uuid {guid}"),
            Self::Name(name) => write!(f, "name {name:?}"),
        }
    }
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("there is no such partition"),
            Self::Several(a, b) => write!(f, "the partitions {a} and {b} are both so called: name it by its number"),
            Self::Taken => f.write_str("another volume has that partition: one volume for each"),
        }
    }
}

// SPDX-License-Identifier: MIT
//! What a capability allows. No right implies another.
use core::fmt;
use orion_block::Op;

/// A set of rights, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u16);

impl Rights {
    /// No right.
    pub const NONE: Self = Self(0);
    /// Read blocks.
    pub const READ: Self = Self(1);
    /// Write blocks.
    pub const WRITE: Self = Self(2);
    /// Make writes durable.
    pub const FLUSH: Self = Self(4);
    /// Discard blocks.
    pub const DISCARD: Self = Self(8);
    /// Write zeroes without a payload.
    pub const ZERO: Self = Self(16);
    /// See health and figures of the volume.
    pub const OBSERVE: Self = Self(32);
    /// Make narrower capabilities from this one.
    pub const DERIVE: Self = Self(64);
    /// Change the volume itself.
    pub const ADMIN: Self = Self(128);
    /// The rights to change what blocks read as.
    pub const MODIFYING: Self = Self(2 | 8 | 16);
    /// Every right with its name in `system.xml`, in the order in which they are printed.
    pub const NAMES: [(Self, &'static str); 8] = [
        (Self::READ, "read"),
        (Self::WRITE, "write"),
        (Self::FLUSH, "flush"),
        (Self::DISCARD, "discard"),
        (Self::ZERO, "zero"),
        (Self::OBSERVE, "observe"),
        (Self::DERIVE, "derive"),
        (Self::ADMIN, "admin"),
    ];

    /// The set with the bits of `bits`; bits that name no right are dropped.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & 0xff)
    }

    /// The bits.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether every right of `other` is in the set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set without the rights of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The right named `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, n)| *n == name).map(|(right, _)| *right)
    }

    /// The one right that an operation needs.
    #[inline]
    pub const fn needed(op: Op) -> Self {
        // One shift instead of a choice for each request; that the order is the same is checked below.
        Self(1 << op as u8)
    }
}

const _: () = {
    assert!(Rights::needed(Op::Read).0 == Rights::READ.0 && Rights::needed(Op::Write).0 == Rights::WRITE.0);
    assert!(Rights::needed(Op::Flush).0 == Rights::FLUSH.0 && Rights::needed(Op::Discard).0 == Rights::DISCARD.0);
    assert!(Rights::needed(Op::WriteZeroes).0 == Rights::ZERO.0);
};

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = Self::NAMES.iter().filter(|(right, _)| self.contains(*right)).map(|(_, name)| name);
        f.write_str(names.next().unwrap_or(&"none"))?;
        names.try_for_each(|name| write!(f, " {name}"))
    }
}

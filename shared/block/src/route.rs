// SPDX-License-Identifier: MIT
//! Which disk it is that a server gives access to, and what the way over this server is worth.

/// What a way to a disk is worth now (*NVM Express 1.4*, 8.20.3). A device that says nothing of it is as good as any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// It is as good as any.
    #[default]
    Optimised,
    /// It works, and another is better.
    NonOptimised,
    /// The disk cannot be reached over it now.
    Inaccessible,
    /// The disk will never be reached over it again.
    Lost,
    /// It changes, for so many seconds at most.
    Changing(u8),
}

/// Which disk it is, wherever it is attached, and what this way to it is worth. All zeroes where nobody says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The disk's own name: at most 40 characters, then zeroes. All zeroes: it has none.
    pub identity: [[u8; 8]; 5],
    /// A digest of the name of the subsystem that it belongs to; 0: it has none.
    pub family: u64,
    /// What the way is worth.
    pub access: Access,
}

impl Route {
    /// Whether both surely lead to the same disk: both say which, and the same.
    pub fn same_disk(&self, other: &Self) -> bool {
        self.identity != Self::default().identity && (self.identity, self.family) == (other.identity, other.family)
    }
}

impl Access {
    /// As a number: in the lowest byte which, in the second the seconds.
    pub const fn code(self) -> u32 {
        match self {
            Self::Optimised => 0,
            Self::NonOptimised => 1,
            Self::Inaccessible => 2,
            Self::Lost => 3,
            Self::Changing(seconds) => 4 | (seconds as u32) << 8,
        }
    }

    /// The one of a number; `None` where it is none of those.
    pub fn from_code(code: u32) -> Option<Self> {
        match code.to_le_bytes() {
            [0, 0, 0, 0] => Some(Self::Optimised),
            [1, 0, 0, 0] => Some(Self::NonOptimised),
            [2, 0, 0, 0] => Some(Self::Inaccessible),
            [3, 0, 0, 0] => Some(Self::Lost),
            [4, seconds, 0, 0] => Some(Self::Changing(seconds)),
            _ => None,
        }
    }

    /// A word or two for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Optimised => "optimised",
            Self::NonOptimised => "non-optimised",
            Self::Inaccessible => "inaccessible",
            Self::Lost => "lost",
            Self::Changing(_) => "changing",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_access_has_a_number_of_its_own() {
        let all = [Access::Optimised, Access::NonOptimised, Access::Inaccessible, Access::Lost];
        for access in all.into_iter().chain((0..=255).map(Access::Changing)) {
            assert_eq!(Access::from_code(access.code()), Some(access));
        }
        for code in [5, 0x100, 0x1_0004, 0x0100_0000, u32::MAX] {
            assert_eq!(Access::from_code(code), None, "{code:#x}");
        }
    }

    #[test]
    fn only_who_says_which_disk_it_is_can_be_the_same() {
        let nobody = Route::default();
        let one = Route { identity: [[b'1'; 8]; 5], family: 7, access: Access::Lost };
        assert!(!nobody.same_disk(&nobody));
        assert!(one.same_disk(&Route { access: Access::Optimised, ..one }));
        assert!(
            !one.same_disk(&Route { family: 8, ..one }) && !one.same_disk(&Route { identity: [[b'2'; 8]; 5], ..one })
        );
    }
}

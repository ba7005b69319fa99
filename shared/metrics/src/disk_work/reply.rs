// SPDX-License-Identifier: MIT
//! What is answered to an order, and how far work has come.
use core::fmt;

/// What a PD answers to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It does not know it.
    Unknown,
    /// It did it.
    Done,
    /// It has begun; its page says how far it is.
    Begun,
    /// Its configuration does not allow it.
    Forbidden,
    /// It has something else to do first.
    Busy,
    /// The device can't do that.
    Unsupported,
    /// What was asked makes no sense for this disk.
    Invalid,
    /// The disk is not there.
    Absent,
}

impl Reply {
    const ALL: [Self; 8] = [
        Self::Unknown,
        Self::Done,
        Self::Begun,
        Self::Forbidden,
        Self::Busy,
        Self::Unsupported,
        Self::Invalid,
        Self::Absent,
    ];

    /// Its number.
    pub fn number(self) -> u32 {
        let at = Self::ALL.iter().position(|reply| *reply == self).and_then(|at| u32::try_from(at).ok());
        at.unwrap_or(0)
    }

    /// Of a number.
    pub fn of(number: u32) -> Self {
        usize::try_from(number).ok().and_then(|at| Self::ALL.get(at)).copied().unwrap_or(Self::Unknown)
    }

    /// Whether it is no refusal.
    pub const fn is_well(self) -> bool {
        matches!(self, Self::Done | Self::Begun)
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Unknown => "the protection domain does not know this order",
            Self::Done => "done",
            Self::Begun => "begun",
            Self::Forbidden => "the driver's configuration does not allow it: no manager has the right to `admin`",
            Self::Busy => "the driver still does what it was told before; `orion health` shows it",
            Self::Unsupported => "the device cannot do that",
            Self::Invalid => "that makes no sense for this disk: compare it with what `orion health` shows",
            Self::Absent => "the disk is not there; `orion health` shows those that are",
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// How far work has come that needs its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// There was none.
    #[default]
    None,
    /// It waits for what was asked of the disk before.
    Waits,
    /// The device does it.
    Runs,
    /// It is done.
    Done,
    /// It failed.
    Failed,
}

impl Progress {
    const ALL: [Self; 5] = [Self::None, Self::Waits, Self::Runs, Self::Done, Self::Failed];

    /// Its number.
    pub fn number(self) -> u8 {
        let at = Self::ALL.iter().position(|progress| *progress == self).and_then(|at| u8::try_from(at).ok());
        at.unwrap_or(0)
    }

    /// Of a number.
    pub fn of(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::None)
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::None => "-",
            Self::Waits => "waits for requests in flight",
            Self::Runs => "runs",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_what_they_stand_for() {
        assert!(Reply::ALL.into_iter().all(|reply| Reply::of(reply.number()) == reply));
        assert!(Progress::ALL.into_iter().all(|progress| Progress::of(progress.number()) == progress));
        // Those of the version before: done or not.
        assert_eq!((Reply::of(0), Reply::of(1), Reply::of(u32::MAX)), (Reply::Unknown, Reply::Done, Reply::Unknown));
    }
}

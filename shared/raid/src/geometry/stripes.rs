// SPDX-License-Identifier: MIT
//! Stripes with parity: RAID 4, 5 and 6. The layouts' numbers are those of Linux's `raid5.h`.

/// How P, and Q, move from stripe to stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// From the last member down.
    Left,
    /// From the first member up.
    Right,
    /// As left, one stripe later: DDF's "N restart".
    LeftLater,
    /// Always on the first.
    First,
    /// Always on the last.
    Last,
}

/// Where data begin in a stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// On the first member that has no parity: asymmetric.
    First,
    /// Behind the parity: symmetric.
    Behind,
}

/// Where Q stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Q {
    /// There is none.
    None,
    /// On the member after P's.
    After,
    /// On the member before P's: DDF's "N continue".
    Before,
    /// On the last member, and the others are a RAID 5.
    Last,
}

/// A layout of RAID 4, 5 or 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parity {
    turn: Turn,
    start: Start,
    q: Q,
    /// Q's factors count all members from the first: DDF's.
    ddf: bool,
}

/// One stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stripe {
    /// Members.
    members: u32,
    /// The member that holds P.
    pub p: u32,
    /// The member that holds Q.
    pub q: Option<u32>,
    /// The member at which data begin; then come the next that hold no parity.
    first: u32,
    ddf: bool,
}

impl Parity {
    /// RAID 5 as mdadm makes it by default.
    pub const LEFT_SYMMETRIC: Self = Self { turn: Turn::Left, start: Start::Behind, q: Q::None, ddf: false };
    /// RAID 4: P on the last member.
    pub const RAID4: Self = Self { turn: Turn::Last, start: Start::First, q: Q::None, ddf: false };

    /// The layout of RAID 5 with this number.
    pub fn raid5(layout: u32) -> Option<Self> {
        let (turn, start) = match layout {
            0 => (Turn::Left, Start::First),
            1 => (Turn::Right, Start::First),
            2 => (Turn::Left, Start::Behind),
            3 => (Turn::Right, Start::Behind),
            4 => (Turn::First, Start::First),
            5 => (Turn::Last, Start::First),
            _ => return None,
        };
        Some(Self { turn, start, q: Q::None, ddf: false })
    }

    /// The layout of RAID 6 with this number.
    pub fn raid6(layout: u32) -> Option<Self> {
        let (turn, start) = match layout {
            8 => (Turn::Right, Start::First),
            9 => (Turn::LeftLater, Start::First),
            10 => (Turn::Left, Start::Behind),
            // A RAID 5 with Q on a member of its own, as a migration leaves it.
            16..=20 => return Some(Self { q: Q::Last, ..Self::raid5(layout - 16)? }),
            _ => return Some(Self { q: Q::After, ..Self::raid5(layout)? }),
        };
        Some(Self { turn, start, q: if layout == 10 { Q::Before } else { Q::After }, ddf: true })
    }

    /// Members' worth of parity.
    pub fn count(self) -> u32 {
        if self.q == Q::None { 1 } else { 2 }
    }

    /// Fewest members.
    pub fn least(self) -> u32 {
        self.count() + 1
    }

    /// The stripe `number` of an array of `members`, at least [`least`](Self::least).
    pub fn stripe(self, number: u64, members: u32) -> Stripe {
        // The members among which P turns.
        let turning = if self.q == Q::Last { members - 1 } else { members };
        let step = |n: u64| u32::try_from(n % u64::from(turning.max(1))).unwrap_or(0);
        let p = match self.turn {
            Turn::Left => turning - 1 - step(number),
            Turn::Right => step(number),
            Turn::LeftLater => turning - 1 - step(number.wrapping_add(1)),
            Turn::First => 0,
            // Q follows P.
            Turn::Last => turning - if self.q == Q::After { 2 } else { 1 },
        };
        let behind = |all: u32| if p + 1 < all { p + 1 } else { 0 };
        let q = match self.q {
            Q::None => None,
            Q::After => Some(behind(members)),
            Q::Before => Some(if p == 0 { members - 1 } else { p - 1 }),
            Q::Last => Some(members - 1),
        };
        let first = if self.start == Start::Behind { behind(turning) } else { 0 };
        Stripe { members, p, q, first, ddf: self.ddf }
    }
}

impl Stripe {
    /// Whether a member holds P or Q.
    pub fn is_parity(&self, member: u32) -> bool {
        member == self.p || Some(member) == self.q
    }

    /// The members that hold data, in the order of the data.
    pub fn members(&self) -> impl Iterator<Item = u32> + '_ {
        (self.first..self.members).chain(0..self.first).filter(|&member| !self.is_parity(member))
    }

    /// The first 64 members, a bit each.
    pub fn all(&self) -> u64 {
        if self.members < 64 { (1 << self.members) - 1 } else { u64::MAX }
    }

    /// The members that hold data, by the powers of the generator by which Q multiplies it; none has a power that is not used.
    pub fn powers(&self) -> impl Iterator<Item = Option<u32>> + '_ {
        let start = if self.ddf { 0 } else { self.behind_q() };
        let turned = (start..self.members).chain(0..start);
        turned
            .filter(|&member| self.ddf || !self.is_parity(member))
            .map(|member| (!self.is_parity(member)).then_some(member))
    }

    /// The member behind Q; the first where there is none.
    fn behind_q(&self) -> u32 {
        self.q.map_or(0, |q| if q + 1 < self.members { q + 1 } else { 0 })
    }

    /// The member that holds the data chunk `index` of the stripe.
    pub fn data(&self, index: u32) -> u32 {
        let turned =
            |member: u32| if member >= self.first { member - self.first } else { member + self.members - self.first };
        let (p, q) = (turned(self.p), self.q.map_or(u32::MAX, turned));
        // Parity that comes before is passed.
        let at = index + u32::from(index >= p.min(q));
        let at = at + u32::from(at >= p.max(q));
        let member = self.first + at;
        if member < self.members { member } else { member.saturating_sub(self.members) }
    }

    /// The power of the generator by which Q multiplies what a member with data holds. md counts the data from the member
    /// behind Q; DDF counts all members from the first.
    pub fn power(&self, member: u32) -> u32 {
        if self.ddf {
            return member;
        }
        let start = self.behind_q();
        let turned = |member: u32| if member >= start { member - start } else { member + self.members - start };
        let at = turned(member);
        // Q is the last; P may be before.
        at - u32::from(turned(self.p) < at)
    }
}

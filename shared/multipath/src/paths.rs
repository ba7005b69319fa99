// SPDX-License-Identifier: MIT
//! Which way is taken.
use orion_block::{Access, Instant};

/// Ways at most.
pub const PATHS_MAX: usize = 4;
/// Nanoseconds after which a way that failed is tried again where none is better, though nobody said that it is back.
const AGAIN_NS: u64 = 5_000_000_000;
/// Nanoseconds after which a way that said "not now" is asked again, where nobody says more of it.
const STALL_NS: u64 = 1_000_000_000;
/// Nanoseconds of a second.
const SECOND_NS: u64 = 1_000_000_000;

/// Which way is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This one.
    Path(u8),
    /// None yet: one changes, or is to be asked again, until then at the latest.
    Wait(Instant),
    /// There is none.
    None,
}

#[derive(Clone, Copy, Debug, Default)]
struct Path {
    access: Access,
    /// It changes, until then at the latest: after that it is as good as inaccessible.
    changes: Instant,
    /// It failed, and is not taken before, unless there is no other.
    failed: Option<Instant>,
    /// It said "not now", and is not asked before.
    stalled: Option<Instant>,
    /// It has left, and is not taken before somebody says that it is back.
    gone: bool,
}

/// The ways to a disk.
#[derive(Clone, Copy, Debug)]
pub struct Paths {
    paths: [Path; PATHS_MAX],
    count: usize,
}

impl Paths {
    /// So many, all worth the same.
    pub fn new(count: usize) -> Self {
        Self { paths: [Path::default(); PATHS_MAX], count: count.min(PATHS_MAX) }
    }

    /// What the way `path` is worth from `now` on.
    pub fn set(&mut self, path: u8, access: Access, now: Instant) {
        let seconds = if let Access::Changing(seconds) = access { u64::from(seconds) } else { 0 };
        if let Some(path) = self.paths.get_mut(usize::from(path)) {
            (path.access, path.changes, path.stalled) = (access, now.after(seconds * SECOND_NS), None);
        }
    }

    /// A request over the way `path` failed for reasons of the way.
    pub fn failed(&mut self, path: u8, now: Instant) {
        if let Some(path) = self.paths.get_mut(usize::from(path)) {
            path.failed = Some(now.after(AGAIN_NS));
        }
    }

    /// A request over the way `path` was not taken, and may be later: it may be changing.
    pub fn stalled(&mut self, path: u8, now: Instant) {
        if let Some(path) = self.paths.get_mut(usize::from(path)) {
            path.stalled = Some(now.after(STALL_NS));
        }
    }

    /// Whether a way that cannot be taken now may be one day, without anybody mending it: one becomes better as another becomes
    /// worse, and the news of the worse may come first.
    pub fn may_open(&self) -> bool {
        let open = |path: &Path| !path.gone && matches!(path.access, Access::Inaccessible | Access::Changing(_));
        self.paths.iter().take(self.count).any(|path| open(path) || !path.gone && path.stalled.is_some())
    }

    /// The way `path` has left.
    pub fn gone(&mut self, path: u8) {
        if let Some(path) = self.paths.get_mut(usize::from(path)) {
            path.gone = true;
        }
    }

    /// The way `path` is there again.
    pub fn back(&mut self, path: u8) {
        if let Some(path) = self.paths.get_mut(usize::from(path)) {
            (path.failed, path.stalled, path.gone) = (None, None, false);
        }
    }

    /// The way for a request that was sent over those of `tried`, by their numbers' bits, in vain.
    pub fn choose(&self, tried: u8, now: Instant) -> Choice {
        let open = (0u8..).zip(&self.paths).take(self.count).filter(|(path, _)| tried >> path & 1 == 0);
        let mut best: Option<(u8, u8)> = None;
        let mut wait: Option<Instant> = None;
        for (number, path) in open.filter(|(_, path)| !path.gone) {
            let mut later = |until: Instant| wait = Some(wait.map_or(until, |other| other.min(until)));
            if let Some(until) = path.stalled.filter(|until| *until > now) {
                later(until);
                continue;
            }
            let worth = match path.access {
                Access::Optimised => 0,
                Access::NonOptimised => 1,
                Access::Changing(_) if path.changes > now => {
                    later(path.changes);
                    continue;
                }
                Access::Changing(_) | Access::Inaccessible | Access::Lost => continue,
            };
            // One that failed is the last resort, and comes back when its time is over.
            let worth = if path.failed.is_some_and(|until| until > now) { worth + 2 } else { worth };
            if best.is_none_or(|(least, _)| worth < least) {
                best = Some((worth, number));
            }
        }
        match (best, wait) {
            (Some((_, path)), _) => Choice::Path(path),
            (None, Some(until)) => Choice::Wait(until),
            (None, None) => Choice::None,
        }
    }
}

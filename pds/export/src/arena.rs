// SPDX-License-Identifier: MIT
//! A connection's own share of the data region. Nobody else's buffers are in it, so a client that leaves its answers
//! unread can only run out of its own.

/// Bytes of a page, the unit of buffers.
pub(crate) const PAGE: usize = 4096;
const WORDS: usize = 8;
const WORD_PAGES: u32 = u64::BITS;
/// Most pages of a share that are used.
pub(crate) const MAX_PAGES: usize = WORDS * WORD_PAGES as usize;

/// A buffer: consecutive pages of the share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    first: u16,
    pages: u8,
}

/// Which pages are in use.
#[derive(Debug)]
pub(crate) struct Arena {
    base: usize,
    used: [u64; WORDS],
}

impl Arena {
    /// The share of `pages` pages that begins at byte `base` of the data region.
    pub(crate) fn new(base: usize, pages: usize) -> Self {
        let mut used = [u64::MAX; WORDS];
        for page in 0..pages.min(MAX_PAGES) {
            if let Some(word) = used.get_mut(page / 64) {
                *word &= !(1 << (page % 64));
            }
        }
        Self { base, used }
    }

    /// Takes `bytes` bytes, 1 to 128 KiB; `None` where no gap is long enough. A run never crosses a multiple of 64
    /// pages, which bounds what gaps can spoil: while n runs of at most 32 pages are taken and the share has more than
    /// 64 n pages, another one fits.
    pub(crate) fn take(&mut self, bytes: usize) -> Option<Run> {
        let pages = u32::try_from(bytes.div_ceil(PAGE)).ok()?;
        if pages == 0 || pages > WORD_PAGES / 2 {
            return None;
        }
        let (index, at) = self.used.iter().enumerate().find_map(|(index, &word)| {
            let starts = gaps(!word, pages);
            (starts != 0).then(|| (index, starts.trailing_zeros()))
        })?;
        *self.used.get_mut(index)? |= mask(pages) << at;
        Some(Run { first: u16::try_from(index * 64 + at as usize).ok()?, pages: u8::try_from(pages).ok()? })
    }

    /// Gives a run back.
    pub(crate) fn give(&mut self, run: Run) {
        if let Some(word) = self.used.get_mut(usize::from(run.first / 64)) {
            *word &= !(mask(run.pages.into()) << (run.first % 64));
        }
    }

    /// Where a run begins in the data region.
    pub(crate) const fn offset(&self, run: Run) -> usize {
        self.base + run.first as usize * PAGE
    }
}

const fn mask(pages: u32) -> u64 {
    (1 << pages) - 1
}

/// The bits at which `pages` (1 to 32) consecutive set bits of `free` begin.
fn gaps(free: u64, pages: u32) -> u64 {
    let (mut starts, mut have) = (free, 1);
    while have < pages {
        let step = have.min(pages - have);
        starts &= starts >> step;
        have += step;
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        /// Runs never overlap or leave the share, and one is found whenever a word has the room.
        #[test]
        fn as_a_plain_bitmap(pages in 1usize..600, steps in prop::collection::vec((1usize..=32, any::<prop::sample::Index>()), 1..200)) {
            let mut arena = Arena::new(0x10000, pages);
            let mut model = [true; MAX_PAGES];
            model[..pages.min(MAX_PAGES)].fill(false);
            let mut taken: Vec<Run> = Vec::new();
            for (n, victim) in steps {
                let fits = model.chunks(64).any(|word| word.windows(n).any(|w| w.iter().all(|used| !used)));
                let run = arena.take(n * PAGE - 1);
                prop_assert_eq!(run.is_some(), fits);
                if let Some(run) = run {
                    let first = (arena.offset(run) - 0x10000) / PAGE;
                    prop_assert!(model[first..first + n].iter().all(|used| !used));
                    model[first..first + n].fill(true);
                    taken.push(run);
                } else if !taken.is_empty() {
                    let run = taken.swap_remove(victim.index(taken.len()));
                    let first = usize::from(run.first);
                    model[first..first + usize::from(run.pages)].fill(false);
                    arena.give(run);
                }
            }
        }
    }
}

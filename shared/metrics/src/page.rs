// SPDX-License-Identifier: MIT
//! The page that a PD writes and the manager reads.
//!
//! Layout, little-endian: u32 magic at 0, u32 version at 4, u32 copies begun at 8, u32 copies complete at 12, u32 rows at
//! 16, u32 sequence of the last order that was taken at 20, and what was answered ([`Reply`]) at 24; the figures from 64; rows of 64 bytes from 4096, as far as the region goes. A reader whose two looks at the counts of
//! copies differ has read something torn, and tries again (a sequence lock, without the lock: the writer never waits).
use crate::disk_work::Reply;
use crate::figures::Figures;
use crate::rows::{ROW, Row};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::fence;
use orion_region::Window;
use zerocopy::{FromZeros, IntoBytes};

const MAGIC: u32 = u32::from_le_bytes(*b"ORMT");
/// Version of the layout.
pub const VERSION: u32 = 1;
const VERSION_AT: usize = 4;
const BEGUN: usize = 8;
const COMPLETE: usize = 12;
const ROWS: usize = 16;
const OBEYED: usize = 20;
const DONE: usize = 24;
const FIGURES: usize = 64;
const ROWS_FROM: usize = 4096;
/// Bytes of the figures.
pub const FIGURES_BYTES: usize = size_of::<Figures>();
const _: () = assert!(FIGURES + FIGURES_BYTES <= ROWS_FROM && FIGURES_BYTES.is_multiple_of(8));
/// Most rows: of as many capabilities, clients and volumes as a gatekeeper has.
pub const ROWS_MAX: usize = 256;
/// How often a reader tries.
const TRIES: u32 = 8;

/// The writing end.
#[derive(Debug)]
pub struct Page {
    window: Window,
    copies: u32,
}

impl Page {
    /// The page in `window`; `None` where that is too small. It goes on where an earlier life of the PD stopped.
    pub fn attach(window: Window) -> Option<Self> {
        let copies = window.load(BEGUN, Relaxed);
        (window.len() >= ROWS_FROM).then_some(Self { window, copies })
    }

    /// The sequence of the order that was acknowledged last, in this life of the PD or in one before.
    pub fn obeyed(&self) -> u32 {
        self.window.load(OBEYED, Relaxed)
    }

    /// Acknowledges an order: seen by who reads the next copy.
    pub fn acknowledge(&mut self, sequence: u32, reply: Reply) {
        self.window.store(DONE, reply.number(), Relaxed);
        self.window.store(OBEYED, sequence, Release);
    }

    /// Copies `figures` and `rows` to the page; rows that have no room are left out.
    pub fn publish(&mut self, figures: &Figures, rows: impl IntoIterator<Item = Row>) {
        self.copies = self.copies.wrapping_add(1);
        self.window.store(0, MAGIC, Relaxed);
        self.window.store(VERSION_AT, VERSION, Relaxed);
        self.window.store(BEGUN, self.copies, Relaxed);
        // What follows is seen only by whoever also sees that a copy was begun.
        fence(Release);
        store(&self.window, FIGURES, figures.as_bytes());
        let room = room(&self.window);
        let mut count = 0;
        for row in rows.into_iter().take(room) {
            store(&self.window, ROWS_FROM + count * ROW, &row.bytes());
            count += 1;
        }
        self.window.store(ROWS, u32::try_from(count).unwrap_or(0), Relaxed);
        self.window.store(COMPLETE, self.copies, Release);
    }
}

/// How often a page was written, modulo 2^32: whether its writer has answered since an earlier look.
pub fn copies(window: &Window) -> u32 {
    window.load(COMPLETE, Acquire)
}

/// What was answered to the order `sequence`; `None` while it is not acknowledged.
pub fn acknowledged(window: &Window, sequence: u32) -> Option<Reply> {
    (window.load(OBEYED, Acquire) == sequence).then(|| Reply::of(window.load(DONE, Relaxed)))
}

/// Rows that a region has room for.
fn room(window: &Window) -> usize {
    (window.len().saturating_sub(ROWS_FROM) / ROW).min(ROWS_MAX)
}

/// Stores whole 64-bit words, each at once.
fn store(window: &Window, at: usize, bytes: &[u8]) {
    for (offset, word) in (at..).step_by(8).zip(bytes.as_chunks::<8>().0) {
        if let Some([place]) = window.longs::<1>(offset) {
            place.store(u64::from_ne_bytes(*word), Relaxed);
        }
    }
}

fn load(window: &Window, at: usize, bytes: &mut [u8]) {
    for (offset, word) in (at..).step_by(8).zip(bytes.as_chunks_mut::<8>().0) {
        if let Some([place]) = window.longs::<1>(offset) {
            *word = place.load(Relaxed).to_ne_bytes();
        }
    }
}

/// Why nothing can be read from a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Nothing was written yet.
    Silent,
    /// It is no page, or of another version.
    Unknown,
    /// It changed at every try, or its writer never completed it.
    Torn,
}

/// Reads by `what` between two looks at the counts of copies; which copy it is of.
fn whole<T>(window: &Window, mut what: impl FnMut() -> T) -> Result<(u32, T), Unreadable> {
    for _ in 0..TRIES {
        let complete = window.load(COMPLETE, Acquire);
        match (window.load(0, Relaxed), window.load(VERSION_AT, Relaxed)) {
            (0, 0) => return Err(Unreadable::Silent),
            (MAGIC, VERSION) => {}
            _ => return Err(Unreadable::Unknown),
        }
        let value = what();
        fence(Acquire);
        if window.load(BEGUN, Relaxed) == complete {
            return Ok((complete, value));
        }
    }
    Err(Unreadable::Torn)
}

/// The figures on a page, the number of the copy, and how many rows follow. Figures are what the writer says: any
/// numbers, if it is compromised.
///
/// # Errors
/// [`Unreadable`].
pub fn read(window: &Window) -> Result<(u32, Figures, usize), Unreadable> {
    let (copy, (figures, rows)) = whole(window, || {
        let mut figures = Figures::new_zeroed();
        load(window, FIGURES, figures.as_mut_bytes());
        (figures, window.load(ROWS, Relaxed))
    })?;
    let rows = usize::try_from(rows).unwrap_or(usize::MAX);
    if rows > room(window) {
        return Err(Unreadable::Unknown);
    }
    Ok((copy, figures, rows))
}

/// The row `index` of a page, and the number of the copy that it is of; `None` where it is no row.
///
/// # Errors
/// [`Unreadable`].
pub fn read_row(window: &Window, index: usize) -> Result<(u32, Option<Row>), Unreadable> {
    whole(window, || {
        let mut bytes = [0; ROW];
        if index < room(window) {
            load(window, ROWS_FROM + index * ROW, &mut bytes);
        }
        Row::parse(&bytes)
    })
}

// SPDX-License-Identifier: MIT
//! The page between a writer and a reader, each with its own window on the same memory, both at once, and with a writer
//! that writes garbage.
#![allow(unsafe_code, reason = "windows on a test's own memory")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "tests")]
use orion_metrics::{Client, Counter, Figures, Holding, Kind, Page, ROWS_MAX, Row, Unreadable, Volume, read, read_row};
use orion_region::Window;
use proptest::prelude::*;
use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

/// Memory of some pages, shared by windows.
struct Shared(Vec<UnsafeCell<u64>>);

// SAFETY: it is only reached through windows, whose accesses are atomic or volatile.
unsafe impl Sync for Shared {}

impl Shared {
    fn new(pages: usize) -> Self {
        Self((0..pages * 512).map(|_| UnsafeCell::new(0)).collect())
    }

    fn window(&self) -> Window {
        let base = NonNull::new(UnsafeCell::raw_get(self.0.as_ptr()).cast::<u8>()).unwrap();
        // SAFETY: the memory outlives the test's windows, is aligned to 8 bytes, and no reference to it is made.
        unsafe { Window::new(base, self.0.len() * 8) }
    }
}

/// Figures of which every number says `n`.
fn all(n: u64) -> Figures {
    let mut figures = Figures::EMPTY;
    figures.set_at(n);
    Counter::ALL.into_iter().for_each(|counter| figures.set(counter, n));
    (0..n % 50).for_each(|_| Kind::ALL.into_iter().for_each(|kind| figures.record(kind, n)));
    figures
}

fn holding(n: u64) -> Row {
    Row::Holding(Holding { first: n.into(), blocks: n.into(), passed: n.into(), bytes: n.into(), ..Holding::EMPTY })
}

#[test]
fn what_is_written_is_read() {
    let memory = Shared::new(2);
    let (mut page, reader) = (Page::attach(memory.window()).unwrap(), memory.window());
    assert_eq!(read(&reader), Err(Unreadable::Silent));
    let rows = [holding(7), Row::Client(Client::new(3, true, 9)), Row::Volume(Volume::new(1, 2, 3, 4, false))];
    page.publish(&all(41), rows);
    assert_eq!(read(&reader), Ok((1, all(41), 3)));
    rows.iter().enumerate().for_each(|(index, row)| assert_eq!(read_row(&reader, index), Ok((1, Some(*row)))));
    assert_eq!(read_row(&reader, 3), Ok((1, None)));
    assert_eq!(read_row(&reader, usize::MAX), Ok((1, None)));
    // More rows than there is room for; a second life of the writer goes on counting.
    let mut page = Page::attach(memory.window()).unwrap();
    page.publish(&all(42), (0..1000).map(holding));
    assert_eq!(read(&reader), Ok((2, all(42), 64)));
    let large = Shared::new(9);
    Page::attach(large.window()).unwrap().publish(&all(1), (0..1000).map(holding));
    assert_eq!(read(&large.window()).unwrap().2, ROWS_MAX);
}

#[test]
fn a_copy_is_whole_or_none() {
    let memory = Shared::new(2);
    let mut page = Page::attach(memory.window()).unwrap();
    page.publish(&all(1), [holding(1)]);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 2..4000 {
                page.publish(&all(n), [holding(n)]);
            }
            over.store(true, Ordering::Release);
        });
        let reader = memory.window();
        let (mut whole, mut last) = (0, 0);
        while !over.load(Ordering::Acquire) || whole == 0 {
            if let Ok((copy, figures, rows)) = read(&reader) {
                assert_eq!((figures, rows), (all(figures.at()), 1), "torn");
                assert_eq!(u64::from(copy), figures.at());
                assert!(figures.at() >= last);
                (whole, last) = (whole + 1, figures.at());
            }
            if let Ok((copy, row)) = read_row(&reader, 0) {
                assert_eq!(row, Some(holding(copy.into())), "torn");
            }
        }
    });
}

#[test]
fn a_writer_that_never_completes_is_noticed() {
    let memory = Shared::new(1);
    Page::attach(memory.window()).unwrap().publish(&all(1), []);
    // As where it stopped within a copy.
    memory.window().store(8, 5, Ordering::Relaxed);
    assert_eq!(read(&memory.window()), Err(Unreadable::Torn));
}

#[test]
fn a_region_that_is_too_small_is_no_page() {
    let memory = Shared::new(1);
    // SAFETY: as in `Shared::window`, and shorter.
    let short = unsafe { Window::new(memory.window().base(), 4088) };
    assert!(Page::attach(short).is_none());
}

proptest! {
    /// Whatever stands on a page, reading it ends, and gives numbers or says why not.
    #[test]
    fn garbage_is_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 4096 * 2), sane: bool, rows: u32) {
        let memory = Shared::new(2);
        let window = memory.window();
        window.copy_in(0, &bytes);
        if sane {
            window.copy_in(0, b"ORMT\x01\0\0\0");
            window.copy_in(12, &bytes[8..12]);
            window.store(16, rows % 80, Ordering::Relaxed);
        }
        match read(&window) {
            Ok((_, figures, rows)) => {
                prop_assert!(sane && rows <= 64);
                prop_assert!(figures.all_times().quantile(99, 100).is_some());
                for index in 0..rows {
                    let _ = read_row(&window, index).unwrap();
                }
                let _ = figures.since(&all(9));
            }
            Err(Unreadable::Unknown) => prop_assert!(!sane || rows % 80 > 64),
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }
}

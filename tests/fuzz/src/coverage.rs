// SPDX-License-Identifier: MIT
//! The runtime of LLVM's SanitizerCoverage, for one thread: a counter for each edge of the code, and the operands of
//! comparisons. In a build without it nothing calls these functions.
#![allow(unsafe_code, reason = "LLVM names these functions and hands over raw memory")]
use std::fmt::{self, Display, Formatter};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Ranges of counters, one for each object file.
static RANGES: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());
/// Pairs of operands of the present run, around and around.
static COMPARED: [[AtomicU64; 2]; SLOTS] = [const { [const { AtomicU64::new(0) }; 2] }; SLOTS];
static NEXT: AtomicUsize = AtomicUsize::new(0);
const SLOTS: usize = 512;

/// Called before `main` for each object file.
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
    let (start, stop) = (start.expose_provenance(), stop.addr());
    let mut ranges = RANGES.lock().expect("not poisoned");
    if start < stop && !ranges.iter().any(|(s, _)| *s == start) {
        ranges.push((start, stop));
    }
}

fn note(one: u64, two: u64) {
    if one != two {
        let slot = NEXT.fetch_add(1, Relaxed) % SLOTS;
        COMPARED[slot][0].store(one, Relaxed);
        COMPARED[slot][1].store(two, Relaxed);
    }
}

macro_rules! compares {
    ($($name:ident: $type:ty),*) => {
        $(#[unsafe(no_mangle)]
        extern "C" fn $name(one: $type, two: $type) {
            note(u64::from(one), u64::from(two));
        })*
    };
}
compares!(
    __sanitizer_cov_trace_cmp1: u8, __sanitizer_cov_trace_cmp2: u16, __sanitizer_cov_trace_cmp4: u32,
    __sanitizer_cov_trace_cmp8: u64, __sanitizer_cov_trace_const_cmp1: u8, __sanitizer_cov_trace_const_cmp2: u16,
    __sanitizer_cov_trace_const_cmp4: u32, __sanitizer_cov_trace_const_cmp8: u64
);

/// A `match` on an integer: `cases` is their number, their width in bits, then each.
///
/// # Safety
/// LLVM hands over such an array.
#[unsafe(no_mangle)]
unsafe extern "C" fn __sanitizer_cov_trace_switch(value: u64, cases: *const u64) {
    // SAFETY: as LLVM's documentation says: a count, a width, and `count` values.
    let (count, all) = unsafe { (*cases as usize, cases.add(2)) };
    let pick = NEXT.load(Relaxed) % count.max(1);
    if count > 0 {
        // SAFETY: below `count`.
        note(value, unsafe { *all.add(pick) });
    }
}

/// A copy of all counters.
fn counters() -> Vec<u8> {
    let mut copy = Vec::<u8>::new();
    for (start, stop) in RANGES.lock().expect("not poisoned").iter() {
        let len = stop - start;
        copy.reserve(len);
        // SAFETY: the counters of an object file, which live as long as the program and are written by this thread alone;
        // `len` bytes were reserved.
        unsafe {
            let from = std::ptr::with_exposed_provenance::<u8>(*start);
            std::ptr::copy_nonoverlapping(from, copy.as_mut_ptr().add(copy.len()), len);
            copy.set_len(copy.len() + len);
        }
    }
    copy
}

/// Whether this build counts.
pub fn instrumented() -> bool {
    !RANGES.lock().expect("not poisoned").is_empty()
}

/// Forgets what ran so far.
pub fn reset() {
    for (start, stop) in RANGES.lock().expect("not poisoned").iter() {
        // SAFETY: as in `counters`.
        unsafe { std::ptr::write_bytes(std::ptr::with_exposed_provenance_mut::<u8>(*start), 0, stop - start) };
    }
    NEXT.store(0, Relaxed);
}

/// Operands that the last run compared and that differed.
pub fn compared() -> Vec<(u64, u64)> {
    let pairs = COMPARED.iter().take(NEXT.load(Relaxed));
    pairs.map(|[one, two]| (one.load(Relaxed), two.load(Relaxed))).collect()
}

/// Which edges were run, and how often, in eight classes as is usual.
#[derive(Debug)]
pub struct Seen {
    classes: Vec<u8>,
}

impl Seen {
    /// Nothing.
    pub fn new() -> Self {
        Self { classes: vec![0; counters().len()] }
    }

    /// Whether the last run reached an edge, or ran one so often, for the first time.
    pub fn news(&mut self) -> bool {
        let mut news = false;
        let counts = counters();
        // Most edges are not run.
        for (classes, counts) in self.classes.chunks_mut(32).zip(counts.chunks(32)) {
            if counts.iter().fold(0, |any, count| any | count) == 0 {
                continue;
            }
            for (class, count) in classes.iter_mut().zip(counts) {
                let bit = bit(*count);
                news |= *class & bit != bit;
                *class |= bit;
            }
        }
        news
    }
}

fn bit(count: u8) -> u8 {
    match count {
        0 => 0,
        1 => 1,
        2 => 2,
        3 => 4,
        4..8 => 8,
        8..16 => 16,
        16..32 => 32,
        32..128 => 64,
        _ => 128,
    }
}

impl Display for Seen {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let run = self.classes.iter().filter(|class| **class != 0).count();
        write!(f, "{run} of {} edges run", self.classes.len())
    }
}

// SPDX-License-Identifier: MIT
//! P and Q of RAID, on one processor, beside ISA-L (Debian's libisal2) on the same buffers.
#![expect(unsafe_code, reason = "a C library is loaded and called")]
use libloading::Library;
use orion_parity::Parity;
use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::time::Instant;

/// Blocks of data.
const DATA: usize = 8;
/// Bytes of data that a round goes through.
const ROUND: usize = 256 << 20;
const ROUNDS: usize = 25;
/// Bytes of a block: together in the processor's second cache, and in none.
const SIZES: [usize; 2] = [64 << 10, 16 << 20];

/// Bytes that begin at a multiple of 64, as ISA-L wants them.
#[derive(Clone)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// `xor_gen` and `pq_gen`: blocks, bytes of each, where they are.
type Generate = unsafe extern "C" fn(c_int, c_int, *mut *mut c_void) -> c_int;

/// Blocks of data, P and Q.
struct Stripe {
    data: Vec<Vec<Line>>,
    p: Vec<Line>,
    q: Vec<Line>,
}

impl Stripe {
    fn new(bytes: usize) -> Self {
        let block = |seed: usize| -> Vec<Line> {
            let line = |n: usize| Line(std::array::from_fn(|i| (seed * 31 + n * 7 + i * 13).to_le_bytes()[0]));
            (0..bytes / 64).map(line).collect()
        };
        Self { data: (0..DATA).map(block).collect(), p: block(0), q: block(0) }
    }

    /// By Orion, with this of its ways.
    fn ours(&mut self, f: impl FnOnce(&[&[u8]], &mut [u8], &mut [u8])) {
        let data: Vec<&[u8]> = self.data.iter().map(|block| bytes(block)).collect();
        f(&data, bytes_mut(&mut self.p), bytes_mut(&mut self.q));
    }

    /// By ISA-L: the data and P, and Q where `q`.
    fn theirs(&mut self, generate: &Generate, q: bool) {
        let len = c_int::try_from(self.p.len() * 64).unwrap_or(0);
        let blocks = self.data.iter_mut().chain([&mut self.p]).chain(q.then_some(&mut self.q));
        let mut blocks: Vec<*mut c_void> = blocks.map(|block| block.as_mut_ptr().cast()).collect();
        let count = c_int::try_from(blocks.len()).unwrap_or(0);
        // SAFETY: so many blocks of so many bytes each; only the last, P and Q, are written.
        let failed = unsafe { generate(count, len, blocks.as_mut_ptr()) };
        assert_eq!(failed, 0, "ISA-L refuses");
    }

    fn sums(&self) -> Vec<u8> {
        [bytes(&self.p), bytes(&self.q)].concat()
    }
}

fn bytes(lines: &[Line]) -> &[u8] {
    // SAFETY: a line is 64 bytes without padding.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * 64) }
}

fn bytes_mut(lines: &mut [Line]) -> &mut [u8] {
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * 64) }
}

/// A way to make P, or P and Q.
type Way<'a> = Box<dyn Fn(&mut Stripe) + 'a>;

/// Gigabytes of data a second of each way, the best of some rounds. The ways take turns, so that what else the machine does
/// disturbs all of them.
fn rates(stripe: &mut Stripe, ways: &[Way<'_>]) -> Vec<f64> {
    let len = stripe.p.len() * 64 * DATA;
    let times = (ROUND / len).max(1);
    let mut best = vec![f64::INFINITY; ways.len()];
    for _ in 0..ROUNDS {
        for (way, best) in ways.iter().zip(&mut best) {
            let start = Instant::now();
            (0..times).for_each(|_| way(black_box(stripe)));
            *best = best.min(start.elapsed().as_secs_f64());
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let bytes = (len * times) as f64;
    best.into_iter().map(|seconds| bytes / seconds / 1e9).collect()
}

/// All ways make the same.
fn same(stripe: &mut Stripe, ways: &[Way<'_>]) {
    let mut sums = ways.iter().map(|way| {
        way(stripe);
        stripe.sums()
    });
    let first = sums.next();
    assert!(sums.all(|other| Some(other) == first), "Orion and ISA-L make different parity");
}

fn beside(ours: f64, theirs: Option<f64>) -> String {
    theirs.map_or_else(|| "       -      -".into(), |theirs| format!("{theirs:8.1} {:6.2}", ours / theirs))
}

/// Prints the table.
///
/// # Errors
/// None: without ISA-L there is no peer, which is said.
pub fn run() -> Result<(), Box<dyn std::error::Error>> {
    // SAFETY: ISA-L does nothing when it is loaded.
    let library = unsafe { Library::new("libisal.so.2") };
    // SAFETY: `raid.h` declares them so.
    let find = |name: &str| library.as_ref().ok().and_then(|all| unsafe { all.get::<Generate>(name.as_bytes()) }.ok());
    let peers = [find("xor_gen"), find("pq_gen")];
    if peers.iter().any(Option::is_none) {
        println!("no ISA-L here to stand beside: install it with `apt-get install libisal2`");
    }
    let [xor_gen, pq_gen] = peers;
    println!("P and P+Q of {DATA} blocks of data on one processor: GB of data a second, the best of {ROUNDS} rounds\n");
    println!("  KiB of a block  what  instructions   Orion    ISA-L  ratio");
    for size in SIZES {
        let mut stripe = Stripe::new(size);
        for (what, q, theirs) in [("P", false, &xor_gen), ("P+Q", true, &pq_gen)] {
            let ours = |parity: Parity| -> Way<'_> {
                Box::new(move |stripe| {
                    stripe.ours(|data, to_p, to_q| if q { parity.pq(data, to_p, to_q) } else { parity.p(data, to_p) });
                })
            };
            let sets: Vec<Parity> = Parity::all().collect();
            let mut ways: Vec<Way<'_>> = sets.iter().map(|parity| ours(*parity)).collect();
            if let Some(generate) = theirs {
                ways.push(Box::new(move |stripe| stripe.theirs(generate, q)));
            }
            let rates = rates(&mut stripe, &ways);
            let peer = theirs.as_ref().and(rates.last()).copied();
            for (parity, rate) in sets.iter().zip(&rates) {
                println!("  {:14}  {what:4}  {:12}  {rate:6.1} {}", size >> 10, parity.name(), beside(*rate, peer));
            }
            same(&mut stripe, &ways);
        }
    }
    Ok(())
}

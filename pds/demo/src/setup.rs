// SPDX-License-Identifier: MIT
//! From settings to a job.
use crate::bench::{Bench, Load};
use crate::endure::{Endure, Trial};
use crate::job::{Job, MOST_SLOTS, Server};
use crate::pattern::mix;
use crate::slots::Slots;
use crate::verify::{Task, Verify};
use orion_block::Op;

/// Blocks that one request on the ring can have.
const MOST_BLOCKS: u64 = u16::MAX as u64;

/// One of the demo's jobs.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one, and nothing may allocate")]
pub enum Work {
    /// Verified I/O.
    Verify(Verify),
    /// A measurement.
    Bench(Bench),
    /// Load without end.
    Endure(Endure),
}

impl Work {
    /// The job.
    pub fn job(&mut self) -> &mut dyn Job {
        match self {
            Self::Verify(job) => job,
            Self::Bench(job) => job,
            Self::Endure(job) => job,
        }
    }
}

/// The job that the settings ask for, and the slots for its requests. `setting` looks a setting up; `depth` is the most
/// requests in flight; `random` differs from run to run.
///
/// # Errors
/// Why it can't be done.
pub fn job(
    server: &Server,
    setting: impl Fn(&str) -> Option<u64>,
    depth: u64,
    random: u64,
) -> Result<(Work, Slots), &'static str> {
    let get = |key, default| setting(key).unwrap_or(default);
    let size = server.block();
    let bench = get("bench_op", 0);
    let depth = depth.min(if bench == 0 { MOST_SLOTS as u64 } else { get("bench_depth", 32) }).max(1);
    let (work, blocks) = if get("endure", 0) != 0 && get("writes", 1) != 0 {
        let trial = Trial {
            time: get("endure_ms", 0).saturating_mul(1_000_000),
            pause: get("endure_pause_us", 2000).saturating_mul(1000),
            seed: get("seed", mix(random)),
        };
        let job = Endure::new(server, trial);
        let blocks = job.blocks();
        (Work::Endure(job), blocks)
    } else if bench == 0 {
        let most = match server.limits.max_blocks {
            0 => MOST_BLOCKS,
            most => u64::from(most).min(MOST_BLOCKS),
        };
        let room = server.data / size / depth;
        let blocks = get("demo_chunk", 0x1_0000 / size).min(most).min(room).max(1);
        (Work::Verify(verify(server, get, blocks, random)), blocks)
    } else {
        let blocks = get("bench_blocks", 1).clamp(1, MOST_BLOCKS);
        (Work::Bench(measure(server, get, bench, blocks)?), blocks)
    };
    let bytes = blocks * size;
    match usize::try_from((server.data / bytes).min(depth)) {
        Ok(count) if count > 0 => Ok((work, Slots::new(bytes, count))),
        _ => Err("the data region is smaller than one request; give the client a larger one in system.xml"),
    }
}

fn verify(server: &Server, get: impl Fn(&'static str, u64) -> u64, blocks: u64, random: u64) -> Verify {
    let task = Task {
        writes: get("writes", 1) != 0,
        bytes: get("demo_bytes", 16 << 20),
        chunk: u16::try_from(blocks).unwrap_or(u16::MAX),
        seed: get("seed", mix(random)),
        rounds: get("demo_rounds", 1),
    };
    Verify::new(*server, task)
}

fn measure(
    server: &Server,
    get: impl Fn(&'static str, u64) -> u64,
    op: u64,
    blocks: u64,
) -> Result<Bench, &'static str> {
    let op = match op {
        1 => Op::Read,
        2 if get("writes", 1) == 0 => {
            return Err("the setting bench_op asks for writes, the setting writes forbids them");
        }
        2 => Op::Write,
        _ => return Err("the setting bench_op is neither 1 (read) nor 2 (write)"),
    };
    let load = Load {
        op,
        count: get("bench_count", 20_000),
        blocks: u16::try_from(blocks).unwrap_or(u16::MAX),
        stride: get("bench_stride", 0),
        span: get("bench_span", 0),
    };
    Ok(Bench::new(server, load))
}

// SPDX-License-Identifier: MIT
//! The checks, in the order in which they are made.
mod basics;
mod bounds;
mod clearing;
mod durable;
mod errors;
mod parallel;

use crate::device::Device;
use crate::report::Report;
use crate::under::Under;

/// Asks everything of a device that is ready.
pub async fn suite<D: Device>(under: &Under<D>) -> Report {
    let mut report = Report::default();
    let limits = under.limits().await;
    report.note("limits are possible", basics::limits(under).await);
    report.note("zero blocks", bounds::no_blocks(under).await);
    report.note("one past the end", bounds::beyond(under).await);
    report.note("payload outside memory", bounds::payload(under).await);
    if limits.read_only {
        report.note("read-only", bounds::read_only(under).await);
        return report;
    }
    report.note("what is written is read", basics::round_trip(under).await);
    report.note("the last block", bounds::last(under).await);
    report.note("large requests", basics::large(under).await);
    report.note("against an array", basics::random(under).await);
    report.note("payload that is not aligned", bounds::unaligned(under).await);
    report.note("a refused write changes nothing", bounds::refused_write(under).await);
    report.note("write zeroes", clearing::zeroes(under).await);
    report.note("discard", clearing::discard(under).await);
    report.note("flush", durable::flush(under).await);
    report.note("force unit access", durable::fua(under).await);
    report.note("each request is answered once", parallel::each_once(under).await);
    report.note("a full queue", parallel::full(under).await);
    report.note("a completed write is seen", parallel::seen(under).await);
    report.note("overlapping writes", parallel::overlap(under).await);
    report.note("a failing part", errors::part(under).await);
    report.note("loss of power", durable::power(under).await);
    report.note("restart", durable::restart(under).await);
    report
}

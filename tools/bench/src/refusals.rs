// SPDX-License-Identifier: MIT
//! What one refusal costs the gatekeeper: the request itself, and a record of it in the audit.
use crate::layers::{REQUESTS, flood};
use orion_audit::{Consumer, Log, Name, Producer, RECORDS_BYTES, Record, TAKEN_BYTES, What};
use orion_block::{Instant, Op};
use orion_caps::{Event, Gatekeeper, Reason};
use orion_layer::Node;

/// Nanoseconds between two refusals that each get a record.
const APART: u64 = 10_000_000;

/// Refuses [`REQUESTS`] requests, and takes what there is to tell of them, as the gatekeeper does.
pub fn refuse() -> u64 {
    let mut told = 0;
    let tell = |node: &mut Node<Gatekeeper, { crate::layers::DEPTH }>| {
        while let Some(event) = node.layer_mut().take_event() {
            told += match event {
                Event::Refused(_) => 1,
                Event::Missed(_, count) => u64::from(count),
                Event::Reminder => 0,
            };
        }
    };
    flood(Gatekeeper::new(), tell);
    told
}

/// Records [`REQUESTS`] refusals that are far enough apart for a record each, and links them into the chain.
///
/// # Errors
/// Where there is no place for a log.
pub fn record() -> Result<impl FnMut() -> u64, &'static str> {
    let ([records, theirs], [page, their_page]) =
        (crate::ring::shared(RECORDS_BYTES), crate::ring::shared(TAKEN_BYTES));
    let other = "the audit's ring has another size";
    let producer = Producer::attach(records, page, false).ok_or(other)?;
    let mut consumer = Consumer::attach(theirs, their_page).ok_or(other)?;
    let (mut log, mut now) = (Log::new(producer, 1, false), 0);
    let who = Name::new("client");
    let record = Record { what: What::Refused(Op::Read, Reason::Extent), who, volume: who, ..Record::default() };
    Ok(move || {
        let mut recorded = 0;
        for _ in 0..REQUESTS {
            now += APART;
            log.refused(&Record { time: now, ..record }, Instant(now));
            log.settle(Instant(now), |_| who);
            while consumer.pending() {
                consumer.take(1);
                recorded += 1;
            }
        }
        recorded
    })
}

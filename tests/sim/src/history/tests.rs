// SPDX-License-Identifier: MIT
//! The check against the definition: every order of every short history is tried.
use super::*;
use crate::Random;

#[derive(Clone, Debug)]
struct Op {
    write: bool,
    value: Value,
    begin: Moment,
    /// [`NEVER`]: in flight when power was lost.
    end: Moment,
    how: Ended,
}

/// A register that really exists, with operations that take effect at random moments; reads are falsified at times.
fn history(random: &mut Random) -> (Vec<Op>, Moment) {
    let (mut ops, mut open, mut register, mut clock) = (Vec::<Op>::new(), Vec::<(usize, bool)>::new(), 0, 0);
    let count = 2 + random.below(5);
    while ops.len() < count || !open.is_empty() {
        clock += 1;
        match random.below(3) {
            0 if ops.len() < count => {
                let write = random.below(2) == 0;
                let how =
                    [Ended::Done { durable: random.below(3) == 0 }, Ended::Perhaps, Ended::Done { durable: false }]
                        [random.below(3)];
                open.push((ops.len(), false));
                ops.push(Op { write, value: ops.len() as u64 + 1, begin: clock, end: NEVER, how });
            }
            1 if !open.is_empty() => {
                let at = random.below(open.len());
                let (index, done) = &mut open[at];
                if !std::mem::replace(done, true) {
                    if ops[*index].write { register = ops[*index].value } else { ops[*index].value = register }
                }
            }
            _ if !open.is_empty() => {
                let at = random.below(open.len());
                let op = &mut ops[open[at].0];
                let failed = op.write && op.how == Ended::Perhaps;
                if open[at].1 || failed {
                    op.end = clock;
                    open.remove(at);
                } else if op.write && ops.len() == count && random.below(8) == 0 {
                    break;
                }
            }
            _ => {}
        }
    }
    // Those in flight stay so; reads in flight found nothing.
    ops.retain(|op| op.write || op.end != NEVER);
    if random.below(2) == 0 && !ops.is_empty() {
        let (at, value) = (random.below(ops.len()), random.below(count + 1) as u64);
        if !ops[at].write {
            ops[at].value = value;
        }
    }
    (ops, clock + 1)
}

/// Every order that is allowed: calls `found` with the writes in it.
fn orders(ops: &[Op], done: u32, now: Value, writes: &mut Vec<usize>, found: &mut dyn FnMut(&[usize])) {
    let mandatory = |op: &Op| !op.write || matches!(op.how, Ended::Done { .. }) && op.end != NEVER;
    if (0..ops.len()).all(|i| done & (1 << i) != 0 || !mandatory(&ops[i])) {
        found(writes);
    }
    for i in (0..ops.len()).filter(|i| done & (1 << i) == 0) {
        let op = &ops[i];
        let waits =
            (0..ops.len()).any(|j| done & (1 << j) == 0 && j != i && ops[j].end < op.begin && mandatory(&ops[j]));
        // A failed write can't take effect after its end: what began later is done, then.
        let late = ops.iter().enumerate().any(|(j, o)| done & (1 << j) != 0 && o.begin > op.end);
        if waits || late || !op.write && op.value != now {
            continue;
        }
        if op.write {
            writes.push(i);
        }
        orders(ops, done | 1 << i, if op.write { op.value } else { now }, writes, found);
        if op.write {
            writes.pop();
        }
    }
}

/// Whether some order explains the history; and the values that may be there after a loss of power.
fn truth(ops: &[Op]) -> (bool, Vec<Value>) {
    let (mut any, mut values) = (false, Vec::new());
    let durable = |op: &Op| op.how == Ended::Done { durable: true } && op.end != NEVER;
    orders(ops, 0, 0, &mut Vec::new(), &mut |writes| {
        any = true;
        for last in (0..=writes.len()).rev() {
            let value = last.checked_sub(1).map_or(0, |at| ops[writes[at]].value);
            values.push(value);
            if last > 0 && durable(&ops[writes[last - 1]]) {
                break;
            }
        }
    });
    values.sort_unstable();
    values.dedup();
    (any, values)
}

/// What the check says of the same.
fn checked(ops: &[Op]) -> Result<History, String> {
    let mut history = History::known(0);
    let mut events: Vec<(Moment, bool, &Op)> = Vec::new();
    for op in ops {
        events.push((op.begin, true, op));
        if op.end != NEVER {
            events.push((op.end, false, op));
        }
    }
    events.sort_by_key(|(at, ..)| *at);
    for (at, begins, op) in events {
        match (op.write, begins) {
            (true, true) => history.write_begins(op.value, at),
            (true, false) => {
                let reads = ops.iter().filter(|o| !o.write && o.begin < at && o.end > at);
                let oldest = reads.map(|o| o.begin).min().unwrap_or(at);
                history.write_ends(op.value, at, op.how, oldest)?;
            }
            (false, false) => history.read(Some(op.value), op.begin, at)?,
            (false, true) => {}
        }
    }
    Ok(history)
}

#[test]
fn the_check_agrees_with_every_order() {
    let (mut wrong, mut random) = (0, Random::new(11));
    for _ in 0..60_000 {
        let (ops, end) = history(&mut random);
        let (legal, values) = truth(&ops);
        let history = checked(&ops);
        assert_eq!(history.is_ok(), legal, "{history:?}\n{ops:#?}");
        let Ok(mut history) = history else {
            wrong += 1;
            continue;
        };
        history.power_lost(end);
        for value in 0..8 {
            let survives = history.clone().read(Some(value), end + 1, end + 2).is_ok();
            assert_eq!(survives, values.contains(&value), "{value} {values:?} {history:#?}\n{ops:#?}");
        }
    }
    assert!(wrong > 3000, "{wrong} histories were wrong");
}

#[test]
fn a_flush_covers_what_had_ended_before_it_began() {
    let mut history = History::known(0);
    history.write_begins(1, 1);
    history.write_ends(1, 2, Ended::Done { durable: false }, 2).unwrap();
    history.write_begins(2, 3);
    history.write_ends(2, 5, Ended::Done { durable: false }, 5).unwrap();
    history.flushed(1, 4, 9);
    history.flushed(2, 4, 9);
    history.power_lost(9);
    for (value, survives) in [(0, false), (1, true), (2, true), (3, false)] {
        assert_eq!(history.clone().read(Some(value), 10, 11).is_ok(), survives, "{value}");
    }
}

#[test]
fn a_spoiled_block_is_known_again_after_a_write_alone() {
    let mut history = History::known(7);
    history.write_begins(1, 1);
    history.spoil(2);
    history.write_ends(1, 3, Ended::Done { durable: true }, 3).unwrap();
    assert!(history.is_wild() && history.read(None, 4, 5).is_ok(), "the write was in flight when it was spoiled");
    history.write_begins(2, 6);
    history.write_ends(2, 7, Ended::Done { durable: false }, 7).unwrap();
    assert!(!history.is_wild() && history.read(Some(2), 8, 9).is_ok());
    assert!(history.clone().read(Some(1), 10, 11).is_err());
    let mut lost = history.clone();
    lost.power_lost(12);
    assert!(lost.read(Some(1), 13, 14).is_ok(), "what was there before may come back");
    history.flushed(2, 10, 11);
    history.power_lost(12);
    assert!(history.clone().read(Some(1), 13, 14).is_err() && history.read(None, 13, 14).is_err());
}

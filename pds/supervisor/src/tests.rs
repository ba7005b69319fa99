// SPDX-License-Identifier: MIT
//! The policy in virtual time.
use super::*;
use orion_pd::Config;
use orion_pd::config::{Builder, Name, Setting};
use proptest::prelude::*;
use std::vec::Vec;

const MS: u64 = 1_000_000;

fn terms() -> Terms {
    Terms {
        ping: 100 * MS,
        pings: 3,
        backoff: 10 * MS,
        backoff_max: 35 * MS,
        well: 500 * MS,
        restarts: 5,
        period: 10_000 * MS,
    }
}

fn at(ms: u64) -> Instant {
    Instant(ms * MS)
}

#[test]
fn a_crash_loop_is_restarted_at_once_then_ever_later_then_given_up() {
    let (terms, mut now) = (terms(), at(1000));
    let mut watched = Watched::new(now, &terms);
    let mut waits = Vec::new();
    loop {
        match watched.faulted(now, &terms).unwrap() {
            Verdict::GivenUp => break,
            Verdict::Now => waits.push(0),
            Verdict::Later(ns) => {
                assert_eq!(watched.look(Instant(now.0 + ns - 1), 0, &terms), None);
                waits.push(ns / MS);
            }
        }
        assert_eq!(watched.faulted(now, &terms), None, "old news");
        now = watched.due().unwrap();
        assert_eq!(watched.look(now, 0, &terms), Some(Action::Restart));
        watched.restarted(now, 0);
    }
    assert_eq!(waits, [0, 10, 20, 35, 35]);
    assert_eq!((watched.state(), watched.restarts(), watched.due()), (State::GivenUp, 5, None));
    assert_eq!((watched.look(at(1 << 40), 9, &terms), watched.faulted(at(1 << 40), &terms)), (None, None));
}

#[test]
fn who_was_well_is_restarted_at_once_and_old_restarts_are_forgotten() {
    let (terms, mut now) = (terms(), at(0));
    let mut watched = Watched::new(now, &terms);
    for _ in 0..1000 {
        now = now.after(terms.period / 5 + 1);
        assert_eq!(watched.faulted(now, &terms), Some(Verdict::Now));
        assert_eq!(watched.look(now, 0, &terms), Some(Action::Restart));
        watched.restarted(now, 0);
    }
    assert_eq!(watched.restarts(), 1000);
}

#[test]
fn who_does_not_answer_is_hung_after_so_many_questions_and_not_one_earlier() {
    let (terms, mut pings) = (terms(), 0);
    let mut watched = Watched::new(at(0), &terms);
    let mut pulse = 7;
    loop {
        let now = watched.due().unwrap();
        match watched.look(now, pulse, &terms) {
            Some(Action::Ping) => pings += 1,
            Some(Action::Hung) => break assert_eq!(now, at(1400)),
            other => panic!("{other:?}"),
        }
        if pings <= 10 {
            pulse += 1;
        }
    }
    assert_eq!(pings, 10 + 3, "the first ten were answered; three more could be owed");
}

#[test]
fn settings_are_milliseconds_and_have_limits() {
    let setting = |(key, value): (&str, u64)| Setting { key: Name::new(key), value: value.into() };
    let parsed = |settings: &[(&str, u64)]| {
        let blob = Builder { settings: settings.iter().copied().map(setting).collect(), ..Builder::default() }.bytes();
        Terms::of(&Config::parse(&blob).unwrap())
    };
    assert_eq!(parsed(&[]), Terms::default());
    let all = [("ping_ms", 3), ("pings", 4), ("backoff_ms", 5), ("backoff_max_ms", 6), ("well_ms", 7), ("restarts", 8)];
    let Terms { ping, pings, backoff, backoff_max, well, restarts, period } = parsed(&all);
    assert_eq!((ping, pings, backoff, backoff_max, well, restarts), (3 * MS, 4, 5 * MS, 6 * MS, 7 * MS, 8));
    assert_eq!(period, Terms::default().period);
    let odd = parsed(&[("ping_ms", 0), ("pings", 0), ("restarts", u64::MAX), ("period_ms", u64::MAX)]);
    assert_eq!((odd.ping, odd.pings, odd.restarts, odd.period), (MS, 1, REMEMBERED as u32, u64::MAX));
}

proptest! {
    /// However the supervisor itself is kept from running: who answers each question before the next is never blamed.
    #[test]
    fn who_answers_is_never_blamed(gaps in prop::collection::vec(0u64..5_000, 1..200), start in any::<u32>()) {
        let terms = terms();
        let mut watched = Watched::new(at(0), &terms);
        let (mut now, mut pulse) = (at(0), start);
        for gap in gaps {
            now = now.after(gap * MS);
            match watched.look(now, pulse, &terms) {
                Some(Action::Ping) => pulse = pulse.wrapping_add(1),
                None => {}
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    /// A crash at any times: never more restarts in a period than allowed, never one before its time.
    #[test]
    fn restarts_are_limited(lives in prop::collection::vec(0u64..4_000, 1..100)) {
        let terms = terms();
        let (mut now, mut restarts) = (at(0), Vec::new());
        let mut watched = Watched::new(now, &terms);
        for life in lives {
            now = now.after(life * MS);
            match watched.faulted(now, &terms) {
                Some(Verdict::GivenUp) => {
                    let recent = restarts.iter().filter(|at: &&Instant| now.0 - at.0 <= terms.period).count();
                    prop_assert_eq!(recent, 5);
                    return Ok(());
                }
                Some(verdict) => {
                    let wait = if let Verdict::Later(ns) = verdict { ns } else { 0 };
                    prop_assert!(wait <= terms.backoff_max && (life < 500 || wait == 0));
                    now = now.after(wait);
                }
                None => prop_assert!(false, "it was running"),
            }
            prop_assert_eq!(watched.look(now, 0, &terms), Some(Action::Restart));
            watched.restarted(now, 0);
            restarts.push(now);
            let recent = restarts.iter().filter(|at| now.0 - at.0 <= terms.period).count();
            prop_assert!(recent <= 5);
        }
    }
}

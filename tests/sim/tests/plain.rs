// SPDX-License-Identifier: MIT
//! Plain sDDF peers that misbehave in every way that is known of sDDF 0.7, each beside honest neighbours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
use orion_pd::Verdict;
use orion_sim::plain::{CLIENT_WAYS, ClientWay, DRIVER_WAYS, DriverWay};
use orion_sim::{Machine, Outcome};

const ABOVE: &str = r#"<system xmlns:orion="urn:orion-storage:1">
  <protection_domain name="demo" priority="90"> <program_image path="demo.elf"/> </protection_domain>
  <protection_domain name="plain" priority="90"> <program_image path="plain-client.elf"/> </protection_domain>
  <orion:disk name="d0" bus="virtio-blk"/>
  <orion:grant client="demo" disk="d0" blocks="0..64" rights="read write flush"/>
  <orion:grant client="plain" disk="d0" blocks="64..72" rights="read write"/>
</system>"#;

fn verified(outcome: &Outcome, client: &str) -> bool {
    outcome.verdicts.get(client) == Some(&Verdict::Passed)
}

/// What was answered to the plain client: status, blocks, id.
fn answers(outcome: &Outcome) -> Vec<(u32, u32, u32)> {
    let lines = outcome.lines.iter().filter_map(|line| line.strip_prefix("plain: answer "));
    let number = |text: &str| text.parse().unwrap();
    lines.map(|line| line.split(' ').map(number).collect::<Vec<_>>()).map(|n| (n[0], n[1], n[2])).collect()
}

#[test]
fn a_plain_client_that_misbehaves_gets_nothing_and_harms_nobody() {
    for (way, (name, kind)) in (0..).zip(CLIENT_WAYS) {
        for seed in 0..6 {
            let outcome = Machine::with_plain(ABOVE, seed, &[("way", way)], &["plain"]).run();
            let context = format!("{name}, seed {seed}: {:#?}", outcome.lines);
            assert!(verified(&outcome, "demo"), "{context}");
            let answers = answers(&outcome);
            let mut own = answers.iter().take(2).copied().collect::<Vec<_>>();
            own.sort_unstable();
            assert_eq!(own, [(0, 1, 1), (0, 1, 2)], "its own block: {context}");
            let rest = &answers[2..];
            let closed = outcome.lines.iter().any(|line| line.contains("broke the ring protocol"));
            match kind {
                ClientWay::Asks(requests) => {
                    assert!(!closed && rest.len() == requests.len(), "every request is answered once: {context}");
                    assert!(rest.iter().all(|(status, count, _)| (1..5).contains(status) && *count == 0), "{context}");
                    let ids: Vec<u32> = requests.iter().map(|request| request.4).collect();
                    assert_eq!(rest.iter().map(|answer| answer.2).collect::<Vec<_>>(), ids, "{context}");
                }
                ClientWay::Hoards => {
                    assert!(!closed && rest.len() == 128, "{} answers of 128: {context}", rest.len());
                    assert!(rest.iter().all(|(status, count, _)| (*status, *count) == (0, 1)), "{context}");
                }
                ClientWay::Plugs => assert!(!closed && rest.len() == 2 && rest.iter().all(|a| a.0 == 0), "{context}"),
                ClientWay::Counts(..) | ClientWay::Rewrites => {}
            }
            let expected = matches!(
                *name,
                "requests beyond its queue" | "requests taken back" | "answers taken that were not given"
            );
            assert!(!expected || closed, "is noticed: {context}");
        }
    }
}

const BELOW: &str = r#"<system xmlns:orion="urn:orion-storage:1">
  <protection_domain name="demo" priority="90"> <program_image path="demo.elf"/> </protection_domain>
  <protection_domain name="other" priority="90"> <program_image path="demo.elf"/> </protection_domain>
  <orion:disk name="d0" bus="virtio-blk"/>
  <orion:disk name="d1" bus="virtio-blk"/>
  <orion:grant client="demo" disk="d0" blocks="0..64" rights="read write flush"/>
  <orion:grant client="other" disk="d1" blocks="0..64" rights="read write flush"/>
</system>"#;

#[test]
fn a_plain_driver_that_misbehaves_loses_its_volume_and_no_other() {
    for (way, kind) in (0..).zip(DRIVER_WAYS) {
        for seed in 0..6 {
            let outcome = Machine::with_plain(BELOW, seed, &[("way", way)], &["blk_d0"]).run();
            let context = format!("{kind:?}, seed {seed}: {:#?}", outcome.lines);
            assert!(verified(&outcome, "other"), "{context}");
            match kind {
                // All that these do is allowed, or harms nobody who keeps private counters.
                DriverWay::Reorders | DriverWay::Unready | DriverWay::Scribbles => {
                    assert!(verified(&outcome, "demo"), "{context}");
                }
                // What was done is told by the status: a plain server's count is not relied upon.
                DriverWay::CountsNone | DriverWay::CountsMore => {}
                _ => {
                    assert!(!verified(&outcome, "demo"), "{context}");
                }
            }
            let closed = outcome.lines.iter().any(|line| line.contains("volume d0 is closed"));
            let breaks = [
                DriverWay::WrongId,
                DriverWay::Twice,
                DriverWay::Unasked,
                DriverWay::TakesBack,
                DriverWay::Capacity,
                DriverWay::NeverReady,
            ];
            assert_eq!(closed, breaks.contains(kind), "{context}");
        }
    }
}

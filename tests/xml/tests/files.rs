// SPDX-License-Identifier: MIT
//! Every file gets exactly the messages that it says, and every message is of use.
#![allow(clippy::unwrap_used, reason = "tests")]
mod common;

use common::cases;
use orion_system::plan::Board;
use orion_system::{Options, emit};
use std::fmt::Write as _;
use std::path::Path;

#[test]
fn every_bad_file_gets_exactly_its_messages() {
    let cases = cases("bad");
    assert!(cases.len() >= 100, "only {} files", cases.len());
    let mut failures = String::new();
    for case in cases {
        let found: Vec<String> = case.problems().iter().map(ToString::to_string).collect();
        if found != case.expected || found.is_empty() {
            writeln!(failures, "{}\n  expected {:#?}\n  found {found:#?}", case.name, case.expected).unwrap();
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// What is in order and hardly meant is warned of, and still derived.
#[test]
fn every_odd_file_gets_exactly_its_warnings() {
    let cases = cases("odd");
    assert!(cases.len() >= 20, "only {} files", cases.len());
    let mut failures = String::new();
    for case in cases {
        assert!(!case.plans().is_empty(), "{}", case.name);
        let found: Vec<String> = case.warnings().iter().map(ToString::to_string).collect();
        if found != case.expected || found.is_empty() {
            writeln!(failures, "{}\n  expected {:#?}\n  found {found:#?}", case.name, case.expected).unwrap();
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// The default system, and good files that just miss a warning: those say `<?quiet ...?>`.
#[test]
fn what_is_meant_is_not_warned_of() {
    let system = orion_system::parse(include_str!("../../../system.xml")).unwrap();
    assert_eq!(orion_system::warnings(&system), []);
    let quiet: Vec<_> = cases("good").into_iter().filter(|case| case.text.contains("<?quiet ")).collect();
    assert!(quiet.len() >= 6, "only {} files", quiet.len());
    for case in quiet {
        assert_eq!(case.warnings(), [], "{}", case.name);
    }
}

#[test]
fn every_good_file_is_derived_for_its_boards() {
    let mut failures = String::new();
    for case in cases("good") {
        for (board, options) in case.boards() {
            if let Err(problems) = orion_system::plan(&case.text, board, &options) {
                writeln!(failures, "for {}:\n{}", board.name(), orion_system::report(&case.name, &problems)).unwrap();
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn every_message_says_where_and_what_to_do() {
    for case in cases("bad").into_iter().chain(cases("odd")) {
        let lines = case.text.lines().count().max(1);
        for problem in case.problems().into_iter().chain(case.warnings()) {
            let shown = format!("{}: {problem}", case.name);
            assert!(problem.at.line >= 1 && problem.at.column >= 1, "{shown}");
            assert!(problem.at.line as usize <= lines, "{shown}: the file has {lines} lines");
            assert!(problem.what.len() > 8 && problem.remedy.len() > 8, "{shown}");
            assert!(!shown.contains('\n') && !shown.contains("  "), "{shown}");
        }
    }
}

#[test]
fn the_same_file_gives_the_same_bytes() {
    for case in cases("good") {
        for (a, b) in case.plans().iter().zip(&case.plans()) {
            assert_eq!(emit::sdf(a), emit::sdf(b), "{}", case.name);
            assert_eq!(emit::files(a), emit::files(b), "{}", case.name);
            assert_eq!(format!("{a:?}"), format!("{b:?}"), "{}", case.name);
        }
    }
}

/// What is emitted is plain Microkit: it is in order by our own rules, which are stricter, but for the names and the
/// priority that we keep for ourselves, and has nothing of ours in it.
#[test]
fn what_is_emitted_is_a_plain_system() {
    for case in cases("good") {
        for plan in case.plans().iter().filter(|plan| emit::has_description(plan.board)) {
            let text = emit::sdf(plan);
            assert!(!text.contains("orion:") && !text.contains("urn:orion"), "{}", case.name);
            let kept = |what: &str| what.starts_with("the name ") || what.starts_with("priority 25");
            let problems = orion_system::parse(&text).err().unwrap_or_default();
            let others: Vec<_> = problems.iter().filter(|problem| !kept(&problem.what)).collect();
            assert!(others.is_empty(), "{} for {}:\n{others:#?}\n{text}", case.name, plan.board.name());
        }
    }
}

/// A description is written for people too, so those of the default system are kept to be looked at: `golden/*.system`.
#[test]
fn the_default_system_is_emitted_as_kept() {
    let text = include_str!("../../../system.xml");
    for (board, iommu, name) in [
        (Board::QemuVirtAarch64, false, "qemu_virt_aarch64"),
        (Board::X86_64Generic, false, "x86_64_generic"),
        (Board::X86_64Generic, true, "x86_64_generic-iommu"),
    ] {
        let plan = orion_system::plan(text, board, &Options { iommu, ..Options::default() }).unwrap();
        let (file, sdf) = (format!("{name}.system"), emit::sdf(&plan));
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(&file);
        let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&file);
        std::fs::write(&new, &sdf).unwrap();
        let same = std::fs::read_to_string(&kept).is_ok_and(|kept| kept == sdf);
        assert!(same, "if this change is wanted: cp {} {}", new.display(), kept.display());
    }
}

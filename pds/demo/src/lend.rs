// SPDX-License-Identifier: MIT
//! The demo's second act: it lends the first blocks of its window 0, read only, to the client called `reader`, waits until
//! they were read, and takes them back. It names no ring, so a test can play the gatekeeper.
use orion_caps::{Denial, Extent, Outcome, Rights};
use orion_control::{Ask, Kind, Refused};

/// Whom the demo lends to.
pub const READER: &str = "reader";
/// The window of the reader in which it finds blocks that the demo wrote.
pub const WRITTEN: u8 = 1;
/// The window in which it finds others, where the demo writes nothing.
pub const OTHERS: u8 = 2;
/// Most 4096-byte blocks that are lent.
const BLOCKS: u64 = 16;
/// Nanoseconds between two looks at whether they were read.
pub const LOOK_NS: u64 = 5_000_000;
/// Reads after which it takes them back: who reads a second time has looked at the first.
const READS: u64 = 2;
/// Looks after which the demo gives up.
const LOOKS_MAX: u32 = 6000;

/// Where it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Lending,
    Watching { looks: u32 },
    TakingBack,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this command.
    Ask(Ask),
    /// Send this command after [`LOOK_NS`].
    Later(Ask),
    /// It is over: whether all went well.
    Over(bool),
}

/// The act.
#[derive(Clone, Copy, Debug)]
pub struct Lend {
    stage: Stage,
    blocks: u64,
    window: u8,
}

impl Lend {
    /// Lends from a window of `blocks` 4096-byte blocks, of which the demo has written the first `written`; and the first
    /// command.
    pub fn new(blocks: u64, written: u64) -> (Self, Ask) {
        let (window, blocks) = if written > 0 { (WRITTEN, written.min(BLOCKS)) } else { (OTHERS, blocks.min(BLOCKS)) };
        let ask = Ask {
            extent: Extent { first: 0, blocks },
            rights: Rights::READ,
            ..Ask::on(Kind::Delegate, READER, window)
        };
        (Self { stage: Stage::Lending, blocks, window }, ask)
    }

    /// Takes the answer to the last command.
    pub fn answered(&mut self, result: Result<Outcome, Refused>, say: crate::job::Say<'_>) -> Step {
        let window = self.window;
        let on = |kind| Ask::on(kind, READER, window);
        match (self.stage, result) {
            (Stage::Lending, Err(Refused::Denied(Denial::NoWindow))) => {
                say(format_args!("nothing is lent: there is no client {READER}"));
                Step::Over(true)
            }
            (Stage::Lending, Ok(_)) => {
                say(format_args!(
                    "lent: blocks 0..{} of window 0, read only, to {READER} as its window {window}",
                    self.blocks
                ));
                self.stage = Stage::Watching { looks: 0 };
                Step::Later(on(Kind::Look))
            }
            (Stage::Watching { .. }, Ok(seen)) if seen.passed >= READS => {
                self.stage = Stage::TakingBack;
                Step::Ask(on(Kind::Revoke))
            }
            (Stage::Watching { looks: LOOKS_MAX }, Ok(_)) => {
                say(format_args!("failed: {READER} has not read what it was lent"));
                Step::Over(false)
            }
            (Stage::Watching { looks }, Ok(_)) => {
                self.stage = Stage::Watching { looks: looks + 1 };
                Step::Later(on(Kind::Look))
            }
            (Stage::TakingBack, Ok(done)) => {
                say(format_args!("taken back from {READER}, which used it {} times", done.passed));
                Step::Over(true)
            }
            (stage, Err(refused)) => {
                say(format_args!("failed: {stage:?}: {refused}"));
                Step::Over(false)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString};
    use std::vec::Vec;

    #[test]
    fn it_takes_back_only_what_was_read_and_says_what_goes_wrong() {
        let passed = |passed| Ok(Outcome { passed, ..Outcome::default() });
        let denied = |denial| Err(Refused::Denied(denial));
        type Script<'a> = (&'a [Result<Outcome, Refused>], bool, &'a str);
        let scripts: [Script<'_>; 4] = [
            (&[passed(0), passed(0), passed(1), passed(3), passed(4)], true, "used it 4 times"),
            (&[denied(Denial::NoWindow)], true, "no client reader"),
            (&[denied(Denial::Taken)], false, "the window is taken"),
            (&[passed(0), passed(2), denied(Denial::NotYours)], false, "TakingBack"),
        ];
        for (answers, well, last) in scripts {
            let (mut lend, first) = Lend::new(9, 7);
            assert_eq!(first.to_window, WRITTEN);
            assert_eq!((first.kind, first.extent.blocks, first.rights), (Kind::Delegate, 7, Rights::READ));
            let mut lines: Vec<String> = Vec::new();
            let mut step = Step::Ask(first);
            for answer in answers {
                assert!(!matches!(step, Step::Over(_)));
                step = lend.answered(*answer, &mut |line| lines.push(line.to_string()));
            }
            assert_eq!(step, Step::Over(well), "{lines:?}");
            assert!(lines.last().unwrap().contains(last), "{lines:?}");
        }
    }
}

// SPDX-License-Identifier: MIT
//! Protected calls: a page for each channel over which they may be made, with a state, a label and four words.
//!
//! The caller writes what it asks, pulls the other's bell by a bit that no channel has, and sleeps on the state (a futex) until
//! there is an answer. Who serves must have the higher priority, which `orion check` sees to, so nobody waits in a circle. Both may
//! write the page: one that misbehaves harms the other no more than by a false answer or none, as on seL4. When who serves has
//! ended, the launcher says so on the page, and whoever waits, or comes, is refused.
use crate::regions::{Mapped, Region};
use crate::sys;
use orion_pd::Message;
use orion_region::Window;
use std::fs::File;
use std::io;
use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Bytes of a page.
const BYTES: u64 = 4096;
/// The bit of a bell that stands for calls: no channel's.
pub const BIT: u8 = 62;
/// Where the label and the words are.
const WORDS: usize = 64;

/// Nobody waits.
const IDLE: u32 = 0;
/// The caller waits.
const ASKED: u32 = 1;
/// The answer is there.
const ANSWERED: u32 = 2;
/// Beside one of these: nobody serves.
const GONE: u32 = 4;

/// A page, as any of the three sees it.
#[derive(Debug)]
pub struct Page {
    state: &'static AtomicU32,
    /// The label, then the words.
    words: &'static [AtomicU64; 5],
}

impl Page {
    /// Memory for a page.
    ///
    /// # Errors
    /// What the system says.
    pub fn region(name: &str) -> io::Result<Region> {
        Region::new(name, BYTES)
    }

    /// The page in `file`.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(file: &File) -> io::Result<Self> {
        let mapped = Mapped::new(file, None, BYTES, true)?;
        // It lives as long as the process.
        let window: &'static Window = Box::leak(Box::new(mapped.window()));
        let parts = mapped.atomic().zip(window.longs(WORDS));
        let (state, words) = parts.ok_or_else(|| io::Error::other("a page for calls is too small"))?;
        Ok(Self { state, words })
    }

    fn write(&self, Message { label, words }: Message) {
        let [a, b, c, d] = words;
        let values = [label, a, b, c, d];
        self.words.iter().zip(values).for_each(|(place, value)| place.store(value, Relaxed));
    }

    fn read(&self) -> Message {
        let [label, words @ ..] = self.words;
        Message { label: label.load(Relaxed), words: words.each_ref().map(|word| word.load(Relaxed)) }
    }

    fn becomes(&self, from: u32, to: u32) -> bool {
        self.state.compare_exchange(from, to, SeqCst, SeqCst).is_ok()
    }

    /// Asks, wakes who serves by `wake`, and waits for the answer; [`Message::REFUSED`] where nobody serves, or no longer.
    pub fn call(&self, message: Message, wake: impl FnOnce()) -> Message {
        let (mut asked, mut wake) = (false, Some(wake));
        loop {
            let state = self.state.load(Acquire);
            match state & !GONE {
                // Or of what an earlier life of ours asked: nobody wants that answer.
                ANSWERED => {
                    let answer = self.read();
                    if self.becomes(state, state & GONE) && asked {
                        return answer;
                    }
                }
                // Its next life is asked anew.
                _ if state & GONE != 0 => {
                    if self.becomes(state, GONE) {
                        return Message::REFUSED;
                    }
                }
                ASKED => sys::futex_wait(self.state, ASKED),
                // It has taken our question back for us.
                _ if asked => return Message::REFUSED,
                _ => {
                    self.write(message);
                    asked = self.becomes(IDLE, ASKED);
                    if let Some(wake) = wake.take_if(|_| asked) {
                        wake();
                    }
                }
            }
        }
    }

    /// Begins to serve. What was asked of an earlier life is refused.
    pub fn open(&self) {
        while self.state.load(Acquire) & GONE != 0 {
            if self.becomes(ASKED | GONE, ASKED) {
                self.answer(Message::REFUSED);
            } else {
                let _nobody_waits = self.becomes(GONE, IDLE) || self.becomes(ANSWERED | GONE, ANSWERED);
            }
        }
    }

    /// Answers the call that waits, if one does, by what `serve` makes of it.
    pub fn serve(&self, serve: impl FnOnce(Message) -> Message) {
        if self.state.load(Acquire) == ASKED {
            self.answer(serve(self.read()));
        }
    }

    fn answer(&self, answer: Message) {
        self.write(answer);
        self.becomes(ASKED, ANSWERED);
        sys::futex_wake(self.state);
    }

    /// Who served has ended: for the launcher.
    pub fn close(&self) {
        self.state.fetch_or(GONE, SeqCst);
        sys::futex_wake(self.state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> [Page; 3] {
        let region = Page::region("call").unwrap();
        [(); 3].map(|()| Page::new(region.file(true)).unwrap())
    }

    fn message(label: u64) -> Message {
        Message { label, words: [label + 1, 2, 3, 4] }
    }

    /// Every call gets its own answer, also where who serves looks at any time.
    #[test]
    fn each_call_gets_its_answer() {
        let [caller, server, _] = page();
        let over = AtomicU32::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while over.load(SeqCst) == 0 {
                    server.serve(|asked| Message { label: asked.label * 2, words: asked.words.map(|word| word + 1) });
                }
            });
            for label in 0..20_000 {
                let answer = caller.call(message(label), || ());
                assert_eq!(answer, Message { label: label * 2, words: [label + 2, 3, 4, 5] });
            }
            over.store(1, SeqCst);
        });
    }

    /// Wherever who serves ends: the caller is refused, and never waits for ever.
    #[test]
    fn who_has_ended_refuses() {
        let [caller, server, launcher] = page();
        // While it waits.
        assert_eq!(caller.call(message(1), || launcher.close()), Message::REFUSED);
        // Before it asks.
        assert_eq!(caller.call(message(2), || unreachable!("nobody is woken")), Message::REFUSED);
        // A next life serves again, and does not answer what was asked of the one before.
        server.open();
        let answer = caller.call(message(3), || server.serve(|asked| asked));
        assert_eq!(answer, message(3));
        let again = || {
            launcher.close();
            server.open();
            server.serve(|_| unreachable!("what an earlier life was asked is not served"));
        };
        assert_eq!(caller.call(message(4), again), Message::REFUSED);
        assert_eq!(caller.call(message(5), || server.serve(|asked| asked)), message(5));
        // It ended after its answer: that counts, and then nobody serves.
        let last = || {
            server.serve(|asked| asked);
            launcher.close();
        };
        assert_eq!(caller.call(message(6), last), message(6));
        assert_eq!(caller.call(message(7), || ()), Message::REFUSED);
    }

    /// A caller that died while it waited: its next life waits for that answer, and is not given it.
    #[test]
    fn an_answer_for_the_dead_is_not_for_the_living() {
        let [caller, server, _] = page();
        assert!(caller.becomes(IDLE, ASKED));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                server.serve(|_| message(9));
                while server.state.load(Acquire) != ASKED {}
                server.serve(|asked| asked);
            });
            assert_eq!(caller.call(message(1), || ()), message(1));
        });
    }
}

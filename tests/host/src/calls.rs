// SPDX-License-Identifier: MIT
//! A PD that makes protected calls, and one that serves them until it is told to die.
use orion_pd::{Channel, ChannelSet, InitError, Instant, Message, ProtectionDomain, Verdict, World};

/// The channel over which there are calls, and one over which there are none.
const CALLS: Channel = Channel(3);
const OTHER: Channel = Channel(4);
const ROUNDS: u64 = 5_000;
/// The label of the call that its server does not survive.
const DIE: u64 = 999_999;

/// Calls.
pub struct Caller;

impl<W: World> ProtectionDomain<W> for Caller {
    fn init(_: &mut W) -> Result<Self, InitError> {
        Ok(Self)
    }

    fn notified(&mut self, _: ChannelSet, world: &mut W) -> Option<Instant> {
        let mut wrong = 0;
        for n in 0..ROUNDS {
            let answer = world.call(CALLS, Message { label: n, words: [n, 7, u64::MAX, 1 << 40] });
            wrong += u64::from(answer != Message { label: n + 1, words: [1 << 40, u64::MAX, 7, n] });
        }
        world.print(format_args!("{ROUNDS} calls, {wrong} wrong answers"));
        let nobody = world.call(OTHER, Message::default()) == Message::REFUSED;
        let dying = world.call(CALLS, Message { label: DIE, words: [0; 4] }) == Message::REFUSED;
        let dead = world.call(CALLS, Message::default()) == Message::REFUSED;
        world.print(format_args!("refused: without calls {nobody}, by the dying {dying}, by the dead {dead}"));
        let good = wrong == 0 && nobody && dying && dead;
        world.finish(if good { Verdict::Passed } else { Verdict::Failed });
        None
    }
}

/// Serves: turns the words round. Notifications do not disturb it, nor calls them.
pub struct Callee {
    calls: u64,
}

impl<W: World> ProtectionDomain<W> for Callee {
    fn init(_: &mut W) -> Result<Self, InitError> {
        Ok(Self { calls: 0 })
    }

    fn notified(&mut self, from: ChannelSet, world: &mut W) -> Option<Instant> {
        if from != ChannelSet::ALL && from.contains(CALLS) {
            world.print(format_args!("notified by who only calls, after {} calls", self.calls));
        }
        None
    }

    fn protected(&mut self, from: Channel, message: Message, world: &mut W) -> Message {
        self.calls += 1;
        if message.label == DIE {
            world.print(format_args!("served {} calls over channel {}", self.calls, from.0));
            #[expect(clippy::panic, reason = "it is to die")]
            {
                panic!("told to");
            }
        }
        let [a, b, c, d] = message.words;
        Message { label: message.label + 1, words: [d, c, b, a] }
    }
}

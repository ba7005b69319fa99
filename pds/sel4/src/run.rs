// SPDX-License-Identifier: MIT
//! Runs a PD: set up, called once for everything, then for each notification.
use crate::children;
use crate::console;
use crate::end::End;
use crate::restart;
use crate::world::Sel4World;
use orion_pd::{Channel, ChannelSet, Instant, Message, ProtectionDomain, World};
use sel4_microkit::{Child, DeferredAction, Handler, Infallible, MessageInfo, get_mr, pd_name, set_mr};

/// A running PD.
pub struct Running<P> {
    /// `None`: it could not start, and said why.
    live: Option<Live<P>>,
}

struct Live<P> {
    pd: P,
    world: Sel4World,
    /// The channels by which `tick` wakes us.
    ticks: ChannelSet,
    /// When the PD wants to be called though nothing happened.
    deadline: Option<Instant>,
    /// The time of the last tick that might have been due: a clock that went back since would make the deadline far away.
    seen: Instant,
}

/// Sets the PD `P` up and calls it for the first time.
pub fn start<P: ProtectionDomain<Sel4World>>() -> Running<P> {
    restart::answer_for_the_dead();
    Running { live: live() }
}

/// Runs the PD `P`, which lives on the kernel's refills of its budget and never waits for an event: whenever it has
/// a new budget it is called, and then gives up the rest of it.
pub fn forever<P: ProtectionDomain<Sel4World>>() -> Running<P> {
    let mut running = start::<P>();
    while let Some(live) = running.live.as_mut() {
        if let Some(action) = live.world.take_deferred() {
            let _only_acknowledgements_fail = action.execute_now();
        }
        sel4::r#yield();
        live.call(ChannelSet::default());
    }
    running
}

fn live<P: ProtectionDomain<Sel4World>>() -> Option<Live<P>> {
    let mut world = match Sel4World::new() {
        Ok(world) => world,
        Err(bad) => {
            // There is no console without a configuration: only a debug kernel shows this.
            sel4_microkit::debug_println!("{}: {} (byte {})", pd_name().unwrap_or("?"), bad.what, bad.at);
            return None;
        }
    };
    let wakes = world.config().wakes.iter();
    let ticks = wakes.fold(ChannelSet::default(), |set, w| {
        u8::try_from(w.channel.get()).map_or(set, |channel| set.with(Channel(channel)))
    });
    match P::init(&mut world) {
        Ok(pd) => {
            let mut live = Live { pd, world, ticks, deadline: None, seen: Instant(0) };
            live.call(ChannelSet::ALL);
            Some(live)
        }
        Err(error) => {
            if console::ended(error) {
                End::Start.now()
            }
            None
        }
    }
}

impl<P: ProtectionDomain<Sel4World>> Live<P> {
    fn call(&mut self, from: ChannelSet) {
        self.deadline = self.pd.notified(from, &mut self.world);
    }

    /// Calls the PD, but for a tick that comes before it is due.
    fn notified(&mut self, from: ChannelSet) {
        let only_tick = from.0 & !self.ticks.0 == 0;
        if !only_tick || self.due() {
            self.call(from);
        }
    }

    fn due(&mut self) -> bool {
        let Some(due) = self.deadline else { return false };
        let now = self.world.now();
        due <= now || now < core::mem::replace(&mut self.seen, now)
    }
}

impl<P: ProtectionDomain<Sel4World>> Handler for Running<P> {
    type Error = Infallible;

    fn notified(&mut self, channels: sel4_microkit::ChannelSet) -> Result<(), Infallible> {
        if let Some(live) = &mut self.live {
            let from = channels.iter().map(|c| u8::try_from(c.index()).map_or(u8::MAX, |i| i));
            live.notified(from.fold(ChannelSet::default(), |set, i| set.with(Channel(i))));
        }
        Ok(())
    }

    fn protected(&mut self, channel: sel4_microkit::Channel, call: MessageInfo) -> Result<MessageInfo, Infallible> {
        let answer = match (&mut self.live, u8::try_from(channel.index())) {
            (Some(live), Ok(index)) => {
                let message = Message { label: call.label(), words: words(call.count()) };
                live.pd.protected(Channel(index), message, &mut live.world)
            }
            _ => Message::REFUSED,
        };
        answer.words.iter().enumerate().for_each(|(i, &word)| set_mr(i, word));
        Ok(MessageInfo::new(restart::label(answer), answer.words.len()))
    }

    #[cold]
    fn fault(&mut self, child: Child, message: MessageInfo) -> Result<Option<MessageInfo>, Infallible> {
        if let (Some(live), Some(fault)) = (&mut self.live, children::fault(child, &message)) {
            live.world.ended(fault);
            live.call(ChannelSet::default());
        }
        // No answer: the supervisor says when the child goes on.
        Ok(None)
    }

    fn take_deferred_action(&mut self) -> Option<DeferredAction> {
        self.live.as_mut().and_then(|live| live.world.take_deferred())
    }
}

/// The first four words of a call of `count` words.
fn words(count: usize) -> [u64; 4] {
    let mut words = [0; 4];
    words.iter_mut().take(count).enumerate().for_each(|(i, word)| *word = get_mr(i));
    words
}

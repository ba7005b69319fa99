// SPDX-License-Identifier: MIT
//! What the supervisor asks and says, and what the manager asks: off the way of requests.
use super::{Around, GatekeeperPd};
use orion_layer::{Event, NoPayload, PeerMisbehaved};
use orion_pd::supervision::Watch;
use orion_pd::{ChannelSet, World};

impl GatekeeperPd {
    /// The manager or the supervisor has called, or the clock.
    #[cold]
    #[inline(never)]
    pub(crate) fn asked<W: World>(&mut self, from: ChannelSet, world: &mut W) {
        while let Some(port) = self.lowers.given_up(self.reporter.supervised()) {
            let (uppers, lowers) = (&mut self.uppers, &mut self.lowers);
            let mut around = Around { uppers, lowers, payload: &mut NoPayload, now: world.now() };
            self.node.event(port, Event::Gone, &mut around);
            self.audit.volume_closed(port, world);
            super::report_misbehaved(PeerMisbehaved { port, what: "was restarted too often" }, world);
        }
        self.look_above(world);
        if self.reporter.answer(from) {
            self.control.asked();
            self.show(world);
        }
    }

    /// Looks whether the supervisor lives. While it does not, nothing is written: nobody would restart what fails.
    fn look_above<W: World>(&mut self, world: &mut W) {
        let Some(beat) = self.reporter.supervised().beat() else { return };
        let Some(watch) = &mut self.watch else { return };
        let changed = watch.look(beat, world.now());
        // Who has a clock is called by it when this is due; on other worlds somebody else reminds us.
        if !world.config().wakes.is_empty() && self.uppers.announced() {
            self.until = Some(watch.next());
        }
        if let Some(lives) = changed {
            self.supervisor_lives(lives, world);
        }
    }

    fn supervisor_lives<W: World>(&mut self, lives: bool, world: &mut W) {
        if lives {
            world.print(format_args!("the supervisor lives again: writes are accepted again"));
        } else {
            world.print(format_args!(
                "the supervisor does not live: nothing is written until it does; reads go on. Boot the system again"
            ));
        }
        self.node.layer_mut().watched(lives);
        self.tell();
        self.uppers.settle(world, true, |_| true);
    }
}

/// The watch over the supervisor, where there is one.
pub(crate) fn watch<W: World>(reporter: &orion_pd::Reporter, world: &W) -> Option<Watch> {
    Watch::new(reporter.supervised(), world)
}

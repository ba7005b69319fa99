// SPDX-License-Identifier: MIT
//! What the supervisor asks and says, and what the manager asks: off the way of requests.
use super::{Around, GatekeeperPd};
use orion_layer::{Event, PeerMisbehaved};
use orion_pd::{ChannelSet, World};

impl GatekeeperPd {
    /// The manager or the supervisor has called.
    #[cold]
    #[inline(never)]
    pub(crate) fn asked<W: World>(&mut self, from: ChannelSet, world: &mut W) {
        while let Some(port) = self.lowers.given_up(self.reporter.supervised()) {
            let (uppers, lowers) = (&mut self.uppers, &mut self.lowers);
            let mut around = Around { uppers, lowers, payload: &mut orion_layer::NoPayload, now: world.now() };
            self.node.event(port, Event::Gone, &mut around);
            self.audit.volume_closed(port, world);
            super::report_misbehaved(PeerMisbehaved { port, what: "was restarted too often" }, world);
        }
        if self.reporter.answer(from) {
            self.control.asked();
            self.show(world);
        }
    }
}

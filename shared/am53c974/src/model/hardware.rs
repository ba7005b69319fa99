// SPDX-License-Identifier: MIT
//! The adapter as who lets time go by sees it. What targets have taken are the commands with which they have disconnected:
//! all others end within the accesses of the driver.
use super::Model;
use orion_driver::model::Hardware;

impl Model {
    /// The `nth` command with which a target has disconnected, and has no thought yet of coming back.
    fn away(&mut self, nth: usize) -> Option<&mut super::Nexus> {
        self.nexuses.iter_mut().filter(|nexus| nexus.disconnected && !nexus.ready && !nexus.forgotten).nth(nth)
    }
}

impl Hardware for Model {
    fn is_notified(&self) -> bool {
        self.nexuses.iter().any(|nexus| nexus.disconnected && nexus.ready)
    }

    fn take(&mut self) {
        self.claim();
    }

    fn held(&self) -> usize {
        self.nexuses.iter().filter(|nexus| nexus.disconnected && !nexus.ready && !nexus.forgotten).count()
    }

    fn finish(&mut self, nth: usize) {
        if let Some(nexus) = self.away(nth) {
            nexus.ready = true;
        }
        self.claim();
    }

    fn forget(&mut self, nth: usize) {
        if let Some(nexus) = self.away(nth) {
            nexus.forgotten = true;
        }
    }

    fn take_interrupt(&mut self) -> bool {
        self.is_raised()
    }

    fn reaches_memory(&self) -> bool {
        self.master()
    }

    fn resets(&self) -> u64 {
        self.resets
    }

    fn vanish(&mut self) {
        self.gone = true;
    }

    fn lose_cache(&mut self) {
        self.bus.disks.values_mut().for_each(|disk| disk.content.clone_from(&disk.durable));
    }
}

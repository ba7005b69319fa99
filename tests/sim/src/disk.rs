// SPDX-License-Identifier: MIT
//! A driver PD whose device is memory.
use crate::memory::Dma;
use crate::world::SimWorld;
use orion_block::{BlockSize, Instant};
use orion_layer::{Around, Memory, NoLowers, Node};
use orion_pd::links::{UpperRings, whole};
use orion_pd::{ChannelSet, InitError, ProtectionDomain, World};

/// Bytes of every simulated disk.
const SIZE: usize = 32 << 20;

/// A driver PD whose device is memory.
pub struct Disk {
    node: Node<Memory<Vec<u8>>, 64>,
    uppers: UpperRings,
    dma: Dma,
}

impl SimWorld {
    /// What the disk of this driver holds at first: zeroes, where the test does not say.
    pub(crate) fn medium(&self) -> Memory<Vec<u8>> {
        let mut bytes = vec![0; SIZE];
        let common = self.common.borrow();
        let name = self.config.devices.first().map_or("", |device| device.name.as_str());
        if let Some(start) = common.media.get(name) {
            bytes[..start.len()].copy_from_slice(start);
        }
        Memory::new(bytes, BlockSize::B512)
    }
}

impl ProtectionDomain<SimWorld> for Disk {
    fn init(world: &mut SimWorld) -> Result<Self, InitError> {
        let node = Node::new(world.medium(), 1);
        Ok(Self { node, uppers: UpperRings::new(world)?, dma: Dma::new(&world.memory, &world.config()) })
    }

    fn notified(&mut self, from: ChannelSet, world: &mut SimWorld) -> Option<Instant> {
        self.uppers.wake(from);
        loop {
            let (uppers, payload) = (&mut self.uppers, &mut self.dma);
            let progress = self.node.run(&mut Around { uppers, lowers: &mut NoLowers, payload, now: world.now() });
            let news = !self.uppers.announced() && self.node.ready();
            if let Some(limits) = self.node.limits().filter(|_| news) {
                self.uppers.announce(limits, 1, |_| whole(&limits, u16::MAX));
            }
            self.uppers.publish(world, news);
            if !progress.moved && !news && self.uppers.sleep(|upper| self.node.has_room(upper)) {
                return progress.deadline;
            }
        }
    }
}

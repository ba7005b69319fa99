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

impl ProtectionDomain<SimWorld> for Disk {
    fn init(world: &mut SimWorld) -> Result<Self, InitError> {
        let node = Node::new(Memory::new(vec![0; SIZE], BlockSize::B512), 1);
        Ok(Self { node, uppers: UpperRings::new(world)?, dma: Dma::new(&world.memory, &world.config()) })
    }

    fn notified(&mut self, _: ChannelSet, world: &mut SimWorld) -> Option<Instant> {
        self.uppers.wake();
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

// SPDX-License-Identifier: MIT
//! A driver PD whose device is memory, with the partition layer over it in the same PD: the layer's code is that of the
//! other worlds, and a local queue joins it to the disk.
use crate::memory::Dma;
use crate::world::SimWorld;
use orion_block::Instant;
use orion_gpt::Partitions;
use orion_gpt_pd::{Scratch, assemble, report};
use orion_layer::{Around, Local, Memory, NoLowers, Node};
use orion_pd::links::{UpperRings, whole};
use orion_pd::{ChannelSet, InitError, ProtectionDomain, World};

/// The PD.
pub struct Fused {
    layer: Node<Partitions, 32>,
    scratch: Scratch,
    queue: Local<32>,
    disk: Node<Memory<Vec<u8>>, 32>,
    uppers: UpperRings,
    dma: Dma,
}

impl ProtectionDomain<SimWorld> for Fused {
    fn init(world: &mut SimWorld) -> Result<Self, InitError> {
        let dma = Dma::new(&world.memory, &world.config());
        let (layer, scratch) = assemble(world)?;
        let (layer, disk) = (Node::new(layer, 1), Node::new(world.medium(), 1));
        Ok(Self { layer, scratch, queue: Local::new(), disk, uppers: UpperRings::new(world)?, dma })
    }

    fn notified(&mut self, from: ChannelSet, world: &mut SimWorld) -> Option<Instant> {
        self.uppers.wake(from);
        loop {
            let Self { layer, scratch, queue, disk, uppers, dma } = self;
            let now = world.now();
            let above = layer.run(&mut Around { uppers, lowers: queue, payload: scratch, now });
            let below = disk.run(&mut Around { uppers: queue, lowers: &mut NoLowers, payload: dma, now });
            queue.announce(disk.limits());
            let news = !uppers.announced() && layer.ready();
            if let Some(limits) = layer.limits().filter(|_| news) {
                report(layer.layer(), world);
                uppers.announce(limits, 1, |upper| whole(&layer.limits_of(upper).unwrap_or_default(), u16::MAX));
            }
            uppers.publish(world, news);
            let moved = above.moved || below.moved || news || !self.uppers.announced();
            if !moved && self.uppers.sleep(|upper| self.layer.has_room(upper)) {
                return above.deadline;
            }
        }
    }
}

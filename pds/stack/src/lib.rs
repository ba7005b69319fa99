// SPDX-License-Identifier: MIT
//! PDs that hold a driver and layers over it, joined by nothing but calls: what `fuse="yes"` makes of two PDs.
#![no_std]
#![forbid(unsafe_code)]

use orion_block::{Instant, Limits};
use orion_driver::{Bottom, Engine};
use orion_driver_pd::Above;
use orion_gpt_pd::Gpt;
use orion_layer::{Around, Node};
use orion_layer_pd::Fitting;
use orion_pd::links::UpperRings;
use orion_pd::{InitError, World};
use orion_virtio::queue::SLOTS_MAX;
use orion_virtio_blk::VirtioBlkPd;

/// A layer whose one device below is the driver's own.
#[derive(Debug)]
pub struct Fused<P: Fitting, const N: usize, const F: usize = 1> {
    node: Node<P::Layer, N, F>,
    memory: P::Memory,
    own: P,
}

impl<W: World, P: Fitting, const N: usize, const F: usize> Above<W> for Fused<P, N, F> {
    type Tag = (u8, u32);

    fn assemble(world: &mut W) -> Result<Self, InitError> {
        let (own, layer, memory) = P::assemble(1, world)?;
        Ok(Self { node: Node::new(layer, 1), memory, own })
    }

    fn run<E: Engine<(u8, u32)>>(&mut self, uppers: &mut UpperRings, disk: &mut E, now: Instant, _look: bool) -> bool {
        let lowers = &mut Bottom(disk);
        self.node.run(&mut Around { uppers, lowers, payload: &mut self.memory, now }).moved
    }

    fn has_room<E: Engine<(u8, u32)>>(&self, upper: u8, _: &E) -> bool {
        self.node.has_room(upper)
    }

    fn upper_gone<E: Engine<(u8, u32)>>(&mut self, upper: u8, uppers: &mut UpperRings, disk: &mut E, now: Instant) {
        let lowers = &mut Bottom(disk);
        self.node.upper_gone(upper, &mut Around { uppers, lowers, payload: &mut self.memory, now });
    }

    fn is_ready<E: Engine<(u8, u32)>>(&self, _: &E) -> bool {
        self.node.limits().is_some()
    }

    fn offer<E: Engine<(u8, u32)>>(&self, upper: u8, _: &E) -> Option<Limits> {
        let all = self.node.limits()?;
        Some(self.node.limits_of(upper).unwrap_or(Limits { capacity: 0, ..all }))
    }

    fn report(&mut self, world: &mut W) {
        self.own.report(self.node.layer(), world);
    }
}

/// The driver of a virtio block device whose partitions are given to several clients.
pub type VirtioBlkGpt<W> = VirtioBlkPd<W, Fused<Gpt, { SLOTS_MAX as usize }>>;

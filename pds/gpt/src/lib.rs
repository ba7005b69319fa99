// SPDX-License-Identifier: MIT
//! The PD that gives each of its clients one partition: wires the layer of `orion-gpt` between the gatekeeper's rings,
//! one for each partition, and the driver's.
//!
//! It maps one page of memory, into which the device puts the table. Clients' payload passes by name.
#![no_std]
#![forbid(unsafe_code)]

mod assemble;
mod report;

pub use assemble::Scratch;

use orion_gpt::Partitions;
use orion_layer_pd::{Fitting, LayerPd, Loss};
use orion_pd::links::LowerRings;
use orion_pd::{InitError, World};

/// Requests in flight.
const SLOTS: usize = 256;

/// The PD.
pub type GptPd = LayerPd<Gpt, SLOTS>;

/// Partitions, in a PD.
#[derive(Clone, Copy, Debug)]
pub struct Gpt;

impl Fitting for Gpt {
    type Layer = Partitions;
    type Memory = Scratch;
    type Below = LowerRings;

    fn assemble<W: World>(below: u8, world: &mut W) -> Result<(Self, Partitions, Scratch), InitError> {
        if below != 1 {
            return Err(InitError("partitions lie on exactly one disk: build the image again"));
        }
        let (layer, scratch) = assemble::assemble(world)?;
        Ok((Self, layer, scratch))
    }

    fn lost<W: World>(&mut self, _: u8, why: Loss, world: &mut W) {
        if let Loss::Misbehaved(what) = why {
            world.print(format_args!("the disk is closed: its driver {what}"));
        }
    }

    fn report<W: World>(&mut self, layer: &Partitions, world: &mut W) {
        report::report(layer, world);
    }
}

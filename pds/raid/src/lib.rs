// SPDX-License-Identifier: MIT
//! The PD of an array: wires the layer of `orion-raid` between whoever uses the array and what serves its members.
//!
//! It maps memory of its own, which the members' devices reach, and its clients' data: parity is computed from it, and what a
//! missing member should hold is put there.
#![no_std]
#![forbid(unsafe_code)]

mod assemble;
mod orders;
mod report;

pub use assemble::Mapped;

use orders::Orders;
use orion_layer::Io;
use orion_layer_pd::{Fitting, LayerPd, Loss};
use orion_metrics::{Reply, Row, Work};
use orion_pd::links::LowerRings;
use orion_pd::{InitError, World};
use orion_raid::Raid;
use orion_raid::engine::{Ctx, FANOUT, SLOTS};
use report::Reported;

/// The PD.
pub type RaidPd = LayerPd<Array, SLOTS, FANOUT>;

/// An array, in a PD.
#[derive(Debug)]
pub struct Array {
    reported: Reported,
    orders: Orders,
}

impl Fitting for Array {
    type Layer = Raid;
    type Memory = Mapped;
    type Below = LowerRings;

    fn assemble<W: World>(_: u8, world: &mut W) -> Result<(Self, Raid, Mapped), InitError> {
        let (layer, memory) = assemble::assemble(world)?;
        Ok((Self { reported: Reported::default(), orders: Orders::new(&world.config()) }, layer, memory))
    }

    /// What the array makes of it is said when it knows.
    fn lost<W: World>(&mut self, port: u8, why: Loss, world: &mut W) {
        if let Loss::Misbehaved(what) = why {
            world.print(format_args!("member device {port} is closed: who serves it {what}"));
        }
    }

    #[inline]
    fn turned<W: World>(&mut self, layer: &Raid, world: &mut W) {
        self.reported.changes(layer, world);
    }

    fn is_hopeless(&self, layer: &Raid) -> bool {
        layer.fault().is_some()
    }

    fn report<W: World>(&mut self, layer: &Raid, world: &mut W) {
        match layer.fault() {
            Some(fault) => report::fault(fault, layer, world),
            None => self.reported.array(layer, world),
        }
    }

    fn obey<W: World>(&mut self, order: (u32, Work), raid: &mut Raid, io: &mut Io<'_, Ctx>, world: &mut W) -> Reply {
        let (reply, refusal) = self.orders.obey(order, raid, io);
        report::order(&order.1, reply, refusal, world);
        reply
    }

    fn rows<W: World>(&mut self, raid: &mut Raid, world: &mut W) -> impl IntoIterator<Item = Row> + use<W> {
        if let Some(refusal) = self.orders.look(raid, world.now()) {
            world.print(format_args!("{refusal}"));
        }
        self.orders.rows(raid, world)
    }
}

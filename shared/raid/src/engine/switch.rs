// SPDX-License-Identifier: MIT
//! An array in use gets another level for which nothing moves, while no request is in flight.
use super::find::served;
use super::grow::{Stage, Supers};
use super::{Ctx, PORTS_MAX, Raid};
use crate::reshape::{Takeover, take_over};
use crate::{Array, Kind, Super};
use heapless::Vec;
use orion_layer::Io;

impl Raid {
    /// Gives the array another level; it goes on when all superblocks say so.
    pub(super) fn take_level(&mut self, mut all: Supers, to: &Takeover, io: &mut Io<'_, Ctx>) -> Result<(), Kind> {
        take_over(&mut all, to)?;
        let set = all.first().map(|own| own.set).ok_or(Kind::Nothing)?;
        let array = Array::assemble(&all, set).map_err(|error| error.kind)?;
        served(&array)?;
        let ports = self.meta.all().map(|(port, _)| port);
        let found: Vec<(u8, Super), PORTS_MAX> = ports.zip(all.iter().cloned()).collect();
        let before = (self.members.clone(), self.scale, self.geometry.clone());
        self.log_off();
        let seated = self
            .seat(&array, &found, io)
            .and_then(|()| if self.scale == before.1 { self.serve(array.geometry) } else { Err(Kind::Blocks) });
        if let Err(kind) = seated {
            (self.members, self.scale) = (before.0, before.1);
            self.log.there = !self.moving.grow.logs.is_empty();
            let again = before.2.map(|geometry| self.serve(geometry));
            debug_assert!(again == Some(Ok(())), "it was served before");
            return Err(kind);
        }
        (self.background.stuck, self.background.goal) = (false, super::background::Goal::Nothing);
        self.meta.replace(&all);
        self.meta.wants();
        self.moving.grow.stage = Stage::Said(self.meta.wanted());
        self.go_on(io);
        Ok(())
    }
}

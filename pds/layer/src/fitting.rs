// SPDX-License-Identifier: MIT
//! What differs from one layer's PD to another's.
use core::fmt::Debug;
use orion_layer::{Event, Io, Layer, Lowers, Payload};
use orion_metrics::{Reply, Row, Work};
use orion_pd::links::LowerRings;
use orion_pd::{InitError, World};

/// How a layer is fitted into a PD: what it is made from, and what the PD says and does that others do not.
///
/// Only [`assemble`](Self::assemble) and [`lost`](Self::lost) are to be written; the rest does nothing by default.
pub trait Fitting: Debug + Sized {
    /// The layer.
    type Layer: Layer<Ctx: Debug> + Debug;
    /// What is mapped here of what requests may name.
    type Memory: Payload + Debug;
    /// The rings below, with what stands between the layer and them: [`LowerRings`] where that is nothing.
    type Below: Below;

    /// From the PD's configuration: itself, the layer over `below` devices, and what is mapped for it.
    ///
    /// # Errors
    /// [`InitError`] where the configuration does not allow it.
    fn assemble<W: World>(below: u8, world: &mut W) -> Result<(Self, Self::Layer, Self::Memory), InitError>;

    /// Says, if there is anything to say, that the device below `port` is lost. The layer is told after that, or was.
    fn lost<W: World>(&mut self, port: u8, why: Loss, world: &mut W);

    /// No device below is waited for any more. Called once, before the layer is started.
    fn found<W: World>(&mut self, _below: &mut Self::Below, _layer: &mut Self::Layer, _world: &mut W) {}

    /// Something below that the layer is to be told: asked in each turn until there is nothing, once all was
    /// [`found`](Self::found).
    #[inline]
    fn news<W: World>(&mut self, _below: &mut Self::Below, _world: &mut W) -> Option<(u8, Event)> {
        None
    }

    /// The layer has had a turn.
    #[inline]
    fn turned<W: World>(&mut self, _layer: &Self::Layer, _world: &mut W) {}

    /// Whether the layer knows that it will never serve: clients are told that there is nothing, instead of waiting.
    fn is_hopeless(&self, _layer: &Self::Layer) -> bool {
        false
    }

    /// Says on the console what was found, before the clients are told.
    fn report<W: World>(&mut self, _layer: &Self::Layer, _world: &mut W) {}

    /// Does what an operator has ordered; what to answer.
    fn obey<W: World>(
        &mut self,
        _order: (u32, Work),
        _layer: &mut Self::Layer,
        _io: &mut Io<'_, <Self::Layer as Layer>::Ctx>,
        _world: &mut W,
    ) -> Reply {
        Reply::Unknown
    }

    /// What the manager is shown beside the figures that every layer has.
    fn rows<W: World>(
        &mut self,
        _layer: &mut Self::Layer,
        _world: &mut W,
    ) -> impl IntoIterator<Item = Row> + use<Self, W> {
        []
    }
}

/// Why a device below is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It was not ready in time.
    Late,
    /// Who serves it was restarted too often.
    GivenUp,
    /// Who serves it broke the protocol: what it did.
    Misbehaved(&'static str),
}

/// Rings, and what stands between a layer and them.
pub trait Below: Lowers + Debug {
    /// Around these rings.
    fn new(rings: LowerRings) -> Self;
    /// The rings.
    fn rings(&mut self) -> &mut LowerRings;
}

impl Below for LowerRings {
    fn new(rings: LowerRings) -> Self {
        rings
    }

    #[inline(always)]
    fn rings(&mut self) -> &mut LowerRings {
        self
    }
}

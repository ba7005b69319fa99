// SPDX-License-Identifier: MIT
//! What the PD of any layer does, with a layer that does nothing.
mod grows;

use super::*;
use crate::model::{Rig, disk};
use orion_block::{Access, Error, Route};
use orion_layer::{Id, Io, Layer, NoPayload, Relay};
use orion_pd::model::SECOND;
use std::vec;
use std::vec::Vec;

/// Serves what its first device has; writes down what it is told.
#[derive(Debug, Default)]
struct Through {
    told: Vec<(u8, Event)>,
    hopeless: bool,
}

impl Layer for Through {
    type Ctx = ();
    const FANOUT: usize = 1;

    fn start(&mut self, _: &mut Io<'_, ()>) -> orion_layer::Start {
        if self.hopeless { orion_layer::Start::Refused(Error::Invalid) } else { orion_layer::Start::Ready }
    }
    fn limits(&self, below: &[Limits]) -> Limits {
        below.first().copied().unwrap_or_default()
    }
    fn relay(&mut self, _: u8, _: &mut orion_block::Request) -> Option<Relay<()>> {
        Some(Relay { port: 0, ctx: () })
    }
    fn submit(&mut self, id: Id, io: &mut Io<'_, ()>) {
        io.done(id, orion_block::Completion::error(Error::Offline));
    }
    fn complete(&mut self, id: Id, _: u8, done: orion_block::Completion, io: &mut Io<'_, ()>) {
        io.done(id, done);
    }
    fn event(&mut self, port: u8, event: Event, _: &mut Io<'_, ()>) {
        self.told.push((port, event));
    }
}

/// Writes down what it is called for; has one thing to tell.
#[derive(Debug)]
struct Noted<const HOPELESS: bool> {
    lost: Vec<(u8, Loss)>,
    found: Vec<bool>,
    reported: u32,
    news: Option<(u8, Event)>,
}

impl<const HOPELESS: bool> Fitting for Noted<HOPELESS> {
    type Layer = Through;
    type Memory = NoPayload;
    type Below = LowerRings;

    fn assemble<W: World>(_: u8, _: &mut W) -> Result<(Self, Through, NoPayload), InitError> {
        let news = Some((1, Event::Worth(Access::Lost)));
        let own = Self { lost: vec![], found: vec![], reported: 0, news };
        Ok((own, Through { hopeless: HOPELESS, ..Through::default() }, NoPayload))
    }
    fn lost<W: World>(&mut self, port: u8, why: Loss, _: &mut W) {
        self.lost.push((port, why));
    }
    fn found<W: World>(&mut self, below: &mut LowerRings, layer: &mut Through, _: &mut W) {
        assert!(self.news.is_some() && layer.told.iter().all(|(_, event)| *event == Event::Gone), "it comes first");
        self.found = (0..below.count()).map(|port| below.limits(port).unwrap().capacity > 0).collect();
    }
    fn news<W: World>(&mut self, _: &mut LowerRings, _: &mut W) -> Option<(u8, Event)> {
        self.news.take()
    }
    fn is_hopeless(&self, layer: &Through) -> bool {
        layer.hopeless
    }
    fn report<W: World>(&mut self, _: &Through, _: &mut W) {
        self.reported += 1;
    }
}

type Served = Rig<LayerPd<Noted<false>, 8>>;

#[test]
fn servers_that_never_come_are_given_up_all_at_once_and_the_layer_is_told() {
    let mut rig = Served::new(&[Some(disk(Route::default())), None, None]);
    assert!(rig.client.server().is_none() && rig.pd.own.found.is_empty());
    assert_eq!(rig.run(), Some(Instant(2 * SECOND)), "it has itself woken when their time is over");
    rig.world.now = Instant(2 * SECOND);
    assert_eq!(rig.run(), None);
    assert_eq!(rig.pd.own.lost, [(1, Loss::Late), (2, Loss::Late)]);
    assert_eq!(rig.pd.own.found, [true, false, false]);
    assert_eq!(rig.pd.layer().told, [(1, Event::Gone), (2, Event::Gone), (1, Event::Worth(Access::Lost))]);
    assert_eq!(rig.client.server().unwrap().windows[0].blocks, 64);
    rig.ask(7);
    assert_eq!((rig.answers(), rig.pd.own.reported), (vec![(7, Ok(()))], 1));
}

#[test]
fn a_server_that_breaks_the_protocol_is_lost() {
    let mut rig = Served::new(&[Some(disk(Route::default()))]);
    rig.below[0].answer = None;
    rig.ask(1);
    let forged = orion_ring::Answer { id: 0xbad, status: Ok(()), blocks: 2 };
    rig.below[0].ring.push(forged);
    rig.run();
    assert!(matches!(rig.pd.own.lost[..], [(0, Loss::Misbehaved(_))]), "{:?}", rig.pd.own.lost);
    assert_eq!(rig.answers(), [(1, Err(Error::Offline))]);
}

#[test]
fn clients_of_a_layer_without_hope_are_told_that_there_is_nothing() {
    let mut rig: Rig<LayerPd<Noted<true>, 8>> = Rig::new(&[Some(disk(Route::default()))]);
    let info = rig.client.server().unwrap();
    assert_eq!((info.windows[0].blocks, info.limits.read_only, rig.pd.own.reported), (0, true, 1));
}

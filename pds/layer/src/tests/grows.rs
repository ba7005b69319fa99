// SPDX-License-Identifier: MIT
//! A layer that becomes larger while it is used.
use super::*;

/// Half as large as the device below until its time has come.
#[derive(Debug)]
struct Grows {
    at: Instant,
    grown: bool,
}

impl Layer for Grows {
    type Ctx = ();
    const FANOUT: usize = 1;

    fn limits(&self, below: &[Limits]) -> Limits {
        let all = below.first().copied().unwrap_or_default();
        if self.grown { all } else { Limits { capacity: all.capacity / 2, ..all } }
    }
    fn relay(&mut self, _: u8, _: &mut orion_block::Request) -> Option<Relay<()>> {
        Some(Relay { port: 0, ctx: () })
    }
    fn submit(&mut self, id: Id, io: &mut Io<'_, ()>) {
        io.done(id, orion_block::Completion::error(Error::Offline));
    }
    fn complete(&mut self, _: Id, _: u8, _: orion_block::Completion, _: &mut Io<'_, ()>) {}
    fn tick(&mut self, now: Instant, io: &mut Io<'_, ()>) -> Option<Instant> {
        if self.grown {
            return None;
        }
        if io.is_quiet() {
            self.grown = true;
            io.resume();
        } else if now < self.at {
            return Some(self.at);
        } else {
            io.pause();
        }
        None
    }
}

#[derive(Debug)]
struct Fit;

impl Fitting for Fit {
    type Layer = Grows;
    type Memory = NoPayload;
    type Below = LowerRings;

    fn assemble<W: World>(_: u8, world: &mut W) -> Result<(Self, Grows, NoPayload), InitError> {
        Ok((Self, Grows { at: world.now().after(SECOND / 2), grown: false }, NoPayload))
    }
    fn lost<W: World>(&mut self, _: u8, _: Loss, _: &mut W) {}
}

#[test]
fn what_a_layer_has_more_of_is_told_to_its_clients() {
    let mut rig: Rig<LayerPd<Fit, 8>> = Rig::new(&[Some(disk(Route::default()))]);
    assert_eq!(rig.client.server().unwrap().windows[0].blocks, 32);
    rig.ask(7);
    assert_eq!(rig.answers(), [(7, Ok(()))]);
    while let Some(at) = rig.run() {
        rig.world.now = rig.world.now.max(at);
    }
    rig.client.wake();
    let info = rig.client.server().unwrap();
    assert_eq!((info.windows[0].blocks, info.limits.capacity), (64, 64));
    rig.ask(8);
    assert_eq!(rig.answers(), [(8, Ok(()))]);
}

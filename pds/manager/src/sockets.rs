// SPDX-License-Identifier: MIT
//! The manager where operators come over stream sockets.
use crate::core::Core;
use crate::link::Link;
use orion_pd::sockets::{CONNECTIONS, Sockets};
use orion_pd::{ChannelSet, InitError, Instant, ProtectionDomain, World};

/// The manager of a world with sockets.
#[derive(Debug)]
pub struct OnSockets {
    core: Core,
    links: [Option<Link>; CONNECTIONS],
}

impl<W: World + Sockets> ProtectionDomain<W> for OnSockets {
    fn init(world: &mut W) -> Result<Self, InitError> {
        Ok(Self { core: Core::new(world)?, links: [const { None }; CONNECTIONS] })
    }

    fn notified(&mut self, from: ChannelSet, world: &mut W) -> Option<Instant> {
        self.core.called(from);
        while self.turn(world) {}
        for link in self.links.iter().flatten() {
            world.watch(link.conn(), link.interest());
        }
        let links = self.links.iter().flatten().map(Link::deadline);
        links.chain(self.core.gathering()).min()
    }
}

impl OnSockets {
    /// Does what can be done now; whether anything was.
    fn turn<W: World + Sockets>(&mut self, world: &mut W) -> bool {
        let Self { core, links } = self;
        let now = world.now();
        let mut moved = accept(links, world);
        while let Some((number, result)) = core.answer() {
            links.iter_mut().flatten().for_each(|link| link.answered(number, result, now));
            moved = true;
        }
        let waiting = links.iter().flatten().any(Link::waits);
        let sending = links.iter().flatten().any(Link::sends);
        moved |= gather(core, links, (waiting, sending), world);
        for slot in links {
            let Some(link) = slot else { continue };
            match link.turn(core, world) {
                Ok(more) => moved |= more,
                Err(()) => {
                    world.close(link.conn());
                    *slot = None;
                    moved = true;
                }
            }
        }
        moved
    }
}

/// Asks for figures where somebody waits for them, and tells all who wait once they are there. Never while they are
/// being sent to somebody: all that one operator sees is of one time.
fn gather<W: World>(
    core: &mut Core,
    links: &mut [Option<Link>],
    (waiting, sending): (bool, bool),
    world: &mut W,
) -> bool {
    if !waiting || sending {
        return false;
    }
    let now = world.now();
    if core.gathering().is_none() {
        core.gather(world);
    }
    let gathered = core.gathered(now);
    if gathered {
        links.iter_mut().flatten().for_each(|link| link.gathered(now));
    }
    gathered
}

fn accept<W: World + Sockets>(links: &mut [Option<Link>], world: &mut W) -> bool {
    let mut any = false;
    while let Some(conn) = world.accept() {
        let now = world.now();
        match links.get_mut(usize::from(conn.0)) {
            Some(slot @ None) => *slot = Some(Link::new(conn, now)),
            // A world that gives a number twice, or one too large, is refused the connection.
            _ => world.close(conn),
        }
        any = true;
    }
    any
}

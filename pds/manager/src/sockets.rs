// SPDX-License-Identifier: MIT
//! The manager where operators come over stream sockets.
use crate::core::Core;
use crate::link::Link;
use orion_pd::sockets::{CONNECTIONS, Sockets};
use orion_pd::{ChannelSet, InitError, Instant, ProtectionDomain, World};

/// Nanoseconds between two rounds of figures: whoever asks for them all the time keeps no PD from its work.
const APART: u64 = 10_000_000;

/// The manager of a world with sockets.
#[derive(Debug)]
pub struct OnSockets {
    core: Core,
    links: [Option<Link>; CONNECTIONS],
    /// Figures are not gathered anew before.
    next: Instant,
}

impl<W: World + Sockets> ProtectionDomain<W> for OnSockets {
    fn init(world: &mut W) -> Result<Self, InitError> {
        Ok(Self { core: Core::new(world)?, links: [const { None }; CONNECTIONS], next: Instant(0) })
    }

    fn notified(&mut self, from: ChannelSet, world: &mut W) -> Option<Instant> {
        self.core.called(from);
        while self.turn(world) {}
        for link in self.links.iter().flatten() {
            world.watch(link.conn(), link.interest());
        }
        let links = self.links.iter().flatten();
        let next = if links.clone().any(Link::waits) { self.core.gathering().or(Some(self.next)) } else { None };
        links.map(Link::deadline).chain(next).min()
    }
}

impl OnSockets {
    /// Does what can be done now; whether anything was.
    fn turn<W: World + Sockets>(&mut self, world: &mut W) -> bool {
        let Self { core, links, next } = self;
        let mut moved = accept(links, world);
        while let Some(answer) = core.answer() {
            links.iter_mut().flatten().for_each(|link| link.answered(answer, core, world));
            moved = true;
        }
        let waiting = links.iter().flatten().any(Link::waits);
        let sending = links.iter().flatten().any(Link::sends);
        moved |= gather(core, links, (waiting && !sending, next), world);
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
    (wanted, next): (bool, &mut Instant),
    world: &mut W,
) -> bool {
    let now = world.now();
    // A clock that went back is no reason to wait for it.
    let early = now < *next && next.0.saturating_sub(now.0) <= APART;
    if !wanted || (core.gathering().is_none() && early) {
        return false;
    }
    if core.gathering().is_none() {
        core.gather(world);
        *next = now.after(APART);
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
            Some(slot @ None) => *slot = Some(Link::new(conn, world.door(conn) != 0, now)),
            // A world that gives a number twice, or one too large, is refused the connection.
            _ => world.close(conn),
        }
        any = true;
    }
    any
}

// SPDX-License-Identifier: MIT
//! Which disk each way leads to, and what it is worth; and the rings below, from which nothing is taken that leads elsewhere.
use core::fmt;
use orion_block::{Access, Completion, Limits, Route};
use orion_layer::{Interrupted, Lowers, PeerMisbehaved, Submission};
use orion_layer_pd::Below;
use orion_multipath::PATHS_MAX;
use orion_pd::links::LowerRings;

/// Reads of a page that its server writes again and again, after which it is taken for one that does not say what it is.
const READS: u32 = 100_000;
const OTHER: &str = "came back as another disk, or does not say which it is any more";

/// What is known of the ways.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ways {
    /// Where each leads, and what the layer knows that it is worth; `None`: it never came.
    pub routes: [Option<Route>; PATHS_MAX],
    /// Those that announced something that was not read yet, by their numbers' bits.
    stale: u8,
}

impl Ways {
    /// Learns where the ways lead. Whether they lead to one disk: all that are there say which, and the same.
    pub fn learn(&mut self, Doors { rings, disk }: &mut Doors) -> bool {
        for (port, route) in (0..rings.count()).zip(&mut self.routes) {
            let there = rings.limits(port).is_some_and(|limits| limits.capacity != 0);
            // What it has announced until now is this.
            rings.announced(port);
            *route = if there { read(rings, port) } else { None };
            // A layer that was told nothing takes all for worth the same.
            if let Some(route) = route.as_mut().filter(|route| route.access != Access::default()) {
                route.access = Access::default();
                self.stale |= 1 << port;
            }
        }
        let mut there = self.routes.iter().flatten();
        let Some(first) = there.next().copied() else { return false };
        let same = first.same_disk(&first) && there.all(|route| route.same_disk(&first));
        *disk = Some(first).filter(|_| same);
        same
    }

    /// A way that is worth something else since this was last asked.
    pub fn changed(&mut self, Doors { rings, .. }: &mut Doors) -> Option<(u8, Access)> {
        for port in 0..rings.count() {
            if rings.announced(port) {
                self.stale |= 1 << port;
            }
        }
        while self.stale != 0 {
            let port = u8::try_from(self.stale.trailing_zeros()).ok()?;
            self.stale &= self.stale - 1;
            // A page that is being written is announced once more when it has been.
            let (Some(now), Some(Some(route))) = (rings.route(port), self.routes.get_mut(usize::from(port))) else {
                continue;
            };
            // Who says another name than before is no way to this disk any more.
            let access = if now.same_disk(route) { now.access } else { Access::Lost };
            if access != core::mem::replace(&mut route.access, access) {
                return Some((port, access));
            }
        }
        None
    }
}

/// What a server says, unless it has begun another life or says nothing.
fn read(rings: &mut LowerRings, port: u8) -> Option<Route> {
    (0..READS).find_map(|_| rings.route(port).map(Some).or_else(|| (!rings.lives_on(port)).then_some(None))).flatten()
}

/// The rings below, each of which leads to the disk that it led to before, or is closed.
#[derive(Debug)]
pub struct Doors {
    rings: LowerRings,
    /// Where they lead, once that is known.
    disk: Option<Route>,
}

impl Below for Doors {
    fn new(rings: LowerRings) -> Self {
        Self { rings, disk: None }
    }

    #[inline(always)]
    fn rings(&mut self) -> &mut LowerRings {
        &mut self.rings
    }
}

impl Lowers for Doors {
    fn count(&self) -> u8 {
        self.rings.count()
    }

    fn capacity(&self, port: u8) -> u16 {
        self.rings.capacity(port)
    }

    fn limits(&self, port: u8) -> Option<Limits> {
        self.rings.limits(port)
    }

    #[inline(always)]
    fn submit(&mut self, port: u8, submission: Submission) {
        self.rings.submit(port, submission);
    }

    #[inline]
    fn answering(&self) -> bool {
        self.rings.answering()
    }

    /// Before anything is asked again of a server that was restarted, it is to say that it still has this disk: its last life may
    /// have died because somebody changed it for another. One that has died once more meanwhile gets nothing of what is asked.
    #[inline]
    fn next(&mut self) -> Result<Option<(u8, u32, Completion)>, Interrupted> {
        let next = self.rings.next();
        if let (Err(Interrupted::Restarted(port)), Some(disk)) = (&next, &self.disk) {
            let now = read(&mut self.rings, *port);
            if self.rings.lives_on(*port) && now.is_none_or(|now| !now.same_disk(disk)) {
                return Err(Interrupted::Misbehaved(PeerMisbehaved { port: *port, what: OTHER }));
            }
        }
        next
    }
}

/// Which disk a way leads to, for people.
#[derive(Debug)]
pub struct Named<'a>(pub &'a Route);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(route) = self;
        let name = route.identity.as_flattened().iter().take_while(|byte| **byte != 0);
        if !route.same_disk(route) {
            return f.write_str("a disk that does not say which it is");
        }
        // It comes from the disk: what could disturb a terminal is replaced.
        for byte in name {
            fmt::Write::write_char(f, if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '?' })?;
        }
        write!(f, " of the subsystem {:016x}", route.family)
    }
}

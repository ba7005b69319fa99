// SPDX-License-Identifier: MIT
//! Ring connections as the neighbours of a node: [`UpperRings`] above it, [`LowerRings`] below it.
//!
//! Here every value from a peer becomes ours: block numbers are scaled to the node's unit, payload is looked up in the
//! table of regions. What does not fit is answered here and never reaches a layer.
mod active;
mod lower;
mod regions;
mod replay;
mod upper;

#[cfg(test)]
mod tests;

pub use lower::{LowerRings, Waiting};
pub use regions::Regions;
pub use replay::ReplayClient;
pub use upper::{Offer, UpperRings, whole};

use crate::config::{Link, Role};
use crate::{InitError, Instant, World};
use orion_ring::{Client, Memory, Server};

/// Block numbers below this belong to window 0; above, to further windows of the connection.
const WINDOW_BLOCKS: u64 = 1 << 40;

/// Nanoseconds after which a PD looks again at a plain sDDF peer that does not say when something has changed.
const PLAIN_LOOK: u64 = 5_000_000;

/// When to look again at plain sDDF peers, if they make that necessary.
#[inline]
pub fn look_again<W: World>(uppers: &mut UpperRings, lowers: &LowerRings, world: &W) -> Option<Instant> {
    let wait = (!uppers.announced() && lowers.awaits_plain()) || (uppers.any_plain() && uppers.blocked());
    wait.then(|| world.now().after(PLAIN_LOOK))
}

fn memory<W: World>(world: &mut W, link: &Link) -> Option<Memory> {
    let ext = if link.plain() { None } else { Some(world.window(link.ext.get())?) };
    Some(Memory {
        info: world.window(link.info.get())?,
        ext,
        requests: world.window(link.requests.get())?,
        responses: world.window(link.responses.get())?,
    })
}

const UNMAPPED: InitError = InitError("a ring's region is not mapped: build the image and its configuration together");
const UNFIT: InitError = InitError("a ring's region is too small for its capacity: build the image again");

/// The client's end of the link `index` of the configuration, which keeps up to `N` requests over a restart of the server.
///
/// # Errors
/// [`InitError`] where the link is not one of ours as a client, or its regions are not mapped.
pub fn client<W: World, const N: usize>(world: &mut W, index: usize) -> Result<ReplayClient<N>, InitError> {
    ring_client(world, index).map(ReplayClient::new)
}

/// The same without that: for a node, which keeps its requests itself.
fn ring_client<W: World>(world: &mut W, index: usize) -> Result<Client, InitError> {
    let link = link(world, index, Role::Client)?;
    let memory = memory(world, link).ok_or(UNMAPPED)?;
    Client::attach(memory, link.capacity.get()).map_err(|_| UNFIT)
}

/// The server's end of the link `index` of the configuration.
///
/// # Errors
/// As [`client`].
fn server<W: World>(world: &mut W, index: usize) -> Result<Server, InitError> {
    let link = link(world, index, Role::Server)?;
    let memory = memory(world, link).ok_or(UNMAPPED)?;
    Server::attach(memory, link.capacity.get()).map_err(|_| UNFIT)
}

fn link<W: World>(world: &W, index: usize, role: Role) -> Result<&'static Link, InitError> {
    let found = world.config().links.get(index).filter(|l| l.role() == role);
    found.ok_or(InitError("the configuration lacks a link that this program needs: check system.xml"))
}

// SPDX-License-Identifier: MIT
//! What a server tells its client about itself.
use orion_block::{Limits, Route};

/// Windows of a connection.
pub const WINDOWS: usize = 16;

/// All rights that exist, as bits of `orion_caps::Rights`.
pub(crate) const RIGHTS: u16 = 0xff;

/// One window of a connection: what the client may name as `window << 40 | block`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowInfo {
    /// Blocks of the window, in `limits.block` units; 0: there is no such window.
    pub blocks: u64,
    /// Rights on it, as bits of `orion_caps::Rights`: read 1, write 2, flush 4, discard 8, zero 16, observe 32,
    /// derive 64, admin 128.
    pub rights: u16,
}

/// What a server is and offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerInfo {
    /// The device. `limits.block` is the unit of this connection.
    pub limits: Limits,
    /// The server's life: one more after each restart. 0 of a plain sDDF server. What a server is told to announce here means
    /// nothing: the ring counts.
    pub epoch: u32,
    /// The windows. A plain sDDF server has one, of its whole capacity.
    pub windows: [WindowInfo; WINDOWS],
    /// Which disk it is, and what this way to it is worth. A plain sDDF server does not say.
    pub route: Route,
}

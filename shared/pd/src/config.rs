// SPDX-License-Identifier: MIT
//! The configuration blob of a PD: written by `orion`, mapped read-only into the PD, parsed here without allocation.
//!
//! Both directions live here: [`Config::parse`] and `Builder`; the layout is in `wire.rs`.
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

#[cfg(any(test, feature = "build"))]
mod build;
#[cfg(test)]
mod tests;
mod wire;

#[cfg(any(test, feature = "build"))]
pub use build::Builder;
pub use wire::*;

/// Where the configuration is mapped in every PD.
pub const VADDR: u64 = 0x300_0000;
/// Most bytes of a configuration.
pub const MAX_LEN: usize = 64 * 1024;

/// A parsed configuration: views on the tables.
#[derive(Clone, Copy, Debug)]
pub struct Config<'a> {
    /// The PD's name.
    pub name: &'a str,
    /// Data regions.
    pub regions: &'a [Region],
    /// Ring connections.
    pub links: &'a [Link],
    /// Capabilities, of the gatekeeper only.
    pub grants: &'a [Grant],
    /// Devices, of a driver only.
    pub devices: &'a [Device],
    /// Console rings.
    pub consoles: &'a [Console],
    /// Wake-up channels.
    pub wakes: &'a [Wake],
    /// Settings.
    pub settings: &'a [Setting],
    /// Control connections.
    pub controls: &'a [Control],
    /// PDs whose figures are seen, of the manager only.
    pub watches: &'a [Watch],
    /// All rings of the system, of the manager only.
    pub rings: &'a [Ring],
    /// PDs that are watched over, of the supervisor only.
    pub children: &'a [Child],
}

/// What is wrong with a configuration, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadConfig {
    /// What is wrong.
    pub what: &'static str,
    /// Bytes from the header.
    pub at: usize,
}

impl<'a> Config<'a> {
    /// Parses a configuration that begins at the first byte of `bytes`; bytes after its end are ignored.
    ///
    /// # Errors
    /// [`BadConfig`] where it is not one of this version, or a table does not lie within it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BadConfig> {
        let bad = |what, at| BadConfig { what, at };
        let (header, _) = Header::ref_from_prefix(bytes).map_err(|_| bad("too short for a header", 0))?;
        if header.magic != MAGIC {
            return Err(bad("not an Orion configuration", 0));
        }
        if header.version.get() != VERSION {
            return Err(bad("made by another version of orion; build the image again", 8));
        }
        let bytes = bytes.get(..header.len.get() as usize).ok_or(bad("truncated", 12))?;
        let [regions, links, grants, devices, consoles, wakes, settings, controls, watches, rings, children] =
            header.tables;
        Ok(Self {
            name: header.name.as_str(),
            regions: table(bytes, regions)?,
            links: table(bytes, links)?,
            grants: table(bytes, grants)?,
            devices: table(bytes, devices)?,
            consoles: table(bytes, consoles)?,
            wakes: table(bytes, wakes)?,
            settings: table(bytes, settings)?,
            controls: table(bytes, controls)?,
            watches: table(bytes, watches)?,
            rings: table(bytes, rings)?,
            children: table(bytes, children)?,
        })
    }

    /// The value of the setting `key`.
    pub fn setting(&self, key: &str) -> Option<u64> {
        self.settings.iter().find(|s| s.key.as_str() == key).map(|s| s.value.get())
    }

    /// The bytes of the table of grants: what stands for them where a state is to be of the same system.
    pub fn grants_bytes(&self) -> &'a [u8] {
        self.grants.as_bytes()
    }

    /// The links on which we are `role`, each with its index.
    pub fn links_as(&self, role: Role) -> impl Iterator<Item = (usize, &'a Link)> {
        self.links.iter().enumerate().filter(move |(_, link)| link.role() == role)
    }
}

fn table<T: FromBytes + Immutable + KnownLayout + Unaligned>(bytes: &[u8], t: Table) -> Result<&[T], BadConfig> {
    let (at, count) = (t.offset.get() as usize, t.count.get() as usize);
    let bad = BadConfig { what: "table outside the configuration", at };
    if count == 0 {
        return Ok(&[]);
    }
    let rest = bytes.get(at..).ok_or(bad)?;
    <[T]>::ref_from_prefix_with_elems(rest, count).map(|(t, _)| t).map_err(|_| bad)
}

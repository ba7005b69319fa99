// SPDX-License-Identifier: MIT
//! The other direction: the configuration of one PD as bytes.
extern crate alloc;
use super::*;
use alloc::vec::Vec;
use zerocopy::byteorder::little_endian::U32;

/// The configuration of one PD, to be written. The tables' order is kept.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    /// The PD's name.
    pub name: alloc::string::String,
    /// Data regions.
    pub regions: Vec<Region>,
    /// Ring connections.
    pub links: Vec<Link>,
    /// Capabilities.
    pub grants: Vec<Grant>,
    /// Devices.
    pub devices: Vec<Device>,
    /// Console rings.
    pub consoles: Vec<Console>,
    /// Wake-up channels.
    pub wakes: Vec<Wake>,
    /// Settings.
    pub settings: Vec<Setting>,
    /// Control connections.
    pub controls: Vec<Control>,
    /// PDs whose figures are seen.
    pub watches: Vec<Watch>,
    /// Rings of the system.
    pub rings: Vec<Ring>,
    /// PDs that are watched over.
    pub children: Vec<Child>,
}

impl Builder {
    /// The blob.
    pub fn bytes(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let mut tables = [Table::default(); TABLES];
        let parts: [(usize, &[u8]); TABLES] = [
            (self.regions.len(), self.regions.as_bytes()),
            (self.links.len(), self.links.as_bytes()),
            (self.grants.len(), self.grants.as_bytes()),
            (self.devices.len(), self.devices.as_bytes()),
            (self.consoles.len(), self.consoles.as_bytes()),
            (self.wakes.len(), self.wakes.as_bytes()),
            (self.settings.len(), self.settings.as_bytes()),
            (self.controls.len(), self.controls.as_bytes()),
            (self.watches.len(), self.watches.as_bytes()),
            (self.rings.len(), self.rings.as_bytes()),
            (self.children.len(), self.children.as_bytes()),
        ];
        for (table, (count, bytes)) in tables.iter_mut().zip(parts) {
            *table = Table { offset: number(size_of::<Header>() + body.len()), count: number(count) };
            body.extend_from_slice(bytes);
        }
        let len = number(size_of::<Header>() + body.len());
        let header = Header { magic: MAGIC, version: VERSION.into(), len, name: Name::new(&self.name), tables };
        let mut blob = header.as_bytes().to_vec();
        blob.append(&mut body);
        blob
    }
}

fn number(n: usize) -> U32 {
    U32::new(u32::try_from(n).unwrap_or(u32::MAX))
}

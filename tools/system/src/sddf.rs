// SPDX-License-Identifier: MIT
//! What plain sDDF 0.7 components find in sections of their programs: the same bytes that sdfgen writes for them.
//!
//! All numbers are little endian, of the sizes and at the offsets of sDDF's C structs on 64-bit machines
//! (`include/sddf/blk/config.h`, `serial/config.h`, `resources/device.h` of sDDF 0.7.0). Padding is zero.
use crate::plan::Section;
use orion_pd::config::{Builder, Link, NONE, Role};

/// Bytes of the region of a client's serial queue: a page for the counters, then the data.
pub const SERIAL_BYTES: u64 = SERIAL_QUEUE + SERIAL_DATA;
const SERIAL_QUEUE: u64 = 0x1000;
const SERIAL_DATA: u64 = 0x8000;
/// First bytes of a block component's section.
const BLK_MAGIC: &[u8; 5] = b"sDDF\x02";
/// First bytes of a serial component's section.
const SERIAL_MAGIC: &[u8; 5] = b"sDDF\x03";
/// First bytes of a driver's list of what its device is made of.
const DEVICE_MAGIC: &[u8; 5] = b"sDDF\x01";
/// Entries of that list: regions, and as many interrupts.
const DEVICE_MAX: usize = 64;

/// `region_resource`: an address and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Region {
    /// Where it is mapped.
    pub vaddr: u64,
    /// Bytes.
    pub size: u64,
}

/// `blk_connection_resource`: one end of a block connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// `blk_storage_info`.
    pub storage_info: Region,
    /// Requests.
    pub requests: Region,
    /// Responses.
    pub responses: Region,
    /// Entries of each queue.
    pub entries: u16,
    /// The channel of the peer.
    pub channel: u8,
}

/// `device_resources`: what a driver's device is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Regions, each with its physical address.
    pub regions: Vec<(Region, u64)>,
    /// Channels of interrupts.
    pub irqs: Vec<u8>,
}

#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn magic(magic: &[u8]) -> Self {
        Self(magic.to_vec())
    }

    fn u64(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    fn region(&mut self, region: Region) {
        self.u64(region.vaddr);
        self.u64(region.size);
    }

    fn connection(&mut self, connection: &Connection) {
        self.align();
        [connection.storage_info, connection.requests, connection.responses].into_iter().for_each(|r| self.region(r));
        self.0.extend(connection.entries.to_le_bytes());
        self.0.push(connection.channel);
        self.align();
    }

    fn align(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
    }
}

/// `.blk_client_config`, 80 bytes.
pub fn blk_client(connection: &Connection, data: Region) -> Vec<u8> {
    let mut bytes = Bytes::magic(BLK_MAGIC);
    bytes.connection(connection);
    bytes.region(data);
    bytes.0
}

/// `.blk_driver_config`, 64 bytes.
pub fn blk_driver(connection: &Connection) -> Vec<u8> {
    let mut bytes = Bytes::magic(BLK_MAGIC);
    bytes.connection(connection);
    bytes.0
}

/// `.serial_client_config`, 88 bytes, of a client that only prints.
pub fn serial_client(queue: Region, data: Region, channel: u8) -> Vec<u8> {
    let mut bytes = Bytes::magic(SERIAL_MAGIC);
    for (queue, data, channel) in [(Region::default(), Region::default(), 0), (queue, data, channel)] {
        bytes.align();
        bytes.region(queue);
        bytes.region(data);
        bytes.0.push(channel);
    }
    bytes.align();
    bytes.0
}

/// `.device_resources`, 1608 bytes. Of more than 64 regions or interrupts the rest is left out.
pub fn device(resources: &Resources) -> Vec<u8> {
    let count = |len: usize| u8::try_from(len.min(DEVICE_MAX)).unwrap_or(0);
    let mut bytes = Bytes::magic(DEVICE_MAGIC);
    bytes.0.extend([count(resources.regions.len()), count(resources.irqs.len())]);
    bytes.align();
    let none = (Region::default(), 0);
    for (region, io) in resources.regions.iter().chain(std::iter::repeat(&none)).take(DEVICE_MAX) {
        bytes.region(*region);
        bytes.u64(*io);
    }
    bytes.0.extend(resources.irqs.iter().chain(std::iter::repeat(&0)).take(DEVICE_MAX));
    bytes.0
}

/// One end of a link as sDDF describes it.
fn connection(link: &Link) -> Connection {
    let queue = |vaddr: u64| Region { vaddr, size: link.queue_bytes.get() };
    Connection {
        storage_info: Region { vaddr: link.info.get(), size: 0x1000 },
        requests: queue(link.requests.get()),
        responses: queue(link.responses.get()),
        entries: link.capacity.get(),
        channel: channel(link.channel.get()),
    }
}

fn channel(number: u16) -> u8 {
    // More than a PD has are refused before.
    u8::try_from(number).unwrap_or(u8::MAX)
}

/// The sections of the component for which `blob` was put together.
pub(crate) fn sections(blob: &Builder, resources: &Resources) -> Vec<Section> {
    let pd = &blob.name;
    let mut sections = Vec::new();
    for link in &blob.links {
        sections.push(match link.role() {
            Role::Client => {
                let data = blob.regions.get(usize::from(link.data.get())).filter(|_| link.data.get() != NONE);
                let data = data.map(|r| Region { vaddr: r.vaddr.get(), size: r.size.get() }).unwrap_or_default();
                let bytes = blk_client(&connection(link), data);
                Section { name: ".blk_client_config", file: format!("blk_client_{pd}.data"), bytes }
            }
            Role::Server => {
                let bytes = blk_driver(&connection(link));
                Section { name: ".blk_driver_config", file: format!("{pd}.data"), bytes }
            }
        });
    }
    for console in &blob.consoles {
        let queue = Region { vaddr: console.vaddr.get(), size: SERIAL_QUEUE };
        let data = Region { vaddr: queue.vaddr + SERIAL_QUEUE, size: SERIAL_DATA };
        let bytes = serial_client(queue, data, channel(console.channel.get()));
        sections.push(Section { name: ".serial_client_config", file: format!("serial_client_{pd}.data"), bytes });
    }
    if blob.links.iter().any(|link| link.role() == Role::Server) {
        let bytes = device(resources);
        sections.push(Section { name: ".device_resources", file: format!("{pd}_device_resources.data"), bytes });
    }
    sections
}

// SPDX-License-Identifier: MIT
//! The layout: a [`Header`], then tables of fixed-size little-endian records. All offsets count from the header.
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// First bytes of a configuration.
pub const MAGIC: [u8; 8] = *b"ORIONCFG";
/// Version of the layout.
pub const VERSION: u32 = 4;
/// No channel, no region, no index.
pub const NONE: u16 = u16::MAX;
/// Tables of a configuration.
pub const TABLES: usize = 11;

/// A zero-padded name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Name(pub [u8; 64]);

impl Name {
    /// The name with the first 63 bytes of `text`.
    pub fn new(text: &str) -> Self {
        let mut name = [0; 64];
        name.iter_mut().zip(text.bytes().take(63)).for_each(|(to, from)| *to = from);
        Self(name)
    }

    /// The name as text, up to the first zero; `?` where it is not UTF-8.
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|&b| b == 0).unwrap_or(self.0.len());
        self.0.get(..end).and_then(|b| core::str::from_utf8(b).ok()).unwrap_or("?")
    }
}

/// Where a table lies.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Table {
    /// Bytes from the header.
    pub offset: U32,
    /// Records.
    pub count: U32,
}

/// First record of a configuration.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`VERSION`].
    pub version: U32,
    /// Bytes of the whole configuration.
    pub len: U32,
    /// The PD's name in `system.xml`.
    pub name: Name,
    /// In this order: regions, links, grants, devices, consoles, channels, settings, controls, watches, rings,
    /// children.
    pub tables: [Table; TABLES],
}

/// A data region that requests can name, mapped here or not.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Region {
    /// Its [`orion_block::RegionId`]: equal to its index in the table.
    pub id: U16,
    /// Bit 0: this PD may write it. Meaningless where `vaddr` is 0.
    pub flags: U16,
    /// Zero.
    pub pad: U32,
    /// Where it is mapped here; 0 where it is not.
    pub vaddr: U64,
    /// Bytes.
    pub size: U64,
    /// The address by which every device names it; 0 where no device may reach it.
    pub bus: U64,
    /// Its name in the system description.
    pub name: Name,
}

/// What a PD is to the peer of a [`Link`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It submits requests to the peer.
    Client,
    /// It serves the peer's requests.
    Server,
}

/// One end of a ring connection (see `orion-ring` for what the four regions hold).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Link {
    /// 0: we are the client; 1: we are the server.
    pub role: U16,
    /// Channel of the peer.
    pub channel: U16,
    /// Entries of each of the two queues; any number from 1 to 32,768.
    pub capacity: U16,
    /// Index of the data region whose offsets requests on this link use; [`NONE`]: requests carry bus addresses.
    pub data: U16,
    /// Bit 0: the peer is a plain sDDF component and has no extension pages. The upper half: 1 more than the peer's number
    /// among the supervised PDs (see [`Child`]); 0: nobody watches over it.
    pub flags: U32,
    /// Most requests that we keep in flight as a client; 0: the capacity. The gatekeeper's links to volumes have a number in
    /// the upper half: the limit is of all those with the same together, and clients take turns by weight there.
    pub depth: U32,
    /// Microseconds that a place of that limit is kept free for who is first by weight and is about to ask.
    pub grace_us: U32,
    /// Zero.
    pub pad: U32,
    /// Server's page: sDDF's storage_info, then our server extension. The server writes it.
    pub info: U64,
    /// Client's page: our client extension. The client writes it. 0 for a plain peer.
    pub ext: U64,
    /// Request queue.
    pub requests: U64,
    /// Response queue.
    pub responses: U64,
    /// Bytes of each queue's region.
    pub queue_bytes: U64,
    /// The peer's name.
    pub peer: Name,
    /// The volume (or disk) that is reached over this link, where it is only one.
    pub volume: Name,
}

impl Link {
    /// What we are to the peer.
    pub fn role(&self) -> Role {
        if self.role.get() == 0 { Role::Client } else { Role::Server }
    }

    /// Whether the peer is a plain sDDF component.
    pub fn plain(&self) -> bool {
        self.flags.get() & 1 != 0
    }

    /// The peer's number among the supervised PDs.
    pub fn peer_number(&self) -> Option<u8> {
        u8::try_from(self.flags.get() >> 16).ok()?.checked_sub(1)
    }
}

/// A capability, as compiled from `orion:grant`: what one window of one client's link may do.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Grant {
    /// Index, in the table of links, of the client's link.
    pub client: U16,
    /// Window of that link: 0 to 15.
    pub window: U16,
    /// Index, in the table of links, of the link to the volume.
    pub volume: U16,
    /// Bits of `orion_caps::Rights`.
    pub rights: U16,
    /// First 4096-byte block of the extent on the volume.
    pub first: U64,
    /// 4096-byte blocks of the extent; `u64::MAX`: to the end of the volume.
    pub blocks: U64,
    /// Most requests in flight; 0: no limit but the ring's.
    pub in_flight: U32,
    /// Line of `system.xml` that gives the grant; 0 for one that `orion` derived.
    pub line: U32,
    /// Most requests per second; 0: no limit.
    pub iops: U32,
    /// What may be saved up of the rates while idle, in milliseconds; 0: the gatekeeper's default.
    pub burst_ms: U32,
    /// Most bytes per second; 0: no limit.
    pub bandwidth: U64,
    /// The client's part beside other clients'; 0 counts as 1.
    pub weight: U32,
    /// Zero.
    pub pad: U32,
}

/// How a driver reaches its device.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Device {
    /// 0: virtio-mmio; 1: PCI; 2: PCI, and the window holds ports.
    pub transport: U16,
    /// Channel of the interrupt.
    pub irq: U16,
    /// Bit 0: behind an IOMMU, so ACCESS_PLATFORM must be negotiated. Bit 1: read-only by policy.
    pub flags: U32,
    /// virtio-mmio: where the registers' page is mapped. PCI: where the function's configuration page is mapped.
    pub config_vaddr: U64,
    /// virtio-mmio: bytes from the page's start to the registers. PCI: 0.
    pub config_offset: U64,
    /// PCI: where the window for the BARs is mapped.
    pub bar_vaddr: U64,
    /// PCI: bus address of that window; the driver places its BARs in it.
    pub bar_bus: U64,
    /// PCI: bytes of that window.
    pub bar_size: U64,
    /// Address of its message interrupt (MSI-X, else MSI); 0: none, use the INTx pin.
    pub msi_address: U64,
    /// Data of that message.
    pub msi_data: U32,
    /// Milliseconds after which a request is given up.
    pub timeout_ms: U32,
    /// Where the driver's own DMA memory (queues, headers) is mapped.
    pub dma_vaddr: U64,
    /// Bus address of that memory.
    pub dma_bus: U64,
    /// Bytes of that memory.
    pub dma_size: U64,
    /// Which of the disks behind the controller: a namespace's number, a port's, a target's << 16 | a logical unit's; `u32::MAX`:
    /// the first that there is. A controller with several disks has a record for each, alike but for this and the name.
    pub unit: U32,
    /// How its queues are to be: bits 0 to 7, how many (0: one); 8: packed rings; 9: in order; 10: a queue is reset alone; 11: one for
    /// each kind of requests, of different weight; 12 to 15: how long requests may wait because an idle device rests, 50 microseconds doubled
    /// so often (0: it is left alone); 16 to 23: interrupts are held back until there are so many answers (0: not), 24
    /// to 31: and no longer than so many times 100 microseconds.
    pub options: U32,
    /// The disk's name in `system.xml`.
    pub name: Name,
}

/// One end of a console ring (see `orion_ring::bytes`, of a plain sDDF client `orion_ring::serial`): of what a PD prints, or
/// of the lines that people type.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Console {
    /// 0: we print into it; 1: we are the console that reads it; 2: so, and the PD that prints is a plain sDDF client; 3: we
    /// read what was typed; 4: we are the console, and write what was typed.
    pub role: U16,
    /// Channel of the peer.
    pub channel: U16,
    /// Zero.
    pub pad: U32,
    /// Where the ring is mapped.
    pub vaddr: U64,
    /// Bytes of the ring's region.
    pub size: U64,
    /// Name of the PD that prints, or reads what was typed.
    pub pd: Name,
}

/// A channel with a purpose of its own: of `tick`, each PD to wake; of the others, the channel by which `tick` wakes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Wake {
    /// The channel.
    pub channel: U16,
    /// Zero.
    pub pad: U16,
    /// The other PD's name.
    pub peer: Name,
}

/// One end of a control connection (see `orion-control`): beside a [`Link`] of the same peer, whose channel it shares, or
/// of the manager, which has no ring.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Control {
    /// Index of that link in the table of links; [`NONE`]: the manager's.
    pub link: U16,
    /// The channel, where there is no link; else [`NONE`].
    pub channel: U16,
    /// Zero.
    pub pad: [U16; 2],
    /// Where the page is mapped that we write.
    pub own: U64,
    /// Where the page is mapped that the peer writes.
    pub peer: U64,
}

/// A PD whose figures (see `orion-metrics`) the manager sees.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Watch {
    /// By which it is asked to write them; [`NONE`]: it does so on its own.
    pub channel: U16,
    /// Its priority.
    pub priority: U16,
    /// Zero.
    pub pad: U32,
    /// Where its page is mapped.
    pub vaddr: U64,
    /// Bytes.
    pub size: U64,
    /// Its name.
    pub pd: Name,
    /// Its program.
    pub program: Name,
}

/// A ring between two PDs, as the manager knows it. Those of the gatekeeper stand in the gatekeeper's order, so that
/// their places among its clients and among its volumes are the numbers that it uses.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Ring {
    /// The PD that asks.
    pub client: Name,
    /// The PD that answers.
    pub server: Name,
    /// What is reached over it, as `system.xml` calls it, where it is only one.
    pub volume: Name,
    /// The disk or partition that it comes down to.
    pub disk: Name,
    /// Entries of each of its queues.
    pub entries: U32,
    /// Zero.
    pub pad: U32,
}

/// A PD that the supervisor watches over (see [`supervision`](crate::supervision)).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Child {
    /// Its number: that of its fault and of its word in the page of lives. Equal to its index in the table.
    pub number: U16,
    /// The channel by which it is asked whether it lives.
    pub channel: U16,
    /// Zero.
    pub pad: U32,
    /// Where the page is mapped that it writes.
    pub pulse: U64,
    /// Its name.
    pub pd: Name,
}

/// A named number.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Setting {
    /// Its name.
    pub key: Name,
    /// Its value.
    pub value: U64,
}

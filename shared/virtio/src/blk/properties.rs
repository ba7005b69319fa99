// SPDX-License-Identifier: MIT
//! What a block device says about itself, read once after each reset and checked.
use super::slots::Clear;
use super::wire::{config, feature};
use crate::{Bus, Fault};
use orion_block::{BlockSize, DiscardReads, Limits};
use virtio_drivers::device::common::Feature;

/// Most bytes of one request: as many as a ring's entry can ask for in its largest unit, so that no client has to split
/// for our sake. In practice the data region's size is the limit.
const REQUEST_BYTES: u32 = 256 << 20;
/// A device that writes fewer zeroes at a time is not worth asking.
const LEAST_ZEROES: u32 = 64 << 10;
/// Segments that a slot has room for.
const SEGMENTS: u8 = 2;
/// How often the configuration is read anew because it changed meanwhile.
const TRIES: u32 = 8;

/// Features that the driver can use with any ring, with and without an IOMMU.
pub fn wanted(iommu: bool) -> u64 {
    let common = Feature::VERSION_1 | Feature::RING_INDIRECT_DESC | Feature::RING_EVENT_IDX;
    let platform = if iommu { Feature::ACCESS_PLATFORM } else { Feature::empty() };
    (common | platform).bits()
        | feature::SIZE_MAX
        | feature::SEG_MAX
        | feature::RO
        | feature::BLK_SIZE
        | feature::FLUSH
        | feature::TOPOLOGY
        | feature::CONFIG_WCE
        | feature::DISCARD
        | feature::WRITE_ZEROES
        | feature::LIFETIME
        | feature::SECURE_ERASE
}

/// How much the device clears at once, in one of the ways to clear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clearing {
    /// Most blocks of a segment; 0 where it does not clear in this way.
    pub most: u32,
    /// Most segments of a request; at least 1.
    pub segments: u8,
    /// Blocks of which parts should begin at a multiple; at least 1.
    pub align: u32,
}

impl Clearing {
    /// Blocks of the segment that begins at `lba`, of `left` that are to be cleared: where more follow, it ends at a multiple of
    /// the alignment if it reaches one.
    pub fn next(&self, lba: u64, left: u32) -> u32 {
        let most = self.most.max(1);
        if left <= most {
            return left;
        }
        let end = lba.saturating_add(most.into());
        let over = u32::try_from(end % u64::from(self.align.max(1))).unwrap_or(0);
        if over < most { most - over } else { most }
    }
}

/// What the device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Properties {
    /// What it promises to those above.
    pub limits: Limits,
    /// Whether it can flush. If not, a completed write is durable (5.2.6.2).
    pub flush: bool,
    discard: Clearing,
    zeroes: Clearing,
    erase: Clearing,
}

impl Properties {
    /// Reads the configuration under the negotiated `features`.
    ///
    /// # Errors
    /// [`Fault::Config`] where it makes no sense, [`Fault::Unsteady`] where it never holds still.
    pub fn read(bus: &impl Bus, features: u64) -> Result<Self, Fault> {
        for _ in 0..TRIES {
            let before = bus.read_config_generation();
            let properties = Self::read_once(&Config { bus, features });
            if bus.read_config_generation() == before {
                return properties;
            }
        }
        Err(Fault::Unsteady)
    }

    fn read_once(config: &Config<'_, impl Bus>) -> Result<Self, Fault> {
        let block = BlockSize::from_bytes(config.blk_size()?).ok_or(Fault::Config)?;
        let shift = block.shift() - 9;
        let most = most_bytes(config)? >> block.shift();
        if most == 0 {
            return Err(Fault::Config);
        }
        let flush = config.has(feature::FLUSH);
        let discard = config.clearing(feature::DISCARD, config::MAX_DISCARD_SECTORS, shift)?;
        let mut zeroes = config.clearing(feature::WRITE_ZEROES, config::MAX_WRITE_ZEROES_SECTORS, shift)?;
        // What stands behind the number of segments is no alignment here.
        zeroes.align = 1;
        let erase = config.clearing(feature::SECURE_ERASE, config::MAX_SECURE_ERASE_SECTORS, shift)?;
        let limits = Limits {
            block,
            physical: config.physical(block)?,
            capacity: config.capacity()? >> shift,
            max_blocks: most,
            boundary: 0,
            optimal_blocks: config.if_offered(feature::TOPOLOGY, config::OPT_IO_SIZE)?,
            atomic_blocks: 1,
            queue_depth: 0,
            discard_granularity: if discard.most == 0 { 0 } else { discard.align },
            discard_reads: DiscardReads::Undefined,
            stable_writes: false,
            volatile_cache: flush && config.writeback()?,
            fua: true,
            write_zeroes: zeroes.most >= LEAST_ZEROES >> block.shift(),
            read_only: config.has(feature::RO),
        };
        Ok(Self { limits, flush, discard, zeroes, erase })
    }

    /// How much is cleared at once.
    pub fn clearing(&self, how: Clear) -> &Clearing {
        match how {
            Clear::Discard => &self.discard,
            Clear::Zeroes => &self.zeroes,
            Clear::Erase => &self.erase,
        }
    }

    /// Whether a device with the properties `now` can serve those who were told `self`.
    pub fn outlives(&self, now: &Self) -> bool {
        let same = Limits { capacity: self.limits.capacity, ..now.limits } == self.limits;
        same && now.limits.capacity >= self.limits.capacity && now.flush == self.flush
    }
}

/// Most bytes of one segment, which a request's payload is.
fn most_bytes(config: &Config<'_, impl Bus>) -> Result<u32, Fault> {
    if config.has(feature::SEG_MAX) && config.word(config::SEG_MAX)? == 0 {
        return Err(Fault::Config);
    }
    match config.if_offered(feature::SIZE_MAX, config::SIZE_MAX)? {
        0 => Ok(REQUEST_BYTES),
        size_max => Ok(size_max.min(REQUEST_BYTES)),
    }
}

/// The configuration space, with the features that say which of its fields are valid.
pub struct Config<'a, B> {
    /// Where it is read.
    pub bus: &'a B,
    /// The features.
    pub features: u64,
}

impl<B: Bus> Config<'_, B> {
    fn has(&self, feature: u64) -> bool {
        self.features & feature != 0
    }

    fn word(&self, offset: usize) -> Result<u32, Fault> {
        self.bus.read_config_space::<u32>(offset).map(u32::from_le).map_err(|_| Fault::Config)
    }

    fn byte(&self, offset: usize) -> Result<u8, Fault> {
        self.bus.read_config_space(offset).map_err(|_| Fault::Config)
    }

    /// Of a way to clear: most sectors of a segment at `offset`, most segments and the alignment in sectors behind it.
    fn clearing(&self, feature: u64, offset: usize, shift: u8) -> Result<Clearing, Fault> {
        let most = self.if_offered(feature, offset)? >> shift;
        let segments = self.if_offered(feature, offset + 4)?.clamp(1, SEGMENTS.into());
        let align = (self.if_offered(feature, offset + 8)? >> shift).max(1);
        Ok(Clearing { most, segments: u8::try_from(segments).unwrap_or(1), align })
    }

    /// Request queues; at least 1.
    pub fn queues(&self) -> Result<u16, Fault> {
        if !self.has(feature::MQ) {
            return Ok(1);
        }
        let queues = self.bus.read_config_space(config::NUM_QUEUES).map(u16::from_le).map_err(|_| Fault::Config)?;
        // 5.2.5.2: it is at least 1 where the feature is offered.
        if queues == 0 { Err(Fault::Config) } else { Ok(queues) }
    }

    /// The word at `offset`, 0 where the feature that makes it valid was not negotiated.
    fn if_offered(&self, feature: u64, offset: usize) -> Result<u32, Fault> {
        if self.has(feature) { self.word(offset) } else { Ok(0) }
    }

    fn capacity(&self) -> Result<u64, Fault> {
        let bytes: Result<u64, _> = self.bus.read_config_space(config::CAPACITY);
        let sectors = bytes.map(u64::from_le).map_err(|_| Fault::Config)?;
        // More than 2^55 sectors have addresses that no byte offset reaches.
        if sectors < 1 << 55 { Ok(sectors) } else { Err(Fault::Config) }
    }

    fn blk_size(&self) -> Result<u32, Fault> {
        if self.has(feature::BLK_SIZE) { self.word(config::BLK_SIZE) } else { Ok(512) }
    }

    fn physical(&self, block: BlockSize) -> Result<BlockSize, Fault> {
        if !self.has(feature::TOPOLOGY) {
            return Ok(block);
        }
        let exp = self.byte(config::PHYSICAL_BLOCK_EXP)?;
        Ok(BlockSize::from_shift(block.shift().saturating_add(exp)).unwrap_or(block))
    }

    fn writeback(&self) -> Result<bool, Fault> {
        // 5.2.5.1: without CONFIG_WCE, a device that can flush is assumed to have a volatile cache.
        Ok(!self.has(feature::CONFIG_WCE) || self.byte(config::WRITEBACK)? != 0)
    }
}

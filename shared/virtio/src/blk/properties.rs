// SPDX-License-Identifier: MIT
//! What a block device says about itself, read once after each reset and checked.
use super::wire::{config, feature};
use crate::{Bus, Fault};
use orion_block::{BlockSize, DiscardReads, Limits};
use virtio_drivers::device::common::Feature;

/// Most bytes of one request: as many as a ring's entry can ask for in its largest unit, so that no client has to split
/// for our sake. In practice the data region's size is the limit.
const REQUEST_BYTES: u32 = 256 << 20;
/// A device that writes fewer zeroes at a time is not worth asking.
const LEAST_ZEROES: u32 = 64 << 10;
/// How often the configuration is read anew because it changed meanwhile.
const TRIES: u32 = 8;

/// Features that the driver can use, with and without an IOMMU.
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
}

/// What the device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Properties {
    /// What it promises to those above.
    pub limits: Limits,
    /// Whether it can flush. If not, a completed write is durable (5.2.6.2).
    pub flush: bool,
    /// Most blocks of one discard.
    pub discard_blocks: u32,
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
        let sectors_shift = block.shift() - 9;
        let most = most_bytes(config)?;
        let zeroes = config.if_offered(feature::WRITE_ZEROES, config::MAX_WRITE_ZEROES_SECTORS)?;
        let zeroes = zeroes.saturating_mul(512);
        let write_zeroes = zeroes >= LEAST_ZEROES;
        let most = if write_zeroes { most.min(zeroes) } else { most } >> block.shift();
        let flush = config.has(feature::FLUSH);
        let limits = Limits {
            block,
            physical: config.physical(block)?,
            capacity: config.capacity()? >> sectors_shift,
            max_blocks: most,
            boundary: 0,
            optimal_blocks: config.if_offered(feature::TOPOLOGY, config::OPT_IO_SIZE)?,
            atomic_blocks: 1,
            queue_depth: 0,
            discard_granularity: 0,
            discard_reads: DiscardReads::Undefined,
            stable_writes: false,
            volatile_cache: flush && config.writeback()?,
            fua: true,
            write_zeroes,
            read_only: config.has(feature::RO),
        };
        let discard_blocks = config.if_offered(feature::DISCARD, config::MAX_DISCARD_SECTORS)? >> sectors_shift;
        let discard_granularity = match discard_blocks {
            0 => 0,
            _ => (config.if_offered(feature::DISCARD, config::DISCARD_SECTOR_ALIGNMENT)? >> sectors_shift).max(1),
        };
        if most == 0 {
            return Err(Fault::Config);
        }
        Ok(Self { limits: Limits { discard_granularity, ..limits }, flush, discard_blocks })
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
struct Config<'a, B> {
    bus: &'a B,
    features: u64,
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

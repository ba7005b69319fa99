// SPDX-License-Identifier: MIT
//! ATA commands (ACS-3, section 7), and what they are told.

/// Command codes.
pub mod command {
    /// DATA SET MANAGEMENT.
    pub const DATA_SET_MANAGEMENT: u8 = 0x06;
    /// READ SECTOR(S).
    pub const READ_SECTORS: u8 = 0x20;
    /// READ SECTOR(S) EXT.
    pub const READ_SECTORS_EXT: u8 = 0x24;
    /// READ DMA EXT.
    pub const READ_DMA_EXT: u8 = 0x25;
    /// READ LOG EXT.
    pub const READ_LOG_EXT: u8 = 0x2f;
    /// WRITE SECTOR(S).
    pub const WRITE_SECTORS: u8 = 0x30;
    /// WRITE SECTOR(S) EXT.
    pub const WRITE_SECTORS_EXT: u8 = 0x34;
    /// WRITE DMA EXT.
    pub const WRITE_DMA_EXT: u8 = 0x35;
    /// WRITE DMA FUA EXT.
    pub const WRITE_DMA_FUA_EXT: u8 = 0x3d;
    /// READ FPDMA QUEUED.
    pub const READ_QUEUED: u8 = 0x60;
    /// WRITE FPDMA QUEUED.
    pub const WRITE_QUEUED: u8 = 0x61;
    /// SMART.
    pub const SMART: u8 = 0xb0;
    /// READ DMA.
    pub const READ_DMA: u8 = 0xc8;
    /// WRITE DMA.
    pub const WRITE_DMA: u8 = 0xca;
    /// READ PORT MULTIPLIER (Serial ATA 3.0, section 16.4).
    pub const READ_MULTIPLIER: u8 = 0xe4;
    /// FLUSH CACHE.
    pub const FLUSH_CACHE: u8 = 0xe7;
    /// WRITE PORT MULTIPLIER.
    pub const WRITE_MULTIPLIER: u8 = 0xe8;
    /// FLUSH CACHE EXT.
    pub const FLUSH_CACHE_EXT: u8 = 0xea;
    /// IDENTIFY DEVICE.
    pub const IDENTIFY: u8 = 0xec;
    /// SET FEATURES.
    pub const SET_FEATURES: u8 = 0xef;
    /// SECURITY FREEZE LOCK.
    pub const FREEZE: u8 = 0xf5;
}

/// Subcommands of SET FEATURES (7.45).
pub mod feature {
    /// Write cache on.
    pub const CACHE_ON: u16 = 0x02;
    /// A feature of Serial ATA on, which the count names.
    pub const SATA_ON: u16 = 0x10;
    /// That feature: the drive lets an idle link save power.
    pub const DEVICE_POWER: u16 = 3;
    /// Read look-ahead off.
    pub const LOOK_AHEAD_OFF: u16 = 0x55;
    /// Write cache off.
    pub const CACHE_OFF: u16 = 0x82;
    /// Read look-ahead on.
    pub const LOOK_AHEAD_ON: u16 = 0xaa;
}

/// Subcommands of SMART (ATA8-ACS, section 7.53).
pub mod smart {
    /// SMART READ DATA.
    pub const READ_DATA: u16 = 0xd0;
    /// SMART READ ATTRIBUTE THRESHOLDS, of older standards.
    pub const READ_THRESHOLDS: u16 = 0xd1;
    /// SMART READ LOG.
    pub const READ_LOG: u16 = 0xd5;
    /// SMART ENABLE OPERATIONS.
    pub const ENABLE: u16 = 0xd8;
    /// SMART RETURN STATUS.
    pub const RETURN_STATUS: u16 = 0xda;
    /// What stands in bits 8 to 23 of the address of each such command.
    pub const KEY: u64 = 0x00c2_4f00;
    /// What stands there in the answer of a drive that is about to fail.
    pub const FAILING: u64 = 0x002c_f400;
    /// Log of self-tests.
    pub const SELF_TEST_LOG: u64 = 6;
}

/// The log that tells of a queued command's error.
pub const QUEUED_ERROR_LOG: u64 = 0x10;
/// DATA SET MANAGEMENT: TRIM, in the features.
pub const TRIM: u16 = 1;

/// Bits of the error register (6.3).
pub mod error {
    /// The address was not found.
    pub const IDNF: u8 = 1 << 4;
    /// The command was aborted.
    pub const ABRT: u8 = 1 << 2;
    /// The data could not be corrected; of a write, that the medium is protected.
    pub const UNC: u8 = 1 << 6;
    /// The data were damaged on the link.
    pub const ICRC: u8 = 1 << 7;
}

/// Bits of the device register.
pub mod device {
    /// The address is a block's number.
    pub const LBA: u8 = 1 << 6;
    /// Force unit access, of queued writes.
    pub const FUA: u8 = 1 << 7;
}

/// What a command is told: the registers of the task file, 16 bits wide where 48-bit commands have two halves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskFile {
    /// The command.
    pub command: u8,
    /// Features.
    pub features: u16,
    /// Count.
    pub count: u16,
    /// Address: 48 bits.
    pub lba: u64,
    /// Device.
    pub device: u8,
}

// SPDX-License-Identifier: MIT
//! Port multipliers (Serial ATA 3.0, section 16): their registers, and the commands that reach them.
use super::ata::{TaskFile, command};
use super::fis::ToHost;

/// The port of the multiplier's own; its devices have the numbers below.
pub const CONTROL: u8 = 15;
/// Devices at most.
pub const DEVICES_MAX: u8 = 15;

/// Registers of the multiplier as a whole (16.3.1).
pub mod global {
    /// Vendor and product.
    pub const PRODUCT: u16 = 0;
    /// Bits 0 to 3: ports for devices.
    pub const PORTS: u16 = 2;
    /// One bit for each port with something in its error register that [`ERRORS_WANTED`] names.
    pub const ERRORS: u16 = 32;
    /// Which bits of a port's error register count for [`ERRORS`].
    pub const ERRORS_WANTED: u16 = 33;
    /// What it can do.
    pub const FEATURES: u16 = 64;
    /// What of it is on.
    pub const ENABLED: u16 = 96;
    /// In both: it notifies when [`ERRORS`] changes.
    pub const NOTIFIES: u32 = 1 << 3;
}

/// Registers of each port of a device (16.3.2): as PxSSTS, PxSERR and PxSCTL.
pub mod device {
    /// Status.
    pub const STATUS: u16 = 0;
    /// Errors.
    pub const ERROR: u16 = 1;
    /// Control.
    pub const CONTROL: u16 = 2;
}

/// The command that reads a register of `port` (16.4.2).
pub fn read(port: u8, register: u16) -> TaskFile {
    TaskFile { command: command::READ_MULTIPLIER, features: register, device: port, ..TaskFile::default() }
}

/// The command that writes `value` (16.4.3): its lowest byte stands in the count, the others in the address.
pub fn write(port: u8, register: u16, value: u32) -> TaskFile {
    let [count, ..] = value.to_le_bytes();
    let (command, lba) = (command::WRITE_MULTIPLIER, u64::from(value >> 8));
    TaskFile { command, features: register, count: count.into(), lba, device: port }
}

/// The value that has been read.
pub fn value(answer: &ToHost) -> u32 {
    let ([lowest, _], [low, middle, high]) = (answer.count, answer.lba_low);
    u32::from_le_bytes([lowest, low, middle, high])
}

/// What a device's first FIS after a reset says that it is, in the order of PxSIG (AHCI 1.3.1, section 3.3.9).
pub fn signature(answer: &ToHost) -> u32 {
    value(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::fis;

    #[test]
    fn a_register_is_named_in_the_features_and_its_value_lies_in_count_and_address() {
        // WRITE PORT MULTIPLIER of 0xa1b2c3d4 to register 2 of port 3: the bytes of the FIS by Serial ATA 3.0, 16.4.3.
        let words = fis::words(&write(3, 2, 0xa1b2_c3d4));
        let bytes = words.map(u64::to_le_bytes);
        assert_eq!(bytes.as_flattened(), [0x27, 0x80, 0xe8, 2, 0xc3, 0xb2, 0xa1, 3, 0, 0, 0, 0, 0xd4, 0, 0, 0]);
        let words = fis::words(&read(15, 0x21)).map(u64::to_le_bytes);
        assert_eq!(words.as_flattened()[..8], [0x27, 0x80, 0xe4, 0x21, 0, 0, 0, 15]);
        let answer = ToHost { count: [0xd4, 0], lba_low: [0xc3, 0xb2, 0xa1], ..ToHost::default() };
        assert_eq!(value(&answer), 0xa1b2_c3d4);
    }
}

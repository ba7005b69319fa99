// SPDX-License-Identifier: MIT
//! Frame information structures (Serial ATA 3.0, section 10.3), and where received ones lie (AHCI 1.3.1, section 4.2.1).
use super::ata::TaskFile;
use zerocopy::byteorder::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Types of FISes.
pub mod kind {
    /// Register, host to device.
    pub const TO_DEVICE: u8 = 0x27;
    /// Register, device to host.
    pub const TO_HOST: u8 = 0x34;
    /// Set device bits.
    pub const SET_BITS: u8 = 0xa1;
    /// PIO setup.
    pub const PIO_SETUP: u8 = 0x5f;
}

/// In byte 1 of a [`ToDevice`]: the command register was written.
pub const COMMAND: u8 = 1 << 7;
/// In byte 1 of what a device sends: it wants to interrupt.
pub const INTERRUPT: u8 = 1 << 6;

/// Register FIS, host to device (10.3.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ToDevice {
    /// [`kind::TO_DEVICE`].
    pub kind: u8,
    /// [`COMMAND`], and the port of a port multiplier.
    pub flags: u8,
    /// Command.
    pub command: u8,
    /// Features, low half.
    pub features_low: u8,
    /// Address, bits 0 to 23.
    pub lba_low: [u8; 3],
    /// Device.
    pub device: u8,
    /// Address, bits 24 to 47.
    pub lba_high: [u8; 3],
    /// Features, high half.
    pub features_high: u8,
    /// Count.
    pub count: [u8; 2],
    /// Isochronous command completion.
    pub icc: u8,
    /// Control.
    pub control: u8,
    /// Auxiliary.
    pub auxiliary: [u8; 4],
}

impl ToDevice {
    /// What the FIS tells the device.
    pub fn task_file(&self) -> TaskFile {
        let ([a, b, c], [d, e, f]) = (self.lba_low, self.lba_high);
        TaskFile {
            command: self.command,
            features: u16::from_le_bytes([self.features_low, self.features_high]),
            count: u16::from_le_bytes(self.count),
            lba: u64::from_le_bytes([a, b, c, d, e, f, 0, 0]),
            device: self.device,
        }
    }
}

/// The first 16 bytes of a [`ToDevice`] as two words; the last four stay zero. A request's way to the device is these.
#[inline]
pub const fn words(task: &TaskFile) -> [u64; 2] {
    let [features_low, features_high] = task.features.to_le_bytes();
    let head =
        kind::TO_DEVICE as u64 | (COMMAND as u64) << 8 | (task.command as u64) << 16 | (features_low as u64) << 24;
    let first = head | (task.lba & 0xff_ffff) << 32 | (task.device as u64) << 56;
    let second = task.lba >> 24 & 0xff_ffff | (features_high as u64) << 24 | (task.count as u64) << 32;
    [first, second]
}

/// In the control register of a [`ToDevice`]: the device is to reset itself.
pub const SOFT_RESET: u8 = 1 << 2;

/// The first 16 bytes of a FIS that writes the control register only, for `port` of a port multiplier.
pub const fn control(port: u8, value: u8) -> [u64; 2] {
    [kind::TO_DEVICE as u64 | (port as u64) << 8, (value as u64) << 56]
}

/// Register FIS, device to host (10.3.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ToHost {
    /// [`kind::TO_HOST`].
    pub kind: u8,
    /// [`INTERRUPT`].
    pub flags: u8,
    /// Status.
    pub status: u8,
    /// Error.
    pub error: u8,
    /// Address, bits 0 to 23.
    pub lba_low: [u8; 3],
    /// Device.
    pub device: u8,
    /// Address, bits 24 to 47.
    pub lba_high: [u8; 3],
    /// Reserved.
    pub reserved: u8,
    /// Count.
    pub count: [u8; 2],
    /// Reserved.
    pub rest: [u8; 6],
}

impl ToHost {
    /// The low 24 bits of the address.
    pub fn lba_low(&self) -> u64 {
        let [a, b, c] = self.lba_low;
        u32::from_le_bytes([a, b, c, 0]).into()
    }
}

/// What a port received last (AHCI 1.3.1, figure 8).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Received {
    /// DMA setup.
    pub dma_setup: [u8; 28],
    /// Nothing.
    pub gap0: [u8; 4],
    /// PIO setup.
    pub pio_setup: [u8; 20],
    /// Nothing.
    pub gap1: [u8; 12],
    /// Register.
    pub register: ToHost,
    /// Nothing.
    pub gap2: [u8; 4],
    /// Set device bits: its first word, and the slots that have ended.
    pub set_bits: [U32; 2],
    /// What is unknown.
    pub unknown: [u8; 64],
    /// Reserved.
    pub reserved: [u8; 96],
}

/// Where the register FIS lies in [`Received`].
pub const REGISTER: usize = 0x40;

const _: () = assert!(size_of::<ToDevice>() == 20 && size_of::<ToHost>() == 20 && size_of::<Received>() == 256);
const _: () = assert!(core::mem::offset_of!(Received, register) == REGISTER);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reset_by_software_is_a_fis_that_is_no_command() {
        let mut bytes = [0; 20];
        bytes[..16].copy_from_slice(control(15, SOFT_RESET).map(u64::to_le_bytes).as_flattened());
        let fis = ToDevice::read_from_bytes(&bytes).unwrap();
        let expected = ToDevice { kind: 0x27, flags: 15, control: 4, ..ToDevice::default() };
        assert_eq!(fis, expected);
    }

    proptest! {
        #[test]
        fn words_are_the_bytes_of_the_fis(command: u8, features: u16, count: u16, lba in 0u64..1 << 48, device: u8) {
            let task = TaskFile { command, features, count, lba, device };
            let mut bytes = [0; 20];
            bytes[..16].copy_from_slice(words(&task).map(u64::to_le_bytes).as_flattened());
            let fis = ToDevice::read_from_bytes(&bytes).unwrap();
            prop_assert_eq!((fis.kind, fis.flags), (0x27, 0x80));
            prop_assert_eq!(fis.task_file(), task);
            prop_assert_eq!((fis.icc, fis.control, fis.auxiliary), (0, 0, [0; 4]));
        }
    }
}

// SPDX-License-Identifier: MIT
//! The register files of a model's device, as one type.
use super::{MmioModel, PciBars, PciConfig};

/// A register file of either transport.
#[derive(Debug)]
pub enum Registers {
    /// virtio-mmio.
    Mmio(MmioModel),
    /// A PCI function's configuration space.
    Config(PciConfig),
    /// What is behind its BARs.
    Bars(PciBars),
}

/// Implements [`Mmio`](orion_region::Mmio) for an enum of register files, whose variants are named.
#[macro_export]
macro_rules! registers {
    ($type:ident: $($variant:ident),*) => {
        $crate::registers!(@ $type ($($variant)*)
            len() -> usize;
            read8(at: usize) -> u8;
            read16(at: usize) -> u16;
            read32(at: usize) -> u32;
            read64(at: usize) -> u64;
            write8(at: usize, value: u8) -> ();
            write16(at: usize, value: u16) -> ();
            write32(at: usize, value: u32) -> ();
            write64(at: usize, value: u64) -> (););
    };
    (@ $type:ident $variants:tt $($name:ident($($arg:ident: $of:ty),*) -> $result:ty;)*) => {
        impl orion_region::Mmio for $type {
            $(fn $name(&self, $($arg: $of),*) -> $result {
                $crate::registers!(# self $type $variants $name($($arg),*))
            })*
        }
    };
    (# $self:ident $type:ident ($($variant:ident)*) $name:ident $args:tt) => {
        match $self {
            $($type::$variant(registers) => $crate::registers!(= registers $name $args),)*
        }
    };
    (= $registers:ident $name:ident ($($arg:ident),*)) => {
        $registers.$name($($arg),*)
    };
}

registers!(Registers: Mmio, Config, Bars);

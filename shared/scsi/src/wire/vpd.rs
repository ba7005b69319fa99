// SPDX-License-Identifier: MIT
//! Pages of vital product data (SPC-4 section 7.8, SBC-3 section 6.5).
use super::{list, number, padded};
use orion_driver::Text;
use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Page codes.
pub mod page {
    /// Supported pages.
    pub const SUPPORTED: u8 = 0x00;
    /// Unit serial number.
    pub const SERIAL: u8 = 0x80;
    /// Device identification.
    pub const IDENTIFICATION: u8 = 0x83;
    /// Block limits.
    pub const LIMITS: u8 = 0xb0;
    /// Block device characteristics.
    pub const CHARACTERISTICS: u8 = 0xb1;
    /// Logical block provisioning.
    pub const PROVISIONING: u8 = 0xb2;
}

/// The body of page `code`; `None` where the target answered another.
pub fn body(bytes: &[u8], code: u8) -> Option<&[u8]> {
    let [_, found, ..] = *bytes else { return None };
    (found == code && bytes.len() >= 4).then(|| list(bytes, 4, number(bytes, 2, 2)))
}

/// Whether page 00h lists `code`. A target need not list in ascending order to be understood.
pub fn lists(supported: &[u8], code: u8) -> bool {
    body(supported, page::SUPPORTED).is_some_and(|codes| codes.contains(&code))
}

/// Unit serial number.
pub fn serial(bytes: &[u8]) -> Option<Text> {
    body(bytes, page::SERIAL).map(Text::new)
}

/// What names a logical unit wherever it is seen: the best of page 83h that is the unit's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Designator {
    /// 1 a vendor's, 2 EUI-64, 3 NAA, 8 SCSI name; 0 where there is none.
    pub kind: u8,
    /// Bytes of it.
    pub len: u8,
    /// It; what does not fit is left out.
    pub bytes: [u8; 16],
}

impl Designator {
    /// The best one of the page: NAA before EUI-64 before a vendor's.
    pub fn best(bytes: &[u8]) -> Option<Self> {
        let mut rest = body(bytes, page::IDENTIFICATION)?;
        let mut best: Option<Self> = None;
        while let [_, kind, _, len, more @ ..] = rest {
            let Some(found) = more.get(..usize::from(*len)) else { break };
            // Association 0: the addressed unit, not its port or target.
            if kind >> 4 & 3 == 0 && matches!(kind & 0xf, 1..=3) && best.is_none_or(|best| best.kind < kind & 0xf) {
                let len = (*len).min(16);
                best = Some(Self { kind: kind & 0xf, len, bytes: padded(found) });
            }
            rest = more.get(usize::from(*len)..).unwrap_or_default();
        }
        best
    }
}

/// Block limits: SBC-3, 6.5.3. 0 means "not said" throughout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockLimits {
    /// Most blocks of a transfer.
    pub max_transfer: u32,
    /// Blocks beyond which a transfer gets slower.
    pub optimal_transfer: u32,
    /// Most blocks of an UNMAP.
    pub max_unmap: u32,
    /// Most descriptors of an UNMAP.
    pub max_unmap_descriptors: u32,
    /// Blocks in multiples of which unmapping works.
    pub unmap_granularity: u32,
    /// Most blocks of a WRITE SAME.
    pub max_write_same: u64,
    /// Most blocks of a COMPARE AND WRITE.
    pub max_compare_and_write: u8,
}

/// The page as it is sent.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct LimitsBody {
    flags: u8,
    max_compare_and_write: u8,
    granularity: U16,
    max_transfer: U32,
    optimal_transfer: U32,
    max_prefetch: U32,
    max_unmap: U32,
    max_unmap_descriptors: U32,
    unmap_granularity: U32,
    unmap_alignment: U32,
    max_write_same: U64,
}

impl BlockLimits {
    /// What `bytes` say.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let found: LimitsBody = padded(body(bytes, page::LIMITS)?);
        Some(Self {
            max_transfer: found.max_transfer.get(),
            optimal_transfer: found.optimal_transfer.get(),
            max_unmap: found.max_unmap.get(),
            max_unmap_descriptors: found.max_unmap_descriptors.get(),
            unmap_granularity: found.unmap_granularity.get(),
            max_write_same: found.max_write_same.get(),
            max_compare_and_write: found.max_compare_and_write,
        })
    }
}

/// Block device characteristics: SBC-3, 6.5.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Characteristics {
    /// Revolutions a minute; 0 is not said, 1 does not rotate.
    pub rotation: u16,
    /// 1: zoned, and bears any write; 2: zoned, and hides it. One that hosts must manage is of another device type.
    pub zoned: u8,
}

impl Characteristics {
    /// What `bytes` say.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let found = body(bytes, page::CHARACTERISTICS)?;
        let rotation = u16::try_from(number(found, 0, 2)).unwrap_or(0);
        Some(Self { rotation, zoned: found.get(4).map_or(0, |flags| flags >> 4 & 3) })
    }
}

/// Logical block provisioning: SBC-3, 6.5.4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Provisioning {
    /// UNMAP is there.
    pub unmap: bool,
    /// WRITE SAME (16) can unmap.
    pub write_same: bool,
    /// What is unmapped reads as zeroes.
    pub zeroes: bool,
    /// 1 fully provisioned, 2 thin; 0 not said.
    pub kind: u8,
}

impl Provisioning {
    /// What `bytes` say.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let found = body(bytes, page::PROVISIONING)?;
        let flags = number(found, 1, 1);
        Some(Self {
            unmap: flags & 0x80 != 0,
            write_same: flags & 0x40 != 0,
            zeroes: flags & 0x1c == 4,
            kind: found.get(2).map_or(0, |kind| kind & 7),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::hex;
    use super::*;

    #[test]
    fn what_qemu_answers() {
        let supported = hex("00 00 00 06 00 80 83 b0 b1 b2");
        assert!([0x80, 0x83, 0xb0, 0xb1, 0xb2].iter().all(|code| lists(&supported, *code)) && !lists(&supported, 0xb6));
        assert_eq!(serial(&hex("00 80 00 05 4f 52 49 4f 4e")).unwrap().as_str(), "ORION");
        let limits =
            hex("00 b0 00 3c 01 00 00 00 00 3f ff c0 00 00 00 00 00 00 00 00 00 20 00 00 00 00 00 ff 00 00 00 08
             00 00 00 00 00 00 00 00 00 20 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
        let limits = BlockLimits::parse(&limits).unwrap();
        assert_eq!((limits.max_transfer, limits.max_unmap, limits.max_unmap_descriptors), (0x3f_ffc0, 0x20_0000, 255));
        assert_eq!((limits.unmap_granularity, limits.max_write_same), (8, 0x20_0000));
        let provisioning = Provisioning::parse(&hex("00 b2 00 08 00 e0 01 00 00 00 00 00")).unwrap();
        assert_eq!(provisioning, Provisioning { unmap: true, write_same: true, zeroes: false, kind: 1 });
        assert_eq!(Characteristics::parse(&hex("00 b1 00 3c 00 01 00 02 00")).unwrap().rotation, 1);
    }

    #[test]
    fn the_best_name_of_the_unit_itself_is_taken() {
        let page = hex("00 83 00 2c 02 01 00 04 41 42 43 44 61 93 00 08 50 00 00 00 00 00 00 01
             01 03 00 08 50 01 43 80 12 34 56 78 01 02 00 08 00 11 22 33 44 55 66 77");
        let best = Designator::best(&page).unwrap();
        assert_eq!((best.kind, best.len, &best.bytes[..8]), (3, 8, &hex("50 01 43 80 12 34 56 78")[..]));
    }

    #[test]
    fn lengths_that_lie_end_where_the_bytes_do() {
        assert_eq!(serial(&hex("00 80 ff ff 41")).unwrap().as_str(), "A");
        assert_eq!(serial(&hex("00 83 00 01 41")), None);
        assert_eq!(BlockLimits::parse(&hex("00 b0 00 04 00 00 00 00")), Some(BlockLimits::default()));
        assert_eq!(Designator::best(&hex("00 83 00 08 01 03 00 ff 50 01 43 80")), None);
        for len in 0..4 {
            assert!(body(&[0, 0x80, 0, 0][..len], 0x80).is_none());
        }
    }
}

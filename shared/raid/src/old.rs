// SPDX-License-Identifier: MIT
//! Superblocks of version 0.90: 1024 words in the byte order of the machine that made them.
use crate::superblock::Uuid;
use crate::wire::{self, FAULTY, SPARE, SUPER_BYTES};
use crate::{Kind, Super, Version};
use heapless::Vec;

/// Devices that a superblock has room for.
const DISKS: usize = 27;
/// The first word of the disks' descriptors, and words of one.
const DESCRIPTORS: (usize, usize) = (128, 32);
/// The word of this disk's descriptor.
const THIS: usize = 992;
/// The word of the checksum.
const SUM: usize = 38;
/// Bits of a descriptor's state.
const STATE: (u32, u32, u32) = (1 << 0, 1 << 1, 1 << 2);

/// The words of one.
struct Words<'a> {
    bytes: &'a [u8],
    big: bool,
}

impl Words<'_> {
    fn get(&self, index: usize) -> u32 {
        let bytes = self.bytes.get(index * 4..).and_then(|b| b.first_chunk::<4>()).copied().unwrap_or_default();
        if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    /// Two words that make a number; the low one comes first on a little-endian machine.
    fn long(&self, index: usize) -> u64 {
        let (low, high) = if self.big { (index + 1, index) } else { (index, index + 1) };
        u64::from(self.get(high)) << 32 | u64::from(self.get(low))
    }

    fn sum(&self) -> u32 {
        let words = (0..SUPER_BYTES / 4).filter(|&index| index != SUM);
        wire::fold(words.map(|index| u64::from(self.get(index))).fold(0, u64::wrapping_add))
    }

    /// The role in the descriptor at a word.
    fn role(&self, at: usize) -> u16 {
        let (faulty, active, sync) = STATE;
        let state = self.get(at + 4);
        if state & faulty != 0 {
            FAULTY
        } else if state & (active | sync) == active | sync {
            u16::try_from(self.get(at + 3)).unwrap_or(FAULTY)
        } else {
            SPARE
        }
    }

    fn uuid(&self) -> Uuid {
        let mut uuid = [0; 16];
        for (to, word) in uuid.chunks_exact_mut(4).zip([5, 13, 14, 15]) {
            to.copy_from_slice(&self.get(word).to_be_bytes());
        }
        Uuid(uuid)
    }
}

/// The superblock in `bytes`, read at `sector` of a device of `sectors`.
pub(crate) fn parse(bytes: &[u8], big: bool, sector: u64, sectors: u64) -> Result<Super, Kind> {
    let words = Words { bytes: bytes.get(..SUPER_BYTES).ok_or(Kind::Short)?, big };
    let (major, minor) = (words.get(1), words.get(2));
    if major != 0 {
        return Err(Kind::Major(major));
    }
    if minor != 90 && minor != 91 {
        return Err(Kind::Minor(minor));
    }
    if words.sum() != words.get(SUM) {
        return Err(Kind::Sum { says: words.get(SUM), is: words.sum() });
    }
    let disks = words.get(10);
    if usize::try_from(disks).is_ok_and(|disks| disks > DISKS) {
        return Err(Kind::Members(disks));
    }
    let number = words.get(THIS);
    let role = words.role(THIS);
    let roles: Vec<u16, { crate::MEMBERS_MAX }> =
        (0..DISKS).map(|disk| words.role(DESCRIPTORS.0 + disk * DESCRIPTORS.1)).collect();
    let clean = words.get(33) & 1 != 0;
    let parsed = Super {
        version: if big { Version::V090Big } else { Version::V090 },
        set: words.uuid(),
        name: [0; 32],
        level: words.get(7).cast_signed(),
        layout: words.get(64),
        features: 0,
        chunk: words.get(65) / 512,
        raid_disks: disks,
        size: u64::from(words.get(8)) * 2,
        data_offset: 0,
        data_size: sector,
        super_offset: sector,
        number,
        device: Uuid::default(),
        role: crate::superblock::role_from(role),
        roles,
        events: words.long(39),
        created: words.get(6).into(),
        updated: words.get(32).into(),
        resync: (!clean).then(|| words.get(43).into()),
        recovery: None,
        reshape: (minor == 91).then(|| reshape(&words)),
        bitmap: None,
        ppl: None,
        log: None,
        flags: 0,
    };
    parsed.check(sectors).map(|()| parsed)
}

fn reshape(words: &Words<'_>) -> crate::Reshape {
    let delta_disks = words.get(47).cast_signed();
    crate::Reshape {
        position: words.long(44),
        backwards: delta_disks < 0,
        level: words.get(46).cast_signed(),
        delta_disks,
        layout: words.get(48),
        chunk: words.get(49) / 512,
        offset: 0,
    }
}

// SPDX-License-Identifier: MIT
//! IDENTIFY DEVICE (ACS-3, section 7.12): checked words of what a drive says of itself.
use orion_block::BlockSize;
use orion_driver::Text;
use zerocopy::byteorder::little_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The 256 words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Identify(pub [U16; 256]);

/// What is wrong with a drive's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// The checksum is wrong.
    Checksum,
    /// It is no ATA drive.
    Kind,
    /// It has no blocks, or more than can be addressed.
    Capacity,
    /// Its blocks are of no size that we know.
    Block,
    /// It has neither DMA nor blocks that are addressed by number.
    Ancient,
}

impl Lie {
    /// One sentence for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Checksum => "IDENTIFY's checksum is wrong",
            Self::Kind => "IDENTIFY says that this is no ATA drive",
            Self::Capacity => "IDENTIFY gives no capacity, or one beyond 48-bit addresses",
            Self::Block => "IDENTIFY gives a size of blocks that is none",
            Self::Ancient => "the drive does not address blocks by number",
        }
    }
}

/// What a drive is and can do, as far as the driver uses it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drive {
    /// Its model.
    pub model: Text,
    /// Its serial number.
    pub serial: Text,
    /// Its firmware's revision.
    pub firmware: Text,
    /// Its logical blocks.
    pub block: BlockSize,
    /// Its physical ones.
    pub physical: BlockSize,
    /// Logical blocks.
    pub capacity: u64,
    /// DMA.
    pub dma: bool,
    /// 48-bit commands.
    pub lba48: bool,
    /// Commands that can be queued; 0 without NCQ.
    pub queue: u8,
    /// Some command flushes its cache.
    pub flush: bool,
    /// FLUSH CACHE EXT.
    pub flush_ext: bool,
    /// Writes can be forced to the medium.
    pub fua: bool,
    /// Its write cache is on.
    pub cache: bool,
    /// It has a write cache that can be turned on and off.
    pub cache_control: bool,
    /// It can read ahead.
    pub look_ahead: bool,
    /// TRIM.
    pub trim: bool,
    /// Blocks that were trimmed read as zeroes.
    pub trim_zeroes: bool,
    /// SMART.
    pub smart: bool,
    /// It is on.
    pub smart_on: bool,
    /// It keeps a log of self-tests.
    pub self_test: bool,
    /// Passwords that are not frozen.
    pub unfrozen: bool,
    /// It bears a host that lets an idle link save power.
    pub host_power: bool,
    /// It can do so itself.
    pub device_power: bool,
}

impl Identify {
    fn word(&self, index: usize) -> u16 {
        self.0.get(index).map_or(0, |word| word.get())
    }

    fn has(&self, index: usize, bit: u32) -> bool {
        self.word(index) >> bit & 1 != 0
    }

    /// A bit of words 82 to 87 and 119 to 120, which are valid where the pair's second word says so in its top bits.
    fn valid(&self, word: usize, witness: usize, bit: u32) -> bool {
        self.word(witness) >> 14 == 1 && self.has(word, bit)
    }

    fn number<const N: usize>(&self, first: usize) -> u64 {
        (0..N).rev().fold(0, |number, i| number << 16 | u64::from(self.word(first + i)))
    }

    /// Text: two characters a word, the first in its high half.
    fn text<const N: usize>(&self, first: usize) -> Text {
        let mut bytes = [[0; 2]; N];
        for (i, to) in bytes.iter_mut().enumerate() {
            *to = self.word(first + i).to_be_bytes();
        }
        Text::new(bytes.as_flattened())
    }

    /// Word 255: where its low half is A5h, all bytes add up to 0.
    fn whole(&self) -> bool {
        let sum = self.as_bytes().iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        self.word(255) & 0xff != 0xa5 || sum == 0
    }

    fn logical(&self) -> Option<BlockSize> {
        // Word 106 is valid where its top bits are 01; bit 12: words 117 and 118 are valid.
        if self.word(106) >> 14 != 1 || !self.has(106, 12) {
            return Some(BlockSize::B512);
        }
        u32::try_from(self.number::<2>(117)).ok()?.checked_mul(2).and_then(BlockSize::from_bytes)
    }

    fn physical(&self, logical: BlockSize) -> BlockSize {
        if self.word(106) >> 14 != 1 || !self.has(106, 13) {
            return logical;
        }
        let exponent = self.word(106).to_le_bytes().first().map_or(0, |low| low & 15);
        BlockSize::from_shift(logical.shift().saturating_add(exponent)).unwrap_or(logical)
    }

    /// What the words say.
    ///
    /// # Errors
    /// [`Lie`] where the drive cannot be used as it says it is.
    pub fn parse(&self) -> Result<Drive, Lie> {
        if !self.whole() {
            return Err(Lie::Checksum);
        }
        // Word 0 bit 15: no ATA device. All zeroes or all ones: nobody answered.
        if self.has(0, 15) || self.0.iter().all(|word| word.get() == 0) {
            return Err(Lie::Kind);
        }
        let block = self.logical().ok_or(Lie::Block)?;
        let lba48 = self.valid(83, 83, 10);
        let capacity = if lba48 { self.number::<4>(100) } else { self.number::<2>(60) };
        let most = if lba48 { 1 << 48 } else { 1 << 28 };
        if !self.has(49, 9) {
            return Err(Lie::Ancient);
        }
        if capacity == 0 || capacity > most || capacity.checked_mul(block.bytes().into()).is_none() {
            return Err(Lie::Capacity);
        }
        let flush_ext = lba48 && self.valid(83, 83, 13);
        let enabled = |word, bit| self.valid(word, 87, bit);
        let [queue, _] = self.word(75).to_le_bytes();
        Ok(Drive {
            model: self.text::<20>(27),
            serial: self.text::<10>(10),
            firmware: self.text::<4>(23),
            block,
            physical: self.physical(block),
            capacity,
            dma: self.has(49, 8),
            lba48,
            // Word 76 is valid unless it is 0 or FFFFh; bit 8: NCQ.
            queue: if lba48 && self.word(76) != 0xffff && self.has(76, 8) { (queue & 31) + 1 } else { 0 },
            flush: flush_ext || self.valid(83, 83, 12),
            flush_ext,
            fua: lba48 && self.valid(84, 84, 6),
            cache: enabled(85, 5),
            cache_control: self.valid(82, 83, 5),
            look_ahead: self.valid(82, 83, 6),
            // Word 169 bit 0. Word 69 bits 14 and 5: what is read is defined, and zero.
            trim: self.word(169) != 0xffff && self.has(169, 0),
            trim_zeroes: self.has(69, 14) && self.has(69, 5),
            smart: self.valid(82, 83, 0),
            smart_on: enabled(85, 0),
            self_test: self.valid(84, 84, 1),
            // Words 76 and 78 are valid unless they are 0 or FFFFh.
            host_power: self.word(76) != 0xffff && self.has(76, 9),
            device_power: self.word(78) != 0xffff && self.has(78, 3),
            // Word 128: bit 0: passwords; bit 3: frozen.
            unfrozen: self.valid(82, 83, 1) && self.has(128, 0) && !self.has(128, 3),
        })
    }
}

impl Drive {
    /// Whether a drive that came back as `now` can serve those who were told of `self`: the same one, no smaller, working alike.
    pub fn outlives(&self, now: &Self) -> bool {
        now.capacity >= self.capacity && *self == Self { capacity: self.capacity, unfrozen: self.unfrozen, ..*now }
    }
}

const _: () = assert!(size_of::<Identify>() == 512);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(set: &[(usize, u16)]) -> Identify {
        let mut words = [U16::ZERO; 256];
        for (index, value) in [(49, 0x300), (83, 0x4000), (84, 0x4000), (87, 0x4000), (60, 100)].iter().chain(set) {
            words[*index] = (*value).into();
        }
        Identify(words)
    }

    #[test]
    fn a_plain_drive_is_what_its_words_say() {
        let drive = words(&[(27, 0x5155), (28, 0x2020), (85, 1 << 5)]).parse().unwrap();
        assert_eq!((drive.model.as_str(), drive.capacity, drive.block), ("QU", 100, BlockSize::B512));
        assert!(drive.dma && drive.cache && !drive.lba48 && drive.queue == 0 && !drive.trim && !drive.flush);
    }

    #[test]
    fn large_blocks_and_large_disks() {
        let set = [(83, 0x4400), (100, 0), (103, 1), (106, 0x5000), (117, 2048), (118, 0), (76, 0x100), (75, 31)];
        let drive = words(&set).parse().unwrap();
        assert_eq!((drive.capacity, drive.block, drive.queue), (1 << 48, BlockSize::B4096, 32));
        let physical = words(&[(106, 0x6003)]).parse().unwrap();
        assert_eq!((physical.block, physical.physical), (BlockSize::B512, BlockSize::B4096));
    }

    #[test]
    fn lies_are_named() {
        for (set, lie) in [
            (&[(60, 0)][..], Lie::Capacity),
            (&[(61, 0x1001)], Lie::Capacity),
            (&[(83, 0x4400), (103, 2)], Lie::Capacity),
            (&[(0, 0x8000)], Lie::Kind),
            (&[(106, 0x5000), (117, 300)], Lie::Block),
            (&[(106, 0x5000)], Lie::Block),
            (&[(106, 0x5000), (118, 0xffff)], Lie::Block),
            (&[(49, 0)], Lie::Ancient),
            (&[(255, 0xa5)], Lie::Checksum),
        ] {
            assert_eq!(words(set).parse(), Err(lie), "{set:?}");
        }
        assert_eq!(Identify([U16::ZERO; 256]).parse(), Err(Lie::Kind));
        assert!(Identify([U16::new(0xffff); 256]).parse().is_err());
    }

    #[test]
    fn bits_count_only_where_their_words_are_valid() {
        let all = words(&[(82, 0xffff), (83, 0xffff), (84, 0xffff), (85, 0xffff), (87, 0xffff), (76, 0xffff)]);
        let drive = all.parse().unwrap();
        assert!(!drive.lba48 && !drive.cache && !drive.smart && !drive.fua && drive.queue == 0 && !drive.unfrozen);
    }

    proptest! {
        #[test]
        fn whatever_a_drive_says_the_answer_makes_sense(raw in proptest::collection::vec(any::<u16>(), 256)) {
            let identify = Identify(core::array::from_fn(|i| raw[i].into()));
            if let Ok(drive) = identify.parse() {
                prop_assert!(drive.capacity > 0 && drive.capacity <= 1 << 48 && drive.queue <= 32);
                prop_assert!(drive.capacity.checked_mul(drive.block.bytes().into()).is_some());
                prop_assert!(drive.physical >= drive.block && drive.outlives(&drive));
            }
        }
    }
}

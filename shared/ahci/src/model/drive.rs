// SPDX-License-Identifier: MIT
//! A drive: its blocks, and what it says of itself.
use super::Medium;
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

/// A drive.
#[derive(Debug)]
pub struct Drive {
    /// IDENTIFY's words. A test may change them at will.
    pub identify: [u16; 256],
    /// Its content, as reads see it.
    pub content: Vec<u8>,
    /// Its content after a loss of power.
    pub durable: Vec<u8>,
    /// What holds its blocks, if not `content`.
    pub medium: Option<Box<dyn Medium>>,
    /// Bytes of a logical block.
    pub block: usize,
    /// Its write cache is on.
    pub cache: bool,
    /// It reads ahead.
    pub look_ahead: bool,
    /// Its passwords are frozen.
    pub frozen: bool,
    /// It is about to fail.
    pub failing: bool,
    /// What it sends when it is ready.
    pub signature: u32,
    /// Blocks that cannot be read.
    pub bad: Vec<u64>,
    /// What it sends is damaged on its way.
    pub damages: bool,
    /// Log page 10h.
    pub log: [u8; 512],
    /// A queued command has failed, and nobody has asked which.
    pub aborted: bool,
    /// It does not get ready when its link is reset, only when it is reset by software.
    pub sulks: bool,
    /// It lets an idle link save power.
    pub saves: bool,
    /// Its port was stopped while it had queued commands: it must be reset.
    pub stale: bool,
}

/// Words of IDENTIFY for a drive of `blocks` blocks of `block` bytes that can do everything.
pub fn words(blocks: u64, block: usize) -> [u16; 256] {
    let mut words = [0u16; 256];
    let mut text = |first: usize, len: usize, text: &str| {
        let padded: Vec<u8> = text.bytes().chain(core::iter::repeat(b' ')).take(2 * len).collect();
        for (i, pair) in padded.chunks(2).enumerate() {
            words[first + i] = u16::from_be_bytes([pair[0], pair[1]]);
        }
    };
    text(10, 10, "SN-0001");
    text(23, 4, "1.0");
    text(27, 20, "ORION MODEL DISK");
    words[49] = 0x0300;
    let short = blocks.min((1 << 28) - 1) as u32;
    (words[60], words[61]) = (short as u16, (short >> 16) as u16);
    (words[75], words[76], words[78]) = (31, 0x300, 8);
    // SMART, passwords, write cache, look-ahead; 48 bits, both flushes; self-tests, FUA.
    (words[82], words[83], words[84]) = (0x0063, 0x7400, 0x4042);
    (words[85], words[86], words[87]) = (0x0061, 0x3400, 0x4042);
    for i in 0..4 {
        words[100 + i] = (blocks >> (16 * i)) as u16;
    }
    words[69] = 0x4020;
    words[105] = 1;
    words[128] = 1;
    words[169] = 1;
    if block != 512 {
        words[106] = 0x5000;
        (words[117], words[118]) = ((block / 2) as u16, ((block / 2) >> 16) as u16);
    }
    words
}

impl Drive {
    /// A drive of `blocks` blocks of `block` bytes that can do everything.
    pub fn new(blocks: usize, block: usize) -> Self {
        let content: Vec<u8> = (0..blocks * block).map(|i| (i / 512 * 7 + i) as u8).collect();
        Self {
            identify: words(blocks as u64, block),
            durable: content.clone(),
            content,
            medium: None,
            block,
            cache: true,
            look_ahead: true,
            frozen: false,
            failing: false,
            signature: 0x101,
            bad: Vec::new(),
            damages: false,
            log: [0; 512],
            aborted: false,
            sulks: false,
            saves: false,
            stale: false,
        }
    }

    /// A drive that can do everything, without bytes of its own.
    pub fn over(blocks: u64, block: usize, medium: Box<dyn Medium>) -> Self {
        Self { identify: words(blocks, block), medium: Some(medium), ..Self::new(0, block) }
    }

    /// The same with bits of a word cleared, and others set.
    #[must_use]
    pub fn with(mut self, word: usize, clear: u16, set: u16) -> Self {
        self.identify[word] = self.identify[word] & !clear | set;
        self
    }

    /// The same without NCQ.
    #[must_use]
    pub fn without_ncq(self) -> Self {
        self.with(76, 0x100, 0)
    }

    /// The same without 48-bit commands, NCQ and FUA.
    #[must_use]
    pub fn without_48(self) -> Self {
        self.without_ncq().with(83, 0x2400, 0).with(84, 0x40, 0)
    }

    /// IDENTIFY's data as they are now.
    pub(super) fn identity(&self) -> [u8; 512] {
        let mut words = self.identify;
        words[85] = words[85] & !0x60 | u16::from(self.cache) << 5 | u16::from(self.look_ahead) << 6;
        words[128] |= u16::from(self.frozen) << 3;
        let mut bytes = [0; 512];
        bytes.copy_from_slice(words.map(u16::to_le_bytes).as_flattened());
        bytes
    }

    /// It is reset, by COMRESET or by software.
    pub(super) fn reset(&mut self) {
        (self.aborted, self.stale) = (false, false);
    }

    /// The bytes of some blocks, if it has them.
    fn range(&self, lba: u64, bytes: usize) -> Option<core::ops::Range<usize>> {
        let start = usize::try_from(lba).ok()?.checked_mul(self.block)?;
        let end = start.checked_add(bytes)?;
        (bytes > 0 && bytes.is_multiple_of(self.block) && end <= self.content.len()).then_some(start..end)
    }

    fn sector(&self, lba: u64) -> u64 {
        lba * (self.block as u64 / 512)
    }

    pub(super) fn read(&mut self, lba: u64, bytes: usize) -> Result<Vec<u8>, u8> {
        let mut found = vec![0; bytes];
        let blocks = (bytes / self.block) as u64;
        if self.bad.iter().any(|bad| (lba..lba + blocks).contains(bad)) {
            return Err(0x40);
        }
        if self.damages {
            return Err(0x84);
        }
        let sector = self.sector(lba);
        match &mut self.medium {
            Some(medium) => medium.read(sector, &mut found).then_some(found).ok_or(0x40),
            None => {
                found.copy_from_slice(&self.content[self.range(lba, bytes).ok_or(0x10)?]);
                Ok(found)
            }
        }
    }

    pub(super) fn write(&mut self, lba: u64, bytes: &[u8], forced: bool) -> Result<(), u8> {
        let sector = self.sector(lba);
        if let Some(medium) = &mut self.medium {
            let done = medium.write(sector, bytes) && (!forced || medium.flush());
            return if done { Ok(()) } else { Err(0x10) };
        }
        let range = self.range(lba, bytes.len()).ok_or(0x10)?;
        self.content[range.clone()].copy_from_slice(bytes);
        if forced || !self.cache {
            self.durable[range].copy_from_slice(bytes);
        }
        Ok(())
    }

    pub(super) fn trim(&mut self, lba: u64, blocks: u64) -> Result<(), u8> {
        let sector = self.sector(lba);
        if let Some(medium) = &mut self.medium {
            let sectors = (blocks * (self.block as u64 / 512)) as u32;
            // Word 69, bits 14 and 5: what is trimmed reads as zeroes from then on.
            let zeroes = self.identify[69] & 0x4020 == 0x4020;
            return if medium.clear(sector, sectors, zeroes) { Ok(()) } else { Err(4) };
        }
        let range = self.range(lba, blocks as usize * self.block).ok_or(0x10)?;
        self.content[range].fill(0);
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<(), u8> {
        if let Some(medium) = &mut self.medium {
            return if medium.flush() { Ok(()) } else { Err(4) };
        }
        self.durable.clone_from(&self.content);
        Ok(())
    }
}

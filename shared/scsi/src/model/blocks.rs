// SPDX-License-Identifier: MIT
//! Commands on blocks (SBC-3, section 5).
use super::{Disk, INVALID_FIELD};
use crate::wire::sense::Sense;
use core::ops::Range;
use std::vec;
use std::vec::Vec;

fn be(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The kind of a command on blocks, and those that it is for.
pub(super) fn touched(cdb: &[u8]) -> Option<(u8, Range<u64>)> {
    let (lba, count) = match cdb[0] {
        0x28 | 0x2a | 0x2f => (be(&cdb[2..6]), be(&cdb[7..9])),
        0xa8 | 0xaa => (be(&cdb[2..6]), be(&cdb[6..10])),
        0x88 | 0x8a | 0x8f | 0x93 => (be(&cdb[2..10]), be(&cdb[10..14])),
        0x89 => (be(&cdb[2..10]), cdb[13].into()),
        _ => return None,
    };
    Some((cdb[0], lba..lba.saturating_add(count)))
}

const BEYOND: Sense = Sense::new(5, 0x21, 0);
const PROTECTED: Sense = Sense::new(7, 0x27, 0);
const UNREADABLE: Sense = Sense::new(3, 0x11, 0);
const UNWRITABLE: Sense = Sense::new(3, 0x0c, 0);

impl Disk {
    pub(super) fn block_command(&mut self, cdb: &[u8], out: &[u8]) -> Result<Vec<u8>, Sense> {
        match cdb[0] {
            0x35 | 0x91 => self.synchronize(),
            0x42 => self.unmap(cdb, out),
            _ => {
                let (opcode, range) = touched(cdb).ok_or(Sense::new(5, 0x20, 0))?;
                self.transfer(opcode, cdb, range, out)
            }
        }
    }

    fn transfer(&mut self, opcode: u8, cdb: &[u8], range: Range<u64>, out: &[u8]) -> Result<Vec<u8>, Sense> {
        let blocks = range.end - range.start;
        if range.end > self.blocks {
            return Err(BEYOND);
        }
        if self.max_transfer > 0 && blocks > u64::from(self.max_transfer) && opcode != 0x93 {
            return Err(INVALID_FIELD);
        }
        let write = matches!(opcode, 0x2a | 0xaa | 0x8a | 0x93 | 0x89);
        if write && self.write_protected {
            return Err(PROTECTED);
        }
        let force = cdb[1] & 8 != 0;
        assert!(!force || self.fua || !matches!(opcode, 0x2a | 0xaa | 0x8a), "FUA that was not offered");
        let bytes = blocks as usize * self.block;
        match opcode {
            0x28 | 0xa8 | 0x88 => self.read(range),
            0x2f | 0x8f => Ok(vec![]),
            0x2a | 0xaa | 0x8a => {
                assert_eq!(out.len(), bytes, "a payload that is not what the command says");
                self.write(range, out, force)
            }
            0x93 => {
                assert!(cdb[1] & 0x1f == 0 && out.len() == self.block, "WRITE SAME of a block that is only written");
                if self.max_write_same > 0 && blocks > self.max_write_same || blocks == 0 {
                    return Err(INVALID_FIELD);
                }
                if let Some(medium) = &mut self.medium {
                    assert!(out.iter().all(|byte| *byte == 0), "only zeroes are written so");
                    let sectors = (self.block / 512) as u64;
                    let ok = medium.clear(range.start * sectors, (blocks * sectors) as u32, true);
                    return if ok { Ok(vec![]) } else { Err(UNWRITABLE) };
                }
                self.write(range, &out.repeat(blocks as usize), false)
            }
            _ => {
                assert_eq!(out.len(), 2 * bytes);
                let old = self.read(range.clone())?;
                if old != out[..bytes] {
                    return Err(Sense::new(0xe, 0x1d, 0));
                }
                self.write(range, &out[bytes..], force)
            }
        }
    }

    fn place(&self, range: &Range<u64>) -> Range<usize> {
        range.start as usize * self.block..range.end as usize * self.block
    }

    fn read(&mut self, range: Range<u64>) -> Result<Vec<u8>, Sense> {
        let place = self.place(&range);
        match &mut self.medium {
            None => Ok(self.content[place].to_vec()),
            Some(medium) => {
                let mut bytes = vec![0; place.len()];
                let ok = medium.read((place.start / 512) as u64, &mut bytes);
                if ok { Ok(bytes) } else { Err(UNREADABLE) }
            }
        }
    }

    fn write(&mut self, range: Range<u64>, from: &[u8], force: bool) -> Result<Vec<u8>, Sense> {
        let place = self.place(&range);
        if let Some(medium) = &mut self.medium {
            let ok = medium.write((place.start / 512) as u64, from) && (!force || medium.flush());
            return if ok { Ok(vec![]) } else { Err(UNWRITABLE) };
        }
        self.content[place.clone()].copy_from_slice(from);
        if force || !self.write_cache {
            self.durable[place].copy_from_slice(from);
        }
        Ok(vec![])
    }

    fn synchronize(&mut self) -> Result<Vec<u8>, Sense> {
        if let Some(medium) = &mut self.medium {
            return if medium.flush() { Ok(vec![]) } else { Err(UNWRITABLE) };
        }
        self.durable.clone_from(&self.content);
        Ok(vec![])
    }

    fn unmap(&mut self, cdb: &[u8], out: &[u8]) -> Result<Vec<u8>, Sense> {
        assert!(self.max_unmap > 0, "an UNMAP that was not offered");
        assert!(be(&cdb[7..9]) as usize == out.len() && be(&out[..2]) as usize == out.len() - 2);
        assert_eq!(be(&out[2..4]) as usize, out.len() - 8);
        if self.write_protected {
            return Err(PROTECTED);
        }
        for descriptor in out[8..].chunks_exact(16) {
            let (lba, blocks) = (be(&descriptor[..8]), be(&descriptor[8..12]));
            if lba + blocks > self.blocks {
                return Err(BEYOND);
            }
            if blocks > u64::from(self.max_unmap) {
                return Err(Sense::new(5, 0x26, 0));
            }
            let place = self.place(&(lba..lba + blocks));
            match &mut self.medium {
                Some(medium) => {
                    if !medium.clear((place.start / 512) as u64, (place.len() / 512) as u32, false) {
                        return Err(UNWRITABLE);
                    }
                }
                // What is unmapped reads as anything.
                None => self.content[place.clone()].fill(0xdd),
            }
            if !self.write_cache && self.medium.is_none() {
                self.durable[place].fill(0xdd);
            }
        }
        Ok(vec![])
    }
}

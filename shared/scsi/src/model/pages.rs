// SPDX-License-Identifier: MIT
//! What a disk says of itself.
use super::{Disk, INVALID_FIELD};
use crate::wire::sense::Sense;
use std::vec;
use std::vec::Vec;

/// A log page: with its code and length before it.
fn page(code: u8, body: &[u8]) -> Vec<u8> {
    [&[code, 0][..], &(body.len() as u16).to_be_bytes(), body].concat()
}

/// A VPD page: the code is the second byte.
fn vital(code: u8, body: &[u8]) -> Vec<u8> {
    [&[0, code][..], &(body.len() as u16).to_be_bytes(), body].concat()
}

fn parameter(code: u16, value: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &[3, value.len() as u8], value].concat()
}

impl Disk {
    pub(super) fn inquiry(&self, cdb: &[u8]) -> Result<Vec<u8>, Sense> {
        if cdb[1] & 1 == 0 {
            let mut bytes = vec![0, 0, self.version, 0x12, 31, 0, 0, 2];
            bytes.extend(b"ORION   MODEL DISK      0.1 ");
            return Ok(bytes);
        }
        if self.version < 3 {
            return Err(INVALID_FIELD);
        }
        Ok(match cdb[2] {
            0x00 => vital(0, &[0, 0x80, 0x83, 0xb0, 0xb1, 0xb2]),
            0x80 => vital(0x80, self.serial.as_bytes()),
            0x83 => vital(0x83, &[[1, 3, 0, 8].as_slice(), &self.naa()].concat()),
            0xb0 => vital(0xb0, &self.block_limits()),
            0xb1 => vital(0xb1, &[[0, 1].as_slice(), &[0; 58]].concat()),
            0xb2 => vital(0xb2, &[0, if self.max_unmap > 0 { 0x80 } else { 0 }, 0, 0]),
            _ => return Err(INVALID_FIELD),
        })
    }

    fn naa(&self) -> [u8; 8] {
        let sum = self.serial.bytes().fold(7u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let [a, b, c, d] = sum.to_be_bytes();
        [0x50, 0x01, 0x43, 0x80, a, b, c, d]
    }

    fn block_limits(&self) -> Vec<u8> {
        let mut body = vec![0; 60];
        body[4..8].copy_from_slice(&self.max_transfer.to_be_bytes());
        body[16..20].copy_from_slice(&self.max_unmap.to_be_bytes());
        body[20..24].copy_from_slice(&u32::from(self.max_unmap > 0).to_be_bytes());
        body[24..28].copy_from_slice(&8u32.to_be_bytes());
        body[32..40].copy_from_slice(&self.max_write_same.to_be_bytes());
        body
    }

    pub(super) fn capacity(&self, cdb: &[u8]) -> Result<Vec<u8>, Sense> {
        let last = self.blocks.wrapping_sub(1);
        let block = (self.block as u32).to_be_bytes();
        if cdb[0] == 0x25 {
            let last = u32::try_from(last).unwrap_or(u32::MAX);
            return Ok([last.to_be_bytes(), block].concat());
        }
        if cdb[1] & 0x1f != 0x10 {
            return Err(INVALID_FIELD);
        }
        // LBPME where blocks can be unmapped; a physical block of 4096 bytes.
        let exponent = (4096 / self.block).max(1).ilog2() as u8;
        let more = [0, exponent, if self.max_unmap > 0 { 0x80 } else { 0 }, 0];
        Ok([&last.to_be_bytes()[..], &block, &more, &[0; 16]].concat())
    }

    pub(super) fn mode_sense(&self, cdb: &[u8]) -> Result<Vec<u8>, Sense> {
        if cdb[2] & 0x3f != 8 && cdb[2] & 0x3f != 0x3f {
            return Err(INVALID_FIELD);
        }
        let specific = if self.write_protected { 0x80 } else { 0 } | if self.fua { 0x10 } else { 0 };
        let mut bytes = vec![23, 0, specific, 0, 8, 0x12, if self.write_cache { 4 } else { 0 }];
        bytes.resize(24, 0);
        Ok(bytes)
    }

    pub(super) fn mode_select(&mut self, out: &[u8]) -> Result<Vec<u8>, Sense> {
        if out.len() < 7 || out[0] != 0 || out[4] & 0xbf != 8 {
            return Err(Sense::new(5, 0x26, 0));
        }
        self.write_cache = out[6] & 4 != 0;
        if !self.write_cache {
            self.durable.clone_from(&self.content);
        }
        self.attentions.push_back((0x2a, 1));
        Ok(vec![])
    }

    pub(super) fn log_sense(&self, cdb: &[u8]) -> Result<Vec<u8>, Sense> {
        Ok(match cdb[2] & 0x3f {
            0x00 => page(0, &[0, 0x03, 0x0d, 0x0e, 0x15, 0x2f]),
            0x03 => page(3, &[parameter(5, &[0, 0, 1, 0, 0, 0, 0, 0]), parameter(6, &[0, 0, 0, 2])].concat()),
            0x0d => page(0x0d, &parameter(0, &[0, self.temperature])),
            0x0e => page(0x0e, &parameter(4, &[0, 0, 0, 12])),
            0x15 => page(0x15, &parameter(0, &[0, 0, 0, 120, 0, 0, 0, 0])),
            0x2f => page(0x2f, &parameter(0, &[0, 0, self.temperature, 0])),
            _ => return Err(INVALID_FIELD),
        })
    }
}

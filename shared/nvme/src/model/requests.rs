// SPDX-License-Identifier: MIT
//! Requests for blocks.
use super::{Model, Taken};
use crate::wire::status;
use core::ops::Range;
use std::vec;
use std::vec::Vec;

/// A run of bytes, as the controller names them.
type Run = (u64, usize);

impl Model {
    pub(super) fn perform(&mut self, command: &Taken) -> u16 {
        *self.done.entry((false, command.opcode())).or_default() += 1;
        if !self.spaces.contains_key(&command.namespace()) {
            return status::INVALID_NAMESPACE;
        }
        self.wake();
        if let Some(status) = self.unready(command.namespace()) {
            return status;
        }
        if let Some(status) = self.way(command.namespace()) {
            return status;
        }
        let (lba, blocks) = (command.long(10), (command.dwords[12] & 0xffff) + 1);
        match command.opcode() {
            0x79 | 0x7a => self.manage_zones(command),
            0x7d => self.append(command, lba, blocks),
            0 => self.flush(command),
            1 | 2 | 5 => self.transfer(command, lba, blocks),
            8 => {
                assert!(self.shape.controller.oncs.get() & 8 != 0, "write zeroes is not offered");
                self.clear(command, lba, blocks, true)
            }
            9 => self.deallocate(command),
            12 => self.verify(command, lba, blocks),
            _ => status::INVALID_OPCODE,
        }
    }

    /// A write to wherever the zone was written last.
    fn append(&mut self, command: &Taken, first: u64, blocks: u32) -> u16 {
        let most = self.shape.append_pages;
        let space = self.spaces.get_mut(&command.namespace()).unwrap();
        let (shift, zones) = (space.shift(), space.zones.as_mut().expect("an append to what has no zones"));
        let bytes = (blocks as usize) << shift;
        assert!(most == 0 || bytes <= 4096 << most, "{bytes} bytes, more than ZASL");
        assert_eq!(first % zones.size, 0, "an append to what is no zone's first block");
        let place = zones.pointer(first);
        let refused = zones.write(place, blocks);
        if refused != 0 {
            return refused;
        }
        let Some(range) = self.range(command, place, blocks) else { return status::OUT_OF_RANGE };
        let runs = self.runs(command, bytes);
        self.result = self.misplaced.take().unwrap_or(place);
        self.write(command, range.clone(), (range.start / 512) as u64, &runs)
    }

    fn first(&self, command: &Taken) -> bool {
        self.spaces.keys().next() == Some(&command.namespace())
    }

    fn flush(&mut self, command: &Taken) -> u16 {
        if let Some(medium) = self.medium.as_mut() {
            return if medium.flush() { 0 } else { 0x006 };
        }
        let space = self.spaces.get_mut(&command.namespace()).unwrap();
        space.durable.clone_from(&space.content);
        0
    }

    /// The bytes of some blocks, if there are such.
    fn range(&self, command: &Taken, lba: u64, blocks: u32) -> Option<Range<usize>> {
        let space = &self.spaces[&command.namespace()];
        let start = usize::try_from(lba).ok()?.checked_mul(1 << space.shift())?;
        let end = start.checked_add((blocks as usize) << space.shift())?;
        (lba + u64::from(blocks) <= space.identify.size.get()).then_some(start..end)
    }

    fn transfer(&mut self, command: &Taken, lba: u64, blocks: u32) -> u16 {
        let space = &self.spaces[&command.namespace()];
        let (shift, protected) = (space.shift(), space.identify.dps & 7 != 0);
        let bytes = (blocks as usize) << shift;
        assert!(
            self.shape.controller.mdts == 0 || bytes <= 4096 << self.shape.controller.mdts,
            "{bytes} bytes, more than MDTS"
        );
        assert_eq!(command.dwords[12] >> 29 & 1 == 1, protected, "PRACT");
        let tag = if protected { lba as u32 } else { 0 };
        assert_eq!(command.dwords[14], tag, "the reference tag");
        let Some(range) = self.range(command, lba, blocks) else { return status::OUT_OF_RANGE };
        let refused = self.zone_transfer(command, lba, blocks);
        if refused != 0 {
            return refused;
        }
        let runs = self.runs(command, bytes);
        let sector = (range.start / 512) as u64;
        match command.opcode() {
            2 => self.read(command, range, sector, &runs),
            5 => self.compare(command, range, sector, &runs),
            _ => self.write(command, range, sector, &runs),
        }
    }

    fn read(&mut self, command: &Taken, range: Range<usize>, sector: u64, runs: &[Run]) -> u16 {
        let mut copy = vec![0; range.len()];
        let first = self.first(command);
        match self.medium.as_mut().filter(|_| first) {
            Some(medium) => {
                if !medium.read(sector, &mut copy) {
                    return status::UNRECOVERED_READ;
                }
            }
            None => {
                let status = self.check(command, &range);
                if status != 0 {
                    return status;
                }
                copy.copy_from_slice(&self.spaces[&command.namespace()].content[range]);
            }
        }
        let mut rest = &copy[..];
        for (bus, len) in runs {
            let (now, later) = rest.split_at(*len);
            self.bus().store(*bus, now);
            rest = later;
        }
        0
    }

    /// Reads, and gives nothing away.
    fn verify(&mut self, command: &Taken, lba: u64, blocks: u32) -> u16 {
        if self.shape.controller.oncs.get() & 1 << 7 == 0 {
            return status::INVALID_OPCODE | 1 << 14;
        }
        if blocks > self.shape.verify_blocks {
            return status::INVALID_FIELD | 1 << 14;
        }
        if self.range(command, lba, blocks).is_none() {
            return status::OUT_OF_RANGE;
        }
        self.verified.push((lba, blocks));
        let bad = (lba..lba + u64::from(blocks)).any(|block| self.unreadable.contains(&block));
        if bad { status::UNRECOVERED_READ } else { 0 }
    }

    /// The payload of a write or a compare.
    fn payload(&self, bytes: usize, runs: &[Run]) -> Vec<u8> {
        let mut payload = vec![0; bytes];
        let mut at = 0;
        for (bus, len) in runs {
            let (window, offset) = self.bus().at(*bus, *len);
            assert!(window.copy_out(offset, &mut payload[at..at + len]));
            at += len;
        }
        payload
    }

    /// Compares what the medium has with the payload (6.6); made durable before that, where it has FUA.
    fn compare(&mut self, command: &Taken, range: Range<usize>, sector: u64, runs: &[Run]) -> u16 {
        assert!(self.shape.controller.oncs.get() & 1 != 0, "compare is not offered");
        assert_eq!(command.dwords[12] >> 29 & 1, 0, "PRACT in a compare");
        let (payload, mut has) = (self.payload(range.len(), runs), vec![0; range.len()]);
        let fua = command.dwords[12] >> 30 & 1 == 1;
        let first = self.first(command);
        if let Some(medium) = self.medium.as_mut().filter(|_| first) {
            if fua && !medium.flush() || !medium.read(sector, &mut has) {
                return status::UNRECOVERED_READ;
            }
        } else {
            let space = self.spaces.get_mut(&command.namespace()).unwrap();
            has.copy_from_slice(&space.content[range.clone()]);
            if fua {
                space.durable[range].copy_from_slice(&has);
            }
        }
        if has == payload { 0 } else { status::COMPARE_FAILURE | 1 << 14 }
    }

    fn write(&mut self, command: &Taken, range: Range<usize>, sector: u64, runs: &[Run]) -> u16 {
        let mut bytes = self.payload(range.len(), runs);
        if self.rots > 0 {
            self.rots -= 1;
            *bytes.last_mut().unwrap() ^= 4;
        }
        let fua = command.dwords[12] >> 30 & 1 == 1;
        let first = self.first(command);
        if let Some(medium) = self.medium.as_mut().filter(|_| first) {
            let done = medium.write(sector, &bytes) && (!fua || medium.flush());
            return if done { 0 } else { status::WRITE_FAULT };
        }
        let status = self.change(command, range.clone(), fua, |content| content.copy_from_slice(&bytes));
        if status == 0 {
            self.protect(command, &range);
        }
        status
    }

    fn deallocate(&mut self, command: &Taken) -> u16 {
        assert!(self.shape.controller.oncs.get() & 4 != 0, "dataset management is not offered");
        assert_eq!([command.dwords[10], command.dwords[11]], [0, 4], "one range, deallocated");
        let range: [u8; 16] = self.bus().load(command.long(6));
        let blocks = u32::from_le_bytes(range[4..8].try_into().unwrap());
        let lba = u64::from_le_bytes(range[8..].try_into().unwrap());
        // Figure 247, DLFEAT: deallocated blocks read as zeroes.
        let zeroes = self.spaces[&command.namespace()].identify.dlfeat & 7 == 1;
        self.clear(command, lba, blocks, zeroes)
    }

    fn clear(&mut self, command: &Taken, lba: u64, blocks: u32, zeroes: bool) -> u16 {
        let Some(range) = self.range(command, lba, blocks) else { return status::OUT_OF_RANGE };
        let fua = zeroes && command.dwords[12] >> 30 & 1 == 1;
        let first = self.first(command);
        if let Some(medium) = self.medium.as_mut().filter(|_| first) {
            let sector = (range.start / 512) as u64;
            let done = medium.clear(sector, (range.len() / 512) as u32, zeroes) && (!fua || medium.flush());
            return if done { 0 } else { status::WRITE_FAULT };
        }
        let status = self.change(command, range.clone(), fua, |content| content.fill(0));
        if status == 0 {
            self.protect(command, &range);
        }
        status
    }

    /// Changes the content, and what a loss of power leaves if it is written through.
    fn change(&mut self, command: &Taken, range: Range<usize>, fua: bool, f: impl Fn(&mut [u8])) -> u16 {
        let through = fua || self.shape.controller.vwc & 1 == 0 || self.shape.cache_off;
        let space = self.spaces.get_mut(&command.namespace()).unwrap();
        if space.identify.attributes & 1 != 0 {
            return status::WRITE_PROTECTED;
        }
        f(&mut space.content[range.clone()]);
        if through {
            space.durable[range.clone()].copy_from_slice(&space.content[range]);
        }
        0
    }

    /// Where the payload of a command lies: by PRP (4.3), or one SGL data block (4.4).
    fn runs(&self, command: &Taken, bytes: usize) -> Vec<Run> {
        let [first, second] = [command.long(6), command.long(8)];
        assert_eq!(first % 4, 0, "a payload that is not aligned to a dword");
        if command.dwords[0] >> 14 & 3 == 1 {
            assert!(self.shape.controller.sgls.get() & 3 != 0, "SGLs are not offered");
            assert_eq!(second, bytes as u64, "the length of an SGL data block");
            return vec![(first, bytes)];
        }
        let room = 4096 - (first % 4096) as usize;
        let mut runs = vec![(first, room.min(bytes))];
        let left = bytes.saturating_sub(room);
        if left == 0 {
            assert_eq!(second, 0, "a second PRP entry without need");
        } else if left <= 4096 {
            assert_eq!(second % 4096, 0);
            runs.push((second, left));
        } else {
            assert_eq!(second % 4096, 0);
            for page in 0..left.div_ceil(4096) {
                assert!(page < 512, "a PRP list of more than one page");
                let entry = u64::from_le_bytes(self.bus().load(second + 8 * page as u64));
                assert_eq!(entry % 4096, 0, "a PRP entry with an offset");
                runs.push((entry, (left - page * 4096).min(4096)));
            }
        }
        runs
    }
}

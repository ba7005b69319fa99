// SPDX-License-Identifier: MIT
//! A disk in memory: the bottom of a stack without a device.
use crate::{Id, Io, Layer};
use orion_block::{BlockSize, Completion, DiscardReads, Error, Limits, Op, Request};

/// Bytes copied at a time, so that the copy needs no buffer of the request's size.
const STEP: usize = 512;

/// A disk whose blocks are the bytes of `S`; a rest shorter than a block is not used.
#[derive(Clone, Debug)]
pub struct Memory<S> {
    bytes: S,
    block: BlockSize,
}

impl<S: AsRef<[u8]> + AsMut<[u8]>> Memory<S> {
    /// A disk with blocks of `block` bytes in `bytes`.
    pub fn new(bytes: S, block: BlockSize) -> Self {
        Self { bytes, block }
    }

    fn range(&self, req: &Request) -> Option<(usize, usize)> {
        let start = req.lba.0.checked_mul(u64::from(self.block.bytes()))?;
        let len = u64::from(req.blocks).checked_mul(u64::from(self.block.bytes()))?;
        let (start, len) = (usize::try_from(start).ok()?, usize::try_from(len).ok()?);
        (start.checked_add(len)? <= self.bytes.as_ref().len()).then_some((start, len))
    }

    fn perform(&mut self, req: &Request, io: &mut Io<'_, ()>) -> Result<(), Error> {
        let (start, len) = self.range(req).ok_or(Error::OutOfRange)?;
        let blocks = self.bytes.as_mut().get_mut(start..start + len).ok_or(Error::OutOfRange)?;
        let mut buf = req.buf;
        for part in blocks.chunks_mut(STEP) {
            let moved = match req.op {
                Op::Read => io.write_payload(buf, part),
                Op::Write => io.read_payload(buf, part),
                Op::WriteZeroes | Op::Discard => {
                    part.fill(0);
                    true
                }
                Op::Flush => true,
            };
            if !moved {
                return Err(Error::Invalid);
            }
            buf.offset = buf.offset.saturating_add(STEP as u64);
        }
        Ok(())
    }
}

impl<S: AsRef<[u8]> + AsMut<[u8]>> Layer for Memory<S> {
    type Ctx = ();
    const FANOUT: usize = 1;

    fn limits(&self, _: &[Limits]) -> Limits {
        Limits {
            block: self.block,
            physical: self.block,
            capacity: self.bytes.as_ref().len() as u64 >> self.block.shift(),
            atomic_blocks: 1,
            discard_granularity: 1,
            discard_reads: DiscardReads::Zeroes,
            fua: true,
            write_zeroes: true,
            ..Limits::default()
        }
    }

    fn submit(&mut self, id: Id, io: &mut Io<'_, ()>) {
        let req = io.request(id);
        let done = match self.perform(&req, io) {
            Ok(()) => Completion::ok(req.blocks),
            Err(error) => Completion::error(error),
        };
        io.done(id, done);
    }

    fn complete(&mut self, _: Id, _: u8, _: Completion, _: &mut Io<'_, ()>) {}
}

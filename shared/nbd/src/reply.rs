// SPDX-License-Identifier: MIT
//! Heads of replies of the transmission phase ("Simple reply message", "Structured reply types").
use crate::wire::{ChunkHead, Errno, SIMPLE_REPLY_MAGIC, STRUCTURED_REPLY_MAGIC, SimpleReply, chunk};
use zerocopy::IntoBytes;
use zerocopy::byteorder::big_endian::{U16, U32, U64};

/// Most bytes of a head: a chunk's, an error, and its offset.
const MAX_HEAD: usize = 36;
/// The number of `base:allocation` in this server's sessions.
pub(crate) const ALLOCATION_CONTEXT: u32 = 1;

/// A reply, or a chunk of one, without the data of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    bytes: [u8; MAX_HEAD],
    len: u8,
}

impl Head {
    /// The bytes to send.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }

    /// The answer to a request without payload, or the head of a read's whole data.
    pub fn simple(cookie: u64, result: Result<(), Errno>) -> Self {
        let reply = SimpleReply {
            magic: SIMPLE_REPLY_MAGIC.into(),
            error: result.map_or_else(|e| e as u32, |()| 0).into(),
            cookie: cookie.into(),
        };
        Self::of(&[reply.as_bytes()])
    }

    /// The head of `len` bytes of a read's data, which lie at `offset` on the export.
    pub fn data(cookie: u64, offset: u64, len: u32, done: bool) -> Self {
        let head = chunk_head(cookie, chunk::OFFSET_DATA, done, len.saturating_add(8));
        Self::of(&[head.as_bytes(), U64::new(offset).as_bytes()])
    }

    /// The end of a structured reply whose other chunks said all.
    pub fn done(cookie: u64) -> Self {
        Self::of(&[chunk_head(cookie, chunk::NONE, true, 0).as_bytes()])
    }

    /// The end of a structured reply: the request failed.
    pub fn error(cookie: u64, errno: Errno) -> Self {
        let head = chunk_head(cookie, chunk::ERROR, true, 6);
        Self::of(&[head.as_bytes(), U32::new(errno as u32).as_bytes(), U16::ZERO.as_bytes()])
    }

    /// The request failed at the byte `offset` of the export.
    pub fn error_at(cookie: u64, errno: Errno, offset: u64, done: bool) -> Self {
        let head = chunk_head(cookie, chunk::ERROR_OFFSET, done, 14);
        let error = U32::new(errno as u32);
        Self::of(&[head.as_bytes(), error.as_bytes(), U16::ZERO.as_bytes(), U64::new(offset).as_bytes()])
    }

    /// The answer to a block status request: `len` bytes are allocated, as far as anybody knows.
    pub fn allocated(cookie: u64, len: u32) -> Self {
        let head = chunk_head(cookie, chunk::BLOCK_STATUS, true, 12);
        let extent = [U32::new(ALLOCATION_CONTEXT), U32::new(len), U32::ZERO];
        Self::of(&[head.as_bytes(), extent.as_bytes()])
    }

    fn of(parts: &[&[u8]]) -> Self {
        let mut head = Self { bytes: [0; MAX_HEAD], len: 0 };
        let from = parts.iter().flat_map(|part| part.iter());
        for (to, byte) in head.bytes.iter_mut().zip(from) {
            *to = *byte;
            head.len += 1;
        }
        head
    }
}

fn chunk_head(cookie: u64, kind: u16, done: bool, len: u32) -> ChunkHead {
    ChunkHead {
        magic: STRUCTURED_REPLY_MAGIC.into(),
        flags: if done { chunk::DONE } else { 0 }.into(),
        kind: kind.into(),
        cookie: cookie.into(),
        len: len.into(),
    }
}

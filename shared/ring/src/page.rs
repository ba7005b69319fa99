// SPDX-License-Identifier: MIT
//! Writing and reading the server's page, so that a reader never acts on a page that is half written.
//!
//! The page has a sequence number, odd while it is written. Its words are atomics, stored between two stores of the
//! sequence; a reader that sees the same even number before and after has seen one announcement.
use crate::extension::{self, SERVER};
use crate::shared::{Shared, Word};
use crate::{PeerMisbehaved, ServerInfo, lives, wire};
use core::mem::offset_of;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

const INFO_WORDS: usize = size_of::<wire::StorageInfo>() / 4;
const SERVER_WORDS: usize = size_of::<extension::Server>() / 4;
const SEQUENCE: Word = Word::ServerPage(SERVER + offset_of!(extension::Server, sequence));
const READY: Word = Word::ServerPage(wire::READY_WORD);
/// Words of the extension that an announcement leaves alone.
const SEQUENCE_WORD: usize = offset_of!(extension::Server, sequence) / 4;
const AWAKE_WORD: usize = offset_of!(extension::Server, awake) / 4;
const CLIENT_WORD: usize = offset_of!(extension::Server, client) / 4;

/// A page as it was read.
pub struct Page {
    info: wire::StorageInfo,
    server: extension::Server,
}

impl Page {
    /// Whether the server has our extension, in a version that we understand.
    pub fn extended(&self) -> bool {
        self.server.understood()
    }

    /// What the extension says, checked; or storage_info alone, as a plain sDDF client reads the page.
    pub fn decode(&self, extended: bool) -> Result<ServerInfo, PeerMisbehaved> {
        if extended { self.server.decode() } else { extension::decode_storage_info(&self.info) }
    }
}

/// Takes the server's page down, not ready and asleep, and begins the server's next life, which serves nobody yet.
pub fn begin<M: Shared>(memory: &M) -> u32 {
    memory.store(READY, 0, Release);
    memory.store(Word::ServerPage(SERVER + offset_of!(extension::Server, awake)), 0, Relaxed);
    // Whoever reads the page now must not take what stands there for this life's.
    memory.store(SEQUENCE, memory.load(SEQUENCE, Relaxed) | 1, Relaxed);
    memory.fence(Release);
    let epoch = lives::next(memory.load(lives::EPOCH, Relaxed));
    memory.store(lives::SERVED, 0, Relaxed);
    memory.store(lives::EPOCH, epoch, Release);
    epoch
}

/// Writes the server's page, `ready` last.
pub fn write<M: Shared>(memory: &M, info: &ServerInfo) {
    let storage: [u32; INFO_WORDS] = zerocopy::transmute!(extension::encode_storage_info(info));
    let server: [u32; SERVER_WORDS] = zerocopy::transmute!(extension::Server::encode(info));
    let sequence = memory.load(SEQUENCE, Relaxed) | 1;
    memory.store(SEQUENCE, sequence, Relaxed);
    memory.fence(Release);
    for (at, word) in storage.iter().enumerate().filter(|(at, _)| at * 4 != wire::READY_WORD) {
        memory.store(Word::ServerPage(at * 4), *word, Relaxed);
    }
    for (at, word) in server.iter().enumerate().filter(|(at, _)| announced(*at)) {
        memory.store(Word::ServerPage(SERVER + at * 4), *word, Relaxed);
    }
    memory.store(SEQUENCE, sequence.wrapping_add(1), Release);
    let ready = storage.get(wire::READY_WORD / 4).copied().unwrap_or(0) | wire::READY_MASK & 0x0100;
    memory.store(READY, ready, Release);
}

/// Reads the server's page; `None` while it is not ready or is being written. Who writes it notifies the reader then.
pub fn read<M: Shared>(memory: &M) -> Option<Page> {
    let ready = memory.load(READY, Acquire);
    if ready & wire::READY_MASK == 0 {
        return None;
    }
    let before = memory.load(SEQUENCE, Acquire);
    let mut info = [0; INFO_WORDS];
    let mut server = [0; SERVER_WORDS];
    for (at, word) in info.iter_mut().enumerate() {
        *word = match at * 4 {
            wire::READY_WORD => ready,
            at => memory.load(Word::ServerPage(at), Relaxed),
        };
    }
    for (at, word) in server.iter_mut().enumerate().filter(|(at, _)| announced(*at)) {
        *word = memory.load(Word::ServerPage(SERVER + at * 4), Relaxed);
    }
    memory.fence(Acquire);
    let after = memory.load(SEQUENCE, Relaxed);
    (before == after && before.is_multiple_of(2))
        .then(|| Page { info: zerocopy::transmute!(info), server: zerocopy::transmute!(server) })
}

/// The number of the announcement that the page holds, or of the one that is being written.
pub fn sequence<M: Shared>(memory: &M) -> u32 {
    memory.load(SEQUENCE, Acquire)
}

/// Whether the word of the extension is part of an announcement.
fn announced(at: usize) -> bool {
    at != SEQUENCE_WORD && at != AWAKE_WORD && at != CLIENT_WORD
}

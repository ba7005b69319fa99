// SPDX-License-Identifier: MIT
//! A client of the tests' own over a stream in memory, and the export at its other end.
use crate::{Device, Duplex, Peer, Region};
use orion_block::BlockSize;
use orion_export::{Engine, LEAST_DATA, Streams};
use orion_pd::Instant;
use orion_region::Window;
use std::collections::HashMap;

/// An export of a device in memory.
pub struct Rig {
    /// The device.
    pub device: Device,
    /// The time.
    pub now: Instant,
    engine: Engine,
    sockets: Streams<Duplex>,
    listener: Duplex,
    data: Window,
    _region: Region,
}

impl Rig {
    /// An export of `bytes` bytes, after `set` changed the device.
    pub fn new(block: BlockSize, bytes: usize, set: impl FnOnce(&mut Device)) -> Self {
        Self::with_data(block, bytes, 16 * LEAST_DATA, set)
    }

    /// The same with `data` bytes of data region.
    pub fn with_data(block: BlockSize, bytes: usize, data: usize, set: impl FnOnce(&mut Device)) -> Self {
        let region = Region::new(data);
        let mut device = Device::new(block, (bytes >> block.shift()) as u64, region.window());
        set(&mut device);
        let listener = Duplex::default();
        let info = *device.info();
        let data = region.window();
        Self {
            engine: Engine::new("vault", &info, data.len()).unwrap(),
            sockets: Streams::new(listener.clone()),
            now: Instant(0),
            device,
            listener,
            data,
            _region: region,
        }
    }

    /// Does all that can be done.
    pub fn settle(&mut self) {
        while self.engine.turn(&mut self.sockets, &mut self.device, &self.data, self.now).unwrap() {}
    }

    /// When it must be called though nothing happened.
    pub fn deadline(&self) -> Option<Instant> {
        self.engine.deadline()
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.engine.connections()
    }

    /// Connects without a word.
    pub fn connect(&self, room: usize, piece: usize) -> Peer {
        self.listener.connect(room, piece)
    }

    /// Connects up to transmission.
    pub fn client(&mut self, structured: bool, room: usize, piece: usize) -> Client {
        let peer = self.connect(room, piece);
        peer.send(&3u32.to_be_bytes());
        if structured {
            peer.send(b"IHAVEOPT\0\0\0\x08\0\0\0\0");
        }
        // GO: the empty name, one request for information: the block sizes.
        peer.send(b"IHAVEOPT\0\0\0\x07\0\0\0\x08\0\0\0\0\0\x01\0\x03");
        let ends = b"\0\0\0\x07\0\0\0\x01\0\0\0\0";
        let mut handshake = Vec::new();
        while !handshake.ends_with(ends) {
            self.settle();
            let more = peer.take(usize::MAX);
            assert!(!more.is_empty(), "the handshake stalls after {handshake:?}");
            handshake.extend(more);
        }
        Client { peer, structured, reads: HashMap::new(), received: Vec::new(), replies: HashMap::new() }
    }
}

/// Answer to a request: an errno and where, or the data of a read.
pub type Reply = Result<Vec<u8>, (u32, Option<u64>)>;

/// A client in transmission.
pub struct Client {
    /// Its end of the stream.
    pub peer: Peer,
    structured: bool,
    /// Reads that are not answered whole: offset, data, bytes that came, error.
    reads: HashMap<u64, Read>,
    received: Vec<u8>,
    /// Answers by cookie.
    pub replies: HashMap<u64, Reply>,
}

struct Read {
    offset: u64,
    data: Vec<u8>,
    came: usize,
    chunks: usize,
}

impl Client {
    /// Sends a request: command, flags, cookie, range, payload.
    pub fn send(&mut self, kind: u16, flags: u16, cookie: u64, (offset, len): (u64, u32), payload: &[u8]) {
        if kind == 0 {
            let read = Read { offset, data: vec![0; len as usize], came: 0, chunks: 0 };
            self.reads.insert(cookie, read);
        }
        let mut bytes = 0x2560_9513u32.to_be_bytes().to_vec();
        bytes.extend(flags.to_be_bytes());
        bytes.extend(kind.to_be_bytes());
        bytes.extend(cookie.to_be_bytes());
        bytes.extend(offset.to_be_bytes());
        bytes.extend(len.to_be_bytes());
        bytes.extend(payload);
        self.peer.send(&bytes);
    }

    /// Takes what has come, at most `most` bytes; whether anything did.
    pub fn receive(&mut self, most: usize) -> bool {
        let more = self.peer.take(most);
        self.received.extend(&more);
        while let Some(used) = self.parse() {
            self.received.drain(..used);
        }
        !more.is_empty()
    }

    /// Lets the export work and takes its replies until nothing more comes.
    pub fn exchange(&mut self, rig: &mut Rig) {
        rig.settle();
        while self.receive(usize::MAX) {
            rig.settle();
        }
    }

    /// Bytes of a reply that is not whole.
    pub fn partial(&self) -> usize {
        self.received.len()
    }

    fn parse(&mut self) -> Option<usize> {
        let bytes = &self.received;
        let word = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().unwrap()));
        let long = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().unwrap()));
        if word(0)? == 0x6744_6698 {
            let (error, cookie) = (word(4)?, long(8)?);
            let read = self.reads.get(&cookie);
            let len = read.filter(|_| error == 0).map_or(0, |r| r.data.len());
            let data = bytes.get(16..16 + len)?.to_vec();
            assert!(!self.structured || read.is_none(), "a read was answered by a simple reply");
            self.reads.remove(&cookie);
            self.answer(cookie, if error == 0 { Ok(data) } else { Err((error, None)) });
            return Some(16 + len);
        }
        assert_eq!(word(0)?, 0x668e_33ef, "neither a simple nor a structured reply");
        let (head, cookie, len) = (word(4)?, long(8)?, word(16)? as usize);
        let body = bytes.get(20..20 + len)?.to_vec();
        self.chunk(cookie, head >> 16 & 1 != 0, head & 0xffff, &body);
        Some(20 + len)
    }

    fn chunk(&mut self, cookie: u64, done: bool, kind: u32, body: &[u8]) {
        assert!(self.structured);
        match kind {
            1 => {
                let read = self.reads.get_mut(&cookie).expect("data that nobody asked for");
                let at = (u64::from_be_bytes(body[..8].try_into().unwrap()) - read.offset) as usize;
                read.data[at..at + body.len() - 8].copy_from_slice(&body[8..]);
                read.came += body.len() - 8;
                read.chunks += 1;
                if done {
                    let read = self.reads.remove(&cookie).unwrap();
                    assert_eq!(read.came, read.data.len(), "data is missing or came twice");
                    self.answer(cookie, Ok(read.data));
                }
            }
            0x8001 | 0x8002 => {
                let error = u32::from_be_bytes(body[..4].try_into().unwrap());
                let at = (kind == 0x8002).then(|| u64::from_be_bytes(body[6..14].try_into().unwrap()));
                assert!(done);
                self.reads.remove(&cookie);
                self.answer(cookie, Err((error, at)));
            }
            5 => self.answer(cookie, Ok(body.to_vec())),
            _ => panic!("chunk of kind {kind}"),
        }
    }

    fn answer(&mut self, cookie: u64, reply: Reply) {
        assert!(self.replies.insert(cookie, reply).is_none(), "two answers to {cookie}");
    }
}

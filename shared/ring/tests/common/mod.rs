// SPDX-License-Identifier: MIT
//! Memory of a connection that a test reaches from both ends, with guards around each region.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests end with a panic"
)]
#![allow(unsafe_code, reason = "windows are made from raw memory")]
use core::ptr::NonNull;
use orion_block::{BlockSize, Limits, Op};
use orion_region::Window;
use orion_ring::{Client, Memory, Server, ServerInfo, Submission, WindowInfo, extension, wire};
use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// Where the lives are in the pages.
pub const EPOCH: usize = extension::SERVER + offset_of!(extension::Server, epoch);
pub const SERVED: usize = extension::SERVER + offset_of!(extension::Server, client);
pub const LIFE: usize = offset_of!(extension::Client, life);
pub const AGREED: usize = offset_of!(extension::Client, epoch);
pub const START: usize = offset_of!(extension::Client, start);

const GUARD: u64 = 0xfeed_beef_dead_cafe;
const GUARDS: usize = 8;

/// A region, between guards.
pub struct Region(Box<[AtomicU64]>);

impl Region {
    pub fn new(bytes: usize) -> Self {
        let words = bytes.div_ceil(8);
        let all = 0..words + 2 * GUARDS;
        Self(all.map(|at| AtomicU64::new(if (GUARDS..GUARDS + words).contains(&at) { 0 } else { GUARD })).collect())
    }

    pub fn window(&self) -> Window {
        let inside = &self.0[GUARDS..self.0.len() - GUARDS];
        let base = NonNull::new(inside.as_ptr().cast_mut().cast::<u8>()).unwrap();
        // SAFETY: in every test the region outlives its windows, is aligned to 8, and is only used through atomics.
        unsafe { Window::new(base, inside.len() * 8) }
    }

    pub fn set(&self, offset: usize, value: u32) {
        self.window().store(offset, value, SeqCst);
    }

    pub fn get(&self, offset: usize) -> u32 {
        self.window().load(offset, SeqCst)
    }

    pub fn bytes(&self, offset: usize, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        assert!(self.window().copy_out(offset, &mut bytes));
        bytes
    }

    pub fn intact(&self) -> bool {
        let ends = self.0[..GUARDS].iter().chain(&self.0[self.0.len() - GUARDS..]);
        ends.map(|guard| guard.load(SeqCst)).all(|guard| guard == GUARD)
    }
}

/// The four regions of a connection, exactly as large as needed.
pub struct Regions {
    pub info: Region,
    pub ext: Region,
    pub requests: Region,
    pub responses: Region,
    pub capacity: u16,
    pub plain: bool,
}

impl Regions {
    pub fn new(capacity: u16, plain: bool) -> Self {
        Self {
            info: Region::new(wire::PAGE),
            ext: Region::new(wire::PAGE),
            requests: Region::new(wire::request_queue_bytes(capacity)),
            responses: Region::new(wire::response_queue_bytes(capacity)),
            capacity,
            plain,
        }
    }

    /// Counters of both queues as if `count` requests had been asked and answered.
    pub fn start_at(self, count: u32) -> Self {
        for queue in [&self.requests, &self.responses] {
            queue.set(wire::HEAD, count);
            queue.set(wire::TAIL, count);
        }
        self
    }

    pub fn memory(&self) -> Memory {
        Memory {
            info: self.info.window(),
            ext: (!self.plain).then(|| self.ext.window()),
            requests: self.requests.window(),
            responses: self.responses.window(),
        }
    }

    pub fn client(&self) -> Client {
        Client::attach(self.memory(), self.capacity).unwrap()
    }

    pub fn server(&self) -> Server {
        Server::attach(self.memory(), self.capacity).unwrap()
    }

    /// Both ends, introduced to each other.
    pub fn pair(&self) -> (Client, Server) {
        let (mut client, mut server) = (self.client(), self.server());
        server.announce(&info());
        introduce(&mut client, &mut server);
        (client, server)
    }

    pub fn intact(&self) -> bool {
        [&self.info, &self.ext, &self.requests, &self.responses].iter().all(|region| region.intact())
    }
}

/// Lets both ends agree to each other's lives.
pub fn introduce(client: &mut Client, server: &mut Server) {
    assert_eq!(client.server().is_some(), client.is_open());
    assert!(client.is_open() || client.publish(), "the server is told");
    assert!(!server.sleep() || server.is_open(), "the server agrees");
    assert!(client.server().is_some() && server.misbehaved().is_none());
    server.publish();
    assert!(server.sleep(), "nothing was asked yet");
}

/// A server with two windows and 512-byte blocks.
pub fn info() -> ServerInfo {
    let mut info = ServerInfo {
        limits: Limits {
            block: BlockSize::B512,
            capacity: 1000,
            atomic_blocks: 1,
            queue_depth: 32,
            ..Limits::default()
        },
        epoch: 1,
        ..ServerInfo::default()
    };
    info.windows[0] = WindowInfo { blocks: 1000, rights: 7 };
    info.windows[3] = WindowInfo { blocks: 8, rights: 1 };
    info
}

/// A request that can be told from others.
pub fn request(id: u32) -> Submission {
    Submission {
        id,
        op: Op::ALL[id as usize % Op::ALL.len()],
        fua: false,
        block: u64::from(id) << 33 | 5,
        count: (id % 1000) as u16,
        address: u64::from(!id) << 20,
    }
}

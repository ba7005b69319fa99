// SPDX-License-Identifier: MIT
//! An end of a ring whose peer writes anything anywhere at any time.
#![allow(unsafe_code, reason = "windows on a test's own memory")]
use super::Input;
use core::ptr::NonNull;
use orion_block::{BlockSize, Limits, Op};
use orion_region::Window;
use orion_ring::{Answer, Client, Incoming, Interrupted, Memory, Server, ServerInfo, Submission, WindowInfo};
use orion_ring::{extension, wire};
use std::mem::offset_of;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

/// Where the lives are in the pages.
const EPOCH: usize = extension::SERVER + offset_of!(extension::Server, epoch);
const SERVED: usize = extension::SERVER + offset_of!(extension::Server, client);
const LIFE: usize = offset_of!(extension::Client, life);
const AGREED: usize = offset_of!(extension::Client, epoch);
const START: usize = offset_of!(extension::Client, start);

struct Region(Vec<AtomicU64>);

impl Region {
    fn new(bytes: usize) -> Self {
        Self((0..bytes.div_ceil(8)).map(|_| AtomicU64::new(0)).collect())
    }
    fn window(&self) -> Window {
        let base = NonNull::new(self.0.as_ptr().cast_mut().cast::<u8>()).unwrap();
        // SAFETY: each run's regions outlive its windows, are aligned to 8, and are only used through atomics.
        unsafe { Window::new(base, self.0.len() * 8) }
    }
    fn set(&self, word: usize, value: u32) {
        self.window().store(word % (self.0.len() * 2) * 4, value, SeqCst);
    }
    fn get(&self, offset: usize) -> u32 {
        self.window().load(offset, SeqCst)
    }
}

/// The regions of a connection: info, the client's page, requests, responses.
struct Regions([Region; 4], u16, bool);

impl Regions {
    fn new(input: &mut Input<'_>) -> Self {
        let capacity = [1, 2, 3, 4, 6, 8, 64, 5][usize::from(input.byte()) % 8];
        let plain = input.byte().is_multiple_of(4);
        let queues = [wire::request_queue_bytes(capacity), wire::response_queue_bytes(capacity)];
        let regions = [wire::PAGE, wire::PAGE, queues[0], queues[1]].map(Region::new);
        let start = input.word();
        for queue in &regions[2..] {
            queue.set(wire::HEAD / 4, start);
            queue.set(wire::TAIL / 4, start);
        }
        Self(regions, capacity, plain)
    }
    fn memory(&self) -> Memory {
        let [info, ext, requests, responses] = self.0.each_ref().map(Region::window);
        Memory { info, ext: (!self.2).then_some(ext), requests, responses }
    }
    /// The client agrees to the server's life, perhaps in a new one of its own.
    fn agree(&self, new: u32) {
        let (server, client) = (&self.0[0], &self.0[1]);
        let life = client.get(LIFE).wrapping_add(new).max(1);
        let page = [(0, extension::CLIENT_MAGIC), (4, extension::VERSION), (12, 9), (LIFE, life)];
        let start = [(START, self.0[2].get(wire::TAIL)), (AGREED, server.get(EPOCH))];
        page.into_iter().chain(start).for_each(|(at, value)| client.set(at / 4, value));
    }
    /// The peer writes a word somewhere.
    fn scribble(&self, input: &mut Input<'_>) {
        let region = usize::from(input.byte()) % 4;
        let at = usize::from(input.half());
        self.0[region].set(at, input.word());
    }
}

fn info() -> ServerInfo {
    let limits =
        Limits { block: BlockSize::B512, capacity: 1000, atomic_blocks: 1, queue_depth: 32, ..Limits::default() };
    let mut info = ServerInfo { limits, ..ServerInfo::default() };
    info.windows[0] = WindowInfo { blocks: 1000, rights: 7 };
    info
}

/// A server whose client is hostile: it owes no more answers than it has taken requests, and no more than its capacity.
pub fn server(bytes: &[u8]) {
    let mut input = Input(bytes);
    let regions = Regions::new(&mut input);
    let Ok(mut server) = Server::attach(regions.memory(), regions.1) else { return };
    let (mut owed, mut dead) = (Vec::new(), server.misbehaved().is_some());
    while !input.is_empty() {
        match input.byte() % 16 {
            0..4 => regions.scribble(&mut input),
            // The client plays along.
            4..7 => {
                let tail = regions.0[2].get(wire::TAIL).wrapping_add(u32::from(input.byte() % 4));
                regions.0[2].set(wire::TAIL / 4, tail);
            }
            7 if input.byte() < 128 => regions.0[3].set(wire::HEAD / 4, regions.0[3].get(wire::TAIL)),
            7 => regions.agree(u32::from(input.byte() % 2)),
            8..11 => match server.pop() {
                Ok(Some(Incoming::Request(Submission { id, .. }) | Incoming::Unknown { id, .. })) => {
                    assert!(!dead, "closed for good");
                    owed.push(id);
                }
                Ok(None) => {}
                Err(_) => dead = true,
            },
            11 | 12 => {
                if let Some(id) = owed.pop() {
                    server.push(Answer { id, status: Ok(()), blocks: 1 });
                }
            }
            13 => drop((server.publish(), server.sleep())),
            14 => server.announce(&info()),
            _ => server.wake(),
        }
        dead |= server.misbehaved().is_some();
        if dead {
            owed.clear();
        }
        assert_eq!(server.outstanding(), owed.len());
        assert!(owed.len() <= usize::from(regions.1), "more taken than the queue has entries");
        assert!([512, 4096].contains(&server.unit().bytes()), "a unit that was not offered");
    }
}

/// A client whose server is hostile: it is given no more answers than it asked.
pub fn client(bytes: &[u8]) {
    let mut input = Input(bytes);
    let regions = Regions::new(&mut input);
    if input.byte().is_multiple_of(2)
        && let Ok(mut honest) = Server::attach(regions.memory(), regions.1)
    {
        honest.announce(&info());
    }
    let Ok(mut client) = Client::attach(regions.memory(), regions.1) else { return };
    let (mut asked, mut published, mut answered) = (0u32, 0, 0);
    while !input.is_empty() {
        match input.byte() % 16 {
            0..4 => regions.scribble(&mut input),
            4..7 => {
                let tail = regions.0[3].get(wire::TAIL).wrapping_add(u32::from(input.byte() % 4));
                regions.0[3].set(wire::TAIL / 4, tail);
            }
            7..10 => {
                let op = Op::ALL[usize::from(input.byte()) % 5];
                let request = Submission { id: asked, op, count: 1, ..Submission::default() };
                asked += u32::from(client.push(request).is_ok());
            }
            10 => {
                client.publish();
                published = asked;
            }
            11 | 12 => match client.pop() {
                Ok(answer) => answered += u32::from(answer.is_some()),
                // What was asked is lost, and can be asked again.
                Err(Interrupted::Restarted) => (asked, published) = (answered, answered),
                Err(Interrupted::Misbehaved(_)) => {}
            },
            // The server plays along: it serves this life of the client's, or begins another of its own.
            13 if input.byte() < 128 => regions.0[0].set(SERVED / 4, regions.0[1].get(LIFE)),
            13 => regions.0[0].set(EPOCH / 4, regions.0[0].get(EPOCH).wrapping_add(1)),
            14 => drop((client.sleep(), client.wake())),
            _ => {
                if let Some(info) = client.server() {
                    let bytes = u128::from(info.limits.capacity) << info.limits.block.shift();
                    assert!(bytes <= u128::from(u64::MAX), "more blocks than bytes have addresses");
                }
            }
        }
        assert!(answered <= published, "an answer to what was never shown");
        assert!(asked - answered <= u32::from(regions.1), "more in flight than the queue has entries");
        assert!(client.room() + (asked - answered) as usize <= client.capacity() || client.misbehaved().is_some());
    }
}

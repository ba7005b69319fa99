// SPDX-License-Identifier: MIT
//! What one request costs in a ring: from the client to the server, and its answer back.
#![allow(unsafe_code, reason = "the two ends of a ring share memory")]
use crate::layers::{DEPTH, REQUESTS};
use orion_block::{BlockSize, Limits, Op};
use orion_region::Window;
use orion_ring::{Answer, Client, Incoming, Memory, Server, ServerInfo, Submission, WindowInfo};
use std::ptr::NonNull;

/// Bytes of each region: enough for any queue of this measurement.
const REGION: usize = 64 << 10;

/// Zeroed memory that lives for ever, as two PDs see it.
pub fn shared(bytes: u64) -> [Window; 2] {
    let bytes = usize::try_from(bytes).unwrap_or(0);
    let words = NonNull::from(Box::leak(vec![0u64; bytes / 8].into_boxed_slice())).cast();
    // SAFETY: leaked memory lives for ever, is aligned as a u64, and no reference to it is kept.
    [(); 2].map(|()| unsafe { Window::new(words, bytes / 8 * 8) })
}

/// The two ends of a ring, ready.
///
/// # Errors
/// What the ring does not accept.
pub fn ends() -> Result<(Client, Server), Box<dyn std::error::Error>> {
    let regions = [(); 4].map(|()| Box::leak(vec![0u64; REGION / 8].into_boxed_slice()));
    let regions = regions.map(|words| NonNull::from(words).cast::<u8>());
    let memory = || {
        // SAFETY: leaked memory lives for ever, is aligned as a u64, and no reference to it is kept.
        let [info, ext, requests, responses] = regions.map(|at| unsafe { Window::new(at, REGION) });
        Memory { info, ext: Some(ext), requests, responses }
    };
    let capacity = u16::try_from(DEPTH)?;
    let (mut client, mut server) = (Client::attach(memory(), capacity)?, Server::attach(memory(), capacity)?);
    let mut windows = [WindowInfo::default(); 16];
    windows[0] = WindowInfo { blocks: 1 << 30, rights: 3 };
    let limits = Limits { block: BlockSize::B512, capacity: 1 << 30, atomic_blocks: 1, ..Limits::default() };
    server.announce(&ServerInfo { limits, windows, ..ServerInfo::default() });
    // Each side agrees to the other's life.
    client.server();
    server.sleep();
    client.server().ok_or("the server is not seen as ready")?;
    client.wake();
    server.wake();
    Ok((client, server))
}

/// Sends [`REQUESTS`] requests in batches of [`DEPTH`] and their answers back; how many came back.
pub fn hop(client: &mut Client, server: &mut Server) -> u64 {
    let (mut sent, mut back) = (0, 0);
    while back < REQUESTS {
        while client.room() > 0 {
            let (id, block) = (u32::try_from(sent & 0xffff).unwrap_or(0), sent * 8 % (1 << 20));
            let _ = client.push(Submission { id, op: Op::Read, fua: false, block, count: 8, address: 0 });
            sent += 1;
        }
        client.publish();
        while let Ok(Some(Incoming::Request(s))) = server.pop() {
            server.push(Answer { id: s.id, status: Ok(()), blocks: s.count });
        }
        server.publish();
        while let Ok(Some(_)) = client.pop() {
            back += 1;
        }
    }
    back
}

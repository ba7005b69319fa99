// SPDX-License-Identifier: MIT
//! Clients' commands: whatever they ask, nobody gets what the grants did not give to somebody.
#![allow(unsafe_code, reason = "windows on a test's own memory")]
use super::Input;
use core::ptr::NonNull;
use orion_block::{BlockSize, Completion, Instant, Limits};
use orion_caps::{Capability, Extent, Gatekeeper, Rights};
use orion_control::{End, MESSAGE, Server};
use orion_layer::{Around, Interrupted, Lowers, NoPayload, Node, Submission, Uppers};
use orion_region::Window;
use std::sync::atomic::AtomicU64;

/// Clients, each with 100 blocks of its own.
const CLIENTS: u8 = 3;
/// Rights of each.
const RIGHTS: [u16; 3] = [0xff, 0x47, 0x01];

struct Quiet;

impl Uppers for Quiet {
    fn count(&self) -> u8 {
        CLIENTS
    }
    fn next(&mut self, _: u8) -> Option<Submission> {
        None
    }
    fn complete(&mut self, _: u8, _: u32, _: Completion) {}
}

struct Volume;

impl Lowers for Volume {
    fn count(&self) -> u8 {
        1
    }
    fn capacity(&self, _: u8) -> u16 {
        16
    }
    fn limits(&self, _: u8) -> Option<Limits> {
        let limits = Limits { block: BlockSize::B512, capacity: 100_000, atomic_blocks: 1, ..Limits::default() };
        Some(Limits { queue_depth: 16, discard_granularity: 1, write_zeroes: true, ..limits })
    }
    fn submit(&mut self, _: u8, _: Submission) {}
    fn next(&mut self) -> Result<Option<(u8, u32, Completion)>, Interrupted> {
        Ok(None)
    }
}

fn window(page: &[AtomicU64; 512]) -> Window {
    let base = NonNull::new(page.as_ptr().cast_mut().cast::<u8>()).unwrap();
    // SAFETY: the pages outlive their windows, are aligned to 8, and are only used through windows.
    unsafe { Window::new(base, 4096) }
}

/// A client writes messages, and at times anything, into its page.
pub fn control(bytes: &[u8]) {
    let mut layer = Gatekeeper::new();
    for client in 0..CLIENTS {
        let extent = Extent { first: 100 * u64::from(client), blocks: 100 };
        let rights = Rights::from_bits(RIGHTS[usize::from(client)]);
        layer.grant(Capability { client, extent, rights, ..Capability::default() }).unwrap();
    }
    let mut node = Node::<_, 8, 1>::new(layer, 0);
    node.run(&mut Around { uppers: &mut Quiet, lowers: &mut Volume, payload: &mut NoPayload, now: Instant(0) });
    let pages: [[AtomicU64; 512]; 2] = core::array::from_fn(|_| core::array::from_fn(|_| AtomicU64::new(0)));
    let theirs = window(&pages[1]);
    let mut server = Server::new(End::attach(window(&pages[0]), window(&pages[1])).unwrap());
    let (mut input, mut written) = (Input(bytes), 0u32);
    while !input.is_empty() {
        let (what, client) = (input.byte(), input.byte() % CLIENTS);
        if what.is_multiple_of(8) {
            theirs.store(usize::from(input.half()) % 1024 * 4, input.word(), core::sync::atomic::Ordering::Relaxed);
        } else {
            assert!(theirs.copy_in(64 + (written % 16) as usize * MESSAGE, &input.take::<MESSAGE>()));
            written = written.wrapping_add(1);
            theirs.store(0, written, core::sync::atomic::Ordering::Release);
        }
        while let Some((id, ask)) = server.take() {
            let number = |name: &str| ["a", "b", "c"].iter().position(|n| *n == name).map(|n| n as u8);
            let mut around =
                Around { uppers: &mut Quiet, lowers: &mut Volume, payload: &mut NoPayload, now: Instant(0) };
            let result = ask.and_then(|ask| ask.command(client, number)).and_then(|command| {
                let done = node.control(&mut around, |layer, io| layer.command(client, &command, io));
                done.unwrap_or(Err(orion_caps::Denial::NotReady)).map_err(orion_control::Refused::Denied)
            });
            server.answer(id, result);
            theirs.store(4, written, core::sync::atomic::Ordering::Release);
        }
        check(node.layer());
    }
}

/// Every window holds no more than some grant gave.
fn check(layer: &Gatekeeper) {
    for client in 0..CLIENTS {
        for number in 0..16 {
            let Some((blocks, rights)) = layer.window(client, number) else { continue };
            // In units of 512 bytes where the volume has those.
            assert!(blocks <= 800, "window {number} of {client} has {blocks} blocks");
            assert!(RIGHTS.iter().any(|all| rights.bits() & !all == 0), "window {number} of {client}: {rights}");
        }
    }
}

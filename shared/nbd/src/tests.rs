// SPDX-License-Identifier: MIT
//! Sessions driven by a client of the tests' own, piece by piece and byte by byte.
#![allow(clippy::cast_possible_truncation, reason = "lengths of tests are small")]
use crate::wire::{Errno, cmd, flag, info, option, rep, transmission as t};
use crate::{Command, Event, Export, Head, Offer, Session, Want};
use orion_block::{BlockSize, Limits};
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

mod commands;
mod options;
mod streams;

const ALL: Offer = Offer { write: true, flush: true, trim: true, zeroes: true };
const SIZE: u64 = 1 << 20;

fn limits(block: BlockSize) -> Limits {
    Limits {
        block,
        capacity: SIZE >> block.shift(),
        discard_granularity: 1,
        volatile_cache: true,
        fua: true,
        write_zeroes: true,
        ..Limits::default()
    }
}

fn export(block: BlockSize, offer: Offer) -> Export<'static> {
    Export::new("vault", &limits(block), offer, 65536)
}

/// The client's flags: fixed newstyle, no zeroes.
fn hello() -> Vec<u8> {
    3u32.to_be_bytes().to_vec()
}

fn an_option(kind: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"IHAVEOPT".to_vec();
    bytes.extend(kind.to_be_bytes());
    bytes.extend((data.len() as u32).to_be_bytes());
    bytes.extend(data);
    bytes
}

fn a_string(text: &[u8]) -> Vec<u8> {
    let mut bytes = (text.len() as u32).to_be_bytes().to_vec();
    bytes.extend(text);
    bytes
}

fn info_data(name: &[u8], wanted: &[u16]) -> Vec<u8> {
    let mut bytes = a_string(name);
    bytes.extend((wanted.len() as u16).to_be_bytes());
    wanted.iter().for_each(|w| bytes.extend(w.to_be_bytes()));
    bytes
}

fn context_data(name: &[u8], queries: &[&[u8]]) -> Vec<u8> {
    let mut bytes = a_string(name);
    bytes.extend((queries.len() as u32).to_be_bytes());
    queries.iter().for_each(|q| bytes.extend(a_string(q)));
    bytes
}

fn a_request(kind: u16, flags: u16, cookie: u64, offset: u64, len: u32) -> Vec<u8> {
    let mut bytes = 0x2560_9513u32.to_be_bytes().to_vec();
    bytes.extend(flags.to_be_bytes());
    bytes.extend(kind.to_be_bytes());
    bytes.extend(cookie.to_be_bytes());
    bytes.extend(offset.to_be_bytes());
    bytes.extend(len.to_be_bytes());
    bytes
}

/// Everything that a session did.
#[derive(Debug, Default, PartialEq)]
struct Story {
    output: Vec<u8>,
    /// Each request with its payload, or the errno it was refused with.
    requests: Vec<(Result<Command, Errno>, u64, Vec<u8>)>,
    closed: bool,
    /// Bytes that were not used.
    left: usize,
}

/// Plays a stream to a session in pieces of these sizes, over and over; it receives what waits to be sent whenever it
/// must.
fn play(stream: &[u8], pieces: &[usize], export: &Export<'_>) -> Story {
    let (mut session, mut story, mut rest) = (Session::new(), Story::default(), stream);
    let mut sizes = pieces.iter().cycle();
    loop {
        let piece = rest.len().min((*sizes.next().unwrap()).max(1));
        assert!(session.output().len() <= 512);
        match session.want() {
            Want::Output => {
                let n = session.output().len().min(piece.max(1));
                story.output.extend(&session.output()[..n]);
                session.sent(n);
            }
            Want::Payload(left) => {
                let n = piece.min(left as usize);
                if n == 0 {
                    break;
                }
                story.requests.last_mut().unwrap().2.extend(&rest[..n]);
                session.received(n as u32);
                rest = &rest[n..];
            }
            Want::Bytes(wanted) => {
                assert!(wanted > 0);
                if rest.is_empty() {
                    break;
                }
                let (used, event) = session.feed(&rest[..piece], export);
                assert!(used > 0 && used <= piece.min(wanted));
                rest = &rest[used..];
                match event {
                    Event::None => {}
                    Event::Request(r) => story.requests.push((Ok(r.command), r.cookie, Vec::new())),
                    Event::Refused(r) => story.requests.push((Err(r.errno), r.cookie, Vec::new())),
                }
            }
            Want::Close => {
                story.closed = true;
                break;
            }
        }
    }
    story.output.extend(session.output());
    story.left = rest.len();
    story
}

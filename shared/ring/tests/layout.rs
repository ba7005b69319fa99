// SPDX-License-Identifier: MIT
//! What the two ends write, against bytes laid out by hand from sDDF 0.7's headers, and the other way round.
#![cfg(not(loom))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests end with a panic"
)]
mod common;
use common::{Region, Regions, info};
use orion_block::{BlockSize, Error, Op};
use orion_ring::{Answer, AttachError, Client, Incoming, Server, Submission, wire};

const REQUEST: [u8; 32] = [
    1, 0, 0, 0, 0, 0, 0, 0, // code, padding
    0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, // io_or_offset
    0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, // block_number
    0x34, 0x12, 0, 0, // count, padding
    0xdd, 0xcc, 0xbb, 0xaa, // id
];
const RESPONSE: [u8; 12] = [3, 0, 0, 0, 0x34, 0x12, 0, 0, 0xdd, 0xcc, 0xbb, 0xaa];

fn submission() -> Submission {
    Submission {
        id: 0xaabb_ccdd,
        op: Op::Write,
        fua: false,
        block: 0x0102_0304_0506_0708,
        count: 0x1234,
        address: 0x1122_3344_5566_7788,
    }
}

fn fill(region: &Region, offset: usize, bytes: &[u8]) {
    assert!(region.window().copy_in(offset, bytes));
}

#[test]
fn client_writes_what_an_sddf_server_reads() {
    let regions = Regions::new(4, true);
    let mut client = regions.client();
    client.push(submission()).unwrap();
    client.push(submission()).unwrap();
    assert_eq!(regions.requests.bytes(0, 16), [0; 16], "staged requests are not visible");
    assert!(client.publish(), "a plain server is always notified");
    assert_eq!(regions.requests.bytes(0, 16), [0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(regions.requests.bytes(16, 32), REQUEST);
    assert_eq!(regions.requests.bytes(48, 32), REQUEST);
}

#[test]
fn client_reads_what_an_sddf_server_writes() {
    let regions = Regions::new(4, true);
    let mut client = regions.client();
    client.push(submission()).unwrap();
    client.publish();
    fill(&regions.responses, 8, &RESPONSE);
    assert_eq!(client.pop(), Ok(None));
    fill(&regions.responses, 4, &[1, 0, 0, 0]);
    let answer = Answer { id: 0xaabb_ccdd, status: Err(Error::Io), blocks: 0x1234 };
    assert_eq!(client.pop(), Ok(Some(answer)));
    assert!(client.sleep());
    assert_eq!(regions.responses.bytes(0, 8), [1, 0, 0, 0, 1, 0, 0, 0]);
}

#[test]
fn server_reads_what_an_sddf_client_writes_and_answers_in_its_codes() {
    let regions = Regions::new(4, true);
    let mut server = regions.server();
    // The padding of a C struct holds anything.
    let mut request = REQUEST;
    request[4..8].fill(0xaa);
    request[26..28].fill(0xaa);
    fill(&regions.requests, 16, &request);
    fill(&regions.requests, 4, &[1, 0, 0, 0]);
    assert_eq!(server.pop(), Ok(Some(Incoming::Request(submission()))));
    assert_eq!(server.unit(), BlockSize::B4096);
    assert!(server.sleep());
    assert_eq!(regions.requests.bytes(0, 8), [1, 0, 0, 0, 1, 0, 0, 0]);
    server.push(Answer { id: 0xaabb_ccdd, status: Err(Error::Medium), blocks: 0x1234 });
    assert_eq!(regions.responses.bytes(0, 8), [0; 8], "staged answers are not visible");
    assert!(server.publish(), "a plain client is always notified");
    assert_eq!(regions.responses.bytes(0, 8), [0, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(regions.responses.bytes(8, 12), RESPONSE, "a medium error is sDDF's I/O error");
}

#[test]
fn storage_info_counts_in_4096_whatever_the_block() {
    let regions = Regions::new(4, false);
    let mut server = regions.server();
    assert_eq!(regions.info.bytes(0, 88), [0; 88]);
    let mut info = info();
    info.limits.read_only = true;
    info.limits.optimal_blocks = 32;
    server.announce(&info);
    let mut golden = [0; 88];
    golden[64..72].copy_from_slice(&[1, 1, 0, 2, 4, 0, 32, 0]);
    golden[80..88].copy_from_slice(&125u64.to_le_bytes());
    assert_eq!(regions.info.bytes(0, 88), golden);
    info.limits.block = BlockSize::from_shift(16).unwrap();
    server.announce(&info);
    assert_eq!(regions.info.bytes(80, 8), 16_000u64.to_le_bytes());
    assert_eq!(regions.info.bytes(66, 2), [0, 0x80], "the largest power of two that the field holds");
}

#[test]
fn a_plain_server_is_read_from_storage_info_alone() {
    let regions = Regions::new(4, true);
    let mut client = regions.client();
    let mut page = [0u8; 88];
    page[66..72].copy_from_slice(&[0, 2, 4, 0, 32, 0]);
    page[80] = 100;
    fill(&regions.info, 0, &page);
    assert_eq!(client.server(), None, "not ready");
    fill(&regions.info, 65, &[1]);
    let info = client.server().unwrap();
    assert_eq!((info.limits.block, info.limits.capacity, info.limits.queue_depth), (BlockSize::B4096, 100, 32));
    assert_eq!((info.windows[0].blocks, info.windows[0].rights), (100, 0b111));
    assert!(info.windows[1..].iter().all(|window| window.blocks == 0));
    assert!(!info.limits.fua && !info.limits.write_zeroes && info.limits.discard_granularity == 0);
    fill(&regions.info, 64, &[1]);
    assert_eq!(client.server().unwrap().windows[0].rights, 0b101);
}

#[test]
fn regions_are_as_large_as_needed_and_no_larger() {
    for capacity in [1, 2, 3, 64, 192, 32_768] {
        assert!(wire::queue_bytes(capacity) <= usize::from(capacity) * 128, "what sdfgen gives is enough");
        let regions = Regions::new(capacity, false);
        let last = usize::from(capacity) - 1;
        let end = |first: usize, entry: usize| first + last * entry + entry;
        assert_eq!(regions.requests.window().len(), end(16, 32));
        assert_eq!(regions.responses.window().len(), (end(8, 12)).next_multiple_of(8));
        let mut short = regions.memory();
        short.requests = Region::new(wire::request_queue_bytes(capacity) - 8).window();
        assert!(matches!(Client::attach(short, capacity), Err(AttachError::TooSmall { .. })));
        let mut short = regions.memory();
        short.responses = Region::new(wire::response_queue_bytes(capacity) - 8).window();
        assert!(matches!(Server::attach(short, capacity), Err(AttachError::TooSmall { .. })));
        let mut short = regions.memory();
        short.info = Region::new(wire::PAGE - 8).window();
        assert!(matches!(Server::attach(short, capacity), Err(AttachError::TooSmall { .. })));
    }
    let regions = Regions::new(4, false);
    for capacity in [0, 32_769, u16::MAX] {
        assert!(matches!(Client::attach(regions.memory(), capacity), Err(AttachError::Capacity(_))));
    }
}

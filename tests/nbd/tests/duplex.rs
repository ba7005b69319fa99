// SPDX-License-Identifier: MIT
//! The export over streams in memory: every interleaving is ours to choose.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "helpers of tests: what is wrong must fail them"
)]
use orion_block::{BlockSize, Op};
use orion_export::{CONNECTIONS, Conn, Engine, Interest, LEAST_DATA, Sockets, Source, Stopped, Streams, Target};
use orion_nbd_tests::common::*;
use orion_nbd_tests::{Device, Duplex, Region};
use orion_pd::Instant;

#[test]
fn long_reads_come_whole_with_either_reply() {
    let mut rig = rig(40 * M, |_| {});
    for structured in [false, true] {
        let mut client = rig.client(structured, 10_000, usize::MAX);
        client.send(READ, 0, 1, (512, 32 * M), &[]);
        // Behind a long read with a simple reply everything else waits its turn.
        client.send(READ, 0, 2, (0, 512), &[]);
        client.send(WRITE, 0, 3, (0, 512), &pattern(0, 512));
        client.exchange(&mut rig);
        let expected = &rig.device.bytes[512..512 + 32 * M as usize];
        assert!(client.replies[&1].as_deref() == Ok(expected), "{structured}");
        assert!(client.replies[&2].is_ok() && client.replies[&3].is_ok());
    }
}

#[test]
fn a_failing_block_fails_a_read_that_can_be_held() {
    let blocks = [5000, 3000, 1500, 4000];
    let mut rig = rig(4 * M, |d| d.faults = blocks.map(|block| fault(Op::Read, block)).into());
    let mut simple = rig.client(false, 10_000, 100);
    assert_eq!(ask(&mut rig, &mut simple, READ, 0, (0, M)), Some(Err((EIO, None))));
    let mut structured = rig.client(true, 10_000, 100);
    assert_eq!(ask(&mut rig, &mut structured, READ, 0, (0, 3 * M)), Some(Err((EIO, Some(1500 * 512)))));
    for client in [&mut simple, &mut structured] {
        assert!(ask(&mut rig, client, READ, 0, (M.into(), 64 * K)).unwrap().is_ok(), "the connection goes on");
    }
}

#[test]
fn a_failing_block_deep_in_a_long_read_with_a_simple_reply_ends_the_connection() {
    let mut rig = rig(16 * M, |d| d.faults = vec![fault(Op::Read, 20_000)]);
    let mut client = rig.client(false, 10_000, usize::MAX);
    assert_eq!(ask(&mut rig, &mut client, READ, 0, (0, 16 * M)), None);
    assert!(client.peer.closed() && client.partial() > 16);
    assert_eq!(rig.connections(), 0);
}

#[test]
fn a_failing_write_is_answered_once_and_the_rest_of_its_payload_dropped() {
    let mut rig = rig(16 * M, |d| d.faults = vec![fault(Op::Write, 100)]);
    let mut client = rig.client(true, 10_000, 5000);
    let payload = pattern(9, 8 * M);
    client.send(WRITE, 0, 1, (0, 8 * M), &payload);
    client.send(WRITE, 0, 2, (9 * u64::from(M), M), &payload[..M as usize]);
    client.exchange(&mut rig);
    assert_eq!(client.replies[&1], Err((EIO, None)));
    assert_eq!(client.replies[&2], Ok(vec![]));
    assert_eq!(rig.device.bytes[9 * M as usize..10 * M as usize], payload[..M as usize]);
    assert_eq!(client.replies.len(), 2);
}

#[test]
fn unfragmented_reads_come_in_one_chunk_or_are_refused() {
    let mut rig = rig(M, |_| {});
    let mut client = rig.client(true, usize::MAX, usize::MAX);
    let data = ask(&mut rig, &mut client, READ, DF, (0, 64 * K)).unwrap().unwrap();
    assert!(data == rig.device.bytes[..64 * K as usize]);
    let overflow = 75;
    assert_eq!(ask(&mut rig, &mut client, READ, DF, (0, M)), Some(Err((overflow, None))));
}

#[test]
fn fua_is_asked_for_or_flushed() {
    for native in [true, false] {
        let mut rig = rig(M, |d| d.info().limits.fua = native);
        let mut client = rig.client(true, 1000, 1000);
        client.send(WRITE, FUA, 1, (0, 512), &[1; 512]);
        client.exchange(&mut rig);
        client.send(ZEROES, FUA, 2, (512, 512), &[]);
        client.exchange(&mut rig);
        client.send(TRIM, FUA, 3, (1024, 512), &[]);
        client.exchange(&mut rig);
        assert_eq!(client.replies.values().filter(|r| r.is_ok()).count(), 3);
        let log: Vec<_> = rig.device.log.iter().map(|(op, fua, ..)| (*op, *fua)).collect();
        let flush = (Op::Flush, false);
        let expected: &[_] = if native {
            &[(Op::Write, true), (Op::WriteZeroes, true), (Op::Discard, false), flush]
        } else {
            &[(Op::Write, false), flush, (Op::WriteZeroes, false), flush, (Op::Discard, false), flush]
        };
        assert_eq!(log, expected);
    }
}

#[test]
fn a_flush_that_fails_fails_the_write_that_needed_it() {
    let mut rig = rig(M, |d| {
        d.info().limits.fua = false;
        d.faults = vec![fault(Op::Flush, 0)];
    });
    let mut client = rig.client(true, 1000, 1000);
    client.send(WRITE, FUA, 1, (0, 512), &[1; 512]);
    client.exchange(&mut rig);
    assert_eq!(client.replies[&1], Err((EIO, None)));
}

#[test]
fn trims_and_zeroes_of_any_length_are_cut_for_the_ring() {
    let mut rig = rig(64 * M, |_| {});
    let mut client = rig.client(true, 1000, 1000);
    for (kind, cookie) in [(TRIM, 1), (ZEROES, 2)] {
        client.send(kind, 0, cookie, (512, 64 * M - 512), &[]);
        client.exchange(&mut rig);
        assert_eq!(client.replies[&cookie], Ok(vec![]));
    }
    assert!(rig.device.bytes[512..].iter().all(|b| *b == 0));
    let blocks: u64 = rig.device.log.iter().map(|(.., count)| u64::from(*count)).sum();
    assert_eq!(blocks, 2 * (u64::from(64 * M) / 512 - 1));
}

#[test]
fn a_client_that_does_not_read_stops_only_itself() {
    let mut rig = rig(8 * M, |_| {});
    let mut lazy = rig.client(true, 1000, usize::MAX);
    for cookie in 0..500 {
        lazy.send(READ, 0, cookie, (u64::from(64 * K) * (cookie % 100), 64 * K), &[]);
    }
    rig.settle();
    assert!(lazy.peer.unread() > 100 * 28, "its requests are taken without end");
    let mut busy = rig.client(true, 1000, 1000);
    for turn in 0..20 {
        let payload = pattern(turn, M);
        busy.send(WRITE, 0, 1, (7 * u64::from(M), M), &payload);
        busy.exchange(&mut rig);
        assert_eq!(busy.replies.remove(&1), Some(Ok(vec![])));
        assert!(ask(&mut rig, &mut busy, READ, 0, (7 * u64::from(M), M)) == Some(Ok(payload)));
    }
    lazy.exchange(&mut rig);
    assert_eq!(lazy.replies.values().filter(|r| r.is_ok()).count(), 500);
}

#[test]
fn buffers_of_a_client_that_left_are_kept_until_the_device_lets_go() {
    let mut rig = rig(8 * M, |d| d.allowance = 0);
    let mut gone = rig.client(true, usize::MAX, usize::MAX);
    for cookie in 0..8 {
        gone.send(READ, 0, cookie, (0, 64 * K), &[]);
    }
    gone.send(WRITE, 0, 9, (0, 128 * K), &[7; 64 * 1024]);
    rig.settle();
    gone.peer.leave();
    rig.settle();
    assert_eq!((rig.connections(), rig.device.waiting()), (1, 8));
    assert!(!gone.peer.closed());
    rig.device.allowance = usize::MAX;
    gone.exchange(&mut rig);
    assert!(gone.peer.closed());
    // What it asked for is answered, what it only began to send is not done.
    assert_eq!(gone.replies.values().filter(|r| r.is_ok()).count(), 8);
    assert!(rig.device.log.iter().all(|(op, ..)| *op == Op::Read));
    assert_eq!(rig.connections(), 0);
}

#[test]
fn buffers_of_a_client_that_vanished_are_nobody_elses_until_the_device_lets_go() {
    let mut rig = rig(8 * M, |_| {});
    let mut gone = rig.client(true, 1000, usize::MAX);
    // Answers that can't be sent, and reads that the device keeps.
    (0..4).for_each(|cookie| gone.send(READ, 0, cookie, (0, 64 * K), &[]));
    rig.settle();
    rig.device.allowance = 0;
    (4..12).for_each(|cookie| gone.send(READ, 0, cookie, (0, 64 * K), &[]));
    rig.settle();
    gone.peer.vanish();
    rig.settle();
    assert!(rig.device.waiting() > 0 && !gone.peer.closed());
    assert_eq!(rig.connections(), 1);
    let mut next = rig.client(true, usize::MAX, usize::MAX);
    let payload = pattern(5, M);
    next.send(WRITE, 0, 1, (0, M), &payload);
    rig.settle();
    rig.device.allowance = usize::MAX;
    next.exchange(&mut rig);
    assert_eq!(next.replies.get(&1), Some(&Ok(vec![])));
    assert!(rig.device.bytes[..M as usize] == payload, "a buffer was given to two");
    assert!(gone.peer.closed());
    assert_eq!(rig.connections(), 1);
}

#[test]
fn refusals_that_nobody_reads_do_not_pile_up() {
    let mut rig = rig(M, |_| {});
    let mut client = rig.client(true, 100, usize::MAX);
    // Neither aligned, so each is refused at once.
    (0..2000).for_each(|cookie| client.send(TRIM, 0, cookie, (1, 1), &[]));
    rig.settle();
    assert!(client.peer.unread() > 1000 * 28, "requests are taken though their replies find no place");
    client.exchange(&mut rig);
    assert_eq!(client.replies.values().filter(|r| r.is_err()).count(), 2000);
}

/// Sockets that count what goes where.
struct Counting {
    inner: Streams<Duplex>,
    private: usize,
    window: usize,
}

impl Sockets for Counting {
    fn accept(&mut self) -> Option<Conn> {
        self.inner.accept()
    }
    fn receive(&mut self, conn: Conn, into: &mut [Target<'_>]) -> Result<usize, Stopped> {
        let got = self.inner.receive(conn, into)?;
        let window = match into {
            [Target::Window { len, .. }, ..] => got.min(*len),
            _ => 0,
        };
        self.window += window;
        self.private += got - window;
        Ok(got)
    }
    fn send(&mut self, conn: Conn, from: &[Source<'_>]) -> Result<usize, Stopped> {
        self.inner.send(conn, from)
    }
    fn watch(&mut self, conn: Conn, interest: Interest) {
        self.inner.watch(conn, interest);
    }
    fn close(&mut self, conn: Conn) {
        self.inner.close(conn);
    }
}

#[test]
fn payload_goes_straight_to_its_buffer() {
    let (region, listener) = (Region::new(16 * LEAST_DATA), Duplex::default());
    let mut device = Device::new(BlockSize::B512, 8192, region.window());
    let (info, data) = (*device.info(), region.window());
    let mut engine = Engine::new("vault", &info, data.len()).unwrap();
    let mut sockets = Counting { inner: Streams::new(listener.clone()), private: 0, window: 0 };
    let peer = listener.connect(usize::MAX, usize::MAX);
    let mut turn = |sockets: &mut Counting| while engine.turn(sockets, &mut device, &data, Instant(0)).unwrap() {};
    // The handshake; a write, whose payload is in part received with its head; then writes alone.
    peer.send(b"\0\0\0\x03IHAVEOPT\0\0\0\x01\0\0\0\0");
    turn(&mut sockets);
    let write =
        |len: u32| [&b"\x25\x60\x95\x13\0\0\0\x01\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\0"[..], &len.to_be_bytes()].concat();
    peer.send(&[write(512), vec![1; 512]].concat());
    turn(&mut sockets);
    (sockets.private, sockets.window) = (0, 0);
    for len in [512, M, 128 * K, 4 * K] {
        peer.send(&[write(len), vec![2; len as usize]].concat());
    }
    turn(&mut sockets);
    assert_eq!((sockets.private, sockets.window as u32), (4 * 28, 512 + M + 132 * K));
    assert_eq!(peer.take(usize::MAX).len(), 18 + 10 + 5 * 16);
}

#[test]
fn disconnecting_waits_for_what_was_asked() {
    let mut rig = rig(M, |d| d.allowance = 0);
    let mut client = rig.client(false, usize::MAX, usize::MAX);
    client.send(WRITE, 0, 1, (0, 512), &[5; 512]);
    client.send(FLUSH, 0, 2, (0, 0), &[]);
    // Long after the time in which the handshake had to end.
    rig.now = Instant(1 << 60);
    rig.settle();
    client.send(DISC, 0, 3, (0, 0), &[]);
    rig.settle();
    assert!(!client.peer.closed());
    rig.device.allowance = usize::MAX;
    client.exchange(&mut rig);
    assert!(client.peer.closed() && client.replies.len() == 2);
    assert_eq!(rig.device.bytes[..512], [5; 512]);
}

#[test]
fn one_client_too_many_waits() {
    let mut rig = rig(M, |_| {});
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| rig.client(true, 1000, 1000)).collect();
    let waiting = rig.connect(1000, 1000);
    rig.settle();
    assert_eq!((rig.connections(), waiting.take(100).len()), (CONNECTIONS, 0));
    assert!(ask(&mut rig, &mut clients[CONNECTIONS - 1], READ, 0, (0, 512)).unwrap().is_ok());
    clients.pop().unwrap().peer.leave();
    rig.settle();
    rig.settle();
    assert_eq!((rig.connections(), waiting.take(100).len()), (CONNECTIONS, 18));
}

#[test]
fn a_client_that_says_nothing_is_sent_away() {
    let mut rig = rig(M, |_| {});
    let (silent, mut client) = (rig.connect(1000, 1000), rig.client(true, 1000, 1000));
    let deadline = rig.deadline().unwrap();
    rig.now = Instant(deadline.0 - 1);
    rig.settle();
    assert!(!silent.closed());
    rig.now = deadline;
    rig.settle();
    assert!(silent.closed());
    assert_eq!(rig.deadline(), None);
    assert!(ask(&mut rig, &mut client, READ, 0, (0, 512)).unwrap().is_ok());
}

#[test]
fn what_the_volume_cannot_do_now_is_tried_again() {
    let mut rig = rig(M, |d| d.again = 3);
    let mut client = rig.client(true, usize::MAX, usize::MAX);
    assert_eq!(ask(&mut rig, &mut client, READ, 0, (0, 512)), None);
    while let Some(deadline) = rig.deadline() {
        assert!(deadline > rig.now);
        rig.now = deadline;
        client.exchange(&mut rig);
    }
    assert!(client.replies.remove(&77).unwrap().is_ok() && rig.device.again == 0);
    rig.device.again = usize::MAX;
    assert_eq!(ask(&mut rig, &mut client, READ, 0, (0, 512)), None);
    while let Some(deadline) = rig.deadline() {
        rig.now = deadline;
        client.exchange(&mut rig);
    }
    assert_eq!(client.replies[&77], Err((EIO, Some(0))), "it gives up in the end");
}

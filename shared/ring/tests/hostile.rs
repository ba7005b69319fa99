// SPDX-License-Identifier: MIT
//! Peers that write anything anywhere at any time. An end may close its connection, and no worse.
#![cfg(not(loom))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests end with a panic"
)]
mod common;
use common::{AGREED, EPOCH, LIFE, Region, Regions, SERVED, START, info, introduce, request};
use orion_ring::{Answer, Client, Incoming, Interrupted, PeerMisbehaved, Server, WindowInfo, extension, wire};
use proptest::prelude::*;
use std::mem::offset_of;

/// A value that a counter or a field could be attacked with.
fn value() -> impl Strategy<Value = u32> {
    prop_oneof![
        0u32..40,
        any::<u32>(),
        (0u32..40).prop_map(|below| u32::MAX - below),
        (0u32..32).prop_map(|bit| 1 << bit),
        Just(extension::CLIENT_MAGIC),
        Just(extension::SERVER_MAGIC),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    /// The hostile side writes a word somewhere: region, where, what.
    Scribble(u8, usize, u32),
    /// It moves the counter that it owns a little, as if it played along.
    Advance(u32),
    /// It agrees to the other side's life, or begins a life of its own, if this is not 0.
    Agree(u32),
    Push,
    Publish,
    Pop,
    Sleep,
    Announce,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0u8..3, any::<usize>(), value()).prop_map(|(region, at, value)| Step::Scribble(region, at, value)),
        1 => (0u8..3, 0usize..4, value()).prop_map(|(region, at, value)| Step::Scribble(region, at, value)),
        1 => (512usize..528, value()).prop_map(|(at, value)| Step::Scribble(2, at, value)),
        6 => (0u32..4).prop_map(Step::Advance),
        3 => prop_oneof![4 => Just(0u32), 1 => Just(1), 1 => value()].prop_map(Step::Agree),
        4 => Just(Step::Push),
        4 => Just(Step::Publish),
        6 => Just(Step::Pop),
        1 => Just(Step::Sleep),
        1 => Just(Step::Announce),
    ]
}

fn scribble(regions: &Regions, page: &Region, region: u8, at: usize, value: u32) {
    let region = match region {
        0 => &regions.requests,
        1 => &regions.responses,
        _ => page,
    };
    region.set(at % (region.window().len() / 4) * 4, value);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn a_server_survives_any_client(
        capacity in prop_oneof![1u16..=6, Just(64)],
        plain: bool,
        start in value(),
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let regions = Regions::new(capacity, plain).start_at(start);
        let mut server = regions.server();
        let mut owed = Vec::new();
        let mut dead = server.misbehaved();
        for step in steps {
            match step {
                Step::Scribble(region, at, value) => scribble(&regions, &regions.ext, region, at, value),
                Step::Advance(by) => regions.requests.set(4, regions.requests.get(0).wrapping_add(by)),
                Step::Agree(lives) => {
                    let life = regions.ext.get(LIFE).wrapping_add(lives).max(1);
                    let start = if lives < 2 { regions.requests.get(4) } else { lives };
                    let page = [(LIFE, life), (START, start), (AGREED, regions.info.get(EPOCH))];
                    let unit = [(0, extension::CLIENT_MAGIC), (4, extension::VERSION), (12, 9)];
                    page.into_iter().chain(unit).for_each(|(at, value)| regions.ext.set(at, value));
                }
                Step::Push => if let Some(id) = owed.pop() {
                    server.push(Answer { id, status: Ok(()), blocks: 1 });
                },
                Step::Publish => { server.publish(); }
                Step::Pop => match server.pop() {
                    Ok(Some(Incoming::Request(request))) => owed.push(request.id),
                    Ok(Some(Incoming::Unknown { id, .. })) => owed.push(id),
                    Ok(None) => {}
                    Err(misbehaved) => {
                        prop_assert!(dead.is_none_or(|dead| dead == misbehaved), "one reason, for good");
                        dead = Some(misbehaved);
                        owed.clear();
                    }
                },
                Step::Sleep => { server.sleep(); }
                Step::Announce => server.announce(&info()),
            }
            dead = dead.or(server.misbehaved());
            prop_assert!(dead.is_none() || server.pop().is_err(), "closed for good");
            if dead.is_some() { owed.clear(); }
            prop_assert_eq!(server.outstanding(), owed.len());
            prop_assert!(owed.len() <= usize::from(capacity));
            prop_assert!([512, 4096].contains(&server.unit().bytes()), "a unit that was offered");
        }
        prop_assert!(regions.intact());
    }

    #[test]
    fn a_client_survives_any_server(
        capacity in prop_oneof![1u16..=6, Just(64)],
        plain: bool,
        start in value(),
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let regions = Regions::new(capacity, plain).start_at(start);
        regions.server().announce(&info());
        let mut client = regions.client();
        let (mut asked, mut published, mut answered) = (0, 0, 0);
        let mut dead = client.misbehaved();
        for step in steps {
            match step {
                Step::Scribble(region, at, value) => scribble(&regions, &regions.info, region, at, value),
                Step::Advance(by) => regions.responses.set(4, regions.responses.get(0).wrapping_add(by)),
                Step::Agree(0) => regions.info.set(SERVED, regions.ext.get(LIFE)),
                Step::Agree(lives) => regions.info.set(EPOCH, regions.info.get(EPOCH).wrapping_add(lives)),
                Step::Push => if client.push(request(asked)).is_ok() { asked += 1 },
                Step::Publish => { client.publish(); published = asked; }
                Step::Pop => match client.pop() {
                    Ok(answer) => answered += usize::from(answer.is_some()),
                    Err(Interrupted::Restarted) => {
                        prop_assert!(dead.is_none() && client.room() == client.capacity(), "nothing is in flight");
                    }
                    Err(Interrupted::Misbehaved(misbehaved)) => {
                        prop_assert!(dead.is_none_or(|dead| dead == misbehaved), "one reason, for good");
                        dead = Some(misbehaved);
                    }
                },
                Step::Sleep => { client.sleep(); }
                Step::Announce => if let Some(info) = client.server() {
                    prop_assert!(info.limits.capacity.checked_mul(u64::from(info.limits.block.bytes())).is_some());
                },
            }
            dead = dead.or(client.misbehaved());
            prop_assert!(dead.is_none() || (client.pop().is_err() && client.room() == 0 && !client.publish()));
            prop_assert!(answered <= published as usize, "no more answers than were asked for");
            prop_assert!(client.room() <= usize::from(capacity));
        }
        prop_assert!(regions.intact());
    }
}

/// An asked and an answered request, so that each side knows the other.
fn used() -> (Regions, Client, Server) {
    let regions = Regions::new(4, false);
    let (mut client, mut server) = regions.pair();
    client.push(request(0)).unwrap();
    client.publish();
    server.pop().unwrap().unwrap();
    server.push(Answer { id: 0, status: Ok(()), blocks: 0 });
    server.publish();
    client.pop().unwrap().unwrap();
    (regions, client, server)
}

#[test]
fn a_client_that_misbehaves_is_cut_off() {
    type Attack = (&'static str, fn(&Regions));
    let attacks: [Attack; 7] = [
        ("tail beyond the capacity", |regions| regions.requests.set(4, 6)),
        ("tail backwards", |regions| regions.requests.set(4, 0)),
        ("unit that was not offered", |regions| {
            regions.ext.set(offset_of!(extension::Client, block_shift), 10);
        }),
        ("version that does not exist", |regions| {
            regions.ext.set(offset_of!(extension::Client, version), 3);
        }),
        ("no magic number", |regions| regions.ext.set(0, 0)),
        ("requests that begin where no counter is", |regions| regions.ext.set(START, u32::MAX)),
        ("requests far from where they begin", |regions| regions.ext.set(START, 4000)),
    ];
    for (name, attack) in attacks.into_iter().take(2) {
        let (regions, _, mut server) = used();
        attack(&regions);
        assert!(server.pop().is_err(), "{name}");
        regions.requests.set(4, 2);
        assert!(server.pop().is_err(), "{name}: closed for good");
        assert!(server.sleep(), "{name}: a closed connection keeps nobody awake");
    }
    for (name, attack) in attacks.into_iter().skip(2) {
        // Of three entries: 2^32 - 1 is no counter then.
        let regions = Regions::new(3, false);
        let (mut client, mut server) = (regions.client(), regions.server());
        server.announce(&info());
        assert_eq!(client.server(), None, "the server has not agreed");
        attack(&regions);
        assert!(server.pop().is_err(), "{name}");
        assert_eq!((client.server(), server.pop().is_err()), (None, true), "{name}");
    }
}

/// Lives that go back, or are none: of a client, then of a server.
#[test]
fn lives_that_go_back_cut_off_whose_they_are() {
    for back in [0, 6, 7u32.wrapping_sub(1 << 31)] {
        let regions = Regions::new(4, false);
        regions.ext.set(LIFE, 6);
        let (_client, mut server) = regions.pair();
        assert_eq!(regions.ext.get(LIFE), 7);
        regions.ext.set(LIFE, back);
        assert!(!server.sleep() && server.misbehaved().is_some(), "client's life {back}");
        assert!(server.sleep(), "a closed connection keeps nobody awake");

        let regions = Regions::new(4, false);
        regions.info.set(EPOCH, 6);
        let (mut client, _server) = regions.pair();
        assert_eq!(regions.info.get(EPOCH), 7);
        regions.info.set(EPOCH, back);
        assert!(!client.sleep() && client.misbehaved().is_some(), "server's life {back}");
        assert!(client.sleep() && client.push(request(0)).is_err());
    }
}

/// A life that changes each time that it is looked at keeps the other side busy for a while only.
#[test]
fn lives_that_change_all_the_time_cut_off_whose_they_are() {
    let regions = Regions::new(4, false);
    let (_client, mut server) = regions.pair();
    let mut turns = 0;
    while server.misbehaved().is_none() {
        regions.ext.set(LIFE, regions.ext.get(LIFE) + 1);
        server.sleep();
        server.publish();
        turns += 1;
        assert!(turns < 20_000);
    }
    let regions = Regions::new(4, false);
    let (mut client, _server) = regions.pair();
    let mut turns = 0;
    while client.misbehaved().is_none() {
        regions.info.set(EPOCH, regions.info.get(EPOCH) + 1);
        client.sleep();
        client.publish();
        turns += 1;
        assert!(turns < 20_000);
    }
}

/// What a hostile end left in the counters harms no later life of either.
#[test]
fn counters_that_are_nonsense_are_begun_anew() {
    for nonsense in [9, u32::MAX, 1 << 31] {
        let regions = Regions::new(3, false);
        let _ = regions.pair();
        for queue in [&regions.requests, &regions.responses] {
            queue.set(0, nonsense);
            queue.set(4, nonsense.wrapping_add(77));
        }
        let (mut client, mut server) = (regions.client(), regions.server());
        server.announce(&info());
        introduce(&mut client, &mut server);
        for id in 0..9 {
            client.push(request(id)).unwrap();
            client.publish();
            assert_eq!(server.pop(), Ok(Some(Incoming::Request(request(id)))));
            server.push(Answer { id, status: Ok(()), blocks: 0 });
            server.publish();
            assert_eq!(client.pop().unwrap().unwrap().id, id);
        }
    }
}

#[test]
fn a_client_that_moves_the_servers_counters_gains_nothing() {
    let (regions, mut client, mut server) = used();
    regions.responses.set(4, 77);
    regions.requests.set(0, 99);
    client.push(request(1)).unwrap();
    client.publish();
    assert_eq!(server.pop(), Ok(Some(Incoming::Request(request(1)))));
    server.push(Answer { id: 1, status: Ok(()), blocks: 0 });
    server.publish();
    assert_eq!(client.pop().unwrap().unwrap().id, 1);
    assert_eq!((regions.requests.get(0), regions.responses.get(4)), (2, 2));
}

#[test]
fn answers_never_overrun_however_the_client_lies_about_its_head() {
    // Full of unread answers, the server asks where the client's head is: backwards and beyond are lies.
    for lie in [5, u32::MAX, 1 << 31] {
        let regions = Regions::new(4, true);
        let mut server = regions.server();
        regions.requests.set(4, 4);
        for id in 0..4 {
            server.pop().unwrap().unwrap();
            server.push(Answer { id, status: Ok(()), blocks: 0 });
        }
        server.publish();
        regions.requests.set(4, 8);
        assert_eq!(server.pop(), Ok(None), "no room for the answer");
        assert!(server.blocked());
        assert!(server.sleep(), "and nothing to stay awake for");
        regions.responses.set(0, lie);
        assert!(server.pop().is_err(), "head {lie}");
    }
}

#[test]
fn answers_that_are_still_owed_cannot_have_been_taken() {
    let regions = Regions::new(4, true);
    let mut server = regions.server();
    regions.requests.set(4, 4);
    for id in 0..4 {
        server.pop().unwrap().unwrap();
        if id < 2 {
            server.push(Answer { id, status: Ok(()), blocks: 0 });
        }
    }
    server.publish();
    regions.requests.set(4, 5);
    assert_eq!(server.pop(), Ok(None));
    regions.responses.set(0, 3);
    assert!(server.pop().is_err());
    assert_eq!(server.outstanding(), 0, "nothing is owed to a peer that is cut off");
}

#[test]
fn a_server_whose_page_turns_to_nonsense_is_cut_off() {
    let regions = Regions::new(4, false);
    let (mut client, mut server) = regions.pair();
    for id in 0..2 {
        client.push(request(id)).unwrap();
        client.publish();
        server.pop().unwrap().unwrap();
        server.push(Answer { id, status: Ok(()), blocks: 0 });
    }
    server.publish();
    assert!(client.pop().unwrap().is_some(), "two answers were seen, one of them taken");
    regions.info.set(extension::SERVER + offset_of!(extension::Server, block_shift), 40);
    assert_eq!(client.server(), None);
    assert!(client.pop().is_err(), "the other one is not trusted any more");
}

#[test]
fn a_server_that_misbehaves_is_cut_off() {
    for (name, tail) in [("unasked", 2), ("backwards", 0), ("beyond", 100)] {
        let (regions, mut client, _server) = used();
        regions.responses.set(4, tail);
        assert!(client.pop().is_err(), "{name}");
        regions.responses.set(4, 1);
        assert!(client.pop().is_err(), "{name}: closed for good");
        assert_eq!((client.push(request(1)).is_err(), client.room(), client.server()), (true, 0, None));
    }
    // What was pushed but not published can't have been answered.
    let (regions, mut client, _server) = used();
    client.push(request(1)).unwrap();
    regions.responses.set(4, 2);
    assert!(client.pop().is_err());
}

#[test]
fn counters_that_nobody_wrote_are_refused_when_attaching() {
    for head in [0, 1, 5, 8] {
        let regions = Regions::new(4, true);
        regions.requests.set(4, 9);
        regions.responses.set(0, head);
        regions.responses.set(4, head);
        assert_eq!(regions.client().pop().is_err(), head < 5, "{head} of 9 answered, of 4 at most in flight");
        regions.requests.set(0, 9);
        regions.responses.set(4, 0);
        assert_eq!(regions.server().pop().is_err(), head > 0, "{head} answers taken, of none");
    }
}

fn page_with(change: impl Fn(&mut extension::Server)) -> Result<orion_ring::ServerInfo, PeerMisbehaved> {
    let mut page = extension::Server::encode(&info());
    change(&mut page);
    page.decode()
}

#[test]
fn pages_that_no_server_of_ours_writes() {
    assert_eq!(page_with(|_| ()), Ok(info()));
    for shift in [0, 8, 17, 32, 64, 256 + 9, u32::MAX] {
        assert!(page_with(|page| page.block_shift = shift).is_err(), "block shift {shift}");
        assert!(page_with(|page| page.physical_shift = shift).is_err(), "physical shift {shift}");
    }
    assert!(page_with(|page| page.capacity = 1 << 55).is_err(), "more bytes than 64 bits count");
    assert!(page_with(|page| page.windows[15].blocks = u64::MAX).is_err());
    assert!(page_with(|page| page.atomic_blocks = 0).is_err());
    assert!(page_with(|page| page.queue_depth = 1 << 16).is_err());
    assert!(page_with(|page| page.flags |= 3 << extension::flags::DISCARD_READS_SHIFT).is_err());
    assert!(page_with(|page| page.flags |= extension::flags::READ_ONLY).is_err(), "read-only, yet it writes");
    assert!(page_with(|page| page.operations |= extension::operations::DISCARD).is_err(), "of no granularity");
    let rights = page_with(|page| page.windows[0].rights = u32::MAX).unwrap().windows[0];
    assert_eq!(rights, WindowInfo { blocks: 1000, rights: 0xff }, "rights that nobody knows are none");
}

#[test]
fn a_page_without_our_magic_or_version_is_a_plain_servers() {
    for (offset, value) in [(0, 1), (4, 3)] {
        let regions = Regions::new(4, false);
        let (mut client, mut server) = (regions.client(), regions.server());
        server.announce(&info());
        regions.info.set(extension::SERVER + offset, value);
        let found = client.server().unwrap();
        assert_eq!((found.limits.block.bytes(), found.limits.capacity, found.epoch), (4096, 125, 0));
        assert_eq!(regions.ext.get(0), 0, "so we don't claim another unit");
        server.wake();
        client.push(request(1)).unwrap();
        assert!(client.publish(), "and notify always");
        assert_eq!(server.pop(), Ok(None), "a server of ours serves no client of ours that has not agreed");
    }
    assert_eq!(wire::PAGE, 4096);
}

#[test]
fn a_unit_is_settled_once() {
    let (regions, mut client, mut server) = used();
    for (word, value) in [(offset_of!(extension::Client, block_shift), 12), (0, 0)] {
        regions.ext.set(word, value);
        client.push(request(1)).unwrap();
        client.publish();
        assert!(server.pop().unwrap().is_some());
        assert_eq!(server.unit().bytes(), 512, "blocks of requests in flight can't change their size");
    }
}

#[test]
fn an_answer_to_nothing_is_not_given() {
    let (regions, mut client, mut server) = used();
    server.push(Answer { id: 9, status: Ok(()), blocks: 0 });
    assert!(!server.publish());
    assert_eq!((client.pop(), regions.responses.get(4)), (Ok(None), 1));
}

/// Two of ours, on a link that the system calls plain: neither counts in the other's blocks by mistake.
#[test]
fn a_link_without_a_clients_page_is_plain_whoever_serves() {
    let regions = Regions::new(4, true);
    let (mut client, mut server) = regions.pair();
    let found = client.server().unwrap();
    assert_eq!((found.limits.block.bytes(), found.limits.capacity), (4096, 125));
    server.wake();
    client.push(request(1)).unwrap();
    assert!(client.publish(), "always notified");
    server.pop().unwrap().unwrap();
    assert_eq!(server.unit().bytes(), 4096);
}

proptest! {
    #[test]
    fn any_page_decodes_to_limits_that_hold(bytes: [u8; 32], at in 0usize..384, mask: u8) {
        let mut page: [u8; 384] = zerocopy::transmute!(extension::Server::encode(&info()));
        for (byte, new) in page.iter_mut().skip(at).zip(bytes) {
            *byte ^= new & mask;
        }
        let page: extension::Server = zerocopy::transmute!(page);
        if let Ok(info) = page.decode() {
            let block = info.limits.block;
            prop_assert!((9..=16).contains(&block.shift()));
            for blocks in info.windows.iter().map(|window| window.blocks).chain([info.limits.capacity]) {
                prop_assert!(blocks.checked_mul(u64::from(block.bytes())).is_some());
            }
            prop_assert!(info.limits.atomic_blocks > 0);
            prop_assert_eq!(extension::Server::encode(&info).decode(), Ok(info), "what is understood can be said");
        }
    }
}

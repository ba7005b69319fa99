// SPDX-License-Identifier: MIT
//! Each option, and how it is refused ("Option types").
use super::*;

/// Replies to options: option, kind, data.
fn replies(mut bytes: &[u8]) -> Vec<(u32, u32, Vec<u8>)> {
    let mut all = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<20>() {
        assert_eq!(head[..8], 0x0003_e889_0455_65a9u64.to_be_bytes());
        let word = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().unwrap());
        let (data, rest) = rest.split_at(word(16) as usize);
        all.push((word(8), word(12), data.to_vec()));
        bytes = rest;
    }
    assert!(bytes.is_empty());
    all
}

/// What one option after others leads to: the kinds of its replies, and what the session wants then.
fn haggle(options: &[Vec<u8>], export: &Export<'_>) -> (Vec<(u32, u32, Vec<u8>)>, Story) {
    let story = play(&[hello(), options.concat()].concat(), &[usize::MAX], export);
    (replies(&story.output[18..]), story)
}

fn kinds(options: &[Vec<u8>]) -> Vec<u32> {
    let (replies, _) = haggle(options, &export(BlockSize::B512, ALL));
    replies.iter().map(|(_, kind, _)| *kind).collect()
}

#[test]
fn greeting() {
    let story = play(&[], &[1], &export(BlockSize::B512, ALL));
    assert_eq!(story.output, b"NBDMAGICIHAVEOPT\0\x03");
}

#[test]
fn unknown_client_flags_end_the_session() {
    for flags in [4u32, 1 << 31, 7] {
        assert!(play(&flags.to_be_bytes(), &[4], &export(BlockSize::B512, ALL)).closed, "{flags}");
    }
}

#[test]
fn export_name_begins_transmission_with_or_without_zeroes() {
    let export = export(BlockSize::B512, ALL);
    for (flags, zeroes) in [(3u32, 0), (1, 124)] {
        for name in [&b""[..], b"vault"] {
            let mut stream = flags.to_be_bytes().to_vec();
            stream.extend(an_option(option::EXPORT_NAME, name));
            stream.extend(a_request(cmd::READ, 0, 9, 0, 512));
            let story = play(&stream, &[usize::MAX], &export);
            let reply = &story.output[18..];
            assert_eq!(reply[..8], SIZE.to_be_bytes());
            assert_eq!(reply[8..10], export.flags(false).to_be_bytes());
            assert_eq!(reply[10..], vec![0; zeroes]);
            assert_eq!(story.requests.len(), 1);
        }
    }
}

#[test]
fn a_wrong_export_name_ends_the_session_where_no_error_can_be_told() {
    for name in [&b"valut"[..], b"vault\0", &[b'v'; 5000]] {
        let (_, story) = haggle(&[an_option(option::EXPORT_NAME, name)], &export(BlockSize::B512, ALL));
        assert!(story.closed);
    }
    assert_eq!(kinds(&[an_option(option::GO, &info_data(b"valut", &[]))]), [rep::ERR_UNKNOWN]);
}

#[test]
fn options_that_end_in_one_reply() {
    let unsupported = [4, option::STARTTLS, 11, 12, 0, u32::MAX];
    for kind in unsupported {
        assert_eq!(kinds(&[an_option(kind, b"x")]), [rep::ERR_UNSUP], "{kind}");
        assert_eq!(kinds(&[an_option(kind, &[0; 60_000])]), [rep::ERR_UNSUP], "{kind}");
    }
    assert_eq!(kinds(&[an_option(option::STRUCTURED_REPLY, b"")]), [rep::ACK]);
    assert_eq!(kinds(&[an_option(option::STRUCTURED_REPLY, b"x")]), [rep::ERR_INVALID]);
    assert_eq!(kinds(&[an_option(option::LIST, b"x")]), [rep::ERR_INVALID]);
    let (replies, story) = haggle(&[an_option(option::ABORT, b"")], &export(BlockSize::B512, ALL));
    assert_eq!((replies[0].1, story.closed), (rep::ACK, true));
}

#[test]
fn list_names_the_export() {
    let (replies, _) = haggle(&[an_option(option::LIST, b"")], &export(BlockSize::B512, ALL));
    assert_eq!(replies[0], (option::LIST, rep::SERVER, a_string(b"vault")));
    assert_eq!(replies[1], (option::LIST, rep::ACK, Vec::new()));
}

#[test]
fn info_and_go_tell_what_was_asked_for() {
    let wanted = info_data(b"", &[info::NAME, info::DESCRIPTION, 99]);
    for kind in [option::INFO, option::GO] {
        let (replies, _) = haggle(&[an_option(kind, &wanted)], &export(BlockSize::B512, ALL));
        let infos: Vec<u8> = replies.iter().filter(|r| r.1 == rep::INFO).map(|r| r.2[1]).collect();
        assert_eq!(infos, [3, 0, 1, 2]);
        assert_eq!(replies.last().unwrap().1, rep::ACK);
        assert_eq!(replies[0].2[2..], [0, 0, 2, 0, 0, 0, 16, 0, 2, 0, 0, 0]);
        assert_eq!(replies[1].2[2..10], SIZE.to_be_bytes());
        assert_eq!(replies[2].2[2..], *b"vault");
    }
    // INFO leaves the session where it was; GO does not.
    let after = an_option(option::LIST, b"");
    assert_eq!(kinds(&[an_option(option::INFO, &info_data(b"", &[])), after]).last(), Some(&rep::ACK));
}

#[test]
fn malformed_info_is_refused() {
    let good = info_data(b"vault", &[info::NAME]);
    for cut in 0..good.len() {
        assert_eq!(kinds(&[an_option(option::GO, &good[..cut])]), [rep::ERR_INVALID], "{cut}");
    }
    assert_eq!(kinds(&[an_option(option::GO, &[&good[..], &[0]].concat())]), [rep::ERR_INVALID]);
    assert_eq!(kinds(&[an_option(option::GO, &[0xff; 64])]), [rep::ERR_INVALID]);
    assert_eq!(kinds(&[an_option(option::GO, &info_data(&[b'v'; 4096], &[]))]), [rep::ERR_TOO_BIG]);
}

#[test]
fn large_blocks_must_be_asked_for() {
    let export = export(BlockSize::B4096, ALL);
    let (replies, _) = haggle(&[an_option(option::GO, &info_data(b"", &[info::NAME]))], &export);
    assert_eq!((replies[0].1, replies[1].1), (rep::INFO, rep::ERR_BLOCK_SIZE_REQD));
    let (replies, _) = haggle(&[an_option(option::GO, &info_data(b"", &[info::BLOCK_SIZE]))], &export);
    assert_eq!(replies.last().unwrap().1, rep::ACK);
    assert_eq!(replies[0].2[2..6], 4096u32.to_be_bytes());
}

#[test]
fn metadata_contexts() {
    let structured = an_option(option::STRUCTURED_REPLY, b"");
    let ask = |kind, name: &[u8], queries: &[&[u8]]| {
        let option = an_option(kind, &context_data(name, queries));
        let (replies, _) = haggle(&[structured.clone(), option], &export(BlockSize::B512, ALL));
        replies[1..].iter().map(|r| (r.1, r.2.first_chunk::<4>().map(|id| id[3]))).collect::<Vec<_>>()
    };
    let (list, set) = (option::LIST_META_CONTEXT, option::SET_META_CONTEXT);
    let ack = (rep::ACK, None);
    let context = |id| (rep::META_CONTEXT, Some(id));
    assert_eq!(ask(list, b"", &[]), [context(0), ack]);
    assert_eq!(ask(list, b"vault", &[b"base:"]), [context(0), ack]);
    assert_eq!(ask(list, b"vault", &[b"qemu:dirty-bitmap:"]), [ack]);
    assert_eq!(ask(set, b"", &[b"x:y", b"base:allocation"]), [context(1), ack]);
    assert_eq!(ask(set, b"", &[b"base:"]), [ack]);
    assert_eq!(ask(set, b"", &[]), [ack]);
    assert_eq!(ask(set, b"valut", &[b"base:allocation"])[0].0, rep::ERR_UNKNOWN);
    let early = an_option(set, &context_data(b"", &[b"base:allocation"]));
    assert_eq!(kinds(&[early]), [rep::ERR_INVALID]);
    let good = context_data(b"vault", &[b"base:allocation"]);
    for cut in 0..good.len() {
        let cut = an_option(set, &good[..cut]);
        assert_eq!(kinds(&[structured.clone(), cut]), [rep::ACK, rep::ERR_INVALID]);
    }
}

#[test]
fn a_hostile_haggler_is_cut_off() {
    let mut wrong = an_option(option::LIST, b"");
    wrong[0] ^= 1;
    let mut long = an_option(4, b"");
    long[12..].copy_from_slice(&(64 * 1024 + 1u32).to_be_bytes());
    for option in [wrong, long] {
        let (_, story) = haggle(&[option], &export(BlockSize::B512, ALL));
        assert!(story.closed);
    }
}

#[test]
fn flags_follow_limits_and_rights() {
    let flags = |offer, change: fn(&mut Limits)| {
        let mut limits = limits(BlockSize::B512);
        change(&mut limits);
        Export::new("vault", &limits, offer, 65536).flags(false)
    };
    let base = t::HAS_FLAGS | t::CAN_MULTI_CONN;
    let zeroes = t::SEND_WRITE_ZEROES | t::SEND_FAST_ZERO;
    let full = base | t::SEND_FLUSH | t::SEND_FUA | t::SEND_TRIM | zeroes;
    assert_eq!(flags(ALL, |_| {}), full);
    assert_eq!(flags(ALL, |l| l.read_only = true), base | t::READ_ONLY | t::SEND_FLUSH);
    assert_eq!(flags(Offer { write: false, ..ALL }, |_| {}), base | t::READ_ONLY | t::SEND_FLUSH);
    assert_eq!(flags(ALL, |l| l.discard_granularity = 0), full & !t::SEND_TRIM);
    assert_eq!(flags(ALL, |l| l.write_zeroes = false), full & !zeroes);
    assert_eq!(flags(Offer { trim: false, ..ALL }, |_| {}), full & !t::SEND_TRIM);
    // Without force unit access a flush does it; without a cache nothing is needed; with neither it can't be promised.
    let no_flush = Offer { flush: false, ..ALL };
    assert_eq!(flags(ALL, |l| l.fua = false), full);
    assert_eq!(flags(no_flush, |_| {}), full & !t::SEND_FLUSH);
    assert_eq!(flags(no_flush, |l| (l.fua, l.volatile_cache) = (false, false)), full & !t::SEND_FLUSH);
    assert_eq!(flags(no_flush, |l| l.fua = false), full & !t::SEND_FLUSH & !t::SEND_FUA);
    let export = Export::new("vault", &limits(BlockSize::B512), ALL, 65536);
    assert_eq!(export.flags(true), full | t::SEND_DF);
}

// SPDX-License-Identifier: MIT
//! Each command, and how it is refused ("Request types", "Error values").
use super::*;

const K: u32 = 1024;

/// A handshake up to transmission.
fn handshake(structured: bool, contexts: bool) -> Vec<u8> {
    let mut stream = hello();
    if structured {
        stream.extend(an_option(option::STRUCTURED_REPLY, b""));
    }
    if contexts {
        stream.extend(an_option(option::SET_META_CONTEXT, &context_data(b"", &[b"base:allocation"])));
    }
    stream.extend(an_option(option::GO, &info_data(b"", &[info::BLOCK_SIZE])));
    stream
}

fn outcome(export: &Export<'_>, extensions: (bool, bool), request: &[u8]) -> Option<Result<Command, Errno>> {
    let stream = [handshake(extensions.0, extensions.1), request.to_vec()].concat();
    play(&stream, &[usize::MAX], export).requests.first().map(|r| r.0)
}

fn ask(offer: Offer, kind: u16, flags: u16, offset: u64, len: u32) -> Result<Command, Errno> {
    outcome(&export(BlockSize::B4096, offer), (true, true), &a_request(kind, flags, 1, offset, len)).unwrap()
}

#[test]
fn what_is_offered_is_done() {
    for (kind, flags, len, command) in [
        (cmd::READ, 0, 4 * K, Command::Read { whole: false }),
        (cmd::READ, flag::FUA | flag::DF, 64 * K, Command::Read { whole: true }),
        (cmd::WRITE, flag::FUA, 1024 * K, Command::Write),
        (cmd::FLUSH, flag::FUA, 0, Command::Flush),
        (cmd::TRIM, flag::FUA, 1024 * K, Command::Trim),
        (cmd::WRITE_ZEROES, flag::FUA | flag::NO_HOLE, 4 * K, Command::WriteZeroes),
        (cmd::BLOCK_STATUS, flag::REQ_ONE, 8 * K, Command::BlockStatus),
    ] {
        assert_eq!(ask(ALL, kind, flags, 0, len), Ok(command), "{kind}");
    }
}

#[test]
fn what_is_not_offered_is_refused() {
    let invalid = Err(Errno::Inval);
    for kind in [5, 8, 9, u16::MAX] {
        assert_eq!(ask(ALL, kind, 0, 0, 4 * K), invalid, "{kind}");
    }
    assert_eq!(ask(Offer { trim: false, ..ALL }, cmd::TRIM, 0, 0, 4 * K), invalid);
    assert_eq!(ask(Offer { zeroes: false, ..ALL }, cmd::WRITE_ZEROES, 0, 0, 4 * K), invalid);
    assert_eq!(ask(Offer { flush: false, ..ALL }, cmd::FLUSH, 0, 0, 0), invalid);
    for kind in [cmd::WRITE, cmd::TRIM, cmd::WRITE_ZEROES] {
        assert_eq!(ask(Offer { write: false, ..ALL }, kind, 0, 0, 4 * K), Err(Errno::Perm), "{kind}");
    }
    assert_eq!(ask(ALL, cmd::WRITE_ZEROES, flag::FAST_ZERO, 0, 4 * K), Err(Errno::NotSup));
}

#[test]
fn flags_belong_to_commands() {
    let known = |kind| match kind {
        cmd::READ => flag::DF,
        cmd::WRITE_ZEROES => flag::NO_HOLE | flag::FAST_ZERO,
        cmd::BLOCK_STATUS => flag::REQ_ONE,
        _ => 0,
    };
    for kind in [cmd::READ, cmd::WRITE, cmd::FLUSH, cmd::TRIM, cmd::WRITE_ZEROES, cmd::BLOCK_STATUS] {
        for bit in 1..16 {
            let len = if kind == cmd::FLUSH { 0 } else { 4 * K };
            let refused = ask(ALL, kind, 1 << bit, 0, len) == Err(Errno::Inval);
            assert_eq!(refused, known(kind) & (1 << bit) == 0, "{kind} {bit}");
        }
    }
    let export = export(BlockSize::B512, ALL);
    let whole = a_request(cmd::READ, flag::DF, 1, 0, 512);
    assert_eq!(outcome(&export, (false, false), &whole), Some(Err(Errno::Inval)), "DF without structured replies");
    let status = a_request(cmd::BLOCK_STATUS, 0, 1, 0, 512);
    assert_eq!(outcome(&export, (true, false), &status), Some(Err(Errno::Inval)), "no context was chosen");
    let unset = an_option(option::SET_META_CONTEXT, &context_data(b"", &[]));
    let set = an_option(option::SET_META_CONTEXT, &context_data(b"", &[b"base:allocation"]));
    let structured = an_option(option::STRUCTURED_REPLY, b"");
    let go = an_option(option::GO, &info_data(b"", &[]));
    let story = play(&[hello(), structured, set, unset, go, status].concat(), &[usize::MAX], &export);
    assert_eq!(story.requests[0].0, Err(Errno::Inval), "the choice was taken back");
}

#[test]
fn ranges() {
    let end = SIZE;
    for (kind, beyond) in [
        (cmd::READ, Errno::Inval),
        (cmd::WRITE, Errno::NoSpace),
        (cmd::TRIM, Errno::Inval),
        (cmd::WRITE_ZEROES, Errno::NoSpace),
        (cmd::BLOCK_STATUS, Errno::Inval),
    ] {
        assert!(ask(ALL, kind, 0, end - 4096, 4 * K).is_ok());
        for (offset, len) in [(end, 4 * K), (end - 4096, 8 * K), (u64::MAX - 4095, 4 * K), (u64::MAX - 4095, 8 * K)] {
            assert_eq!(ask(ALL, kind, 0, offset, len), Err(beyond), "{kind} {offset}");
        }
        for (offset, len) in [(0, 0), (512, 4 * K), (0, 512), (0, 4 * K + 1), (1, 4 * K)] {
            assert_eq!(ask(ALL, kind, 0, offset, len), Err(Errno::Inval), "{kind} {offset} {len}");
        }
    }
    assert_eq!(ask(ALL, cmd::FLUSH, 0, 4096, 0), Err(Errno::Inval));
    assert_eq!(ask(ALL, cmd::FLUSH, 0, 0, 4 * K), Err(Errno::Inval));
    assert_eq!(ask(ALL, cmd::READ, flag::DF, 0, 68 * K), Err(Errno::Overflow));
}

#[test]
fn a_refused_write_does_not_derail_the_stream() {
    let export = export(BlockSize::B512, ALL);
    let mut stream = handshake(false, false);
    stream.extend(a_request(cmd::WRITE, 0, 1, 13, 700));
    stream.extend([0xee; 700]);
    stream.extend(a_request(cmd::WRITE, 0, 2, 512, 512));
    stream.extend([7; 512]);
    stream.extend(a_request(cmd::DISC, 0, 3, 0, 0));
    let story = play(&stream, &[usize::MAX], &export);
    let expected = [(Err(Errno::Inval), 1, Vec::new()), (Ok(Command::Write), 2, vec![7; 512])];
    assert_eq!((story.requests.as_slice(), story.closed), (&expected[..], true));
}

#[test]
fn payloads_beyond_reason_and_wrong_magic_end_the_session() {
    let export = export(BlockSize::B512, ALL);
    let huge = a_request(cmd::WRITE, 0, 1, 0, (32 << 20) + 512);
    let mut wrong = a_request(cmd::READ, 0, 1, 0, 512);
    wrong[3] ^= 1;
    for request in [huge, wrong] {
        let stream = [handshake(false, false), request].concat();
        assert!(play(&stream, &[usize::MAX], &export).closed);
    }
}

#[test]
fn heads_of_replies() {
    let cookie = 0x0102_0304_0506_0708u64;
    let simple = |error: u32| [&[0x67, 0x44, 0x66, 0x98][..], &error.to_be_bytes(), &cookie.to_be_bytes()].concat();
    let chunk = |flags: u16, kind: u16, rest: &[u8]| {
        let len = rest.len() as u32;
        let head = [0x66, 0x8e, 0x33, 0xef];
        let (flags, kind) = (flags.to_be_bytes(), kind.to_be_bytes());
        [&head[..], &flags, &kind, &cookie.to_be_bytes(), &len.to_be_bytes(), rest].concat()
    };
    assert_eq!(Head::simple(cookie, Ok(())).as_bytes(), simple(0));
    assert_eq!(Head::simple(cookie, Err(Errno::Shutdown)).as_bytes(), simple(108));
    let mut data = chunk(1, 1, &[&0x1000u64.to_be_bytes()[..], &[0; 512]].concat());
    data.truncate(28);
    assert_eq!(Head::data(cookie, 0x1000, 512, true).as_bytes(), data);
    assert_eq!(Head::done(cookie).as_bytes(), chunk(1, 0, &[]));
    assert_eq!(Head::error(cookie, Errno::Io).as_bytes(), chunk(1, 0x8001, &[0, 0, 0, 5, 0, 0]));
    let at = [0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0];
    assert_eq!(Head::error_at(cookie, Errno::Io, 0x1000, false).as_bytes(), chunk(0, 0x8002, &at));
    let extent = [0, 0, 0, 1, 0, 0, 2, 0, 0, 0, 0, 0];
    assert_eq!(Head::allocated(cookie, 512).as_bytes(), chunk(1, 5, &extent));
}

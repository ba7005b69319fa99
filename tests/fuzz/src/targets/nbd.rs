// SPDX-License-Identifier: MIT
//! The NBD server's side of a connection, with any bytes in any pieces.
use super::Input;
use orion_block::{BlockSize, Limits};
use orion_nbd::{Command, Event, Export, Offer, Session, Want};

const SIZE: u64 = 1 << 20;

/// A connection: how it is cut, what is offered, then the bytes.
pub fn nbd(bytes: &[u8]) {
    let mut input = Input(bytes);
    let piece = usize::from(input.byte()).max(1);
    let offer = input.byte();
    let block = if offer & 16 == 0 { BlockSize::B512 } else { BlockSize::B4096 };
    let limits = Limits {
        block,
        capacity: SIZE >> block.shift(),
        discard_granularity: 1,
        volatile_cache: true,
        fua: true,
        write_zeroes: true,
        ..Limits::default()
    };
    let has = |bit: u8| offer & bit != 0;
    let offer = Offer { write: has(1), flush: has(2), trim: has(4), zeroes: has(8) };
    let export = Export::new("vault", &limits, offer, 65536);
    let (mut session, mut rest, mut output) = (Session::new(), input.0, 0);
    loop {
        assert!(session.output().len() <= 512, "output piles up");
        let n = rest.len().min(piece);
        match session.want() {
            Want::Output => {
                output += session.output().len();
                session.sent(session.output().len());
            }
            Want::Payload(left) => {
                let n = n.min(left as usize);
                if n == 0 {
                    break;
                }
                session.received(n as u32);
                rest = &rest[n..];
            }
            Want::Bytes(wanted) => {
                assert!(wanted > 0, "it wants nothing");
                if rest.is_empty() {
                    break;
                }
                let (used, event) = session.feed(&rest[..n], &export);
                assert!(used > 0 && used <= n.min(wanted), "{used} of {n} bytes");
                rest = &rest[used..];
                if let Event::Request(request) = event {
                    let end = request.offset.checked_add(request.len.into());
                    let writes = matches!(request.command, Command::Write);
                    assert!(end.is_some_and(|end| end <= SIZE), "{request:?} is beyond the export");
                    assert!(offer.write || !writes, "{request:?} was not offered");
                }
            }
            Want::Close => break,
        }
    }
    assert!(output <= 18 + bytes.len() * 32 + 512, "more output than input explains");
}

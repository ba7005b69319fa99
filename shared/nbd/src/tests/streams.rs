// SPDX-License-Identifier: MIT
//! Hostile streams, and streams that come in pieces.
use super::*;

fn some_option() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![Just(b"".to_vec()), Just(b"vault".to_vec()), Just(vec![b'x'; 80])];
    let query = prop_oneof![Just(&b"base:allocation"[..]), Just(&b"base:"[..]), Just(&b"x"[..])];
    prop_oneof![
        (name.clone(), prop::collection::vec(0u16..5, 0..5), any::<bool>()).prop_map(|(name, wanted, go)| {
            let kind = if go { option::GO } else { option::INFO };
            an_option(kind, &info_data(&name, &wanted))
        }),
        (name.clone(), prop::collection::vec(query, 0..3), 9u32..11)
            .prop_map(|(name, queries, kind)| an_option(kind, &context_data(&name, &queries))),
        name.prop_map(|name| an_option(option::EXPORT_NAME, &name)),
        (0u32..14, prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(kind, data)| an_option(kind, &data)),
        (3u32..14, 1000usize..3000).prop_map(|(kind, len)| an_option(kind, &vec![0; len])),
        Just(an_option(option::STRUCTURED_REPLY, b"")),
        Just(an_option(option::LIST, b"")),
    ]
}

fn some_request() -> impl Strategy<Value = Vec<u8>> {
    let offset = prop_oneof![(0u64..2100).prop_map(|block| block * 512), any::<u64>()];
    let len = prop_oneof![(0u32..9).prop_map(|blocks| blocks * 512), 0u32..3000];
    (0u16..9, prop_oneof![3 => Just(0u16), 1 => 0u16..32], any::<u64>(), offset, len).prop_map(
        |(kind, flags, cookie, offset, len)| {
            let mut bytes = a_request(kind, flags, cookie, offset, len);
            if kind == cmd::WRITE {
                bytes.extend((0..len).map(|i| (i % 251) as u8));
            }
            bytes
        },
    )
}

/// A client that means well, more or less.
fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let options = prop::collection::vec(some_option(), 0..6);
    let requests = prop::collection::vec(some_request(), 0..12);
    (any::<bool>(), options, requests).prop_map(|(zeroes, options, requests)| {
        let flags = u32::from(zeroes) | 2;
        let go = an_option(option::GO, &info_data(b"", &[info::BLOCK_SIZE]));
        [flags.to_be_bytes().to_vec(), options.concat(), go, requests.concat()].concat()
    })
}

proptest! {
    /// Where the stream is cut makes no difference.
    #[test]
    fn cuts_are_invisible(stream in conversation(), pieces in prop::collection::vec(1usize..70, 1..9)) {
        let export = export(BlockSize::B512, ALL);
        let whole = play(&stream, &[usize::MAX], &export);
        prop_assert_eq!(&play(&stream, &[1], &export), &whole);
        prop_assert_eq!(&play(&stream, &pieces, &export), &whole);
    }

    /// Whatever comes, the session neither panics nor collects output, and goes on or closes.
    #[test]
    fn noise_is_survived(
        stream in conversation(),
        cut in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..2000),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        pieces in prop::collection::vec(1usize..200, 1..5),
    ) {
        let mut stream = [&stream[..cut.index(stream.len() + 1)], &noise[..]].concat();
        for (at, byte) in flips {
            if !stream.is_empty() {
                let at = at.index(stream.len());
                stream[at] = byte;
            }
        }
        let story = play(&stream, &pieces, &export(BlockSize::B512, ALL));
        prop_assert!(story.closed || story.left == 0);
        prop_assert!(story.output.len() <= 18 + stream.len() * 32 + 512);
    }
}

// SPDX-License-Identifier: MIT
//! Each set of instructions that this processor has, against the reference; and the field against its laws.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
use orion_parity::field::{inverse, multiply, power};
use orion_parity::{Parity, plain};
use proptest::prelude::*;

#[test]
fn the_field_is_one() {
    for a in 0..=255 {
        assert_eq!(multiply(a, 1), a);
        assert_eq!(multiply(a, inverse(a)), u8::from(a != 0));
        for b in 0..=255 {
            assert_eq!(multiply(a, b), multiply(b, a));
            assert_eq!(multiply(a, b ^ 77), multiply(a, b) ^ multiply(a, 77));
        }
    }
    // The generator reaches everything but 0.
    let mut seen: Vec<u8> = (0..255).map(power).collect();
    seen.sort_unstable();
    assert_eq!(seen, (1..=255).collect::<Vec<_>>());
    assert_eq!((power(8), power(255)), (0x1d, 1));
}

#[test]
fn each_product_is_right_in_each_set() {
    let bytes: Vec<u8> = (0..=255).cycle().take(700).collect();
    for parity in Parity::all() {
        for factor in 0..=255 {
            let (mut fast, mut slow) = (bytes.clone(), bytes.clone());
            parity.scale(&mut fast, factor);
            plain::scale(&mut slow, factor);
            assert_eq!(fast, slow, "{} times {factor}", parity.name());
        }
    }
}

fn blocks() -> impl Strategy<Value = Vec<Vec<u8>>> {
    (1usize..9, 0usize..600)
        .prop_flat_map(|(count, len)| proptest::collection::vec(proptest::collection::vec(any::<u8>(), len), count))
}

proptest! {
    #[test]
    fn any_blocks_have_the_same_parity_in_each_set(data in blocks(), factor: u8) {
        let data: Vec<&[u8]> = data.iter().map(Vec::as_slice).collect();
        let len = data[0].len();
        let mut expected = [vec![1; len], vec![2; len], vec![3; len], vec![4; len], vec![5; len], vec![6; len]];
        {
            let [p, q, alone, sum, all, part] = &mut expected;
            plain::pq(&data, p, q);
            plain::p(&data, alone);
            plain::add(sum, p);
            plain::add_product(sum, q, factor);
            plain::add_difference(all, q, p, factor);
            plain::exchange(all, part, q);
        }
        for parity in Parity::all() {
            let mut found = [vec![0; len], vec![0; len], vec![0; len], vec![4; len], vec![5; len], vec![6; len]];
            let [p, q, alone, sum, all, part] = &mut found;
            parity.pq(&data, p, q);
            parity.p(&data, alone);
            parity.add(sum, p);
            parity.add_product(sum, q, factor);
            parity.add_difference(all, q, p, factor);
            parity.exchange(all, part, q);
            prop_assert_eq!(&found, &expected, "{}", parity.name());
        }
    }
}

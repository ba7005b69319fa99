// SPDX-License-Identifier: MIT
//! Arithmetic and recovery against the definition.
use crate::parity::{add, add_product, from_p_and_q, from_q, inverse, power};
use orion_parity::Parity;
use orion_parity::field::multiply;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

/// The product as polynomials, and the rest of a division by x^8 + x^4 + x^3 + x^2 + 1.
fn slow(a: u8, b: u8) -> u8 {
    let product = (0..8).filter(|i| b >> i & 1 != 0).fold(0u32, |sum, i| sum ^ u32::from(a) << i);
    let rest = (8..16).rev().fold(product, |rest, i| if rest >> i & 1 != 0 { rest ^ 0x11d << (i - 8) } else { rest });
    rest as u8
}

#[test]
fn every_product_is_the_polynomials() {
    for a in 0..=255 {
        for b in 0..=255 {
            assert_eq!(multiply(a, b), slow(a, b), "{a} {b}");
        }
        assert_eq!(multiply(a, inverse(a)), u8::from(a != 0), "{a}");
    }
    let powers: std::collections::BTreeSet<u8> = (0..255).map(power).collect();
    assert_eq!((powers.len(), power(255), power(1)), (255, 1, 2));
}

fn stripe() -> impl Strategy<Value = Vec<Vec<u8>>> {
    (2usize..20, 1usize..40).prop_flat_map(|(members, len)| vec![vec![any::<u8>(); len]; members])
}

proptest! {
    #[test]
    fn one_or_two_lost_members_come_back(data in stripe(), x: prop::sample::Index, y: prop::sample::Index) {
        let (x, y) = (x.index(data.len()), y.index(data.len()));
        let (mut p, mut q) = (vec![0; data[0].len()], vec![0; data[0].len()]);
        for (member, power_of) in data.iter().zip(0..) {
            add(&mut p, member);
            // Q by its definition, byte by byte.
            for (sum, byte) in q.iter_mut().zip(member) {
                *sum ^= (0..power_of).fold(*byte, |value, _| slow(value, 2));
            }
        }
        for (member, number) in data.iter().zip(0..).filter(|(_, n)| *n != x && *n != y) {
            add(&mut p, member);
            add_product(&mut q, member, power(number as u32));
        }
        if x == y {
            prop_assert_eq!(&p, &data[x]);
            from_q(Parity::new(), &mut q, x as u32);
            prop_assert_eq!(&q, &data[x]);
        } else {
            from_p_and_q(Parity::new(), &mut p, &mut q, x as u32, y as u32);
            prop_assert_eq!((&p, &q), (&data[x], &data[y]));
        }
    }
}

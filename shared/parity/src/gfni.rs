// SPDX-License-Identifier: MIT
//! The same with AVX-512 and GFNI, which multiply 64 bytes by a constant in one instruction: a product is a linear map of a
//! byte's bits, so a matrix of 8 times 8 bits.
#![allow(unsafe_code, reason = "bytes are moved to registers and back")]
use crate::field::multiply;
use crate::{lanes, plain};
use core::arch::x86_64::{
    __m512i, _mm512_gf2p8affine_epi64_epi8, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_xor_si512,
};
use core::mem::transmute;

/// Bytes of each block that are in registers at once.
const N: usize = 256;
/// As registers.
type Lane = [__m512i; N / 64];

fn load(bytes: &[u8; N]) -> Lane {
    // SAFETY: as many bytes, all of whose values are valid.
    unsafe { transmute(*bytes) }
}

fn store(lane: Lane) -> [u8; N] {
    // SAFETY: as above.
    unsafe { transmute(lane) }
}

/// The matrices of products with all factors: row `i` in byte `7 - i` says which bits make bit `i` (GF2P8AFFINEQB in Intel's
/// manual, volume 2).
static MATRICES: [u64; 256] = matrices();

const fn matrices() -> [u64; 256] {
    let mut all = [0; 256];
    let (mut factor, mut rest) = (0u8, all.as_mut_slice());
    while let [matrix, others @ ..] = rest {
        let mut place = 0;
        while place < 64 {
            let (i, j) = (7 - place / 8, place % 8);
            *matrix |= ((multiply(factor, 1 << j) >> i & 1) as u64) << place;
            place += 1;
        }
        (factor, rest) = (factor.wrapping_add(1), others);
    }
    all
}

/// The matrix of a product with `factor`.
#[target_feature(enable = "avx512f")]
fn matrix(factor: u8) -> __m512i {
    _mm512_set1_epi64(MATRICES.get(usize::from(factor)).map_or(0, |bits| bits.cast_signed()))
}

#[target_feature(enable = "avx512f")]
fn xor(a: Lane, b: Lane) -> Lane {
    let [a0, a1, a2, a3] = a;
    let [b0, b1, b2, b3] = b;
    [_mm512_xor_si512(a0, b0), _mm512_xor_si512(a1, b1), _mm512_xor_si512(a2, b2), _mm512_xor_si512(a3, b3)]
}

#[target_feature(enable = "avx512f,gfni")]
fn product(a: Lane, by: __m512i) -> Lane {
    let [a0, a1, a2, a3] = a;
    [
        _mm512_gf2p8affine_epi64_epi8::<0>(a0, by),
        _mm512_gf2p8affine_epi64_epi8::<0>(a1, by),
        _mm512_gf2p8affine_epi64_epi8::<0>(a2, by),
        _mm512_gf2p8affine_epi64_epi8::<0>(a3, by),
    ]
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub fn p(data: &[&[u8]], p: &mut [u8]) {
    lanes::p::<N>(data, p);
}

#[target_feature(enable = "avx512f,avx512bw,gfni")]
pub fn pq(data: &[&[u8]], p: &mut [u8], q: &mut [u8]) {
    let ((p_chunks, p_rest), (q_chunks, q_rest)) = (p.as_chunks_mut::<N>(), q.as_chunks_mut::<N>());
    let (two, zero) = (matrix(2), [_mm512_setzero_si512(); N / 64]);
    let mut at = 0;
    for (p, q) in p_chunks.iter_mut().zip(q_chunks) {
        let (mut sum, mut weighted) = (zero, zero);
        for data in data.iter().rev().filter_map(|block| lanes::lane(block, at)) {
            let data = load(data);
            sum = xor(sum, data);
            weighted = xor(product(weighted, two), data);
        }
        (*p, *q) = (store(sum), store(weighted));
        at += N;
    }
    lanes::pq_rest(data, at, p_rest, q_rest);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub fn add(sum: &mut [u8], data: &[u8]) {
    lanes::add::<N>(sum, data);
}

#[target_feature(enable = "avx512f,gfni")]
pub fn add_product(sum: &mut [u8], data: &[u8], factor: u8) {
    let ((sums, sum_rest), (data, data_rest)) = (sum.as_chunks_mut::<N>(), data.as_chunks::<N>());
    let by = matrix(factor);
    for (sum, data) in sums.iter_mut().zip(data) {
        *sum = store(xor(load(sum), product(load(data), by)));
    }
    if !sum_rest.is_empty() {
        plain::add_product(sum_rest, data_rest, factor);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub fn exchange(sum: &mut [u8], old: &mut [u8], new: &[u8]) {
    lanes::exchange::<N>(sum, old, new);
}

#[target_feature(enable = "avx512f,gfni")]
pub fn add_difference(sum: &mut [u8], old: &[u8], new: &[u8], factor: u8) {
    let ((sums, sum_rest), (olds, old_rest)) = (sum.as_chunks_mut::<N>(), old.as_chunks::<N>());
    let (news, new_rest) = new.as_chunks::<N>();
    let by = matrix(factor);
    for ((sum, old), new) in sums.iter_mut().zip(olds).zip(news) {
        *sum = store(xor(load(sum), product(xor(load(old), load(new)), by)));
    }
    if !sum_rest.is_empty() {
        plain::add_difference(sum_rest, old_rest, new_rest, factor);
    }
}

#[target_feature(enable = "avx512f,gfni")]
pub fn scale(bytes: &mut [u8], factor: u8) {
    let (chunks, rest) = bytes.as_chunks_mut::<N>();
    let by = matrix(factor);
    chunks.iter_mut().for_each(|chunk| *chunk = store(product(load(chunk), by)));
    if !rest.is_empty() {
        plain::scale(rest, factor);
    }
}

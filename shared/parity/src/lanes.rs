// SPDX-License-Identifier: MIT
//! The same on many bytes at once, in a form that compilers make vector instructions of.
//!
//! Each function is inlined into one of [`machine`](crate::machine)'s, whose instructions it is then compiled to. `N` is how many
//! bytes of each block are in registers at once.
use crate::{field, plain};
use core::array;

/// Bytes side by side.
type Lane<const N: usize> = [u8; N];

#[inline(always)]
fn zip<const N: usize>(a: Lane<N>, b: &Lane<N>, f: impl Fn(u8, u8) -> u8) -> Lane<N> {
    array::from_fn(|i| match (a.get(i), b.get(i)) {
        (Some(a), Some(b)) => f(*a, *b),
        _ => 0,
    })
}

#[inline(always)]
fn xor<const N: usize>(a: Lane<N>, b: &Lane<N>) -> Lane<N> {
    zip(a, b, |a, b| a ^ b)
}

#[inline(always)]
fn double<const N: usize>(a: Lane<N>) -> Lane<N> {
    // The sign, stretched over the byte, selects the polynomial.
    a.map(|a| (a << 1) ^ ((a.cast_signed() >> 7).cast_unsigned() & 0x1d))
}

/// `a` times `factor`, by Horner's rule.
#[inline(always)]
fn product<const N: usize>(a: &Lane<N>, factor: u8) -> Lane<N> {
    let mut sum = [0; N];
    for bit in (0..8).rev() {
        let taken = 0u8.wrapping_sub(factor >> bit & 1);
        sum = zip(double(sum), a, |sum, a| sum ^ (a & taken));
    }
    sum
}

/// Bytes of a block from `at` on.
#[inline(always)]
pub fn lane<const N: usize>(block: &[u8], at: usize) -> Option<&Lane<N>> {
    block.get(at..)?.first_chunk()
}

/// P of blocks that are as long as it is.
#[inline(always)]
pub fn p<const N: usize>(data: &[&[u8]], p: &mut [u8]) {
    let (chunks, rest) = p.as_chunks_mut::<N>();
    let mut at = 0;
    for to in chunks {
        let mut sum = [0; N];
        for data in data.iter().filter_map(|block| lane(block, at)) {
            sum = xor(sum, data);
        }
        *to = sum;
        at += N;
    }
    for (at, to) in (at..).zip(rest) {
        *to = bytes(data, at).fold(0, |sum, byte| sum ^ byte);
    }
}

/// P and Q of blocks that are as long as they are.
#[inline(always)]
pub fn pq<const N: usize>(data: &[&[u8]], p: &mut [u8], q: &mut [u8]) {
    let ((p_chunks, p_rest), (q_chunks, q_rest)) = (p.as_chunks_mut::<N>(), q.as_chunks_mut::<N>());
    let mut at = 0;
    for (p, q) in p_chunks.iter_mut().zip(q_chunks) {
        let (mut sum, mut weighted) = ([0; N], [0; N]);
        for data in data.iter().rev().filter_map(|block| lane(block, at)) {
            sum = xor(sum, data);
            weighted = xor(double(weighted), data);
        }
        (*p, *q) = (sum, weighted);
        at += N;
    }
    pq_rest(data, at, p_rest, q_rest);
}

/// P and Q from `at` on, where less than a lane is left.
pub fn pq_rest(data: &[&[u8]], at: usize, p: &mut [u8], q: &mut [u8]) {
    for (at, (p, q)) in (at..).zip(p.iter_mut().zip(q)) {
        *p = bytes(data, at).fold(0, |sum, byte| sum ^ byte);
        *q = bytes(data, at).rev().fold(0, |sum, byte| field::double(sum) ^ byte);
    }
}

/// The bytes of all blocks at one place.
fn bytes(data: &[&[u8]], at: usize) -> impl DoubleEndedIterator<Item = u8> {
    data.iter().filter_map(move |block| block.get(at)).copied()
}

/// Adds `data` to `sum`.
#[inline(always)]
pub fn add<const N: usize>(sum: &mut [u8], data: &[u8]) {
    let ((sums, sum_rest), (data, data_rest)) = (sum.as_chunks_mut::<N>(), data.as_chunks::<N>());
    sums.iter_mut().zip(data).for_each(|(sum, data)| *sum = xor(*sum, data));
    plain::add(sum_rest, data_rest);
}

/// Adds `data` times `factor` to `sum`.
#[inline(always)]
pub fn add_product<const N: usize>(sum: &mut [u8], data: &[u8], factor: u8) {
    let ((sums, sum_rest), (data, data_rest)) = (sum.as_chunks_mut::<N>(), data.as_chunks::<N>());
    sums.iter_mut().zip(data).for_each(|(sum, data)| *sum = xor(*sum, &product(data, factor)));
    if !sum_rest.is_empty() {
        plain::add_product(sum_rest, data_rest, factor);
    }
}

/// Has `old` become `new`, and `sum`, of which it is a part, what it then is.
#[inline(always)]
pub fn exchange<const N: usize>(sum: &mut [u8], old: &mut [u8], new: &[u8]) {
    let ((sums, sum_rest), (olds, old_rest)) = (sum.as_chunks_mut::<N>(), old.as_chunks_mut::<N>());
    let (news, new_rest) = new.as_chunks::<N>();
    for ((sum, old), new) in sums.iter_mut().zip(olds).zip(news) {
        *sum = xor(xor(*sum, old), new);
        *old = *new;
    }
    plain::exchange(sum_rest, old_rest, new_rest);
}

/// Adds the difference of `old` and `new`, times `factor`, to `sum`.
#[inline(always)]
pub fn add_difference<const N: usize>(sum: &mut [u8], old: &[u8], new: &[u8], factor: u8) {
    let ((sums, sum_rest), (olds, old_rest)) = (sum.as_chunks_mut::<N>(), old.as_chunks::<N>());
    let (news, new_rest) = new.as_chunks::<N>();
    for ((sum, old), new) in sums.iter_mut().zip(olds).zip(news) {
        *sum = xor(*sum, &product(&xor(*old, new), factor));
    }
    if !sum_rest.is_empty() {
        plain::add_difference(sum_rest, old_rest, new_rest, factor);
    }
}

/// Multiplies all of `bytes` by `factor`.
#[inline(always)]
pub fn scale<const N: usize>(bytes: &mut [u8], factor: u8) {
    let (chunks, rest) = bytes.as_chunks_mut::<N>();
    chunks.iter_mut().for_each(|chunk| *chunk = product(chunk, factor));
    if !rest.is_empty() {
        plain::scale(rest, factor);
    }
}

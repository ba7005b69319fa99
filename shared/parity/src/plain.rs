// SPDX-License-Identifier: MIT
//! The reference: a byte after the other, by the formulas.
use crate::field::{double, multiply};

/// Makes P of the data.
pub fn p(data: &[&[u8]], p: &mut [u8]) {
    for (at, p) in p.iter_mut().enumerate() {
        *p = data.iter().filter_map(|block| block.get(at)).fold(0, |sum, byte| sum ^ byte);
    }
}

/// Makes P and Q of the data; the first block has the power 0.
pub fn pq(data: &[&[u8]], p: &mut [u8], q: &mut [u8]) {
    self::p(data, p);
    for (at, q) in q.iter_mut().enumerate() {
        *q = data.iter().rev().filter_map(|block| block.get(at)).fold(0, |sum, byte| double(sum) ^ byte);
    }
}

/// Adds `data` to `sum`.
pub fn add(sum: &mut [u8], data: &[u8]) {
    sum.iter_mut().zip(data).for_each(|(sum, data)| *sum ^= data);
}

/// Products of every byte with `factor`.
fn products(factor: u8) -> [u8; 256] {
    let mut products = [0; 256];
    for (byte, product) in (0..=u8::MAX).zip(&mut products) {
        *product = multiply(byte, factor);
    }
    products
}

fn product(products: &[u8; 256], byte: u8) -> u8 {
    products.get(usize::from(byte)).copied().unwrap_or(0)
}

/// Adds `data` times `factor` to `sum`.
pub fn add_product(sum: &mut [u8], data: &[u8], factor: u8) {
    let products = products(factor);
    sum.iter_mut().zip(data).for_each(|(sum, data)| *sum ^= product(&products, *data));
}

/// Has `old` become `new`, and `sum`, of which it is a part, what it then is.
pub fn exchange(sum: &mut [u8], old: &mut [u8], new: &[u8]) {
    add(sum, old);
    add(sum, new);
    old.iter_mut().zip(new).for_each(|(old, new)| *old = *new);
}

/// Adds the difference of `old` and `new`, times `factor`, to `sum`.
pub fn add_difference(sum: &mut [u8], old: &[u8], new: &[u8], factor: u8) {
    add_product(sum, old, factor);
    add_product(sum, new, factor);
}

/// Multiplies all of `bytes` by `factor`.
pub fn scale(bytes: &mut [u8], factor: u8) {
    let products = products(factor);
    bytes.iter_mut().for_each(|byte| *byte = product(&products, *byte));
}

// SPDX-License-Identifier: MIT
//! P and Q: P is the XOR of the data, Q the sum of the data each multiplied by a power of the generator 2 in GF(2^8) with
//! the polynomial 0x11d (H. P. Anvin, "The mathematics of RAID-6"). A plain reference; faster ones are tested against it.

/// `a` times 2.
const fn double(a: u8) -> u8 {
    (a << 1) ^ if a & 0x80 == 0 { 0 } else { 0x1d }
}

/// `a` times `b`.
pub const fn multiply(a: u8, b: u8) -> u8 {
    let (mut a, mut b, mut sum) = (a, b, 0);
    while b != 0 {
        if b & 1 != 0 {
            sum ^= a;
        }
        a = double(a);
        b >>= 1;
    }
    sum
}

/// 2 to the power of `n`; the powers repeat after 255.
pub fn power(n: u32) -> u8 {
    (0..n % 255).fold(1, |value, _| double(value))
}

/// One over `a`, which is `a` to the power of 254; 0 for 0.
pub fn inverse(a: u8) -> u8 {
    (0..7)
        .fold((a, 1), |(square, product), _| {
            let square = multiply(square, square);
            (square, multiply(product, square))
        })
        .1
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
    sum.iter_mut().zip(data).for_each(|(sum, &data)| *sum ^= product(&products, data));
}

/// Multiplies all of `bytes` by `factor`.
pub fn scale(bytes: &mut [u8], factor: u8) {
    let products = products(factor);
    bytes.iter_mut().for_each(|byte| *byte = product(&products, *byte));
}

/// Recovers data of the power `x` from Q: `q` is Q less all other data, and becomes the data.
pub fn from_q(q: &mut [u8], x: u32) {
    scale(q, inverse(power(x)));
}

/// Recovers the data of the powers `x` and `y`, which differ: `p` and `q` are P and Q less all other data, and become the data
/// of `x` and of `y`.
pub fn from_p_and_q(p: &mut [u8], q: &mut [u8], x: u32, y: u32) {
    // p = a + b, q = gx a + gy b; so q + gy p = (gx + gy) a.
    let (gx, gy) = (power(x), power(y));
    add_product(q, p, gy);
    scale(q, inverse(gx ^ gy));
    add(p, q);
    p.swap_with_slice(q);
}

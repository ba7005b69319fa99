// SPDX-License-Identifier: MIT
//! The field of 256 elements whose polynomial is 0x11d.

/// `a` times 2.
pub(crate) const fn double(a: u8) -> u8 {
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

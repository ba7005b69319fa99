// SPDX-License-Identifier: MIT
//! What is missing, from P and Q: see `orion-parity`.
pub use orion_parity::field::{inverse, power};
pub use orion_parity::plain::{add, add_product, scale};

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

// SPDX-License-Identifier: MIT
//! What is missing, from P and Q: see `orion-parity`.
use orion_parity::Parity;
pub use orion_parity::field::{inverse, power};
#[cfg(test)]
pub use orion_parity::plain::{add, add_product};

/// Recovers data of the power `x` from Q: `q` is Q less all other data, and becomes the data.
pub fn from_q(machine: Parity, q: &mut [u8], x: u32) {
    machine.scale(q, inverse(power(x)));
}

/// Recovers the data of the powers `x` and `y`, which differ: `p` and `q` are P and Q less all other data, and become the data
/// of `x` and of `y`.
pub fn from_p_and_q(machine: Parity, p: &mut [u8], q: &mut [u8], x: u32, y: u32) {
    // p = a + b, q = gx a + gy b; so q + gy p = (gx + gy) a.
    let (gx, gy) = (power(x), power(y));
    machine.add_product(q, p, gy);
    machine.scale(q, inverse(gx ^ gy));
    machine.add(p, q);
    p.swap_with_slice(q);
}

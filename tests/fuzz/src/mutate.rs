// SPDX-License-Identifier: MIT
//! Changes to inputs: the usual ones, and operands of comparisons that an input has met.
pub use orion_contract::Numbers;

/// Numbers at which code is most likely to be wrong.
const ODD: [u64; 16] =
    [0, 1, 2, 63, 64, 127, 128, 255, 256, 511, 512, 0x7fff_ffff, 0xffff_ffff, 1 << 40, u64::MAX - 1, u64::MAX];

/// Changes an input a few times. `other` is another input; `compared` are pairs that comparisons were made of.
pub fn mutate(input: &mut Vec<u8>, other: &[u8], compared: &[(u64, u64)], most: usize, numbers: &mut Numbers) {
    for _ in 0..=numbers.below(5) {
        once(input, other, compared, numbers);
    }
    input.truncate(most);
}

fn once(input: &mut Vec<u8>, other: &[u8], compared: &[(u64, u64)], numbers: &mut Numbers) {
    let len = input.len();
    if len == 0 {
        return input.extend_from_slice(&numbers.number().to_le_bytes());
    }
    let at = numbers.below(len);
    let span = 1 + numbers.below((len - at).min(32));
    match numbers.below(12) {
        0 | 1 => input[at] ^= 1 << numbers.below(8),
        2 => input[at] = numbers.number() as u8,
        3 => input[at] = input[at].wrapping_add(numbers.below(9) as u8).wrapping_sub(4),
        4 => put(input, at, ODD[numbers.below(ODD.len())], numbers),
        5 => drop(input.drain(at..at + span)),
        6 => {
            let copy = input[at..at + span].to_vec();
            let to = numbers.below(len + 1);
            input.splice(to..to, copy);
        }
        7 => {
            let bytes: Vec<u8> = (0..span).map(|_| numbers.number() as u8).collect();
            input.splice(at..at, bytes);
        }
        8 if !other.is_empty() => {
            let from = numbers.below(other.len());
            let until = from + 1 + numbers.below((other.len() - from).min(128));
            let end = if numbers.below(2) == 0 { at } else { (at + (until - from)).min(len) };
            input.splice(at..end, other[from..until].iter().copied());
        }
        _ if !compared.is_empty() => {
            let (one, two) = compared[numbers.below(compared.len())];
            let (from, to) = if numbers.below(2) == 0 { (one, two) } else { (two, one) };
            replace(input, from, to, at, numbers);
        }
        _ => input[at] = 0,
    }
}

/// Writes a number of 1, 2, 4 or 8 bytes in either order.
fn put(input: &mut [u8], at: usize, number: u64, numbers: &mut Numbers) {
    let width = (1 << numbers.below(4)).min(input.len() - at);
    let mut bytes = number.to_le_bytes()[..width].to_vec();
    if numbers.below(2) == 0 {
        bytes.reverse();
    }
    input[at..at + width].copy_from_slice(&bytes);
}

/// Puts what would have made a comparison equal where one side of it stands in the input; somewhere if it does not.
fn replace(input: &mut [u8], from: u64, to: u64, at: usize, numbers: &mut Numbers) {
    for width in [8, 4, 2, 1] {
        for reverse in [false, true] {
            let mut pair = [from, to].map(|number| number.to_le_bytes()[..width].to_vec());
            if reverse {
                pair.iter_mut().for_each(|bytes| bytes.reverse());
            }
            let fits = from >> (width * 8 - 1) >> 1 == 0 && (width > 1 || numbers.below(4) == 0);
            let found: Vec<usize> =
                input.windows(width).enumerate().filter(|(_, w)| *w == pair[0]).map(|f| f.0).collect();
            if fits && !found.is_empty() {
                let place = found[numbers.below(found.len())];
                input[place..place + width].copy_from_slice(&pair[1]);
                return;
            }
        }
    }
    put(input, at, to, numbers);
}

// SPDX-License-Identifier: MIT
//! Which instructions the processor has, chosen once.
#![allow(unsafe_code, reason = "functions whose instructions the processor was found to have are called")]
use crate::lanes;

/// Instructions to compute with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    /// Those that every processor of this kind has.
    Usual,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// With GFNI.
    #[cfg(target_arch = "x86_64")]
    Gfni,
}

/// Computes P and Q as fast as this processor can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parity(Set);

impl Default for Parity {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes, of each function of [`lanes`], one method that calls it compiled to the instructions chosen.
macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $of:ty),*);)*) => {
        impl Parity {
            $($(#[$doc])* pub fn $name(self, $($arg: $of),*) {
                match self.0 {
                    Set::Usual => lanes::$name::<64>($($arg),*),
                    // SAFETY: `Parity` names a set of instructions only where the processor was found to have it.
                    #[cfg(target_arch = "x86_64")]
                    Set::Avx2 => unsafe { x86::avx2::$name($($arg),*) },
                    // SAFETY: as above.
                    #[cfg(target_arch = "x86_64")]
                    Set::Avx512 => unsafe { x86::avx512::$name($($arg),*) },
                    // SAFETY: as above.
                    #[cfg(target_arch = "x86_64")]
                    Set::Gfni => unsafe { crate::gfni::$name($($arg),*) },
                }
            })*
        }

        #[cfg(target_arch = "x86_64")]
        mod x86 {
            pub mod avx2 {
                $(#[target_feature(enable = "avx2")]
                pub fn $name($($arg: $of),*) {
                    crate::lanes::$name::<128>($($arg),*);
                })*
            }
            pub mod avx512 {
                $(#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
                pub fn $name($($arg: $of),*) {
                    crate::lanes::$name::<256>($($arg),*);
                })*
            }
        }
    };
}

methods! {
    /// Makes P of blocks of data that are all as long as it is.
    p(data: &[&[u8]], p: &mut [u8]);
    /// Makes P and Q of blocks of data that are all as long as they are; the first block has the power 0.
    pq(data: &[&[u8]], p: &mut [u8], q: &mut [u8]);
    /// Adds `data` to `sum`, as far as both go.
    add(sum: &mut [u8], data: &[u8]);
    /// Adds `data` times `factor` to `sum`, as far as both go.
    add_product(sum: &mut [u8], data: &[u8], factor: u8);
    /// Has `old` become `new`, and `sum`, of which it is a part, what it then is. All are as long.
    exchange(sum: &mut [u8], old: &mut [u8], new: &[u8]);
    /// Adds the difference of `old` and `new`, times `factor`, to `sum`. All are as long.
    add_difference(sum: &mut [u8], old: &[u8], new: &[u8], factor: u8);
    /// Multiplies all of `bytes` by `factor`.
    scale(bytes: &mut [u8], factor: u8);
}

impl Parity {
    /// With the best that this processor has.
    pub fn new() -> Self {
        Self::all().last().unwrap_or(Self(Set::Usual))
    }

    /// With each set of instructions that this processor has, the best last.
    #[cfg(target_arch = "x86_64")]
    pub fn all() -> impl Iterator<Item = Self> {
        let Found { avx2, avx512, gfni } = found();
        let sets = [(true, Set::Usual), (avx2, Set::Avx2), (avx512, Set::Avx512), (avx512 && gfni, Set::Gfni)];
        sets.into_iter().filter(|(found, _)| *found).map(|(_, set)| Self(set))
    }

    /// With each set of instructions that this processor has, the best last.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn all() -> impl Iterator<Item = Self> {
        core::iter::once(Self(Set::Usual))
    }

    /// The name of the set of instructions.
    pub const fn name(self) -> &'static str {
        match self.0 {
            Set::Usual => "usual",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Set::Gfni => "GFNI",
        }
    }
}

/// What the processor has, and the kernel keeps the registers of.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Default)]
struct Found {
    avx2: bool,
    /// F, BW and VL.
    avx512: bool,
    gfni: bool,
}

/// Asks the processor: Intel's manual, volume 1, sections 14.3 and 15.2.
#[cfg(target_arch = "x86_64")]
fn found() -> Found {
    use core::arch::x86_64::{__cpuid, __cpuid_count};
    let has = |word: u32, bits: &[u32]| bits.iter().all(|bit| word >> bit & 1 == 1);
    // OSXSAVE and AVX.
    if __cpuid(0).eax < 7 || !has(__cpuid(1).ecx, &[27, 28]) {
        return Found::default();
    }
    // SAFETY: OSXSAVE says that XGETBV may be executed.
    let kept = unsafe { kept() };
    let leaf = __cpuid_count(7, 0);
    // The registers of SSE and AVX; those of AVX-512.
    let (avx, avx512) = (has(kept, &[1, 2]), has(kept, &[1, 2, 5, 6, 7]));
    Found {
        avx2: avx && has(leaf.ebx, &[5]),
        avx512: avx512 && has(leaf.ebx, &[16, 30, 31]),
        gfni: has(leaf.ecx, &[8]),
    }
}

/// The registers that the kernel keeps, a bit each.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "xsave")]
fn kept() -> u32 {
    // SAFETY: register 0 is there where XGETBV is.
    let [a, b, c, d, ..] = unsafe { core::arch::x86_64::_xgetbv(0) }.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

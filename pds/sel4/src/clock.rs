// SPDX-License-Identifier: MIT
//! Time, from the processor's counter: read without a system call.
use orion_block::Instant;

/// Scales a counter to nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Nanoseconds of one count, times 2^32; 0: the frequency is unknown and time stands still.
    scale: u64,
}

impl Clock {
    /// The clock of a counter that counts `hertz` times a second; one that stands still where `hertz` is 0.
    pub fn new(hertz: u64) -> Self {
        let scale = (1_000_000_000_u64 << 32).checked_div(hertz).unwrap_or(0);
        Self { scale }
    }

    /// The time since the counter was 0.
    pub fn now(self) -> Instant {
        let scaled = (u128::from(counter()) * u128::from(self.scale)) >> 32;
        Instant(u64::try_from(scaled).unwrap_or(u64::MAX))
    }
}

#[cfg(target_arch = "aarch64")]
#[expect(unsafe_code, reason = "the counter is a system register")]
fn counter() -> u64 {
    let count: u64;
    // SAFETY: reads a register that the kernel lets every PD read; `isb` keeps the read from moving before what came.
    unsafe { core::arch::asm!("isb", "mrs {}, cntpct_el0", out(reg) count, options(nomem, nostack, preserves_flags)) };
    count
}

/// How often the counter counts in a second; `boot_information` is not needed here.
#[cfg(target_arch = "aarch64")]
#[expect(unsafe_code, reason = "the frequency is a system register")]
pub fn hertz(_boot_information: Option<&[u8]>) -> u64 {
    let hertz: u64;
    // SAFETY: reads a register that the kernel lets every PD read.
    unsafe { core::arch::asm!("mrs {}, cntfrq_el0", out(reg) hertz, options(nomem, nostack, preserves_flags)) };
    hertz
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the counter is read by an instruction of its own")]
fn counter() -> u64 {
    // SAFETY: the kernel lets every PD read the time stamp counter.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// How often the counter counts in a second, as the kernel measured it at boot: seL4's `seL4_X86_BootInfo_tsc_freq`
/// is a header (u64 id 5, u64 length) and a u32 of megahertz. 0 where there is no such information.
#[cfg(target_arch = "x86_64")]
pub fn hertz(boot_information: Option<&[u8]>) -> u64 {
    const ID: [u8; 8] = 5_u64.to_le_bytes();
    let found = boot_information.filter(|b| b.starts_with(&ID)).and_then(|b| b.get(16..20));
    let megahertz = found.and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
    u64::from(megahertz) * 1_000_000
}

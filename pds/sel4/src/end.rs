// SPDX-License-Identifier: MIT
//! A PD that ends itself, and says why in words that its supervisor understands.

/// Why a PD ends itself. The kernel has no such system calls: it stops who makes one, and tells the number to his parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum End {
    /// A panic.
    Panic = 0x6f72_696f_6e00,
    /// It could not start.
    Start = 0x6f72_696f_6e01,
}

impl End {
    /// Of such a system call.
    pub fn of(call: u64) -> Option<Self> {
        [Self::Panic, Self::Start].into_iter().find(|end| *end as u64 == call)
    }

    /// Ends this PD.
    #[expect(unsafe_code, reason = "a system call of our own")]
    pub fn now(self) -> ! {
        loop {
            #[cfg(target_arch = "aarch64")]
            // SAFETY: the kernel takes the number from x7, knows no such call, and stops this PD.
            unsafe {
                core::arch::asm!("svc #0", in("x7") self as u64, options(nostack));
            }
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the kernel takes the number from rdx, knows no such call, and stops this PD; the instruction itself
            // changes rcx and r11.
            unsafe {
                core::arch::asm!("syscall", in("rdx") self as u64, out("rcx") _, out("r11") _, options(nostack));
            }
        }
    }
}

// SPDX-License-Identifier: MIT
//! A new life in an old address space: where the supervisor lets a PD begin again, everything of it is as it was at boot.
//!
//! The supervisor sets the program counter to [`ENTRY`] and nothing else. The code there makes a new stack, fills
//! `.data` from an image of it, zeroes `.bss` and goes where the first life began. Whatever the old life did to its own
//! memory, the new one comes about: code, the image and what Microkit wrote into the program are mapped read-only.
#![expect(unsafe_code, reason = "no Rust code can run before its stack and its statics are there")]
use core::arch::global_asm;
use core::sync::atomic::{AtomicBool, Ordering};
use orion_pd::Message;
use sel4_microkit::MessageInfo;

/// Where a new life begins: of every program of ours, the first instruction (`program.ld`).
pub const ENTRY: u64 = 0x20_0000;
/// Where every program of ours has an endless loop, for tests of hangs.
pub const SPIN: u64 = ENTRY + 0x80;
/// The slot of the reply capability (Microkit 2.3.0).
const REPLY: u64 = 4;
/// The end of every PD's stack: below the page of the IPC buffer and a page that is not mapped (Microkit 2.3.0).
const STACK: u64 = (sel4::sys::seL4_UserVSpaceTop as u64 & !0xfff) - 0x1000;

/// Whether this is not the first life. In `.bss`, so that a first life finds false; a new one's first instructions say true.
static AGAIN: AtomicBool = AtomicBool::new(false);

/// The label of an answer, as wide as the kernel's are.
pub const fn label(answer: Message) -> u64 {
    answer.label & (u64::MAX >> (64 - MessageInfo::label_width()))
}

/// In a new life, ends a call that the old one took and did not answer: its caller would wait for ever.
pub fn answer_for_the_dead() {
    if AGAIN.load(Ordering::Relaxed) {
        let reply: sel4::cap::Reply = sel4::Cap::from_bits(REPLY);
        // Without a caller it does nothing.
        reply.send(MessageInfo::new(label(Message::REFUSED), 0).into_inner());
    }
}

/// What the Microkit tool writes into a program. rust-sel4 would have it in `.data`, of which only the program as it was
/// linked has an image.
macro_rules! microkit {
    ($($name:literal: $size:literal),*) => { $(global_asm!(
        ".pushsection .rodata.microkit, \"aR\", %progbits",
        concat!(".global ", $name),
        concat!(".type ", $name, ", %object"),
        concat!(".size ", $name, ", ", $size),
        ".p2align 3",
        concat!($name, ": .skip ", $size),
        ".popsection",
    );)* };
}
microkit!("microkit_name": 64, "microkit_passive": 1, "microkit_irqs": 8);
microkit!("microkit_notifications": 8, "microkit_pps": 8, "microkit_ioports": 8);

// The image of `.data`, with room for all of it.
global_asm!(
    ".pushsection .orion.data, \"aR\", %progbits",
    ".p2align 4",
    "__orion_data_image: .skip 1024",
    ".popsection",
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".pushsection .text.orion_restart, \"axR\", %progbits",
    "ldr x0, ={stack}",
    "mov sp, x0",
    "ldr x0, =__orion_data",
    "ldr x1, =__orion_data_end",
    "ldr x2, =__orion_data_image",
    "2: cmp x0, x1",
    "b.hs 3f",
    "ldp x3, x4, [x2], #16",
    "stp x3, x4, [x0], #16",
    "b 2b",
    "3: ldr x0, =__orion_bss",
    "ldr x1, =__orion_bss_end",
    "4: cmp x0, x1",
    "b.hs 5f",
    "stp xzr, xzr, [x0], #16",
    "b 4b",
    "5: ldr x0, ={again}",
    "mov w1, #1",
    "strb w1, [x0]",
    "b _start",
    ".balign 0x80",
    "6: b 6b",
    ".ltorg",
    ".popsection",
    stack = const STACK,
    again = sym AGAIN,
);

// The ABI wants the direction flag clear, the x87 unit reset and SSE's exceptions masked (System V ABI for AMD64, 3.2.3).
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".pushsection .text.orion_restart, \"axR\", @progbits",
    "movabs rsp, {stack}",
    "cld",
    "fninit",
    "push 0x1f80",
    "ldmxcsr [rsp]",
    "pop rax",
    "lea rsi, [rip + __orion_data_image]",
    "lea rdi, [rip + __orion_data]",
    "lea rcx, [rip + __orion_data_end]",
    "sub rcx, rdi",
    "rep movsb",
    "lea rdi, [rip + __orion_bss]",
    "lea rcx, [rip + __orion_bss_end]",
    "sub rcx, rdi",
    "xor eax, eax",
    "rep stosb",
    "mov byte ptr [rip + {again}], 1",
    "jmp _start",
    ".balign 0x80",
    "6: jmp 6b",
    ".popsection",
    stack = const STACK,
    again = sym AGAIN,
);

// SPDX-License-Identifier: MIT
//! The last words of a PD's process: why it ends, in one line on its standard error, written without allocation.
#![allow(unsafe_code, reason = "signal handlers")]
use crate::launch::Map;
use crate::sys::check;
use std::fmt::{self, Write};
use std::io;
use std::sync::OnceLock;

/// Exit codes of a PD's process.
pub mod code {
    /// The job succeeded.
    pub const PASSED: i32 = 0;
    /// The job failed.
    pub const FAILED: i32 = 1;
    /// It could not be set up.
    pub const INIT: i32 = 2;
    /// It panicked.
    pub const PANIC: i32 = 101;
    /// It asked the kernel for what it may not have.
    pub const DENIED: i32 = 102;
    /// It touched memory that it may not touch.
    pub const MEMORY: i32 = 103;
}

static MAPS: OnceLock<Vec<Map>> = OnceLock::new();

/// A line on the stack; what does not fit is left out.
struct Line {
    bytes: [u8; 256],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (to, from) in self.bytes.iter_mut().take(255).skip(self.len).zip(text.bytes()) {
            *to = if from < b' ' { b' ' } else { from };
        }
        self.len = (self.len + text.len()).min(255);
        Ok(())
    }
}

/// Writes one line on the standard error.
pub fn say(text: fmt::Arguments<'_>) {
    let mut line = Line { bytes: [0; 256], len: 0 };
    let _ = line.write_fmt(text);
    if let Some(end) = line.bytes.get_mut(line.len) {
        *end = b'\n';
    }
    // SAFETY: `len + 1` bytes of the line are initialised.
    unsafe { libc::write(2, line.bytes.as_ptr().cast(), line.len + 1) };
}

/// Ends the process at once: no destructor runs and nothing is flushed.
pub fn exit(code: i32) -> ! {
    // SAFETY: it does not return.
    unsafe { libc::_exit(code) }
}

/// Makes panics, forbidden system calls and bad accesses say what they are before they end the process.
///
/// # Errors
/// What the system says.
pub fn report(maps: &[Map]) -> io::Result<()> {
    // Called once, before any fault.
    let _ = MAPS.set(maps.to_vec());
    std::panic::set_hook(Box::new(|info| {
        let (file, line) = info.location().map_or(("?", 0), |at| (at.file(), at.line()));
        let what = info.payload_as_str().unwrap_or("");
        say(format_args!("panicked at {file}:{line}: {what}"));
    }));
    handle(libc::SIGSYS, denied)?;
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE] {
        handle(signal, faulted)?;
    }
    Ok(())
}

type Handler = extern "C" fn(libc::c_int, *const libc::siginfo_t, *const libc::c_void);

fn handle(signal: libc::c_int, handler: Handler) -> io::Result<()> {
    // SAFETY: a plain record, for which zero is a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    // Rust gives the main thread a stack for signals, so an overflow of its own is reported too.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
    // SAFETY: the handler has the signature that SA_SIGINFO asks for, and calls only what may be called in one.
    check(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) }).map(drop)
}

extern "C" fn denied(_: libc::c_int, info: *const libc::siginfo_t, _: *const libc::c_void) {
    // SAFETY: the kernel passes a valid record; of SIGSYS, si_syscall is the int at byte 24 (siginfo.h, 64 bit).
    let number = unsafe { info.cast::<libc::c_int>().add(6).read() };
    match name(number.into()) {
        Some(name) => say(format_args!("it called {name}(), which no protection domain may")),
        None => say(format_args!("it made system call {number}, which no protection domain may")),
    }
    exit(code::DENIED)
}

fn name(number: libc::c_long) -> Option<&'static str> {
    let names = [
        (libc::SYS_openat, "openat"),
        (libc::SYS_socket, "socket"),
        (libc::SYS_connect, "connect"),
        (libc::SYS_ptrace, "ptrace"),
        (libc::SYS_process_vm_readv, "process_vm_readv"),
        (libc::SYS_mmap, "mmap"),
        (libc::SYS_mprotect, "mprotect"),
        (libc::SYS_mremap, "mremap"),
        (libc::SYS_execve, "execve"),
        (libc::SYS_clone, "clone"),
        (libc::SYS_clone3, "clone3"),
        (libc::SYS_kill, "kill"),
        (libc::SYS_tgkill, "tgkill"),
        (libc::SYS_read, "read"),
        (libc::SYS_write, "write"),
        (libc::SYS_recvfrom, "recvfrom"),
        (libc::SYS_sendto, "sendto"),
        (libc::SYS_close, "close"),
    ];
    names.into_iter().find(|&(n, _)| n == number).map(|(_, name)| name)
}

extern "C" fn faulted(signal: libc::c_int, info: *const libc::siginfo_t, context: *const libc::c_void) {
    // SAFETY: the kernel passes a valid record, and these signals have an address.
    let address = unsafe { (*info).si_addr() }.addr() as u64;
    let verb = access(signal, context);
    let map =
        MAPS.get().and_then(|maps| maps.iter().find(|m| address.checked_sub(m.vaddr).is_some_and(|o| o < m.size)));
    match map {
        Some(Map { name, write, .. }) => {
            let right = if *write { "read and write" } else { "only read" };
            say(format_args!("it {verb} {address:#x}, in region {name}, which it may {right}"));
        }
        None => say(format_args!("it {verb} {address:#x}, where it has no memory")),
    }
    exit(code::MEMORY)
}

#[cfg(target_arch = "x86_64")]
fn access(signal: libc::c_int, context: *const libc::c_void) -> &'static str {
    if signal != libc::SIGSEGV && signal != libc::SIGBUS {
        return "did what the processor can't do at";
    }
    // SAFETY: the kernel passes the context of the interrupted code.
    let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    // Page-fault error code (Intel SDM 3A, 4.7): bit 1 is set for a write, bit 4 for an instruction fetch.
    let error = usize::try_from(libc::REG_ERR).ok().and_then(|i| registers.get(i)).copied().unwrap_or(0);
    match (error & 0x10, error & 2) {
        (0, 0) => "read from",
        (0, _) => "wrote to",
        _ => "jumped to",
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn access(_: libc::c_int, _: *const libc::c_void) -> &'static str {
    "touched"
}

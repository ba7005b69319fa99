// SPDX-License-Identifier: MIT
//! What a PD's process may ask of the kernel: nearly nothing. A list of system calls, as a seccomp filter.
//!
//! The process can neither open nor map nor send a signal; it reads its own event counter and no other descriptor,
//! writes the counters of its peers, and talks to its device. Whatever else it tries ends it with a report.
#![allow(unsafe_code, reason = "the filter is handed to the kernel")]
use crate::sys::check;
use std::io;
use std::os::fd::RawFd;

/// Which descriptors a PD may use, and for what.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    /// It may read these.
    pub read: Vec<RawFd>,
    /// It may write these.
    pub write: Vec<RawFd>,
    /// It may listen at these, if any: accept connections, and receive, send and close on any descriptor.
    pub listen: Vec<RawFd>,
}

/// When a system call is allowed.
enum Rule {
    Always(libc::c_long),
    /// The first argument must be one of these descriptors.
    On(libc::c_long, Vec<RawFd>),
    /// Fails with this error number, quietly, where it asks for plain private memory: the allocator then uses `brk`.
    NoMemory(libc::c_long),
}

const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
/// Low half of the n-th argument, on a little-endian machine.
const fn argument(n: u32) -> u32 {
    16 + 8 * n
}

#[cfg(target_arch = "x86_64")]
const OURS: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const OURS: u32 = 0xc000_00b7;

/// Gives up, for good, all system calls but those that `allowed` needs.
///
/// # Errors
/// Where the kernel has no seccomp.
pub fn enter(allowed: &Allowed) -> io::Result<()> {
    let mut filter = program(&rules(allowed));
    let len = u16::try_from(filter.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len, filter: filter.as_mut_ptr() };
    // SAFETY: plain integers, then a program that outlives the call.
    unsafe {
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        check(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)).map(drop)
    }
}

fn rules(allowed: &Allowed) -> Vec<Rule> {
    use Rule::{Always, NoMemory, On};
    let mut rules = vec![
        On(libc::SYS_read, allowed.read.clone()),
        On(libc::SYS_write, allowed.write.clone()),
        On(libc::SYS_recvfrom, allowed.read.clone()),
        On(libc::SYS_sendto, allowed.write.clone()),
        Always(libc::SYS_ppoll),
        Always(libc::SYS_clock_gettime),
        Always(libc::SYS_sched_yield),
        Always(libc::SYS_futex),
        Always(libc::SYS_brk),
        Always(libc::SYS_munmap),
        Always(libc::SYS_exit),
        Always(libc::SYS_exit_group),
        Always(libc::SYS_rt_sigreturn),
        NoMemory(libc::SYS_mmap),
    ];
    if !allowed.listen.is_empty() {
        rules.push(On(libc::SYS_accept4, allowed.listen.clone()));
        rules.extend([
            Always(libc::SYS_recvmsg),
            Always(libc::SYS_sendmsg),
            Always(libc::SYS_shutdown),
            Always(libc::SYS_close),
            Always(libc::SYS_setsockopt),
        ]);
    }
    rules
}

/// The rules in the kernel's language: each rule loads the number, compares, decides.
fn program(rules: &[Rule]) -> Vec<libc::sock_filter> {
    let mut code = vec![load(ARCHITECTURE), skip_if(OURS, 1), decide(libc::SECCOMP_RET_KILL_PROCESS)];
    for rule in rules {
        let body = body(rule);
        let (number, len) = match rule {
            Rule::Always(n) | Rule::On(n, _) | Rule::NoMemory(n) => (*n, body.len()),
        };
        code.push(load(NUMBER));
        code.push(skip_unless(low(number), len));
        code.extend(body);
    }
    code.push(decide(libc::SECCOMP_RET_TRAP));
    code
}

fn body(rule: &Rule) -> Vec<libc::sock_filter> {
    let mut body = Vec::new();
    match rule {
        Rule::Always(_) => body.push(decide(libc::SECCOMP_RET_ALLOW)),
        Rule::On(_, fds) => {
            body.push(load(argument(0)));
            for &fd in fds {
                body.push(skip_unless(low(fd.into()), 1));
                body.push(decide(libc::SECCOMP_RET_ALLOW));
            }
            body.push(decide(libc::SECCOMP_RET_TRAP));
        }
        Rule::NoMemory(_) => {
            let error = libc::SECCOMP_RET_ERRNO | low(libc::ENOMEM.into());
            body.push(load(argument(2)));
            body.push(skip_unless(low((libc::PROT_READ | libc::PROT_WRITE).into()), 3));
            body.push(load(argument(3)));
            body.push(skip_unless(low((libc::MAP_PRIVATE | libc::MAP_ANONYMOUS).into()), 1));
            body.push(decide(error));
            body.push(decide(libc::SECCOMP_RET_TRAP));
        }
    }
    body
}

fn low(number: libc::c_long) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn instruction(code: u32, yes: usize, no: usize, value: u32) -> libc::sock_filter {
    // Rules are short: the distances fit, and a filter that they didn't fit would deny.
    let short = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
    libc::sock_filter { code: u16::try_from(code).unwrap_or(0), jt: short(yes), jf: short(no), k: value }
}

fn load(offset: u32) -> libc::sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset)
}

fn skip_unless(value: u32, count: usize) -> libc::sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, count, value)
}

fn skip_if(value: u32, count: usize) -> libc::sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, count, 0, value)
}

fn decide(action: u32) -> libc::sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, action)
}

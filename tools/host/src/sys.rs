// SPDX-License-Identifier: MIT
//! The few Linux calls that the standard library lacks, each made safe.
#![allow(unsafe_code, reason = "system calls")]
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Turns a system call's `-1` into the error it left behind.
pub fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn owned(fd: libc::c_int) -> io::Result<OwnedFd> {
    let fd = check(fd)?;
    // SAFETY: the call that returned it has just opened it, and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Anonymous memory of `size` bytes, full of zeroes.
///
/// # Errors
/// What the system says, where it has no memory or descriptor to give.
pub fn memory(name: &str, size: u64) -> io::Result<File> {
    let name = CString::new(name).map_err(io::Error::other)?;
    // SAFETY: `name` is a terminated string that lives through the call.
    let fd = owned(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) })?;
    let file = File::from(fd);
    file.set_len(size)?;
    Ok(file)
}

/// Anonymous memory that holds `bytes` and that nobody can change any more.
///
/// # Errors
/// As [`memory`].
pub fn constant(name: &str, bytes: &[u8], size: u64) -> io::Result<File> {
    let mut file = memory(name, size)?;
    file.write_all(bytes)?;
    add_seals(&file, libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE | libc::F_SEAL_SEAL)?;
    Ok(file)
}

/// Fixes the size of anonymous memory for good: whoever maps it can't be killed by a peer that shrinks it.
///
/// # Errors
/// What the system says.
pub fn fix_size(file: &File) -> io::Result<()> {
    add_seals(file, libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL)
}

fn add_seals(file: &File, seals: libc::c_int) -> io::Result<()> {
    // SAFETY: plain integers.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) }).map(drop)
}

/// A descriptor of the same memory with which it can only be read and mapped for reading.
///
/// # Errors
/// What the system says, for example where `/proc` is not mounted.
pub fn read_only(file: &File) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// An event counter that starts at 0.
///
/// # Errors
/// Where the process may open no more descriptors.
pub fn event() -> io::Result<File> {
    // SAFETY: plain integers.
    owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) }).map(File::from)
}

/// Adds `amount` to an event counter.
pub fn ring(event: &File, amount: u64) {
    let mut event = event;
    // It only fails where the counter is full, and then the reader is awake or about to be.
    let _ = event.write(&amount.to_ne_bytes());
}

/// Takes an event counter's value. Sleeps while it is 0, unless it is non-blocking.
pub fn take(event: &File) -> u64 {
    let mut event = event;
    let mut value = [0; 8];
    match event.read(&mut value) {
        Ok(8) => u64::from_ne_bytes(value),
        _ => 0,
    }
}

/// Whether reads and writes of this open file return rather than sleep.
///
/// # Errors
/// What the system says.
pub fn is_nonblocking(fd: &impl AsFd) -> io::Result<bool> {
    Ok(status_flags(fd)? & libc::O_NONBLOCK != 0)
}

/// Chooses whether reads and writes of this open file, by whoever shares it, return rather than sleep.
///
/// # Errors
/// What the system says.
pub fn set_nonblocking(fd: &impl AsFd, on: bool) -> io::Result<()> {
    let flags = status_flags(fd)?;
    let flags = if on { flags | libc::O_NONBLOCK } else { flags & !libc::O_NONBLOCK };
    // SAFETY: plain integers.
    check(unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_SETFL, flags) }).map(drop)
}

fn status_flags(fd: &impl AsFd) -> io::Result<libc::c_int> {
    // SAFETY: plain integers.
    check(unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_GETFL) })
}

/// A descriptor that becomes readable when the process `pid`, a child of ours, has ended.
///
/// # Errors
/// What the system says.
pub fn process(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: plain integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    owned(libc::c_int::try_from(fd).unwrap_or(-1))
}

/// Kills the process of a descriptor of [`process`]; whether there was one to kill.
pub fn kill(process: &impl AsFd) -> bool {
    signal(process, libc::SIGKILL)
}

/// Asks the process of a descriptor of [`process`] to end.
pub fn ask_to_end(process: &impl AsFd) {
    signal(process, libc::SIGTERM);
}

fn signal(process: &impl AsFd, signal: libc::c_int) -> bool {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: plain integers, and a null pointer, which asks for the usual record.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_fd().as_raw_fd(), signal, none, 0) == 0 }
}

/// Blocks the signals that ask us to end, and gives a descriptor that becomes readable when one arrives.
///
/// # Errors
/// What the system says.
pub fn end_signals() -> io::Result<File> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is initialised by the first call and only then used; the null pointer asks for no old mask.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        check(libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()))?;
        owned(libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC)).map(File::from)
    }
}

/// Sleeps until one of `fds` is readable (or closed at its other end), or `timeout` is over, or a signal is served.
/// Says which are.
pub fn wait_readable(fds: &[RawFd], timeout: Option<Duration>) -> Vec<bool> {
    let entry = |&fd: &RawFd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut polled: Vec<libc::pollfd> = fds.iter().map(entry).collect();
    let any = poll(&mut polled, timeout);
    polled.iter().map(|p| any && p.revents != 0).collect()
}

/// Sleeps until `fd` is readable or `timeout` is over; whether it is readable. Allocates nothing.
pub fn wait_one(fd: &impl AsFd, timeout: Option<Duration>) -> bool {
    let fd = fd.as_fd().as_raw_fd();
    poll(&mut [libc::pollfd { fd, events: libc::POLLIN, revents: 0 }], timeout)
}

/// Sleeps while `word` is `value`, in memory that other processes share. May return without a reason.
pub fn futex_wait(word: &AtomicU32, value: u32) {
    let no_limit = std::ptr::null::<libc::timespec>();
    // SAFETY: the word outlives the call; the kernel only reads it.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, no_limit) };
}

/// Wakes who sleeps on `word`.
pub fn futex_wake(word: &AtomicU32) {
    // SAFETY: the kernel uses only the word's address.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
}

/// Sleeps until one of `polled` is ready or `timeout` is over; whether one is. Allocates nothing.
pub fn poll(polled: &mut [libc::pollfd], timeout: Option<Duration>) -> bool {
    let limit = timeout.map(timespec);
    let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the number is that of the entries; `limit` is null or points to a value that outlives the call.
    unsafe { libc::ppoll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, limit, std::ptr::null()) > 0 }
}

fn timespec(time: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}

/// Nanoseconds of the clock that never goes back.
pub fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable. The call cannot fail for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// The processors that a process may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpus(pub Vec<usize>);

impl Cpus {
    /// Those that this process may use.
    ///
    /// # Errors
    /// What the system says.
    pub fn ours() -> io::Result<Self> {
        // SAFETY: a set of bits, for which zero is a valid value.
        let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        // SAFETY: the size is the set's.
        check(unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) })?;
        let limit = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
        // SAFETY: each index is below the set's size.
        Ok(Self((0..limit).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect()))
    }

    fn set(&self) -> libc::cpu_set_t {
        // SAFETY: a set of bits, for which zero is a valid value.
        let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        let limit = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
        for &cpu in self.0.iter().filter(|&&cpu| cpu < limit) {
            // SAFETY: the index is below the set's size.
            unsafe { libc::CPU_SET(cpu, &mut set) };
        }
        set
    }
}

/// Makes the process of `command` die with ours, run on `cpus`, inherit just the descriptors `keep` (beside the
/// standard ones), leave no core file and stand apart from the terminal's signals. It is scheduled as a batch job: who is
/// woken does not interrupt who wakes it, so that requests gather and each wake-up serves many.
///
/// The death signal comes when the *thread* that spawned it ends: spawn from the main thread.
pub fn tie(command: &mut Command, keep: Vec<RawFd>, cpus: &Cpus) {
    let parent = std::process::id();
    let set = cpus.set();
    command.process_group(0);
    let before_exec = move || {
        let core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        let plain = libc::sched_param { sched_priority: 0 };
        // SAFETY: plain integers, and pointers to values that outlive the calls.
        unsafe {
            check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
            if u32::try_from(libc::getppid()).ok() != Some(parent) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            check(libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set))?;
            check(libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const plain))?;
            check(libc::setrlimit(libc::RLIMIT_CORE, &raw const core))?;
        }
        for &fd in &keep {
            // SAFETY: plain integers.
            check(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) })?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure only makes system calls and reads memory that it owns.
    unsafe { command.pre_exec(before_exec) };
}

/// Takes over an inherited descriptor.
///
/// # Errors
/// Where it is not open, or was taken before (it is then marked close-on-exec).
pub fn inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: plain integers.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFD) })?;
    if flags & libc::FD_CLOEXEC != 0 {
        return Err(io::Error::other(format!("descriptor {fd} was not inherited")));
    }
    // SAFETY: plain integers.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    owned(fd)
}

/// Sends `bytes` and one descriptor over a Unix socket.
///
/// # Errors
/// What the system says.
pub fn send_with_fd(socket: &impl AsFd, bytes: &[u8], fd: RawFd) -> io::Result<()> {
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = [0u64; 4];
    // SAFETY: a plain record, for which zero is a valid value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    // SAFETY: plain arithmetic; `control` holds at least this many bytes, so that a first header lies in it.
    unsafe {
        let len = u32::try_from(size_of::<RawFd>()).map_err(io::Error::other)?;
        message.msg_controllen = libc::CMSG_SPACE(len) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(len) as _;
        libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(fd);
        let sent = libc::sendmsg(socket.as_fd().as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL);
        if sent != bytes.len().cast_signed() { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// Makes reads and writes of this file, by whoever inherits it, bypass the page cache.
///
/// # Errors
/// Where its file system cannot do that.
pub fn bypass_cache(file: &File) -> io::Result<()> {
    let flags = status_flags(file)? | libc::O_DIRECT;
    // SAFETY: plain integers.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags) }).map(drop)
}

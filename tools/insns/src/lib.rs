// SPDX-License-Identifier: MIT
//! A plugin for QEMU's TCG that counts the guest's instructions into a file of 8 bytes, where they can be read while the
//! guest runs: `-plugin liborion_insns.so,count=PATH`.
//!
//! Counted are the instructions of each translation block that is entered, kernel and PDs alike, from the first program's first on:
//! while it boots, the kernel waits for clocks, by millions of instructions more or less each time. A block that a fault
//! leaves early counts whole. The few declarations of QEMU's plugin interface that are needed stand here, for version 2
//! and later of it (QEMU 9.0; docs/devel/tcg-plugins.rst).
#![allow(unsafe_code, reason = "a plugin is called from C")]
use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

/// The version of the plugin interface that this is written for.
#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = 2;

type Id = u64;
type Translated = extern "C" fn(Id, *mut c_void);
type Executed = extern "C" fn(c_uint, *mut c_void);

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: Id, callback: Translated);
    fn qemu_plugin_tb_n_insns(block: *const c_void) -> usize;
    fn qemu_plugin_tb_vaddr(block: *const c_void) -> u64;
    fn qemu_plugin_register_vcpu_tb_exec_cb(block: *mut c_void, callback: Executed, flags: c_int, data: *mut c_void);
}

/// Where the count is: the mapped file.
static COUNT: AtomicPtr<AtomicU64> = AtomicPtr::new(core::ptr::null_mut());

/// Kernels lie above, programs below, as what loads a kernel does.
const HIGH: u64 = 1 << 39;
/// Of a block's data: it lies above. The rest is its instructions.
const IS_HIGH: usize = 1 << 31;

/// The kernel has begun; a program has.
static BOOTED: AtomicBool = AtomicBool::new(false);
static COUNTS: AtomicBool = AtomicBool::new(false);

/// Called by QEMU when the plugin is loaded. Returns 0, or -1 where there is no usable `count=`.
///
/// # Safety
/// To be called by QEMU only: `argv` points to `argc` strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: Id,
    _: *const c_void,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    let count = usize::try_from(argc).unwrap_or(0);
    // SAFETY: QEMU passes `argc` strings that live during this call.
    let path = (0..count).map(|i| unsafe { CStr::from_ptr(*argv.add(i)) }).find_map(|a| {
        let path = a.to_bytes_with_nul().strip_prefix(b"count=")?;
        CStr::from_bytes_with_nul(path).ok()
    });
    let Some(at) = path.and_then(map) else {
        eprintln!("orion_insns: give a writable file of 8 bytes: -plugin liborion_insns.so,count=PATH");
        return -1;
    };
    COUNT.store(at, Ordering::Relaxed);
    // SAFETY: `id` is ours, and the callback lives as long as the program.
    unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, translated) };
    0
}

fn map(path: &CStr) -> Option<*mut AtomicU64> {
    // SAFETY: `path` is a string; the flags are plain.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    if fd < 0 {
        return None;
    }
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new shared mapping of our own descriptor, which may be closed afterwards.
    let at = unsafe { libc::mmap(core::ptr::null_mut(), 8, rights, libc::MAP_SHARED, fd, 0) };
    // SAFETY: `fd` is ours.
    unsafe { libc::close(fd) };
    (at != libc::MAP_FAILED).then(|| at.cast())
}

extern "C" fn translated(_: Id, block: *mut c_void) {
    // SAFETY: QEMU passes the block it has just translated; the data is a number, not a pointer.
    unsafe {
        let high = if qemu_plugin_tb_vaddr(block) < HIGH { 0 } else { IS_HIGH };
        let insns = qemu_plugin_tb_n_insns(block) | high;
        qemu_plugin_register_vcpu_tb_exec_cb(block, executed, 0, core::ptr::without_provenance_mut(insns));
    }
}

extern "C" fn executed(_: c_uint, insns: *mut c_void) {
    let high = insns.addr() & IS_HIGH != 0;
    if !COUNTS.load(Ordering::Relaxed) {
        if high || !BOOTED.load(Ordering::Relaxed) {
            return BOOTED.store(high, Ordering::Relaxed);
        }
        COUNTS.store(true, Ordering::Relaxed);
    }
    // SAFETY: set before any block was translated, and never unmapped.
    if let Some(count) = unsafe { COUNT.load(Ordering::Relaxed).as_ref() } {
        count.fetch_add((insns.addr() & !IS_HIGH) as u64, Ordering::Relaxed);
    }
}

// SPDX-License-Identifier: MIT
//! The host world: a system runs as Linux processes, one sandboxed process per protection domain, against QEMU's device
//! models (docs/host-world.md).

pub mod ivshmem;
pub mod qemu;
pub mod qtest;
pub mod sys;

// SPDX-License-Identifier: MIT
//! The host world: a system runs as Linux processes, one sandboxed process per protection domain, against QEMU's device
//! models (docs/host-world.md).

pub mod arrays;
pub mod audit;
mod bell;
mod call;
pub mod cli;
pub mod console;
pub mod disk;
pub mod disks;
pub mod events;
pub mod exports;
pub mod faults;
pub mod ground;
pub mod ivshmem;
pub mod launch;
pub mod life;
pub mod parent;
pub mod pd;
pub mod pin;
pub mod process;
pub mod procfs;
pub mod programs;
pub mod qemu;
pub mod qtest;
pub mod regions;
pub mod run;
pub mod sandbox;
pub mod sockets;
pub mod start;
pub mod sys;
pub mod torture;
pub mod world;

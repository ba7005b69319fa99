// SPDX-License-Identifier: MIT
//! Serves 64 MiB of memory on a Unix socket until its input ends: `serve FOLDER`, then for example
//! `nbdinfo "nbd+unix:///?socket=FOLDER/nbd.sock"`.
use orion_block::BlockSize;
use orion_nbd_tests::{Device, Served};
use std::io::Read;
use std::path::PathBuf;

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".into()));
    let served = Served::start(&folder, |region| Device::new(BlockSize::B512, 128 << 10, region.window()));
    println!("{}", served.address.uri());
    let _ = std::io::stdin().read(&mut [0]);
    let _ = std::fs::remove_file(&served.address.0);
    served.stop();
}

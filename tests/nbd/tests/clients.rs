// SPDX-License-Identifier: MIT
//! Programs that many people use, against the export's own code over a device in memory.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "helpers of tests: what is wrong must fail them"
)]
use orion_block::{BlockSize, Error, Op};
use orion_nbd_tests::{Device, Fault, Served, missing, run};
use std::fs;
use std::path::PathBuf;
use std::process::Output;

const MIB: usize = 1 << 20;

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("orion-nbd-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[track_caller]
fn succeeds(program: &str, args: &[&str]) -> String {
    let output = run(program, args);
    let text = text(&output);
    assert!(output.status.success(), "{program} {args:?}: {}\n{text}", output.status);
    text
}

/// Bytes that differ from block to block.
fn pattern(len: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    };
    (0..len / 4).flat_map(|_| next().to_le_bytes()).collect()
}

fn serve(folder: &Folder, block: BlockSize, bytes: usize, set: impl FnOnce(&mut Device) + Send + 'static) -> Served {
    Served::start(&folder.0, move |region| {
        let mut device = Device::new(block, (bytes >> block.shift()) as u64, region.window());
        set(&mut device);
        device
    })
}

#[test]
fn nbdinfo_sees_what_is_offered() {
    if missing(&["nbdinfo"]) {
        return;
    }
    let folder = Folder::new("info");
    let served = serve(&folder, BlockSize::B512, 8 * MIB, |_| {});
    let all = succeeds("nbdinfo", &[&served.address.uri()]);
    for line in [
        "export-size: 8388608",
        "base:allocation",
        "is_read_only: false",
        "can_df: true",
        "can_fast_zero: true",
        "can_flush: true",
        "can_fua: true",
        "can_multi_conn: true",
        "can_trim: true",
        "can_zero: true",
        "block_size_minimum: 512",
        "block_size_preferred: 4096",
        "block_size_maximum: 33554432",
    ] {
        assert!(all.contains(line), "{line}\n{all}");
    }
    let list = succeeds("nbdinfo", &["--list", &served.address.uri()]);
    assert!(list.contains("export=\"vault\""), "{list}");
    let map = succeeds("nbdinfo", &["--map", &served.address.uri()]);
    assert!(map.contains("8388608") && map.contains("data"), "{map}");
    served.stop();
}

#[test]
fn a_read_only_volume_refuses_writes() {
    if missing(&["nbdinfo", "qemu-io"]) {
        return;
    }
    let folder = Folder::new("readonly");
    let served = serve(&folder, BlockSize::B512, MIB, |d| d.info().windows[0].rights = 1);
    let all = succeeds("nbdinfo", &[&served.address.uri()]);
    for line in ["is_read_only: true", "can_flush: false", "can_trim: false", "can_zero: false"] {
        assert!(all.contains(line), "{line}\n{all}");
    }
    let device = served.stop();
    assert!(device.log.iter().all(|(op, ..)| *op == Op::Read));
}

#[test]
fn nbdcopy_copies_there_and_back_over_several_connections() {
    if missing(&["nbdcopy"]) {
        return;
    }
    let folder = Folder::new("copy");
    let (from, to) = (folder.file("from"), folder.file("to"));
    let bytes = pattern(24 * MIB);
    fs::write(&from, &bytes).unwrap();
    let served = serve(&folder, BlockSize::B512, bytes.len(), |_| {});
    let uri = served.address.uri();
    succeeds("nbdcopy", &["--connections=4", "--flush", &from, &uri]);
    succeeds("nbdcopy", &["--connections=4", "--request-size=1048576", &uri, &to]);
    assert!(fs::read(&to).unwrap() == bytes, "what is read is not what was written");
    let device = served.stop();
    assert!(device.bytes == bytes, "what the device holds is not what was written");
    assert!(device.log.iter().any(|(op, ..)| *op == Op::Flush));
}

#[test]
fn qemu_img_converts_and_compares_in_large_blocks() {
    if missing(&["qemu-img"]) {
        return;
    }
    let folder = Folder::new("convert");
    let from = folder.file("from");
    let mut bytes = pattern(8 * MIB);
    bytes[MIB..3 * MIB].fill(0);
    fs::write(&from, &bytes).unwrap();
    let served = serve(&folder, BlockSize::B4096, bytes.len(), |_| {});
    let uri = served.address.uri();
    succeeds("qemu-img", &["convert", "-n", "-f", "raw", "-O", "raw", "-W", "-m", "8", &from, &uri]);
    succeeds("qemu-img", &["compare", "-f", "raw", "-F", "raw", &from, &uri]);
    let device = served.stop();
    assert!(device.bytes == bytes);
    assert!(device.log.iter().any(|(op, ..)| *op == Op::WriteZeroes), "zeroes travelled as payload");
}

#[test]
fn qemu_io_does_every_operation() {
    if missing(&["qemu-io"]) {
        return;
    }
    let folder = Folder::new("operations");
    let served = serve(&folder, BlockSize::B512, 64 * MIB, |_| {});
    let commands = [
        "write -P 0xa5 0 32M",
        "read -P 0xa5 0 32M",
        "write -f -P 0x5a 4k 1M",
        "read -P 0x5a 4k 1M",
        "write -z 2M 1M",
        "read -P 0 2M 1M",
        "write -z -u 3M 64k",
        "discard 8M 24M",
        "read -P 0xdd 8M 24M",
        "flush",
        "aio_write -P 1 40M 128k",
        "aio_write -P 2 41M 3M",
        "aio_flush",
        "read -P 2 41M 3M",
    ];
    let mut args = vec!["-f", "raw"];
    let uri = served.address.uri();
    commands.iter().for_each(|c| args.extend(["-c", c]));
    args.push(&uri);
    let out = succeeds("qemu-io", &args);
    assert!(!out.contains("failed"), "{out}");
    let log = served.stop().log;
    assert!(log.iter().any(|(op, fua, ..)| *op == Op::Write && *fua));
    assert!(log.iter().any(|(op, ..)| *op == Op::Discard));
    assert!(log.iter().any(|(op, ..)| *op == Op::Flush));
}

#[test]
fn a_failing_block_fails_only_its_requests() {
    if missing(&["qemu-io"]) {
        return;
    }
    let folder = Folder::new("faults");
    let served = serve(&folder, BlockSize::B512, 8 * MIB, |d| {
        let fault = |op, blocks, error| Fault { op, blocks, error };
        d.faults = vec![
            fault(Op::Read, 2048..2049, Error::Medium),
            fault(Op::Write, 4096..4097, Error::NoSpace),
            fault(Op::WriteZeroes, 8192..8193, Error::Denied),
        ];
    });
    let uri = served.address.uri();
    let io = |command| text(&run("qemu-io", &["-f", "raw", "-c", command, &uri]));
    for (command, expected) in [
        ("read 0 1M", "read 1048576/1048576"),
        ("read 0 2M", "Input/output error"),
        ("write 0 2M", "wrote 2097152/2097152"),
        ("write 0 4M", "No space left on device"),
        ("write -z 4M 1M", "Operation not permitted"),
        ("read 2M 4M", "read 4194304/4194304"),
    ] {
        let out = io(command);
        assert!(out.contains(expected), "{command}: {out}");
    }
    served.stop();
}

#[test]
fn fio_verifies_what_several_jobs_write() {
    if missing(&["fio"]) {
        return;
    }
    let folder = Folder::new("fio");
    let served = serve(&folder, BlockSize::B512, 64 * MIB, |_| {});
    let uri = format!("--uri={}", served.address.uri());
    let out = succeeds(
        "fio",
        &[
            "--name=verify",
            "--ioengine=nbd",
            &uri,
            "--rw=randwrite",
            "--bsrange=4k-256k",
            "--iodepth=32",
            "--size=32m",
            "--verify=crc32c",
            "--verify_state_save=0",
            "--verify_fatal=1",
            "--randrepeat=1",
            "--fsync=64",
        ],
    );
    assert!(out.contains("err= 0"), "{out}");
    served.stop();
}

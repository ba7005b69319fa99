// SPDX-License-Identifier: MIT
//! The virtio-blk driver against QEMU's device, where it is reset or taken over with requests in flight.
#![allow(clippy::unwrap_used, reason = "a test's certain values")]
mod rig;

use orion_block::{Completion, Error, Op};
use orion_driver::{Describe, Engine, Unit};
use orion_host::qemu::MESSAGE;
use orion_host::qtest::Registers;
use orion_virtio::queue::{Queue, Ring};
use orion_virtio::{Many, Msi, PciTransport, VirtioBlk, Wishes};
use rig::{BARS, DEPTH, Rig, SECOND, Shape, each_once, request, reset_in_flight, submit, taken_over};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

const DATA_LEN: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(10);

type Disk<Q> = VirtioBlk<PciTransport<Registers>, u32, Q>;

fn device(name: &str, options: u32, monitor: Option<&UnixStream>) -> Rig {
    Rig::new(&Shape { name, options, monitor, ..Shape::default() })
}

/// A driver on the device as it is: the first, or one that takes over.
fn driver<Q: Ring>(rig: &Rig, wishes: Wishes) -> Disk<Q> {
    let [config, bars] = rig.registers();
    let msi = Msi { address: MESSAGE.0, data: MESSAGE.1 };
    let bus = PciTransport::new(config, bars, BARS, Some(msi)).unwrap();
    VirtioBlk::with(bus, rig.setup(SECOND), wishes).unwrap()
}

/// The switches of a disk's options that wish for this.
fn options(wishes: Wishes) -> u32 {
    u32::from(wishes.queues) | u32::from(wishes.packed) << 8 | u32::from(wishes.in_order) << 9
}

#[test]
fn a_reset_in_flight_answers_everything_once_and_the_device_serves_again() {
    let rig = device("reset", 0, None);
    reset_in_flight(&rig, &mut driver::<Queue>(&rig, Wishes::default()), 0, 0);
    let wishes = Wishes { queues: 4, packed: true, ..Wishes::default() };
    let rig = device("reset-packed", options(wishes), None);
    reset_in_flight(&rig, &mut driver::<Many>(&rig, wishes), 0, 0);
}

#[test]
fn a_driver_that_starts_anew_takes_over_a_device_that_is_at_work() {
    let packed = Wishes { queues: 4, packed: true, ..Wishes::default() };
    let rig = device("takeover", options(packed), None);
    // The life before had other queues.
    let before = |round| driver::<Many>(&rig, if round % 2 == 0 { packed } else { Wishes::default() });
    taken_over(&rig, before, || driver::<Queue>(&rig, Wishes::default()));
}

/// Every shape of queue that QEMU's device offers.
fn shapes() -> impl Iterator<Item = Wishes> {
    [(1, true, false), (1, false, true), (1, true, true), (4, false, false), (4, true, false), (4, true, true)]
        .into_iter()
        .map(|(queues, packed, in_order)| Wishes { queues, packed, in_order, queue_reset: false })
}

#[test]
fn every_shape_of_queue_moves_clears_and_names() {
    for wishes in shapes() {
        let rig = device("shape", options(wishes), None);
        let mut disk = driver::<Many>(&rig, wishes);
        let line = Describe::new(&disk, Unit(0)).to_string();
        assert_eq!([" queues", "packed ring", "in order"].map(|word| line.contains(word)), has(wishes), "{line}");
        for round in 1..40u8 {
            // Twenty times round a packed ring.
            rig.fill(round);
            submit(&mut disk, Op::Write);
            each_once(&rig.ended(&mut disk, DEPTH));
            rig.fill(0xee);
            submit(&mut disk, Op::Read);
            each_once(&rig.ended(&mut disk, DEPTH));
            assert!(rig.payload(0, DATA_LEN).iter().all(|byte| *byte == round), "round {round}, {line}");
        }
        let limits = disk.limits(Unit(0)).unwrap();
        assert!(limits.write_zeroes && limits.discard_granularity > 0, "{limits:?}");
        for op in [Op::Flush, Op::WriteZeroes, Op::Discard] {
            submit(&mut disk, op);
            let done = rig.ended(&mut disk, DEPTH);
            assert!(done.iter().all(|(_, d)| d.status.is_ok()), "{op:?}: {done:?}");
            let expected = if op == Op::Flush { 39 } else { 0 };
            assert!(rig.content(0, 0, DATA_LEN).iter().all(|byte| *byte == expected), "{op:?}, {line}");
        }
        disk.refresh();
        while disk.health(Unit(0)).is_none() {
            assert!(rig.wait(PATIENCE), "no answer");
            disk.interrupted();
            assert!(disk.finished().is_none());
        }
        assert_eq!(disk.health(Unit(0)).unwrap().serial.as_str(), "shape0");
        assert_eq!((disk.counters().misused, disk.take_fault()), (0, None));
    }
}

fn has(wishes: Wishes) -> [bool; 3] {
    [wishes.queues > 1, wishes.packed, wishes.in_order]
}

/// QEMU's monitor.
struct Monitor {
    replies: BufReader<UnixStream>,
}

impl Monitor {
    /// Waits for the answer to a command.
    fn command(&mut self, command: &str) {
        writeln!(self.replies.get_mut(), "{command}").unwrap();
        let mut line = String::new();
        while !line.contains("\"return\"") {
            line.clear();
            assert!(self.replies.read_line(&mut line).unwrap() > 0, "QEMU has ended");
            assert!(!line.contains("\"error\""), "{line}");
        }
    }
}

#[test]
fn a_resize_is_followed_by_its_interrupt() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let rig = device("resize", 0, Some(&theirs));
    let mut monitor = Monitor { replies: BufReader::new(ours) };
    monitor.command(r#"{"execute": "qmp_capabilities"}"#);
    let mut disk = driver::<Queue>(&rig, Wishes::default());
    for (round, mebibytes) in [64u64, 8, 16].into_iter().enumerate() {
        submit(&mut disk, Op::Read);
        each_once(&rig.ended(&mut disk, DEPTH));
        assert!(disk.finished().is_none() && !disk.take_change());
        let size = mebibytes << 20;
        monitor.command(&format!(
            r#"{{"execute": "block_resize", "arguments": {{"node-name": "image0", "size": {size}}}}}"#
        ));
        while !disk.take_change() {
            assert!(rig.wait(PATIENCE), "no interrupt, round {round}");
            disk.interrupted();
            assert!(disk.finished().is_none());
        }
        assert_eq!(disk.limits(Unit(0)).unwrap().capacity, size / 512);
        for (lba, expected) in [(size / 512 - 1, Completion::ok(1)), (size / 512, Completion::error(Error::OutOfRange))]
        {
            assert_eq!(rig.one(&mut disk, 0, request(Op::Read, lba, 1, 0)), expected, "round {round}");
        }
    }
}

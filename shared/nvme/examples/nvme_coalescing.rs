// SPDX-License-Identifier: MIT
//! Both sides of holding interrupts back (NVMe 1.4, section 5.21.1.8): the driver on a controller model that does so, in virtual time.
//! QEMU's controller refuses the feature, so no real time can be measured in it.
//!
//!     cargo run --release -p orion-nvme --features model --example nvme_coalescing
#![allow(missing_docs, clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a program that prints a table")]
#![allow(clippy::indexing_slicing, clippy::cast_precision_loss, reason = "as above")]
use orion_block::Instant;
use orion_driver::model::cost;
use orion_driver::{Engine, Setup, Span, Unit};
use orion_nvme::model::{self, Model, ModelRegisters};
use orion_nvme::{DMA_BYTES, Nvme, Place, Wishes};
use std::collections::VecDeque;

const DMA_BUS: u64 = 0x9000_0000;
const DATA_BUS: u64 = 0xa000_0000;
const REQUESTS: usize = 20_000;
/// Microseconds that a request takes at the controller, and from one to the next.
const SERVICE_US: u64 = 20;
const APART_US: u64 = 4;
/// Microseconds that an interrupt costs its driver, and each answer.
const WAKE_US: u64 = 5;
const ANSWER_US: u64 = 1;

struct Seen {
    interrupts: u64,
    us: u64,
    latencies: Vec<u64>,
}

fn run(depth: u32, wishes: Wishes) -> Seen {
    let [dma, device_dma] = model::memory(DMA_BYTES);
    let [data] = model::memory(1 << 20);
    let device = Model::simple(4096, 9, vec![(DMA_BUS, device_dma), (DATA_BUS, data)]);
    device.borrow_mut().shape.controller.oacs = 0.into();
    let regions = [Span { bus: DATA_BUS, size: 1 << 20 }];
    let setup = Setup { dma, dma_bus: DMA_BUS, regions: &regions, iommu: false, read_only: false, timeout_ns: 1 << 40 };
    let mut disk: Nvme<_> = Nvme::with(ModelRegisters(device.clone()), setup, &[Place::FIRST], wishes).unwrap();
    disk.set_time(Instant(1));
    disk.expire();
    while device.borrow_mut().take_interrupt() {
        disk.interrupted();
    }
    let before = device.borrow().interrupts;
    let mut sent = vec![0; depth as usize];
    let mut due: VecDeque<u64> = VecDeque::new();
    let mut seen = Seen { interrupts: 0, us: 0, latencies: Vec::new() };
    let (mut now, mut busy, mut last) = (0, 0, 0);
    let mut free: Vec<u32> = (0..depth).collect();
    while seen.latencies.len() < REQUESTS {
        if now >= busy && !free.is_empty() {
            for tag in free.drain(..) {
                disk.start(Unit(0), tag, &cost::read(tag));
                sent[tag as usize] = now;
                last = (now + SERVICE_US).max(last + APART_US);
                due.push_back(last);
            }
            disk.kick();
            device.borrow_mut().take();
        }
        while due.front().is_some_and(|at| *at <= now) {
            due.pop_front();
            device.borrow_mut().finish(0);
        }
        device.borrow_mut().elapse(1);
        if now >= busy && device.borrow_mut().take_interrupt() {
            disk.interrupted();
            let mut answers = 0;
            disk.drain(|tag, done| {
                assert!(done.status.is_ok());
                answers += 1;
                seen.latencies.push(now + WAKE_US + answers * ANSWER_US - sent[tag as usize]);
                free.push(tag);
            });
            busy = now + WAKE_US + answers * ANSWER_US;
        }
        now += 1;
    }
    seen.interrupts = device.borrow().interrupts - before;
    seen.us = now;
    seen.latencies.sort_unstable();
    seen
}

fn main() {
    println!(
        "a controller of {SERVICE_US} us a request, {APART_US} us from one to the next; a driver whom an interrupt costs"
    );
    println!("{WAKE_US} us and each answer {ANSWER_US} us; virtual time\n");
    println!("| depth | held back | requests a second | interrupts a request | half took | 99 of 100 took |");
    println!("|---|---|---|---|---|---|");
    for depth in [1, 32] {
        for (gather, gather_us) in [(0, 0), (4, 100), (8, 100), (16, 100), (8, 300), (64, 300)] {
            let seen = run(depth, Wishes { gather, gather_us, ..Wishes::default() });
            let name = if gather == 0 { "no".into() } else { format!("{gather} answers, {gather_us} us") };
            let count = seen.latencies.len();
            let rate = count as f64 * 1e6 / seen.us as f64;
            let interrupts = seen.interrupts as f64 / count as f64;
            let [half, most] = [count / 2, count * 99 / 100].map(|at| seen.latencies[at]);
            println!("| {depth} | {name} | {rate:.0} | {interrupts:.3} | {half} us | {most} us |");
        }
    }
}

// SPDX-License-Identifier: MIT
//! `orion-bench`: what Orion's parts cost, each beside a peer or a floor measured in the same run.
mod allocations;
mod host;
mod layers;
mod parity;
mod raid;
mod refusals;
mod ring;
mod sel4;

use clap::Parser;

/// Measures Orion and prints tables; nothing here passes or fails.
#[derive(Parser)]
enum Command {
    /// Nanoseconds and allocations of one request through a ring, the gatekeeper and layers, on one thread.
    Layers,
    /// What a request costs in RAID of each level, on one thread.
    Raid(raid::Select),
    /// P and Q of RAID on one processor, beside ISA-L.
    Parity,
    /// The host world's whole chain beside `qemu-img bench`, on the same file and the same processor.
    Host(host::Host),
    /// Instructions of the whole machine for one read, on seL4 in QEMU; needs a Microkit SDK.
    Sel4(sel4::Sel4),
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match Command::parse() {
        Command::Layers => layers::run(),
        Command::Raid(select) => {
            raid::run(&select);
            Ok(())
        }
        Command::Parity => parity::run(),
        Command::Host(host) => host.run(),
        Command::Sel4(sel4) => sel4.run(),
    }
}

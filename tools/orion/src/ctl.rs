// SPDX-License-Identifier: MIT
//! `orion ctl`: what the gatekeeper can do at run time.
use crate::Outcome;
use crate::live::{SocketArg, View, rights_table};
use orion_control::Kind;
use orion_control::text::{self, HELP, Order};
use orion_metrics::{Order as PdOrder, Work};
use std::process::ExitCode;

/// Arguments of `orion ctl`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    socket: SocketArg,
    /// The command: list; look, freeze, thaw, revoke, limit or narrow CLIENT:WINDOW; delegate VOLUME CLIENT:WINDOW;
    /// advance VOLUME; reset PD; disk DISK or raid VOLUME and what to do with it, grow by its options; or help
    #[arg(required = true, value_name = "COMMAND")]
    words: Vec<String>,
    #[command(flatten)]
    grow: Grow,
}

/// What `raid VOLUME grow` says, in mdadm's words.
#[derive(clap::Args)]
struct Grow {
    /// Of `raid VOLUME grow`: members that the array is to have
    #[arg(short = 'n', long, value_name = "N")]
    raid_devices: Option<String>,
    /// Its chunk
    #[arg(short, long, value_name = "KIB")]
    chunk: Option<String>,
    /// Its layout: left-symmetric ...
    #[arg(short = 'p', long, value_name = "NAME")]
    layout: Option<String>,
    /// Its level: 0, 1, 4, 5 or 6
    #[arg(short, long, value_name = "N")]
    level: Option<String>,
}

impl Grow {
    /// As words of the line.
    fn words(&self) -> String {
        let Self { raid_devices, chunk, layout, level } = self;
        let all = [("--raid-devices", raid_devices), ("--chunk", chunk), ("--layout", layout), ("--level", level)];
        all.iter().filter_map(|(key, value)| value.as_ref().map(|value| format!(" {key} {value}"))).collect()
    }
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        let line = format!("ctl {}{}", self.words.join(" "), self.grow.words());
        if self.words.first().is_some_and(|word| word == "help") {
            HELP.iter().filter_map(|line| line.strip_prefix("ctl ")).for_each(|line| println!("{line}"));
            return Ok(ExitCode::SUCCESS);
        }
        let order =
            text::parse(&line).map_err(|mistake| mistake.to_string().replace("write help", "see `orion ctl help`"))?;
        let mut manager = self.socket.connect()?;
        let (mut ask, volume) = match order {
            Order::Command(ask, volume) => (ask, volume),
            Order::Tell(PdOrder::Disk(work), disk) => return crate::disk::order(&mut manager, work, disk),
            Order::Member(work, array, device) => {
                let rings = manager.state()?.rings;
                let own = rings.iter().filter(|ring| ring.client.as_str().strip_prefix("raid_") == Some(array));
                let names: Vec<&str> = own.map(|ring| ring.disk.as_str()).collect();
                let port = names
                    .iter()
                    .position(|name| *name == device)
                    .ok_or_else(|| format!("{array:?} has no device {device:?}; it has: {}", names.join(", ")))?;
                let [first, count] = crate::raid::identifier()?;
                let work = Work { how: u32::try_from(port).unwrap_or(u32::MAX), first, count, ..work };
                return crate::disk::order(&mut manager, work, array);
            }
            Order::Tell(order, pd) => {
                manager.order(order, pd)?;
                println!("{pd}: done");
                return Ok(ExitCode::SUCCESS);
            }
            _ => {
                print!("{}", rights_table(&View::new(manager.state()?, None)));
                return Ok(ExitCode::SUCCESS);
            }
        };
        if let Some(volume) = volume {
            let state = manager.state()?;
            ask.window = state.window_on(volume).ok_or_else(|| {
                let known: Vec<String> = state.volumes.iter().map(|v| state.volume(v.port)).collect();
                format!("there is no volume {volume:?}; there are: {}", known.join(", "))
            })?;
        }
        match manager.command(ask)? {
            Err(refused) => Err(format!("the gatekeeper refused it: {refused}")),
            Ok(done) => {
                match ask.kind {
                    Kind::Advance => println!("epoch {}; {} capabilities ended", done.epoch, done.affected),
                    Kind::Revoke => println!("{} taken back", capabilities(done.affected)),
                    Kind::Look
                    | Kind::Freeze
                    | Kind::Unfreeze
                    | Kind::Limit
                    | Kind::Narrow
                    | Kind::Order
                    | Kind::Attenuate
                    | Kind::Delegate => {
                        println!(
                            "{}; {} blocks of 4096 bytes; allows now: {}; used {} times",
                            capabilities(done.affected),
                            done.blocks,
                            done.rights,
                            done.passed
                        );
                    }
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn capabilities(count: u32) -> String {
    if count == 1 { "1 capability".to_owned() } else { format!("{count} capabilities") }
}

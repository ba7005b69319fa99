// SPDX-License-Identifier: MIT
//! The state as lines of text, for the console.
use crate::core::{Core, PDS_MAX};
use core::fmt;
use orion_caps::Rights;
use orion_control::operator::State;
use orion_metrics::{Counter, Figures, Holding, Row};
use orion_pd::{Instant, World};

/// What a PD had counted at the last look: when, requests, errors.
pub type Seen = [(u64, u64, u64); PDS_MAX];

/// A time for people.
struct Time(Option<u64>);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(ns) = self.0 else { return f.pad("-") };
        let us = ns / 1000;
        let mut text = heapless::String::<24>::new();
        // It has room for any number.
        let _ = match us {
            0..1000 => fmt::write(&mut text, format_args!("{us}.{}us", ns % 1000 / 100)),
            1000..1_000_000 => fmt::write(&mut text, format_args!("{}.{}ms", us / 1000, us % 1000 / 100)),
            _ => fmt::write(&mut text, format_args!("{}.{}s", us / 1_000_000, us % 1_000_000 / 100_000)),
        };
        f.pad(&text)
    }
}

/// The whole state; `seen` is that of the last look, where only what came since is wanted.
pub fn state<W: World>(core: &Core, seen: &mut Seen, since: bool, world: &mut W) {
    pds(core, seen, since, world);
    volumes(core, world);
    clients(core, world);
    rings(core, world);
    holdings(core, world);
}

fn pds<W: World>(core: &Core, seen: &mut Seen, since: bool, world: &mut W) {
    let rate = if since { "requests/s" } else { "requests" };
    world.print(format_args!(
        "{:<16} {:<14} {:<10} {rate:>10} {:>8} {:>9} {:>8} {:>8}",
        "PD", "program", "state", "errors", "in flight", "p50", "p99"
    ));
    let now = world.now();
    for (index, last) in seen.iter_mut().enumerate() {
        let Some(pd) = core.pd(index, now) else { return };
        let (figures, times) = (&pd.figures, pd.figures.all_times());
        let errors = errors(figures);
        let current = (figures.at(), figures.get(Counter::Requests), errors);
        let (requests, errors) = if since { rates(current, *last) } else { (current.1, errors) };
        *last = current;
        world.print(format_args!(
            "{:<16} {:<14} {:<10} {requests:>10} {errors:>8} {:>9} {:>8} {:>8}",
            pd.name.as_str(),
            pd.program.as_str(),
            State::of(pd.state).name(),
            figures.get(Counter::InFlight),
            Time(times.quantile(1, 2)),
            Time(times.quantile(99, 100)),
        ));
    }
}

fn errors(figures: &Figures) -> u64 {
    let all = [Counter::Errors, Counter::Malformed, Counter::Misbehaved, Counter::Resets, Counter::Timeouts];
    all.iter().fold(0, |sum: u64, counter| sum.saturating_add(figures.get(*counter)))
}

/// Per second.
fn rates((at, requests, errors): (u64, u64, u64), (before, old, old_errors): (u64, u64, u64)) -> (u64, u64) {
    let ns = u128::from(at.saturating_sub(before).max(1));
    let rate = |new: u64, old: u64| u128::from(new.saturating_sub(old)) * 1_000_000_000 / ns;
    let short = |n| u64::try_from(n).unwrap_or(u64::MAX);
    (short(rate(requests, old)), short(rate(errors, old_errors)))
}

fn rows(core: &Core) -> impl Iterator<Item = Row> {
    (0..core.rows()).filter_map(|index| core.row(index))
}

fn volumes<W: World>(core: &Core, world: &mut W) {
    world.print(format_args!("{:<16} {:>12} {:<10} {:>6}", "volume", "blocks", "state", "epoch"));
    for row in rows(core) {
        let Row::Volume(volume) = row else { continue };
        let state = match (volume.state, volume.read_only) {
            (0, _) => "starting",
            (1, 0) => "ok",
            (1, _) => "read-only",
            _ => "closed",
        };
        let (name, blocks, epoch) = (core.volume_name(volume.port), volume.blocks.get(), volume.epoch.get());
        world.print(format_args!("{name:<16} {blocks:>12} {state:<10} {epoch:>6}"));
    }
}

fn clients<W: World>(core: &Core, world: &mut W) {
    world.print(format_args!("{:<16} {:>9} connection", "client", "in flight"));
    for row in rows(core) {
        let Row::Client(client) = row else { continue };
        let state = if client.closed == 0 { "ok" } else { "closed" };
        let (name, in_flight) = (core.client_name(client.client), client.in_flight.get());
        world.print(format_args!("{name:<16} {in_flight:>9} {state}"));
    }
}

fn rings<W: World>(core: &Core, world: &mut W) {
    world.print(format_args!("{:<16} {:<16} {:>7} volume", "ring: client", "server", "entries"));
    let all = (0..).map_while(|index| core.ring(index));
    for ring in all {
        let (client, server) = (ring.client.as_str(), ring.server.as_str());
        let (entries, volume) = (ring.entries.get(), ring.volume.as_str());
        world.print(format_args!("{client:<16} {server:<16} {entries:>7} {volume}"));
    }
}

/// Who holds what.
pub fn holdings<W: World>(core: &Core, world: &mut W) {
    world.print(format_args!(
        "{:<18} {:<12} {:<16} {:<8} {:>10} {:<16} rights",
        "right: window", "volume", "blocks", "state", "used", "from"
    ));
    for row in rows(core) {
        if let Row::Holding(holding) = row {
            self::holding(core, &holding, world);
        }
    }
}

fn holding<W: World>(core: &Core, held: &Holding, world: &mut W) {
    let mut window = heapless::String::<80>::new();
    let mut blocks = heapless::String::<48>::new();
    let mut from = heapless::String::<80>::new();
    let first = held.first.get();
    // They have room: names are at most 48 bytes.
    let _ = fmt::write(&mut window, format_args!("{}:{}", core.client_name(held.client), held.window));
    let _ = fmt::write(&mut blocks, format_args!("{first}..{}", first.saturating_add(held.blocks.get())));
    let _ = match (held.parent_client, held.line.get()) {
        (u8::MAX, line) => fmt::write(&mut from, format_args!("line {line}")),
        (client, _) => fmt::write(&mut from, format_args!("{}:{}", core.client_name(client), held.parent_window)),
    };
    let state = match held.frozen {
        0 => "ok",
        1 => "frozen",
        _ => "below",
    };
    let (volume, used) = (core.volume_name(held.port), held.passed.get());
    let rights = Rights::from_bits(held.rights.get());
    world.print(format_args!("{window:<18} {volume:<12} {blocks:<16} {state:<8} {used:>10} {from:<16} {rights}"));
}

/// Nothing seen yet, at `now`.
pub fn nothing_seen(now: Instant) -> Seen {
    [(now.0, 0, 0); PDS_MAX]
}

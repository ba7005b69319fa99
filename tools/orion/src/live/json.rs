// SPDX-License-Identifier: MIT
//! A view as JSON, for programs.
use super::state::plain;
use super::table::{limits, right_state, volume_state};
use super::view::View;
use orion_caps::Rights;
use orion_control::operator::{Pd, State as Health};
use orion_metrics::{Counter, Histogram, Kind};
use serde_json::{Map, Value, json};

/// The whole view.
pub fn json(view: &View) -> Value {
    let state = &view.state;
    let volumes = state.volumes.iter().map(|volume| {
        let (disk, server) = state.below(volume.port);
        json!({
            "name": state.volume(volume.port), "disk": disk, "server": server,
            "state": volume_state(volume.state, volume.read_only), "blocks": volume.blocks.get(),
            "epoch": volume.epoch.get(),
        })
    });
    let rings = state.rings.iter().map(|ring| {
        let number = state.client_number(ring);
        let client = number.and_then(|number| state.clients.iter().find(|client| client.client == number));
        json!({
            "client": plain(ring.client.as_str()), "server": plain(ring.server.as_str()),
            "volume": plain(ring.volume.as_str()), "entries": ring.entries.get(),
            "in_flight": client.map(|client| client.in_flight.get()),
            "closed": client.map(|client| client.closed != 0),
        })
    });
    json!({
        "version": 1,
        "time_ns": state.begin.now.get(),
        "seconds": view.seconds(),
        "manager": { "rights": names(state.begin.rights.get()) },
        "pds": state.pds.iter().map(|pd| self::pd(view, pd)).collect::<Vec<_>>(),
        "volumes": volumes.collect::<Vec<_>>(),
        "rings": rings.collect::<Vec<_>>(),
        "rights": state.holdings.iter().map(|holding| right(view, holding)).collect::<Vec<_>>(),
    })
}

fn names(bits: u16) -> Vec<&'static str> {
    let rights = Rights::from_bits(bits);
    Rights::NAMES.iter().filter(|(right, _)| rights.contains(*right)).map(|(_, name)| *name).collect()
}

fn pd(view: &View, pd: &Pd) -> Value {
    let (since, _) = view.since(pd);
    let counters: Map<String, Value> =
        Counter::ALL.iter().map(|counter| (counter.name().to_owned(), pd.figures.get(*counter).into())).collect();
    let sums = Counter::ALL.iter().filter(|counter| !counter.gauge());
    let rates: Map<String, Value> =
        sums.filter_map(|counter| Some((counter.name().to_owned(), view.rate(pd, &[*counter])?.into()))).collect();
    let latency: Map<String, Value> =
        Kind::ALL.iter().map(|kind| (kind.name().to_owned(), times(since.times(*kind)))).collect();
    json!({
        "name": plain(pd.name.as_str()), "program": plain(pd.program.as_str()), "priority": pd.priority.get(),
        "state": Health::of(pd.state).name(), "counters": counters, "per_second": rates, "latency_ns": latency,
    })
}

fn times(times: &Histogram) -> Value {
    json!({
        "timed": times.count(), "p50": times.quantile(1, 2), "p90": times.quantile(9, 10),
        "p99": times.quantile(99, 100), "p999": times.quantile(999, 1000),
    })
}

fn right(view: &View, holding: &orion_metrics::Holding) -> Value {
    let state = &view.state;
    let limits = limits(holding);
    let parent = (holding.parent_client != u8::MAX)
        .then(|| json!({ "client": state.client(holding.parent_client), "window": holding.parent_window }));
    json!({
        "client": state.client(holding.client), "window": holding.window, "volume": state.volume(holding.port),
        "first": holding.first.get(), "blocks": holding.blocks.get(), "rights": names(holding.rights.get()),
        "allowed": names(holding.allowed.get()), "state": right_state(holding.frozen), "parent": parent,
        "line": holding.line.get(), "expires": holding.expires.get(),
        "limits": { "in_flight": limits.in_flight, "iops": limits.iops, "bandwidth": limits.bytes },
        "used": holding.passed.get(), "used_per_second": view.used(holding), "waiting": holding.waiting.get(),
    })
}

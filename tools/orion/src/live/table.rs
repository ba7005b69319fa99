// SPDX-License-Identifier: MIT
//! A view as tables.
use super::array;
use super::state::{Drive, plain};
use super::view::{ERRORS, View, bytes, count, time};
use orion_caps::Rights;
use orion_control::operator::{Pd, State as Health};
use orion_control::text::budget;
use orion_metrics::{ArrayState, Counter, Holding, Kind};

/// A titled table: headings, rows.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its title.
    pub title: &'static str,
    /// Headings; those that begin with a space stand over numbers.
    pub headings: Vec<&'static str>,
    /// Rows.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// As wide as each column must be.
    pub fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.headings.iter().map(|heading| heading.trim().len()).collect();
        for row in &self.rows {
            widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
        }
        widths
    }

    /// A row as text; numbers stand at the right of their column.
    pub fn line<'a>(&self, cells: impl Iterator<Item = &'a str>) -> String {
        let widths = self.widths();
        let cells = cells.zip(&self.headings).zip(widths);
        let padded = cells.map(|((cell, heading), width)| {
            if heading.starts_with(' ') { format!("{:>width$}", cell.trim()) } else { format!("{cell:width$}") }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    }

    fn text(&self) -> String {
        let mut out = format!("{}\n  {}\n", self.title, self.line(self.headings.iter().copied()));
        for row in &self.rows {
            out.push_str(&format!("  {}\n", self.line(row.iter().map(String::as_str))));
        }
        out
    }
}

/// The whole view as text.
pub fn table(view: &View) -> String {
    let over = view.seconds().map_or("since the start".to_owned(), |s| format!("over the last {s:.1} s"));
    let mut out = format!("Rates and latencies {over}\n\n");
    out.push_str(&tables(view).iter().map(Table::text).collect::<Vec<_>>().join("\n"));
    out
}

/// Who holds what, as text.
pub fn rights_table(view: &View) -> String {
    rights(view).text()
}

/// The tables of a view.
pub fn tables(view: &View) -> Vec<Table> {
    let arrays = Some(arrays(view)).filter(|table| !table.rows.is_empty());
    [Some(pds(view)), Some(volumes(view)), arrays, Some(disks(view)), Some(rings(view)), Some(rights(view))]
        .into_iter()
        .flatten()
        .collect()
}

fn rate(rate: Option<f64>) -> String {
    rate.map_or("-".to_owned(), count)
}

fn pds(view: &View) -> Table {
    let headings =
        vec!["name", "program", "state", " req/s", " MiB/s", " in flight", " p50", " p99", " refused", " errors"];
    let row = |pd: &Pd| {
        let (since, _) = view.since(pd);
        let times = since.all_times();
        let data = view.rate(pd, &[Counter::Sectors]).map(|sectors| sectors / 2048.0).filter(|rate| *rate > 0.0);
        let errors = ERRORS.iter().fold(0u64, |sum, counter| sum.saturating_add(pd.figures.get(*counter)));
        vec![
            plain(pd.name.as_str()),
            plain(pd.program.as_str()),
            Health::of(pd.state).name().to_owned(),
            rate(view.rate(pd, &[Counter::Requests])),
            data.map_or("-".to_owned(), |rate| format!("{rate:.1}")),
            pd.figures.get(Counter::InFlight).to_string(),
            time(times.quantile(1, 2)),
            time(times.quantile(99, 100)),
            pd.figures.get(Counter::Refused).to_string(),
            errors.to_string(),
        ]
    };
    Table { title: "Protection domains", headings, rows: view.state.pds.iter().map(row).collect() }
}

/// What a volume's state is called.
pub fn volume_state(state: u8, read_only: u8) -> &'static str {
    match (state, read_only) {
        (0, _) => "starting",
        (1, 0) => "ok",
        (1, _) => "read-only",
        _ => "closed",
    }
}

fn volumes(view: &View) -> Table {
    let state = &view.state;
    let row = |volume: &orion_metrics::Volume| {
        let (disk, server) = state.below(volume.port);
        let pd = state.pds.iter().find(|pd| plain(pd.name.as_str()) == server);
        let latency = |kind, part, of| time(pd.and_then(|pd| view.since(pd).0.times(kind).quantile(part, of)));
        vec![
            state.volume(volume.port),
            disk,
            server.clone(),
            volume_state(volume.state, volume.read_only).to_owned(),
            bytes(volume.blocks.get().saturating_mul(4096)),
            volume.epoch.get().to_string(),
            latency(Kind::Read, 1, 2),
            latency(Kind::Read, 99, 100),
            latency(Kind::Write, 1, 2),
            latency(Kind::Write, 99, 100),
            latency(Kind::Flush, 99, 100),
        ]
    };
    let headings = vec![
        "name",
        "disk",
        "server",
        "state",
        " size",
        " epoch",
        " read p50",
        " p99",
        " write p50",
        " p99",
        " flush p99",
    ];
    Table { title: "Volumes", headings, rows: state.volumes.iter().map(row).collect() }
}

fn rings(view: &View) -> Table {
    let state = &view.state;
    let row = |ring: &orion_control::operator::Ring| {
        let number = state.client_number(ring);
        let client = number.and_then(|number| state.clients.iter().find(|client| client.client == number));
        let own = |holding: &&Holding| Some(holding.client) == number;
        let used: Option<f64> = state.holdings.iter().filter(own).map(|holding| view.used(holding)).sum();
        vec![
            plain(ring.client.as_str()),
            plain(ring.server.as_str()),
            plain(ring.volume.as_str()),
            ring.entries.get().to_string(),
            client.map_or("-".to_owned(), |client| client.in_flight.get().to_string()),
            if number.is_some() { rate(used) } else { "-".to_owned() },
            client.map_or("-", |client| if client.closed == 0 { "ok" } else { "closed" }).to_owned(),
        ]
    };
    let headings = vec!["client", "server", "volume", " entries", " in flight", " req/s", "state"];
    Table { title: "Rings", headings, rows: state.rings.iter().map(row).collect() }
}

/// What a disk says of its own health.
fn disk_health(failing: Option<bool>) -> &'static str {
    match failing {
        None => "-",
        Some(false) => "ok",
        Some(true) => "failing",
    }
}

fn disks(view: &View) -> Table {
    let row = |drive: &Drive| {
        let said = &drive.health;
        let some = |number: Option<String>| number.unwrap_or_else(|| "-".to_owned());
        vec![
            plain(drive.name.as_str()),
            drive.pd.clone(),
            plain(said.model.as_str()),
            plain(said.serial.as_str()),
            disk_health(said.failing).to_owned(),
            some(said.temperature.map(|degrees| format!("{degrees} \u{b0}C"))),
            some(said.used_percent.map(|used| format!("{used} %"))),
            some(said.media_errors.map(|errors| errors.to_string())),
        ]
    };
    let headings = vec!["name", "server", "model", "serial", "health", " temperature", " used", " media errors"];
    Table {
        title: "Disks",
        headings,
        rows: view.state.disks.iter().filter(|drive| drive.array.is_none()).map(row).collect(),
    }
}

fn arrays(view: &View) -> Table {
    let all = view.state.disks.iter().filter_map(|drive| Some((drive, drive.array.as_ref()?)));
    let row = |(drive, array): (&Drive, &ArrayState)| {
        let devices: Vec<String> = drive.devices.iter().map(array::device).collect();
        vec![
            plain(drive.name.as_str()),
            drive.pd.clone(),
            array::level(array),
            array::state(array),
            array::work(array),
            devices.join(", "),
        ]
    };
    let headings = vec!["name", "server", "level", "state", "work", "devices"];
    Table { title: "Arrays", headings, rows: all.map(row).collect() }
}

/// What a capability's state is called.
pub fn right_state(frozen: u8) -> &'static str {
    match frozen {
        0 => "ok",
        1 => "frozen",
        _ => "below",
    }
}

/// The budget of a capability.
pub fn limits(holding: &Holding) -> orion_caps::Budget {
    orion_caps::Budget {
        in_flight: holding.in_flight.get(),
        iops: holding.iops.get(),
        bytes: holding.bytes.get(),
        burst_ms: 0,
    }
}

fn rights(view: &View) -> Table {
    let state = &view.state;
    let row = |holding: &Holding| {
        let mut limit = String::new();
        // Writing to a String cannot fail.
        let _ = budget(&limits(holding), &mut limit);
        let first = holding.first.get();
        let from = match (holding.parent_client, holding.line.get()) {
            (u8::MAX, 0) => "command line".to_owned(),
            (u8::MAX, line) => format!("line {line}"),
            (client, _) => format!("{}:{}", state.client(client), holding.parent_window),
        };
        vec![
            format!("{}:{}", state.client(holding.client), holding.window),
            state.volume(holding.port),
            format!("{first}..{}", first.saturating_add(holding.blocks.get())),
            Rights::from_bits(holding.rights.get()).to_string(),
            right_state(holding.frozen).to_owned(),
            limit,
            holding.passed.get().to_string(),
            rate(view.used(holding)),
            holding.waiting.get().to_string(),
            from,
        ]
    };
    let headings =
        vec!["client", "volume", "blocks", "rights", "state", "limits", " used", " req/s", " waiting", "from"];
    Table { title: "Rights (blocks of 4096 bytes)", headings, rows: state.holdings.iter().map(row).collect() }
}

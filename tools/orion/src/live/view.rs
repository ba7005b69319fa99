// SPDX-License-Identifier: MIT
//! A state beside an earlier one: rates, and latencies of what happened between.
use super::state::State;
use orion_control::operator::Pd;
use orion_metrics::{Counter, Figures, Holding};

/// A state, and how fast things happen.
#[derive(Clone, Debug)]
pub struct View {
    /// How everything is.
    pub state: State,
    before: Option<State>,
}

impl View {
    /// `state`, and what came since `before`.
    pub const fn new(state: State, before: Option<State>) -> Self {
        Self { state, before }
    }

    /// The seconds between; `None` where there is no earlier state.
    pub fn seconds(&self) -> Option<f64> {
        let before = self.before.as_ref()?;
        Some(seconds(self.state.begin.now.get().saturating_sub(before.begin.now.get())))
    }

    /// What a PD counted since, and the seconds that took; since its start where there is no earlier state.
    pub fn since(&self, pd: &Pd) -> (Figures, Option<f64>) {
        let earlier = self.before.as_ref().and_then(|state| state.pds.iter().find(|other| other.name == pd.name));
        let Some(earlier) = earlier.filter(|earlier| earlier.figures.at() < pd.figures.at()) else {
            return (pd.figures, None);
        };
        let ns = pd.figures.at().saturating_sub(earlier.figures.at());
        (pd.figures.since(&earlier.figures), Some(seconds(ns)))
    }

    /// How often something happened a second.
    pub fn rate(&self, pd: &Pd, counters: &[Counter]) -> Option<f64> {
        let (figures, seconds) = self.since(pd);
        let sum = counters.iter().fold(0u64, |sum, counter| sum.saturating_add(figures.get(*counter)));
        Some(as_f64(sum) / seconds?)
    }

    /// Requests a second that a capability let pass.
    pub fn used(&self, holding: &Holding) -> Option<f64> {
        let before = self.before.as_ref()?;
        let same = |other: &&Holding| {
            (other.client, other.window, other.first, other.blocks, other.line)
                == (holding.client, holding.window, holding.first, holding.blocks, holding.line)
        };
        let earlier = before.holdings.iter().find(same).map_or(0, |other| other.passed.get());
        Some(as_f64(holding.passed.get().saturating_sub(earlier)) / self.seconds()?)
    }
}

/// What counts as an error.
pub const ERRORS: [Counter; 5] =
    [Counter::Errors, Counter::Malformed, Counter::Misbehaved, Counter::Resets, Counter::Timeouts];

fn seconds(ns: u64) -> f64 {
    (as_f64(ns) / 1e9).max(1e-9)
}

#[expect(clippy::cast_precision_loss, reason = "for people: beyond 2^53 nobody counts")]
fn as_f64(n: u64) -> f64 {
    n as f64
}

/// A number for people: at most four digits and a unit.
pub fn count(n: f64) -> String {
    for (unit, name) in [(1e9, "G"), (1e6, "M"), (1e4, "k")] {
        if n >= unit {
            let unit = if name == "k" { 1e3 } else { unit };
            return format!("{:.1}{name}", n / unit);
        }
    }
    if n > 0.0 && n < 10.0 && n.fract() > 0.05 { format!("{n:.1}") } else { format!("{n:.0}") }
}

/// Bytes for people.
pub fn bytes(n: u64) -> String {
    for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if n >= 1 << shift {
            return format!("{:.1} {unit}", as_f64(n) / as_f64(1 << shift));
        }
    }
    format!("{n} B")
}

/// A time for people.
pub fn time(ns: Option<u64>) -> String {
    let Some(ns) = ns else { return "-".to_owned() };
    let ns = as_f64(ns);
    match ns {
        ..1e3 => format!("{ns:.0}ns"),
        ..1e6 => format!("{:.1}us", ns / 1e3),
        ..1e9 => format!("{:.1}ms", ns / 1e6),
        _ => format!("{:.1}s", ns / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        let counts = [0.0, 0.4, 12.3, 9999.0, 12_345.0, 2.5e6, 3e9].map(count);
        assert_eq!(counts, ["0", "0.4", "12", "9999", "12.3k", "2.5M", "3.0G"]);
        assert_eq!([0, 1023, 1536, 5 << 30].map(bytes), ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]);
        assert_eq!([None, Some(5), Some(1500), Some(2_500_000)].map(time), ["-", "5ns", "1.5us", "2.5ms"]);
    }
}

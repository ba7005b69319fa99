// SPDX-License-Identifier: MIT
//! What a request costs beside time: doorbells that are written, interrupts that the driver is woken by. As `orion status`
//! shows it of a system at work.
use serde_json::Value;
use std::error::Error;
use std::fmt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How often a driver did something for each of its requests, and how long those took from the driver to it and back.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Writes of doorbells a request.
    pub doorbells: f64,
    /// Interrupts a request.
    pub interrupts: f64,
    /// Requests a second.
    pub requests: f64,
    /// Microseconds that half of the requests took, and 99 of 100, at the driver: the histogram's buckets are 12 % apart.
    pub latency_us: [f64; 2],
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { doorbells, interrupts, requests, latency_us: [half, most] } = self;
        write!(f, "{requests:.0} | {doorbells:.3} | {interrupts:.3} | {half:.0} us | {most:.0} us")
    }
}

/// A child that does not outlive who waits for it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have come to its end by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Lets `run` work for a while, a system with a manager that is to listen at `socket`; looks at it through `orion`.
pub fn rates(orion: &Path, run: &mut Command, socket: &Path) -> Result<Rates, Box<dyn Error>> {
    drop(std::fs::remove_file(socket));
    run.arg("--socket").arg(socket).args(["--for", "6"]).stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running(run.spawn().map_err(|error| format!("{run:?}: {error}"))?);
    std::thread::sleep(Duration::from_millis(1200));
    let mut status = Command::new(orion);
    status.args(["status", "--json", "--interval", "1", "--socket"]).arg(socket);
    let text = super::output(&mut status)?;
    drop(running);
    read(&serde_json::from_str(&text)?).ok_or_else(|| format!("no driver at work in what orion said:\n{text}").into())
}

/// Of the PD that had interrupts.
fn read(status: &Value) -> Option<Rates> {
    let rate = |pd: &Value, name: &str| pd.get("per_second")?.get(name)?.as_f64();
    let driver =
        status.get("pds")?.as_array()?.iter().find(|pd| rate(pd, "interrupts").is_some_and(|rate| rate > 0.0))?;
    let requests = rate(driver, "requests").filter(|requests| *requests > 0.0)?;
    let latency = ["read", "write"].into_iter().filter_map(|kind| driver.get("latency_ns")?.get(kind));
    let latency = latency.max_by_key(|times| times.get("timed").and_then(Value::as_u64))?;
    let micros = |which: &str| latency.get(which).and_then(Value::as_f64).unwrap_or(0.0) / 1000.0;
    Some(Rates {
        doorbells: rate(driver, "kicks")? / requests,
        interrupts: rate(driver, "interrupts")? / requests,
        requests,
        latency_us: [micros("p50"), micros("p99")],
    })
}

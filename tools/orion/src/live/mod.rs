// SPDX-License-Identifier: MIT
//! A running system, through its manager's socket: what `orion status`, `orion top` and `orion ctl` have in common.
pub mod array;
mod json;
mod names;
mod state;
mod table;
#[cfg(test)]
mod tests;
mod view;

pub use json::json;
pub use state::{Drive, Manager, State, plain};
pub use table::{Table, rights_table, table, tables};
#[cfg(test)]
pub use tests::sample;
pub use view::{View, count};

use std::path::PathBuf;
use std::time::Duration;

/// Where the system is.
#[derive(clap::Args, Default)]
pub struct SocketArg {
    /// The socket of the system's manager, as `orion run` prints it
    #[arg(long, default_value = orion_host::exports::SOCKET, value_name = "PATH")]
    socket: PathBuf,
}

/// What `orion status` and `orion top` look at, and for how long.
#[derive(clap::Args)]
pub struct LookArgs {
    #[command(flatten)]
    socket: SocketArg,
    /// Seconds over which rates and latencies are taken; 0, for status only: totals since the start
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS")]
    interval: f64,
}

impl LookArgs {
    /// A connection to the manager.
    ///
    /// # Errors
    /// A message for people.
    pub fn connect(&self) -> Result<Manager, String> {
        self.socket.connect()
    }

    /// Between two looks.
    ///
    /// # Errors
    /// A message for people.
    pub fn interval(&self) -> Result<Duration, String> {
        let wrong = |_| "--interval: give a number of seconds, as in --interval 2".to_owned();
        Duration::try_from_secs_f64(self.interval).map_err(wrong)
    }
}

impl SocketArg {
    /// A connection to the manager.
    ///
    /// # Errors
    /// A message for people.
    pub fn connect(&self) -> Result<Manager, String> {
        Manager::connect(&self.socket)
    }
}

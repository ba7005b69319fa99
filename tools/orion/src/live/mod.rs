// SPDX-License-Identifier: MIT
//! A running system, through its manager's socket: what `orion status`, `orion top` and `orion ctl` have in common.
mod json;
mod names;
mod state;
mod table;
#[cfg(test)]
mod tests;
mod view;

pub use json::json;
pub use state::{Manager, State};
pub use table::{Table, rights_table, table, tables};
#[cfg(test)]
pub use tests::sample;
pub use view::{View, count};

use std::path::PathBuf;

/// Where the system is.
#[derive(clap::Args)]
pub struct SocketArg {
    /// The socket of the system's manager, as `orion run` prints it
    #[arg(long, default_value = orion_host::exports::SOCKET, value_name = "PATH")]
    socket: PathBuf,
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

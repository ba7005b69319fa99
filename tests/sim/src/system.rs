// SPDX-License-Identifier: MIT
//! A system as it is built: planned once, booted many times.
use orion_system::plan::{Board, Plan};

/// A planned system.
#[derive(Debug)]
pub struct System {
    pub(crate) plan: Plan,
    /// Each PD's configuration, which lives as long as the program, as it does where it is mapped.
    pub(crate) blobs: Vec<&'static [u8]>,
    /// The other end of each PD's channels: own channel, PD, its channel.
    pub(crate) peers: Vec<Vec<(u8, (usize, u8))>>,
}

impl System {
    /// The system that `xml` describes; `settings` are given to every client.
    ///
    /// # Panics
    /// Where it is not in order.
    pub fn new(xml: &str, settings: &[(&str, u64)]) -> Self {
        let client_settings = settings.iter().map(|(k, v)| ((*k).to_string(), *v)).collect();
        let options = orion_system::Options { client_settings, ..orion_system::Options::default() };
        let plan = orion_system::plan(xml, Board::Host, &options).expect("the test's system is in order");
        let blobs = plan.pds.iter().map(|pd| &*Vec::leak(pd.config.clone())).collect();
        let peers = plan.pds.iter().map(|pd| peers(&plan, &pd.name)).collect();
        Self { plan, blobs, peers }
    }
}

fn peers(plan: &Plan, pd: &str) -> Vec<(u8, (usize, u8))> {
    let number = |name: &str| plan.pds.iter().position(|p| p.name == name).expect("channels join PDs of the plan");
    let ends = plan.channels.iter().flat_map(|c| [(&c.a, &c.b), (&c.b, &c.a)]);
    ends.filter(|(here, _)| here.0 == pd).map(|(here, there)| (here.1, (number(&there.0), there.1))).collect()
}

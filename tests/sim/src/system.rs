// SPDX-License-Identifier: MIT
//! A system as it is built: planned once, booted many times.
use orion_pd::Config;
use orion_pd::config::{Builder, Name, Setting};
use orion_system::bus::Bus;
use orion_system::plan::{Board, Pd, Plan};

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
        // Lives end and begin as a test says: nobody is asked whether it lives.
        let supervisor_settings = [("ping_ms".to_owned(), u64::MAX)].into();
        let options =
            orion_system::Options { client_settings, supervisor_settings, ..orion_system::Options::default() };
        let plan = orion_system::plan(xml, Board::Host, &options).expect("the test's system is in order");
        let blobs = plan.pds.iter().map(|pd| &*Vec::leak(blob(&plan, pd))).collect();
        let peers = plan.pds.iter().map(|pd| peers(&plan, &pd.name)).collect();
        Self { plan, blobs, peers }
    }
}

impl System {
    /// The same with these PDs as plain sDDF components, which no extension page joins to anybody. A derived PD among them
    /// runs `plain-disk`, with the settings of the clients.
    #[must_use]
    pub fn with_plain(mut self, plain: &[&str], settings: &[(&str, u64)]) -> Self {
        for (pd, blob) in self.plan.pds.iter_mut().zip(&mut self.blobs) {
            let mut config = rebuilt(blob);
            let own = plain.contains(&pd.name.as_str());
            for link in config.links.iter_mut().filter(|link| own || plain.contains(&link.peer.as_str())) {
                (link.flags, link.ext) = (1.into(), 0.into());
            }
            if own && pd.derived {
                pd.program = "plain-disk".to_owned();
                // It has no device of its own.
                pd.disk = None;
                let setting = |(key, value): &(&str, u64)| Setting { key: Name::new(key), value: (*value).into() };
                config.settings.extend(settings.iter().map(setting));
            }
            *blob = Vec::leak(config.bytes());
        }
        self
    }
}

/// A PD's configuration. The model of a SCSI host has no PCI function: its driver is told that the registers are virtio-mmio's.
fn blob(plan: &Plan, pd: &Pd) -> Vec<u8> {
    let bus = plan.disks.iter().find(|disk| Some(&disk.name) == pd.disk.as_ref()).map(|disk| disk.bus);
    if bus != Some(Bus::VirtioScsi) {
        return pd.config.clone();
    }
    let mut config = rebuilt(Vec::leak(pd.config.clone()));
    for device in &mut config.devices {
        (device.transport, device.config_offset) = (0.into(), 0.into());
    }
    config.bytes()
}

/// A configuration as it was put together.
fn rebuilt(blob: &'static [u8]) -> Builder {
    let config = Config::parse(blob).expect("a derived configuration parses");
    Builder {
        name: config.name.to_owned(),
        regions: config.regions.to_vec(),
        links: config.links.to_vec(),
        grants: config.grants.to_vec(),
        devices: config.devices.to_vec(),
        consoles: config.consoles.to_vec(),
        wakes: config.wakes.to_vec(),
        settings: config.settings.to_vec(),
        controls: config.controls.to_vec(),
        watches: config.watches.to_vec(),
        rings: config.rings.to_vec(),
        children: config.children.to_vec(),
    }
}

fn peers(plan: &Plan, pd: &str) -> Vec<(u8, (usize, u8))> {
    let number = |name: &str| plan.pds.iter().position(|p| p.name == name).expect("channels join PDs of the plan");
    let ends = plan.channels.iter().flat_map(|c| [(&c.a, &c.b), (&c.b, &c.a)]);
    ends.filter(|(here, _)| here.0 == pd).map(|(here, there)| (here.1, (number(&there.0), there.1))).collect()
}

// SPDX-License-Identifier: MIT
//! Names for the numbers in a state.
use super::state::{State, plain};
use orion_control::operator::Ring;

const GATEKEEPER: &str = "gatekeeper";

impl State {
    fn clients_rings(&self) -> impl Iterator<Item = &Ring> {
        self.rings.iter().filter(|ring| ring.server.as_str() == GATEKEEPER)
    }

    fn volumes_rings(&self) -> impl Iterator<Item = &Ring> {
        self.rings.iter().filter(|ring| ring.client.as_str() == GATEKEEPER)
    }

    /// The name of the gatekeeper's client of this number.
    pub fn client(&self, number: u8) -> String {
        match self.clients_rings().nth(usize::from(number)) {
            Some(ring) => plain(ring.client.as_str()),
            None if u16::from(number) == self.begin.number.get() => "manager".to_owned(),
            None => format!("client {number}"),
        }
    }

    /// The number of the gatekeeper's client that asks over this ring.
    pub fn client_number(&self, ring: &Ring) -> Option<u8> {
        let own = |other: &Ring| other.client == ring.client && ring.server.as_str() == GATEKEEPER;
        self.clients_rings().position(own).and_then(|at| u8::try_from(at).ok())
    }

    /// The name of the gatekeeper's volume of this number.
    pub fn volume(&self, port: u8) -> String {
        self.volumes_rings()
            .nth(usize::from(port))
            .map_or_else(|| format!("volume {port}"), |r| plain(r.volume.as_str()))
    }

    /// The disk or partition, and the PD, that a volume comes down to.
    pub fn below(&self, port: u8) -> (String, String) {
        let ring = self.volumes_rings().nth(usize::from(port));
        ring.map_or_else(Default::default, |r| (plain(r.disk.as_str()), plain(r.server.as_str())))
    }

    /// The manager's window on a volume, by any of its names.
    pub fn window_on(&self, volume: &str) -> Option<u8> {
        let named = |ring: &Ring| [ring.volume.as_str(), ring.disk.as_str()].contains(&volume);
        self.volumes_rings().position(named).and_then(|at| u8::try_from(at).ok())
    }
}

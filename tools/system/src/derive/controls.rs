// SPDX-License-Identifier: MIT
//! Control connections of the clients that may change capabilities, and where the gatekeeper keeps these changes.
use super::build::{Build, PAGE, memory};
use super::clients::{Client, GATEKEEPER, setting};
use crate::plan::RegionKind;
use orion_pd::config::{self, NONE};
use std::collections::BTreeMap;

/// Bytes of the gatekeeper's state: two halves, each with an image of all capabilities.
const STATE: u64 = 4 * PAGE;
const _: () = assert!(2 * (orion_caps::IMAGE_MAX as u64 + 64) <= STATE);

impl Build<'_> {
    /// A pair of pages for each client that holds `derive`, `admin` or `observe`. They share the channel of its ring.
    pub fn controls(&mut self, clients: &BTreeMap<String, Client>) {
        let mut any = false;
        for (name, _) in clients.iter().filter(|(_, client)| client.commands()) {
            any = true;
            let [commands, answers] = ["commands", "answers"].map(|part| format!("control_{name}_{part}"));
            for region in [&commands, &answers] {
                self.region(memory(region, RegionKind::Page, PAGE));
            }
            for (pd, peer, own, other) in
                [(name.as_str(), GATEKEEPER, &commands, &answers), (GATEKEEPER, name, &answers, &commands)]
            {
                let (own, other) = (self.map(pd, own, true), self.map(pd, other, false));
                let Some(part) = self.pds.get_mut(pd) else { continue };
                let link = part.blob.links.iter().position(|link| link.peer.as_str() == peer);
                part.blob.controls.push(config::Control {
                    link: link.and_then(|at| u16::try_from(at).ok()).unwrap_or(NONE).into(),
                    channel: NONE.into(),
                    pad: [0.into(); 2],
                    own: own.into(),
                    peer: other.into(),
                });
            }
        }
        if any || self.system.manager.is_some() {
            let region = "gatekeeper_state";
            self.region(memory(region, RegionKind::Page, STATE));
            let vaddr = self.map(GATEKEEPER, region, true);
            if let Some(part) = self.pds.get_mut(GATEKEEPER) {
                part.blob.settings.push(setting("state_vaddr", vaddr));
            }
        }
    }
}

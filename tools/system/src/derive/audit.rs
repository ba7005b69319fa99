// SPDX-License-Identifier: MIT
//! The ring from the gatekeeper to who keeps its audit records.
use super::build::{Build, memory};
use super::clients::{Client, GATEKEEPER, setting};
use crate::model::AUDITOR;
use crate::plan::RegionKind;
use std::collections::BTreeMap;

/// The region that the gatekeeper writes.
pub const RECORDS: &str = "audit_records";
/// The page that the consumer writes.
pub const TAKEN: &str = "audit_taken";

impl Build<'_> {
    /// Both regions. Without an extent nobody but the launcher of the host world takes records, where it is asked to.
    pub fn audit(&mut self, clients: &BTreeMap<String, Client>) {
        self.region(memory(RECORDS, RegionKind::Page, orion_audit::RECORDS_BYTES));
        self.region(memory(TAKEN, RegionKind::Page, orion_audit::TAKEN_BYTES));
        let kept = clients.contains_key(AUDITOR);
        self.audit_end(GATEKEEPER, true, kept || self.options.audit);
        if kept {
            self.audit_end(AUDITOR, false, false);
        }
    }

    /// `waits`: nothing is shown before a consumer says where the chain goes on.
    fn audit_end(&mut self, pd: &str, producer: bool, waits: bool) {
        let (records, taken) = (self.map(pd, RECORDS, producer), self.map(pd, TAKEN, !producer));
        if let Some(part) = self.pds.get_mut(pd) {
            part.blob.settings.push(setting("audit_vaddr", records));
            part.blob.settings.push(setting("audit_taken_vaddr", taken));
            if waits {
                part.blob.settings.push(setting("audit_waits", 1));
            }
        }
    }
}

// SPDX-License-Identifier: MIT
//! The supervisor, and what lies between it and the PDs that it watches over: all derived ones but the clock, which runs
//! above it, and the user's own, which end when their users want them to.
use super::Torture;
use super::build::{Build, PAGE, memory};
use super::clients::{GATEKEEPER, setting};
use super::services::TICK;
use crate::check::SUPERVISOR_PRIORITY;
use crate::plan::RegionKind;
use orion_pd::config::{Child, Name};

/// The supervisor's name.
pub const SUPERVISOR: &str = "supervisor";
/// The program that takes its place where PDs are to be ended.
const TORTURE: &str = "torture";
/// Its terms: any number of restarts, the first at once, the next ones soon; hangs are found soon.
const PATIENT: [(&str, u64); 6] =
    [("restarts", 0), ("backoff_ms", 1), ("backoff_max_ms", 50), ("well_ms", 50), ("ping_ms", 20), ("pings", 10)];
/// The page in which the supervisor says what became of its children.
const LIVES: &str = "lives";
/// Milliseconds after which the gatekeeper takes a silent supervisor for dead, and how often it shows a beat in them.
const PATIENCE_MS: u64 = 3000;
const LOOKS: u64 = 6;

impl Build<'_> {
    /// The supervisor's PD.
    pub fn supervisor(&mut self) {
        let program = if self.options.torture.is_some() { TORTURE } else { SUPERVISOR };
        self.derived(SUPERVISOR, program, SUPERVISOR_PRIORITY, self.system.at);
        let settings = &self.options.supervisor_settings;
        let Some(part) = self.pds.get_mut(SUPERVISOR) else { return };
        part.blob.settings.extend(settings.iter().map(|(key, value)| setting(key, *value)));
    }

    /// Makes every PD that is watched over a child of the supervisor's, with a page and a channel of its own, once all PDs
    /// are there.
    pub fn children(&mut self) {
        self.region(memory(LIVES, RegionKind::Page, PAGE));
        let lives = self.map(SUPERVISOR, LIVES, true);
        if let Some(part) = self.pds.get_mut(SUPERVISOR) {
            part.blob.settings.push(setting("lives_vaddr", lives));
        }
        let watched = |name: &str| ![TICK, SUPERVISOR].contains(&name);
        let derived = self.pds.iter().filter(|(name, part)| part.pd.derived && watched(name));
        let children: Vec<String> = derived.map(|(name, _)| name.clone()).collect();
        for (number, pd) in (0..).zip(&children) {
            self.child(number, pd);
        }
        self.number_peers(&children);
        // Longer than the supervisor can be silent.
        let ping = self.options.supervisor_settings.get("ping_ms").copied().unwrap_or(0);
        let patience = ping.saturating_mul(LOOKS).max(PATIENCE_MS);
        if let Some(part) = self.pds.get_mut(GATEKEEPER) {
            part.blob.settings.push(setting("supervisor_ms", patience));
        }
        self.torture(&children);
    }

    /// What tests want to see ended.
    fn torture(&mut self, children: &[String]) {
        let options = self.options;
        let Some(torture) = &options.torture else { return };
        let settings = match torture {
            Torture::Times(times) => [("torture", *times)].into_iter().chain(PATIENT).collect(),
            Torture::Supervisor(ms) => vec![("torture_self", *ms)],
            Torture::Always(name) => match children.iter().position(|child| child == name) {
                Some(number) => vec![("torture_always", number as u64)],
                None => {
                    let what = format!("{name:?} is to be ended, and is not under the supervisor");
                    let known = format!("name one of: {}", children.join(", "));
                    return self.problems.add(self.system.at, what, known);
                }
            },
        };
        let Some(part) = self.pds.get_mut(SUPERVISOR) else { return };
        part.blob.settings.extend(settings.into_iter().map(|(key, value): (&str, u64)| setting(key, value)));
    }

    fn child(&mut self, number: u8, pd: &str) {
        let region = format!("pulse_{pd}");
        self.region(memory(&region, RegionKind::Page, PAGE));
        let (own, seen) = (self.map(pd, &region, true), self.map(SUPERVISOR, &region, false));
        let lives = self.map(pd, LIVES, false);
        let (here, there) = self.channel(SUPERVISOR, pd);
        if let Some(part) = self.pds.get_mut(pd) {
            part.pd.parent = Some((SUPERVISOR.to_owned(), number));
            part.blob.settings.push(setting("pulse_vaddr", own));
            part.blob.settings.push(setting("lives_vaddr", lives));
            part.blob.settings.push(setting("supervisor_channel", u64::from(there)));
        }
        if let Some(part) = self.pds.get_mut(SUPERVISOR) {
            part.blob.children.push(Child {
                number: u16::from(number).into(),
                channel: here.into(),
                pad: 0.into(),
                pulse: seen.into(),
                pd: Name::new(pd),
            });
        }
    }

    /// Tells every PD of ours which word of the page of lives is that of whom it has a ring with.
    fn number_peers(&mut self, children: &[String]) {
        for link in self.pds.values_mut().flat_map(|part| &mut part.blob.links) {
            let number = children.iter().position(|name| name == link.peer.as_str());
            let number = number.and_then(|number| u32::try_from(number + 1).ok()).unwrap_or(0);
            link.flags = (link.flags.get() & 0xffff | number << 16).into();
        }
    }
}

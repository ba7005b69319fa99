// SPDX-License-Identifier: MIT
//! The account that the specification for the kernel's initialiser gives: every capability and every mapping.
use crate::{Account, Holds, report};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The objects of a specification.
pub struct Capdl<'a> {
    objects: &'a [Value],
}

/// A mapped frame: its name, whether it can be written, and executed.
type Frame = (String, bool, bool);

impl<'a> Capdl<'a> {
    /// Of the parsed file.
    pub fn new(capdl: &'a Value) -> Self {
        Self { objects: capdl["objects"].as_array().unwrap() }
    }

    /// The objects of the kind `kind`: name and content.
    fn of_kind(&self, kind: &'static str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let named =
            self.objects.iter().filter_map(move |o| Some((o["name"].as_str().unwrap(), o["object"].get(kind)?)));
        named.filter(|(name, _)| !name.ends_with("_monitor"))
    }

    /// Name of the object that a capability is for.
    fn name(&self, cap: &Value) -> &'a str {
        self.objects[index(cap)]["name"].as_str().unwrap()
    }

    /// What each PD holds.
    pub fn account(&self) -> Account {
        let mut account = Account::new();
        for (name, tcb) in self.of_kind("Tcb") {
            let pd = name.strip_prefix("tcb_").unwrap();
            let mut holds = Holds { priority: tcb["extra"]["prio"].as_u64().unwrap(), ..Holds::default() };
            for (slot, cap) in slots(tcb) {
                match slot {
                    0 => self.capabilities(pd, cap, &mut holds),
                    1 => holds.memory = self.memory(pd, cap),
                    _ => {}
                }
            }
            account.insert(pd.to_owned(), holds);
        }
        account
    }

    /// The root CNode has the PD's own in slot 0, and what `<cspace>` gives in others.
    fn capabilities(&self, pd: &str, root: &Value, holds: &mut Holds) {
        for (slot, cap) in slots(object(&self.objects[index(root)])) {
            if slot > 0 {
                let name = self.name(cap);
                let owner =
                    ["tcb_", "sched_context_", "pml4_", "pgd_", "pud_"].into_iter().find_map(|p| name.strip_prefix(p));
                holds.controls.insert(owner.unwrap_or_else(|| panic!("{pd}: {name} given")).to_owned());
                continue;
            }
            for (slot, cap) in slots(object(&self.objects[index(cap)])) {
                report::capability(pd, slot, self.name(cap), holds);
                if let Some(ports) = self.objects[index(cap)]["object"].get("IOPorts") {
                    let (first, last) = (ports["start_port"].as_u64().unwrap(), ports["end_port"].as_u64().unwrap());
                    holds.ports.insert((first, last - first + 1));
                }
            }
        }
    }

    /// Regions in the address space of `pd`. All else there must be its own program, stack and IPC buffer.
    fn memory(&self, pd: &str, space: &Value) -> BTreeMap<String, bool> {
        let mut memory = BTreeMap::new();
        for (name, write, _) in self.frames(space) {
            let own = [format!("frame_elf_{pd}_"), format!("frame_{pd}_stack_"), format!("frame_ipcbuf_{pd}")];
            if let Some(region) = region(&name) {
                *memory.entry(region).or_default() |= write;
            } else {
                assert!(own.iter().any(|own| name.starts_with(own)), "{pd} maps {name}, which nothing explains");
            }
        }
        memory
    }

    /// Regions that a PD may execute.
    pub fn executable(&self) -> BTreeSet<String> {
        let spaces = self.of_kind("Tcb").flat_map(|(_, tcb)| slots(tcb)).filter(|(slot, _)| *slot == 1);
        let frames = spaces.flat_map(|(_, space)| self.frames(space));
        frames.filter(|(_, _, execute)| *execute).filter_map(|(name, ..)| region(&name)).collect()
    }

    /// The frames below a page table or an IOMMU's page table.
    fn frames(&self, cap: &Value) -> Vec<Frame> {
        let mut frames = Vec::new();
        for (_, cap) in slots(object(&self.objects[index(cap)])) {
            match cap.as_object().unwrap().iter().next().unwrap() {
                (kind, frame) if kind == "Frame" => {
                    let write = frame["rights"]["write"].as_bool().unwrap();
                    frames.push((self.name(cap).to_owned(), write, frame["executable"].as_bool().unwrap()));
                }
                _ => frames.extend(self.frames(cap)),
            }
        }
        frames
    }

    /// Regions that each device may reach behind the IOMMU, by `bus:device.function`.
    pub fn spaces(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut spaces = BTreeMap::new();
        for (_, space) in self.of_kind("IOSpace") {
            let part = |name: &str| space["pci_device"][name].as_u64().unwrap();
            let frames = slots(space).into_iter().flat_map(|(_, cap)| self.frames(cap));
            let regions = frames.map(|(name, ..)| region(&name).expect("only regions are mapped for devices"));
            let device = format!("{:x}:{:x}.{:x}", part("bus"), part("device"), part("function"));
            spaces.insert(device, regions.collect());
        }
        spaces
    }

    /// Bytes of each region.
    pub fn sizes(&self) -> BTreeMap<String, u64> {
        let mut sizes = BTreeMap::new();
        for (name, frame) in self.of_kind("Frame") {
            if let Some(region) = region(name) {
                *sizes.entry(region).or_default() += 1 << frame["size_bits"].as_u64().unwrap();
            }
        }
        sizes
    }
}

/// The region of a frame `frame_mr_REGION_NNNNNNNNN`.
fn region(frame: &str) -> Option<String> {
    Some(frame.strip_prefix("frame_mr_")?.rsplit_once('_')?.0.to_owned())
}

/// What an object is, whatever its kind.
fn object(entry: &Value) -> &Value {
    entry["object"].as_object().and_then(|kinds| kinds.values().next()).unwrap_or(&Value::Null)
}

/// The object that a capability is for.
fn index(cap: &Value) -> usize {
    let content = cap.as_object().unwrap().values().next().unwrap();
    usize::try_from(content["object"].as_u64().unwrap()).unwrap()
}

/// The slots of an object, each with its capability.
fn slots(object: &Value) -> Vec<(u64, &Value)> {
    let slots = object["slots"].as_array().map_or(&[][..], Vec::as_slice);
    slots.iter().map(|slot| (slot["slot"].as_u64().unwrap(), &slot["cap"])).collect()
}

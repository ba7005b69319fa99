// SPDX-License-Identifier: MIT
//! The account that the Microkit tool's report gives. It lists capabilities, not mappings.
use crate::{Account, Holds};

/// First slots of the kinds of capabilities in a PD's CNode (Microkit 2.3.0).
const NOTIFY: u64 = 10;
const CALL: u64 = 74;
const IRQ: u64 = 138;
const CHILD: u64 = 202;
const GUEST: u64 = 266;
const PORTS: u64 = 394;

/// What each PD holds, all but memory and what `<cspace>` gives. Panics on a capability that nothing explains.
pub fn account(report: &str) -> Account {
    let mut account = Account::new();
    let (mut pd, mut tcb, mut slot) = (String::new(), String::new(), 0);
    let mut ports = (String::new(), 0);
    for line in report.lines() {
        let line = line.trim().trim_start_matches(['-', '*', '>']).trim();
        let Some((key, value)) = line.split_once(": ") else { continue };
        let value = value.trim_matches('\'');
        match key {
            "TCB" => tcb = value.trim_start_matches("tcb_").to_owned(),
            "Priority" if tcb != "monitor" => {
                account.entry(tcb.clone()).or_default().priority = value.parse().unwrap();
            }
            "CNode" => pd = value.strip_prefix("cnode_").unwrap().to_owned(),
            "Slot" => slot = value.parse().unwrap(),
            "Object" if pd != "monitor" && !pd.ends_with("_root") => {
                let holds = account.get_mut(&pd).unwrap_or_else(|| panic!("a CNode of {pd:?}, which has no thread"));
                capability(&pd, slot, value, holds);
            }
            "x86 I/O Ports" => ports.0 = value.splitn(3, '_').nth(2).unwrap().to_owned(),
            "Start Port" => ports.1 = hex(value),
            "End Port" => {
                let count = hex(value) - ports.1 + 1;
                account.get_mut(&ports.0).unwrap().ports.insert((ports.1, count));
            }
            _ => {}
        }
    }
    account
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
}

/// Enters the capability for `object` in slot `slot` of the CNode of `pd`.
pub fn capability(pd: &str, slot: u64, object: &str, holds: &mut Holds) {
    let of = |prefix: &str| object.strip_prefix(prefix).map(str::to_owned);
    let explained = match slot {
        // Its own input, address space and reply object; where its faults go.
        1 => of("ntfn_").or(of("ep_")).is_some_and(|owner| owner == pd),
        2 | 5 => object.starts_with("ep_"),
        3 => object.ends_with(&format!("_{pd}")),
        4 => of("reply_").is_some_and(|owner| owner == pd),
        NOTIFY..CALL => {
            let peer = of("ntfn_");
            holds.signals.extend(peer.clone());
            peer.is_some()
        }
        CALL..IRQ => of("ep_").is_some_and(|peer| holds.calls.insert(peer)),
        IRQ..CHILD => of("irq_").is_some_and(|irq| {
            let (number, owner) = irq.split_once('_').unwrap();
            owner == pd && holds.interrupts.insert(number.parse().unwrap())
        }),
        CHILD..GUEST => of("tcb_").is_some_and(|child| holds.controls.insert(child)),
        // A virtual machine of its own.
        GUEST..PORTS => object.starts_with("tcb_") || object.starts_with("vcpu_"),
        _ => object.starts_with("ioports_") && object.ends_with(&format!("_{pd}")),
    };
    assert!(explained, "{pd}: slot {slot} holds {object}, which nothing explains");
}

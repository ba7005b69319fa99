// SPDX-License-Identifier: MIT
//! The example with a volume on each bus: each client verifies its own, on files that hold nothing of another's.
use orion_host_tests::Place;
use std::fs;

const PROGRAM: &str = env!("CARGO_BIN_EXE_orion-host-tests");
const EXAMPLE: &str = include_str!("../../../docs/examples/every-bus.xml");
const GRANT: usize = 4 << 20;

/// The values of `attribute` in the example's elements `<orion:kind ...>`.
fn values(kind: &str, attribute: &str) -> Vec<&'static str> {
    let begin = format!("<orion:{kind} ");
    let elements = EXAMPLE.lines().filter_map(|line| line.trim().strip_prefix(begin.as_str()));
    let key = format!("{attribute}=\"");
    elements.filter_map(|line| line.split_once(&key)?.1.split('"').next()).collect()
}

#[test]
fn a_volume_on_each_bus_is_verified() {
    let place = Place::new();
    let mut run = place.run(PROGRAM, EXAMPLE, &[]);
    let status = run.end();
    assert!(status.success(), "{} {:#?}", run.error(), run.events);
    let (clients, disks) = (values("grant", "client"), values("disk", "name"));
    assert!(clients.len() >= 3 && clients.len() == disks.len());
    for client in clients {
        let said = run.said(client);
        assert!(said.last().is_some_and(|line| line.starts_with("verified: 4 MiB written")), "{client}: {said:#?}");
    }
    for disk in disks {
        let image = fs::read(place.path(&format!("build/{disk}.img"))).unwrap();
        let (inside, outside) = image.split_at(GRANT);
        assert!(inside.chunks(4096).all(|block| block.iter().any(|&byte| byte != 0)), "{disk}");
        assert!(outside.iter().all(|&byte| byte == 0), "{disk}");
    }
}

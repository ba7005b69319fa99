// SPDX-License-Identifier: MIT
//! What is derived from the default system, on every board.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
use orion_pd::Config;
use orion_pd::config::{NONE, Role, VADDR};
use orion_system::plan::{Board, IrqSource, Pd, Plan, RegionKind};
use orion_system::{DiskOptions, Export, Options, derive, parse, report};

const DEFAULT: &str = include_str!("../../../system.xml");

fn plan(text: &str, board: Board, options: &Options) -> Plan {
    orion_system::plan(text, board, options).unwrap_or_else(|problems| panic!("{}", report("test.xml", &problems)))
}

fn boards() -> Vec<(Board, Options)> {
    let iommu = Options { iommu: true, ..Options::default() };
    let plain = Board::ALL.into_iter().map(|board| (board, Options::default()));
    plain.chain([(Board::X86_64Generic, iommu)]).collect()
}

fn pd<'a>(plan: &'a Plan, name: &str) -> &'a Pd {
    plan.pds.iter().find(|pd| pd.name == name).unwrap_or_else(|| panic!("no PD {name}"))
}

/// Every address in a configuration is one that the PD maps, with a region of the right size behind it.
fn check_addresses(plan: &Plan) {
    for pd in plan.pds.iter().filter(|pd| !pd.config.is_empty()) {
        let config = Config::parse(&pd.config).unwrap();
        let mapped = |vaddr: u64| {
            let map = pd.maps.iter().find(|map| map.vaddr == vaddr);
            let map = map.unwrap_or_else(|| panic!("{}: nothing is mapped at {vaddr:#x}", pd.name));
            (plan.regions.iter().find(|region| region.name == map.region).unwrap(), map.write)
        };
        for link in config.links {
            let server = link.role() == Role::Server;
            assert_eq!(mapped(link.info.get()).1, server);
            assert_eq!(mapped(link.ext.get()).1, !server);
            for queue in [link.requests, link.responses] {
                let (region, write) = mapped(queue.get());
                assert!(write && region.kind == RegionKind::Queue && region.size == link.queue_bytes.get());
                assert!(region.size >= u64::from(link.capacity.get()) * 32 + 16);
            }
        }
        for region in config.regions.iter().filter(|region| region.vaddr.get() != 0) {
            assert_eq!(mapped(region.vaddr.get()).0.bus, Some(region.bus.get()));
        }
        for device in config.devices {
            mapped(device.config_vaddr.get());
            if device.dma_size.get() > 0 {
                assert_eq!(mapped(device.dma_vaddr.get()).0.bus, Some(device.dma_bus.get()));
            }
        }
        for console in config.consoles {
            assert_eq!(mapped(console.vaddr.get()).0.size, console.size.get());
        }
    }
}

/// Channel ids are used once in a PD, and both ends of each channel agree with both configurations.
fn check_channels(plan: &Plan) {
    for pd in &plan.pds {
        let ends = plan.channels.iter().flat_map(|c| [&c.a, &c.b]).filter(|end| end.0 == pd.name).map(|end| end.1);
        let mut ids: Vec<u8> = ends.chain(pd.irqs.iter().map(|irq| irq.id)).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "{}", pd.name);
        assert!(ids.iter().all(|id| *id < 62));
    }
    for pd in plan.pds.iter().filter(|pd| !pd.config.is_empty()) {
        let config = Config::parse(&pd.config).unwrap();
        let peers = config.links.iter().map(|link| (link.channel.get(), link.peer));
        for (id, peer) in peers.chain(config.wakes.iter().map(|wake| (wake.channel.get(), wake.peer))) {
            let end = (pd.name.clone(), u8::try_from(id).unwrap());
            let found = plan.channels.iter().find(|c| c.a == end || c.b == end).unwrap();
            let other = if found.a == end { &found.b } else { &found.a };
            assert_eq!(other.0, peer.as_str());
        }
    }
}

/// No two mappings of a PD overlap, there is an unmapped page between them, and the configuration's place is free.
fn check_spaces(plan: &Plan) {
    for pd in &plan.pds {
        let mut ranges = vec![(VADDR, VADDR + 0x1_0000)];
        for map in &pd.maps {
            let region = plan.regions.iter().find(|region| region.name == map.region).unwrap();
            assert_eq!(map.vaddr % region.page, 0);
            ranges.push((map.vaddr, map.vaddr + region.size));
        }
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|w| w[0].1 + 0x1000 <= w[1].0), "{}: {ranges:x?}", pd.name);
        assert!(ranges.iter().all(|r| r.1 <= 0x8000_0000));
    }
}

/// No two regions share a bus address or a physical address.
fn check_memory(plan: &Plan) {
    let disjoint = |mut ranges: Vec<(u64, u64)>| {
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|w| w[0].1 <= w[1].0), "{ranges:x?}");
    };
    disjoint(plan.regions.iter().filter_map(|r| Some((r.bus?, r.bus? + r.size))).collect());
    disjoint(plan.regions.iter().filter_map(|r| Some((r.phys?, r.phys? + r.size))).collect());
    for region in &plan.regions {
        assert_eq!(region.bus.is_some(), matches!(region.kind, RegionKind::Data | RegionKind::Dma), "{}", region.name);
        assert_eq!(region.size % region.page, 0);
    }
}

#[test]
fn every_plan_is_consistent() {
    for (board, options) in boards() {
        for text in [DEFAULT, LARGE] {
            let plan = plan(text, board, &options);
            check_addresses(&plan);
            check_channels(&plan);
            check_spaces(&plan);
            check_memory(&plan);
        }
    }
}

#[test]
fn the_default_system_has_the_parts_of_its_world() {
    let names = |board| plan(DEFAULT, board, &Options::default()).pds.into_iter().map(|pd| pd.name).collect::<Vec<_>>();
    assert_eq!(names(Board::Host), ["blk_d0", "demo", "gatekeeper", "manager", "reader", "supervisor"]);
    let sel4 = ["blk_d0", "demo", "gatekeeper", "manager", "reader", "serial", "supervisor", "tick"];
    assert_eq!(names(Board::QemuVirtAarch64), sel4);
    assert_eq!(names(Board::X86_64Generic), sel4);
}

#[test]
fn the_gatekeeper_is_told_the_grant_as_written() {
    for (board, options) in boards() {
        let plan = plan(DEFAULT, board, &options);
        let config = Config::parse(&pd(&plan, "gatekeeper").config).unwrap();
        let [grant, _, _] = config.grants else { panic!("{} grants", config.grants.len()) };
        assert_eq!((grant.first.get(), grant.blocks.get(), grant.rights.get()), (0, 4096, 7 | 64));
        let client = &config.links[usize::from(grant.client.get())];
        let volume = &config.links[usize::from(grant.volume.get())];
        assert_eq!((client.peer.as_str(), client.role()), ("demo", Role::Server));
        assert_eq!((volume.peer.as_str(), volume.role()), ("blk_d0", Role::Client));
        assert_eq!((client.data.get(), volume.data.get()), (0, NONE));
        assert_eq!(config.regions[0].vaddr.get(), 0);
    }
}

#[test]
fn grants_keep_their_windows_and_their_extents() {
    let first_named = LARGE.replace("window=\"3\"", "window=\"0\"");
    for (text, named, other) in [(LARGE, 3, 0), (&first_named, 0, 1)] {
        let plan = plan(text, Board::Host, &Options::default());
        let config = Config::parse(&pd(&plan, "gatekeeper").config).unwrap();
        let peer = |index: u16| config.links[usize::from(index)].peer.as_str();
        let seen: Vec<_> = config
            .grants
            .iter()
            .map(|g| (peer(g.client.get()), g.window.get(), peer(g.volume.get()), g.first.get(), g.blocks.get()))
            .collect();
        let in_flight: Vec<u32> = config.grants.iter().map(|grant| grant.in_flight.get()).collect();
        let reader = [("reader", named, "blk_d0", 0x100, 0x100), ("reader", other, "blk_d4", 0, u64::MAX)];
        assert_eq!(seen, [reader[0], reader[1], ("writer", 0, "blk_d0", 0, 0x100)]);
        assert_eq!(in_flight, [0, 0, 8]);
    }
}

#[test]
fn payload_is_mapped_by_its_client_alone() {
    for (board, options) in boards() {
        let plan = plan(LARGE, board, &options);
        for region in plan.regions.iter().filter(|region| region.kind == RegionKind::Data) {
            let users: Vec<&str> = plan
                .pds
                .iter()
                .filter(|pd| pd.maps.iter().any(|map| map.region == region.name))
                .map(|pd| &*pd.name)
                .collect();
            assert_eq!(users, [region.name.strip_prefix("data_").unwrap()]);
        }
    }
}

#[test]
fn a_device_reaches_only_data_of_clients_with_a_grant_on_it() {
    let plan = plan(LARGE, Board::Host, &Options::default());
    let reach = |name: &str| &plan.regions.iter().find(|region| region.name == name).unwrap().dma_by;
    assert_eq!(reach("data_reader"), &["d0", "d4"]);
    assert_eq!(reach("data_writer"), &["d0"]);
    assert_eq!(reach("dma_d1"), &["d1"]);
    let config = |name| Config::parse(&pd(&plan, name).config).unwrap().regions.len();
    assert_eq!((config("blk_d0"), config("blk_d4"), config("blk_d1")), (2, 1, 0));
}

/// An adapter of 32 bits shares a client's data region with others, or has one beside theirs.
#[test]
fn what_a_32_bit_device_reaches_lies_below_4_gib() {
    for text in
        [include_str!("../../../tests/xml/good/bus-every.xml"), include_str!("../../../docs/examples/every-bus.xml")]
    {
        for (board, options) in boards() {
            let plan = plan(text, board, &options);
            let short: Vec<&str> =
                plan.disks.iter().filter(|disk| disk.bus.is_32_bit()).map(|disk| disk.device.as_str()).collect();
            let reached =
                |region: &&orion_system::plan::Region| region.dma_by.iter().any(|by| short.contains(&by.as_str()));
            let (low, others): (Vec<_>, Vec<_>) = plan.regions.iter().partition(reached);
            assert!(
                low.len() >= 2 && low.iter().all(|region| region.bus.unwrap() + region.size <= 1 << 32),
                "{board:?}"
            );
            let high = others.iter().filter_map(|region| region.bus).filter(|bus| *bus >= 1 << 32).count();
            assert_eq!(high > 0, board == Board::Host, "the host has its memory above");
        }
    }
}

#[test]
fn more_than_four_disks_of_the_aarch64_board_go_to_pci() {
    let plan = plan(LARGE, Board::QemuVirtAarch64, &Options::default());
    let slots: Vec<String> = plan.disks.iter().map(|disk| format!("{:?}", disk.slot)).collect();
    assert_eq!(slots, ["VirtioMmio(0)", "VirtioMmio(8)", "VirtioMmio(16)", "VirtioMmio(24)", "Pci(3)"]);
    let irq = |name: &str| plan.pds.iter().find(|pd| pd.name == name).unwrap().irqs[0].source.clone();
    assert_eq!(irq("blk_d1"), IrqSource::Gic { number: 56, edge: true });
    assert_eq!(irq("blk_d4"), IrqSource::Gic { number: 84, edge: true });
}

#[test]
fn an_export_is_a_client_with_a_grant_of_the_whole_volume() {
    let options = Options { exports: vec![Export { volume: "vault".into() }], ..Options::default() };
    let plan = plan(DEFAULT, Board::Host, &options);
    let export = pd(&plan, "export_vault");
    assert_eq!(export.program, "export");
    let gatekeeper = Config::parse(&pd(&plan, "gatekeeper").config).unwrap();
    let grant = gatekeeper.grants.iter().find(|grant| grant.line.get() == 0).unwrap();
    assert_eq!((grant.first.get(), grant.blocks.get(), grant.rights.get()), (0, u64::MAX, 0x1f));
    assert_eq!(plan.regions.iter().find(|r| r.name == "data_export_vault").unwrap().size, 16 << 20);
}

#[test]
fn an_export_of_an_unknown_volume_says_so() {
    let options = Options { exports: vec![Export { volume: "valut".into() }], ..Options::default() };
    let problems = derive(&parse(DEFAULT).unwrap(), Board::Host, &options).unwrap_err();
    assert_eq!(problems[0].to_string(), "15:1: there is no volume \"valut\" to export; did you mean \"vault\"?");
}

#[test]
fn what_the_command_line_forces_reaches_the_driver_and_the_demo() {
    let forced = DiskOptions { size: Some(123 << 20), read_only: Some(true) };
    let disks = [("d0".to_owned(), forced)].into();
    let plan = plan(DEFAULT, Board::Host, &Options { disks, demo_writes: false, ..Options::default() });
    assert_eq!((plan.disks[0].size, plan.disks[0].read_only), (Some(123 << 20), true));
    assert_eq!(Config::parse(&pd(&plan, "blk_d0").config).unwrap().devices[0].flags.get() & 2, 2);
    assert_eq!(Config::parse(&pd(&plan, "demo").config).unwrap().setting("writes"), Some(0));
}

const LARGE: &str = r#"<system xmlns:orion="urn:orion-storage:1">
  <memory_region name="shared" size="0x2000"/>
  <protection_domain name="writer" priority="90" orion:queue="128" orion:data="12K">
    <program_image path="build/writer.elf"/>
    <map mr="shared" vaddr="0x4001000" perms="rw"/>
  </protection_domain>
  <protection_domain name="reader" priority="80">
    <program_image path="reader.elf"/>
    <map mr="shared" vaddr="0x4200000" perms="r"/>
  </protection_domain>
  <channel> <end pd="writer" id="0"/> <end pd="reader" id="3"/> </channel>
  <orion:disk name="d0" bus="virtio-blk" size="64M"/>
  <orion:disk name="d1" bus="virtio-blk"/>
  <orion:disk name="d2" bus="virtio-blk" readonly="yes"/>
  <orion:disk name="d3" bus="virtio-blk"/>
  <orion:disk name="d4" bus="virtio-blk" timeout="5s"/>
  <orion:volume name="all"> <orion:on disk="d0"/> </orion:volume>
  <orion:grant client="writer" volume="all" blocks="0..0x100" rights="read write flush" in-flight="8"/>
  <orion:grant client="reader" volume="all" blocks="0x100..0x200" rights="read" window="3"/>
  <orion:grant client="reader" disk="d4" blocks="all" rights="read observe"/>
</system>
"#;

#[test]
fn every_derived_pd_but_the_clock_is_the_supervisors_child() {
    for (board, options) in boards() {
        let plan = plan(DEFAULT, board, &options);
        let supervisor = Config::parse(&pd(&plan, "supervisor").config).unwrap();
        let maps = |name: &str, region: &str| {
            let map = pd(&plan, name).maps.iter().find(|map| map.region == region);
            map.map(|map| (map.vaddr, map.write))
        };
        let mut children = Vec::new();
        for (index, child) in supervisor.children.iter().enumerate() {
            let (name, number) = (child.pd.as_str(), u8::try_from(child.number.get()).unwrap());
            assert_eq!((usize::from(number), &pd(&plan, name).parent), (index, &Some(("supervisor".into(), number))));
            let config = Config::parse(&pd(&plan, name).config).unwrap();
            let pulse = format!("pulse_{name}");
            assert_eq!(maps("supervisor", &pulse), Some((child.pulse.get(), false)), "{name}");
            assert_eq!(maps(name, &pulse), config.setting("pulse_vaddr").map(|vaddr| (vaddr, true)), "{name}");
            assert_eq!(maps(name, "lives"), config.setting("lives_vaddr").map(|vaddr| (vaddr, false)), "{name}");
            let ends = plan.channels.iter().filter(|c| [&c.a.0, &c.b.0] == ["supervisor", name]).collect::<Vec<_>>();
            let there = config.setting("supervisor_channel");
            assert!(
                ends.iter().any(|c| u16::from(c.a.1) == child.channel.get() && Some(c.b.1.into()) == there),
                "{name}"
            );
            // Each knows the numbers of those whose answers it waits for.
            for link in config.links {
                let peer = pd(&plan, link.peer.as_str()).parent.as_ref().map(|(_, number)| *number);
                assert_eq!(link.peer_number(), peer, "{name}");
            }
            children.push(name);
        }
        let theirs = plan.pds.iter().filter(|pd| pd.derived && !["tick", "supervisor"].contains(&pd.name.as_str()));
        assert_eq!(children, theirs.map(|pd| pd.name.as_str()).collect::<Vec<_>>());
        assert!(pd(&plan, "demo").parent.is_none() && children.len() >= 3);
        let lowest = pd(&plan, "supervisor").priority;
        assert!(children.iter().all(|child| pd(&plan, child).priority < lowest));
    }
}

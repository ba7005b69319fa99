// SPDX-License-Identifier: MIT
//! The sections of plain sDDF components: equal to sdfgen's for the same addresses, and true of the description that
//! Orion writes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests end with a panic")]
use orion_system::plan::Board;
use orion_system::sddf::{Connection, Region, Resources, blk_client, blk_driver, device, serial_client};
use orion_system::{Options, emit, plan};
use roxmltree::{Document, Node};
use std::fs;
use std::path::{Path, PathBuf};

/// A system description, looked at as the Microkit tool does.
struct Description<'a>(&'a Document<'a>);

fn number(text: &str) -> u64 {
    text.strip_prefix("0x").map_or_else(|| text.parse().unwrap(), |hex| u64::from_str_radix(hex, 16).unwrap())
}

impl<'a> Description<'a> {
    fn all(&self, tag: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
        self.0.descendants().filter(move |node| node.has_tag_name(tag))
    }

    fn named(&self, tag: &'static str, name: &str) -> Node<'a, 'a> {
        self.all(tag).find(|node| node.attribute("name") == Some(name)).unwrap_or_else(|| panic!("{tag} {name}"))
    }

    /// Where `pd` maps `region`, and its size.
    fn region(&self, pd: &str, region: &str) -> Region {
        let map = self.named("protection_domain", pd).children().find(|node| node.attribute("mr") == Some(region));
        let vaddr = number(map.unwrap_or_else(|| panic!("{pd} maps no {region}")).attribute("vaddr").unwrap());
        Region { vaddr, size: number(self.named("memory_region", region).attribute("size").unwrap()) }
    }

    fn phys(&self, region: &str) -> u64 {
        number(self.named("memory_region", region).attribute("phys_addr").unwrap())
    }

    /// The channel of `pd` to `peer`.
    fn channel(&self, pd: &str, peer: &str) -> u8 {
        let ends = |channel: &Node<'a, 'a>| {
            let end = |of: &str| channel.children().find(|end| end.attribute("pd") == Some(of));
            end(peer).and(end(pd)).map(|end| end.attribute("id").unwrap().parse().unwrap())
        };
        self.all("channel").find_map(|channel| ends(&channel)).unwrap()
    }

    /// The connection of `pd` whose regions begin with `prefix`; sdfgen gives each entry of a queue 128 bytes.
    fn connection(&self, pd: &str, peer: &str, names: [&str; 3]) -> Connection {
        let [storage_info, requests, responses] = names.map(|name| self.region(pd, name));
        let entries = u16::try_from(requests.size / 128).unwrap();
        Connection { storage_info, requests, responses, entries, channel: self.channel(pd, peer) }
    }
}

fn golden(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/sddf").join(folder)
}

/// Both agree but in the bytes `padding`, which sdfgen does not initialise.
fn assert_same(ours: &[u8], file: &Path, padding: &[usize]) {
    let theirs = fs::read(file).unwrap();
    assert_eq!(ours.len(), theirs.len(), "{}", file.display());
    for (at, (a, b)) in ours.iter().zip(&theirs).enumerate() {
        assert!(a == b || padding.contains(&at), "{}: byte {at} is {b:#x}, ours is {a:#x}", file.display());
    }
}

/// Of a block component's section: after the magic number, after the channel.
const BLK_PADDING: [usize; 8] = [5, 6, 7, 59, 60, 61, 62, 63];

#[test]
fn sections_are_those_that_sdfgen_writes() {
    for board in ["aarch64", "x86_64"] {
        let folder = golden(&format!("blk-{board}"));
        let text = fs::read_to_string(folder.join("sdfgen.system")).unwrap();
        let document = Document::parse(&text).unwrap();
        let description = Description(&document);
        for pd in ["client", "files"] {
            let names = ["storage_info", "request", "response"].map(|part| format!("blk_client_{pd}_{part}"));
            let [info, requests, responses] = &names;
            let connection = description.connection(pd, "blk_virt", [info, requests, responses]);
            let data = description.region(pd, &format!("blk_client_{pd}_data"));
            let file = folder.join(format!("blk_client_{pd}.data"));
            assert_same(&blk_client(&connection, data), &file, &BLK_PADDING);
        }
        let names = ["blk_driver_storage_info", "blk_driver_request", "blk_driver_response"];
        let connection = description.connection("blk_driver", "blk_virt", names);
        assert_same(&blk_driver(&connection), &folder.join("blk_driver.data"), &BLK_PADDING);
        let prefix = if board == "aarch64" { "pl011@9000000" } else { "generic" };
        let [queue, data] = ["queue", "data"]
            .map(|part| description.region("client", &format!("{prefix}/serial/{part}/serial_virt_tx/client")));
        let bytes = serial_client(queue, data, description.channel("client", "serial_virt_tx"));
        let padding: Vec<usize> = (5..8).chain(41..48).chain(81..88).collect();
        assert_same(&bytes, &folder.join("serial_client_client.data"), &padding);
    }
}

#[test]
fn a_drivers_resources_are_those_that_sdfgen_writes() {
    let folder = golden("blk-aarch64");
    let text = fs::read_to_string(folder.join("sdfgen.system")).unwrap();
    let document = Document::parse(&text).unwrap();
    let description = Description(&document);
    let part = |name: &str, offset: u64| {
        let name = format!("virtio_mmio@a000200/drivers/blk/virtio/{name}");
        let Region { vaddr, size } = description.region("blk_driver", &name);
        (Region { vaddr: vaddr + offset, size }, description.phys(&name))
    };
    let irq = description.named("protection_domain", "blk_driver").children().find(|node| node.has_tag_name("irq"));
    let resources = Resources {
        regions: vec![part("regs", 0x200), part("virtio_headers", 0), part("virtio_metadata", 0)],
        irqs: vec![irq.unwrap().attribute("id").unwrap().parse().unwrap()],
    };
    assert_same(&device(&resources), &folder.join("blk_driver_device_resources.data"), &[7]);
    let none = device(&Resources::default());
    assert_same(&none, &golden("blk-x86_64").join("blk_driver_device_resources.data"), &[7]);
}

const SYSTEM: &str = r#"<system xmlns:orion="urn:orion-storage:1">
  <protection_domain name="client" priority="1" orion:sddf="blk serial" orion:queue="128" orion:data="4M">
    <program_image path="client.elf"/>
  </protection_domain>
  <protection_domain name="driver" priority="200" orion:sddf="blk"> <program_image path="driver.elf"/> </protection_domain>
  <orion:disk name="d0" bus="virtio-blk" driver="driver"/>
  <orion:grant client="client" disk="d0" blocks="all" rights="read write"/>
</system>"#;

#[test]
fn sections_say_what_the_description_maps() {
    for board in [Board::QemuVirtAarch64, Board::X86_64Generic] {
        let plan = plan(SYSTEM, board, &Options::default()).unwrap();
        let text = emit::sdf(&plan);
        let document = Document::parse(&text).unwrap();
        let description = Description(&document);
        let files = emit::files(&plan);
        let file = |name: &str| files.iter().find(|(file, _)| file == name).unwrap().1.as_slice();
        let names = |link: &str| ["info", "requests", "responses"].map(|part| format!("link_{link}_{part}"));
        let [info, requests, responses] = &names("client_gatekeeper");
        let client = description.connection("client", "gatekeeper", [info, requests, responses]);
        assert_eq!(client.entries, 128);
        assert_eq!(file("blk_client_client.data"), blk_client(&client, description.region("client", "data_client")));
        let [info, requests, responses] = &names("gatekeeper_driver");
        let driver = description.connection("driver", "gatekeeper", [info, requests, responses]);
        assert_eq!(file("driver.data"), blk_driver(&driver));
        let Region { vaddr, size } = description.region("client", "console_client");
        let (queue, data) = (Region { vaddr, size: 4096 }, Region { vaddr: vaddr + 4096, size: size - 4096 });
        let channel = description.channel("client", "serial");
        assert_eq!(file("serial_client_client.data"), serial_client(queue, data, channel));
        // Neither has a page of ours, nor a configuration.
        assert!(!text.contains("_ext\"") && !text.contains("cfg_client") && !text.contains("cfg_driver"), "{text}");
    }
}

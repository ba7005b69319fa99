// SPDX-License-Identifier: MIT
//! The QEMU machine that an image was built for: its board, its devices where the plan has them.
use orion_system::bus::Bus;
use orion_system::bus::qemu::{Around, Attached, Way, devices, ring};
use orion_system::plan::{Board, Disk, Plan, Slot};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the x86-64 kernel and our programs assume of the processor.
const X86_CPU: &str =
    "qemu64,+fsgsbase,+pdpe1gb,+xsaveopt,+xsave,+aes,+ssse3,+sse4.1,+sse4.2,+popcnt,+pclmulqdq,+sha-ni";

/// The file behind a disk.
#[derive(Debug)]
pub struct File {
    /// The disk.
    pub disk: Disk,
    /// A raw image.
    pub path: PathBuf,
}

/// The command that boots the image in `directory`.
pub fn command(plan: &Plan, directory: &Path, files: &[File]) -> Command {
    let mut qemu = match plan.board {
        Board::X86_64Generic => x86(plan, directory),
        Board::QemuVirtAarch64 | Board::Host => aarch64(directory),
    };
    qemu.args(["-display", "none", "-monitor", "none", "-serial", "stdio", "-nic", "none", "-no-reboot"]);
    // Of several ways to a disk the first brings it.
    for file in files.iter().filter(|file| file.disk.file_of() == file.disk.name) {
        drive(&mut qemu, file);
    }
    // And comes first, as the subsystem that it brings.
    let (firsts, others): (Vec<_>, Vec<_>) =
        plan.devices().into_iter().partition(|(disk, _)| disk.file_of() == disk.name);
    for (first, disks) in firsts.into_iter().chain(others) {
        device(plan, first, &disks).into_iter().for_each(|device| _ = qemu.arg("-device").arg(device));
    }
    qemu
}

fn aarch64(directory: &Path) -> Command {
    let mut qemu = Command::new("qemu-system-aarch64");
    qemu.args(["-machine", "virt,virtualization=on", "-cpu", "cortex-a53", "-m", "size=2G"]);
    qemu.args(["-global", "virtio-mmio.force-legacy=false", "-device"]);
    let image = escaped(&directory.join("loader.img"));
    qemu.arg(format!("loader,file={image},addr=0x70000000,cpu-num=0"));
    qemu
}

fn x86(plan: &Plan, directory: &Path) -> Command {
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-machine", "q35", "-cpu", X86_CPU, "-m", "2G"]);
    qemu.arg("-kernel").arg(directory.join("sel4_32.elf"));
    qemu.arg("-initrd").arg(escaped(&directory.join("loader.img")));
    if plan.iommu {
        qemu.args(["-device", "intel-iommu,intremap=off,aw-bits=39"]);
    }
    qemu
}

fn drive(qemu: &mut Command, file: &File) {
    let (name, path) = (&file.disk.name, escaped(&file.path));
    let access = match (file.disk.read_only, file.disk.bus) {
        (false, _) => "",
        // QEMU's ATA disks can't be read-only: what would be written is thrown away.
        (true, Bus::Ahci) => ",snapshot=on",
        (true, _) => ",readonly=on",
    };
    qemu.arg("-drive").arg(format!("if=none,format=raw,id={name},file={path}{access}"));
}

/// The device of `first`, and `disks` behind it.
fn device(plan: &Plan, first: &Disk, disks: &[&Disk]) -> Vec<String> {
    let name = &first.name;
    let slot = match first.slot {
        Slot::VirtioMmio(bus) => {
            let queues = queues(first.options);
            return vec![format!("virtio-blk-device,drive={name},bus=virtio-mmio-bus.{bus}{queues}")];
        }
        Slot::Pci(slot) => slot,
    };
    let place = format!("bus=pcie.0,addr={slot:#x}");
    if first.bus == Bus::VirtioBlk {
        let iommu = if plan.iommu { ",iommu_platform=on" } else { "" };
        // sDDF's driver looks for the transitional device's number.
        let legacy = if first.sddf { "" } else { ",disable-legacy=on" };
        return vec![format!("virtio-blk-pci,drive={name},{place}{legacy}{iommu}{}", queues(first.options))];
    }
    let attached: Vec<Attached<'_>> =
        disks.iter().map(|disk| Attached { drive: &disk.name, unit: disk.unit, name: &disk.name }).collect();
    let way = first.way.as_ref().map(|way| Way { volume: &way.volume, first: way.first == first.name });
    let around = Around { options: first.options, iommu: plan.iommu, way };
    devices(first.bus, (&first.device, &place), &attached, around)
}

/// What the queues of a virtio block device can be, where the disk asks for more than one plain one.
fn queues(options: u32) -> String {
    let ring = ring(options);
    match options & 0xff {
        0 => ring,
        queues => format!(",num-queues={queues}{ring}"),
    }
}

/// A path as a value among QEMU's options, where a comma ends a value.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

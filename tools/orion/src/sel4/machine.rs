// SPDX-License-Identifier: MIT
//! The QEMU machine that an image was built for: its board, its devices where the plan has them.
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
    for file in files {
        attach(&mut qemu, plan, file);
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

fn attach(qemu: &mut Command, plan: &Plan, file: &File) {
    let (name, path) = (&file.disk.name, escaped(&file.path));
    let access = if file.disk.read_only { ",readonly=on" } else { "" };
    qemu.arg("-drive").arg(format!("if=none,format=raw,id={name},file={path}{access}"));
    let iommu = if plan.iommu { ",iommu_platform=on" } else { "" };
    let device = match file.disk.slot {
        Slot::VirtioMmio(bus) => format!("virtio-blk-device,drive={name},bus=virtio-mmio-bus.{bus}"),
        Slot::Pci(slot) => {
            // sDDF's driver looks for the transitional device's number.
            let legacy = if file.disk.sddf { "" } else { ",disable-legacy=on" };
            format!("virtio-blk-pci,drive={name},bus=pcie.0,addr={slot:#x}{legacy}{iommu}")
        }
    };
    qemu.arg("-device").arg(device);
}

/// A path as a value among QEMU's options, where a comma ends a value.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

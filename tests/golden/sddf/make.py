#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes what sdfgen says of a few systems into this folder: descriptions, and the sections of sDDF components.

    pip install sdfgen==0.35.1
    python3 make.py SDDF      # SDDF: a checkout of sDDF 0.7.0, of which sdfgen reads the drivers' config.json
"""
import os, subprocess, sys, tempfile
from sdfgen import DeviceTree, Sddf, SystemDescription

PD = SystemDescription.ProtectionDomain
ARM, X86 = SystemDescription.Arch.AARCH64, SystemDescription.Arch.X86_64
HERE = os.path.dirname(os.path.abspath(__file__))


def virt_tree():
    """The device tree of the machine that the board qemu_virt_aarch64 is."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "virt.dtb")
        machine = f"virt,virtualization=on,dumpdtb={path}"
        subprocess.run(["qemu-system-aarch64", "-machine", machine, "-cpu", "cortex-a53", "-m", "2G"], check=True,
                       stderr=subprocess.DEVNULL)
        with open(path, "rb") as file:
            return DeviceTree(file.read())


class System:
    def __init__(self, name, arch):
        self.folder = os.path.join(HERE, name)
        os.makedirs(self.folder, exist_ok=True)
        self.sdf = SystemDescription(arch, 0x6000_0000 if arch == ARM else 0x7000_0000)
        self.tree = virt_tree() if arch == ARM else None
        self.parts = []

    def node(self, name):
        return self.tree.node(name) if self.tree else None

    def serial(self, clients):
        driver, virt = PD("serial_driver", "serial_driver.elf", priority=200), PD("serial_virt_tx", "serial_virt_tx.elf", priority=199)
        if self.tree is None:
            driver.add_ioport(SystemDescription.IoPort(0x3F8, 8, 0))
        serial = Sddf.Serial(self.sdf, self.node("pl011@9000000"), driver, virt, enable_color=False)
        for client in clients:
            serial.add_client(client)
        self.parts += [(serial, [driver, virt])]

    def timer(self, clients):
        driver = PD("timer_driver", "timer_driver.elf", priority=252)
        timer = Sddf.Timer(self.sdf, self.node("timer"), driver)
        for client in clients:
            timer.add_client(client)
        self.parts += [(timer, [driver])]

    def blk(self, clients):
        driver, virt = PD("blk_driver", "blk_driver.elf", priority=200), PD("blk_virt", "blk_virt.elf", priority=199)
        blk = Sddf.Blk(self.sdf, self.node("virtio_mmio@a000200"), driver, virt)
        for client, options in clients:
            blk.add_client(client, partition=0, **options)
        self.parts += [(blk, [driver, virt])]

    def write(self, others, keep=("blk_client_", "blk_driver", "serial_client_")):
        for pd in [pd for _, pds in self.parts for pd in pds] + others:
            self.sdf.add_pd(pd)
        for part, _ in self.parts:
            assert part.connect() and part.serialise_config(self.folder)
        # What no test reads: sections of components that Orion has nothing to do with.
        for name in os.listdir(self.folder):
            if not name.startswith(keep):
                os.remove(os.path.join(self.folder, name))
        with open(os.path.join(self.folder, "sdfgen.system"), "w") as file:
            file.write(self.sdf.render())


Sddf(sys.argv[1])
for name, arch in [("blk-aarch64", ARM), ("blk-x86_64", X86)]:
    system = System(name, arch)
    client, files = PD("client", "client.elf", priority=1), PD("files", "files.elf", priority=2)
    system.serial([client])
    system.blk([(client, {}), (files, {"queue_capacity": 64, "data_size": 0x40_0000})])
    system.write([client, files])
for name, arch in [("base-aarch64", ARM), ("base-x86_64", X86)]:
    system = System(name, arch)
    client, other = PD("client", "client.elf", priority=1), PD("other", "other.elf", priority=210)
    system.serial([client, other])
    if arch == ARM:
        system.timer([client, other])
    system.write([client, other], keep=())

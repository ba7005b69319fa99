#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the images of this folder with sfdisk, sgdisk and parted, and keeps each as text: its size, its bytes that are
not zero, and what `sfdisk --json` says about it. Run it in this folder: python3 make.py"""
import json, os, subprocess, tempfile

MIB = 1 << 20


def run(*words, text=None):
    subprocess.run(words, input=text, text=True, check=True, stdout=subprocess.DEVNULL)


def sfdisk(script):
    return lambda path: run("sfdisk", "-q", path, text=script)


def fdisk(*commands):
    """Of blocks of 4096 bytes, which sfdisk 2.38 knows nothing of."""
    return lambda path: run("fdisk", "-b", "4096", path, text="\n".join(commands) + "\n")


def sgdisk(*words):
    return lambda path: run("sgdisk", *words, path)


def parted(*words):
    return lambda path: run("parted", "-s", path, *words)


def zero(at, length):
    def do(path):
        with open(path, "r+b") as f:
            f.seek(at)
            f.write(bytes(length))
    return do


def resize(size):
    return lambda path: os.truncate(path, size)


GPT = """label: gpt
label-id: 11111111-2222-3333-4444-555555555555
size=8M, name=boot, type=U, uuid=AAAAAAAA-0000-0000-0000-000000000001
size=16M, name=rootfs, uuid=AAAAAAAA-0000-0000-0000-000000000002
name=data, type=lvm, uuid=AAAAAAAA-0000-0000-0000-000000000003
"""
MBR = """label: dos
label-id: 0x12345678
size=8M, type=c, bootable
size=8M
size=32M, type=5
size=4M
size=4M, type=82
size=4M
size=4M, type=8e
size=4M, type=fd
"""
IDS = ["-U", "11111111-2222-3333-4444-555555555555"]
IMAGES = {
    "gpt-sfdisk": (64 * MIB, 512, [sfdisk(GPT)]),
    "gpt-4096": (64 * MIB, 4096, [fdisk(
        "g", "n", "1", "256", "2303", "n", "2", "2304", "", "x", "i", "11111111-2222-3333-4444-555555555555",
        "n", "1", "boot", "n", "2", "rootfs", "u", "1", "AAAAAAAA-0000-0000-0000-000000000001",
        "u", "2", "AAAAAAAA-0000-0000-0000-000000000002", "r", "w")]),
    "gpt-8t": (8 << 40, 512, [sfdisk(GPT)]),
    "gpt-sgdisk": (64 * MIB, 512, [sgdisk(
        "-a", "1", *IDS, "-n", "1:34:40", "-n", "3:41:2047", "-n", "128:4097:4097", "-c", "3:middle", "-t", "3:fd00",
        "-A", "3:set:2", "-u", "1:AAAAAAAA-0000-0000-0000-000000000001",
        "-u", "3:AAAAAAAA-0000-0000-0000-000000000003", "-u", "128:AAAAAAAA-0000-0000-0000-000000000080")]),
    "gpt-256-entries": (64 * MIB, 512, [sgdisk(*IDS, "-S", "256", "-n", "200:0:+4M", "-u", "200:AAAAAAAA-0000-0000-0000-000000000200")]),
    "gpt-parted": (64 * MIB, 512, [parted(
        "mklabel", "gpt", "mkpart", "Übersicht", "ext4", "1MiB", "9MiB", "mkpart", "Ω-π", "linux-swap", "9MiB", "100%"),
        sgdisk(*IDS, "-u", "1:AAAAAAAA-0000-0000-0000-000000000001", "-u", "2:AAAAAAAA-0000-0000-0000-000000000002")]),
    "gpt-hybrid": (64 * MIB, 512, [sfdisk(GPT), sgdisk("-h", "2")]),
    "gpt-grown": (96 * MIB, 512, [resize(64 * MIB), sfdisk(GPT), resize(96 * MIB)]),
    "gpt-cut": (60 * MIB, 512, [resize(64 * MIB), sfdisk(GPT), resize(60 * MIB)]),
    "gpt-primary-lost": (64 * MIB, 512, [sfdisk(GPT), zero(512, 33 * 512)]),
    "gpt-backup-lost": (64 * MIB, 512, [sfdisk(GPT), zero(64 * MIB - 33 * 512, 33 * 512)]),
    "gpt-both-lost": (64 * MIB, 512, [sfdisk(GPT), zero(512, 512), zero(64 * MIB - 512, 512)]),
    "gpt-unprotected": (64 * MIB, 512, [sfdisk(GPT), zero(0, 512)]),
    "mbr-sfdisk": (64 * MIB, 512, [sfdisk(MBR)]),
    "mbr-chain-lost": (64 * MIB, 512, [sfdisk(MBR), zero(24 * MIB + 5 * MIB, 6 * MIB)]),
    "mbr-parted": (64 * MIB, 512, [parted(
        "mklabel", "msdos", "mkpart", "extended", "1MiB", "40MiB", "mkpart", "logical", "fat32", "2MiB", "10MiB",
        "mkpart", "logical", "ext4", "11MiB", "40MiB", "mkpart", "primary", "ntfs", "40MiB", "100%"),
        lambda path: run("sfdisk", "-q", "--disk-id", path, "0x12345678")]),
    "fat": (64 * MIB, 512, [lambda path: run("mkfs.fat", "-i", "12345678", "--invariant", path)]),
}


def data(file, size):
    """The parts of a sparse file that are not holes."""
    at = 0
    while at < size:
        try:
            at = os.lseek(file.fileno(), at, os.SEEK_DATA)
        except OSError:
            return
        end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
        yield at, end
        at = end


def keep(name, size, block, path):
    with open(path, "rb") as file, open(f"{name}.image", "w") as out:
        print(f"size {size}\nblock {block}", file=out)
        for start, end in data(file, size):
            for at in range(start - start % 512, end, 512):
                file.seek(at)
                sector = file.read(512)
                # Of a file system only its first sector is kept.
                if any(sector) and (name != "fat" or at == 0):
                    print(f"{at} {sector.rstrip(bytes(1)).hex()}", file=out)
    told = subprocess.run(["sfdisk", "--json", path], capture_output=True, text=True)
    if block == 512 and told.returncode == 0 and told.stdout:
        table = json.loads(told.stdout)["partitiontable"]
        del table["device"]
        for partition in table.get("partitions", []):
            partition["node"] = int(partition["node"].removeprefix(path).removeprefix("p"))
        with open(f"{name}.json", "w") as out:
            json.dump(table, out, indent=1, sort_keys=True, ensure_ascii=False)
            out.write("\n")


for name, (size, block, steps) in IMAGES.items():
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/disk"
        open(path, "wb").close()
        os.truncate(path, size)
        for step in steps:
            step(path)
        keep(name, size, block, path)

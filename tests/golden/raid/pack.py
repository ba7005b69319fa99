#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes NAME.array for each array in a tar of member images that guest.sh wrote: `pack.py TAR`. See README.md."""
import io
import sys
import tarfile

from pattern import word


def sector(data):
    """What a sector holds: a number of the pattern, a word that fills it, or its bytes; None: zeroes."""
    if not any(data):
        return None
    first = data[:8]
    if first * 64 != data:
        return "!", data.rstrip(b"\0").hex()
    number = int.from_bytes(first, "little")
    known = number & 0xFFFFFFFF
    return ("=", known) if word(known) == number else (":", f"{number:x}")


def member(data):
    """The lines of one member."""
    lines, run = [], None
    for at in range(len(data) // 512):
        found = sector(data[at * 512 : at * 512 + 512])
        kind, what = found or (None, None)
        if run and kind == run[0] and at == run[1] + len(run[2]) and (
            kind == ":" or kind == "=" and what == run[2][-1] + 1
        ):
            run[2].append(what)
            continue
        run = [kind, at, [what]] if kind in ("=", ":") else None
        if run:
            lines.append(run)
        elif kind == "!":
            lines.append([kind, at, [what]])
    for kind, at, what in lines:
        yield f"{at} = {what[0]} {len(what)}" if kind == "=" else f"{at} {kind} {' '.join(what)}"


def main(path):
    arrays = {}
    with tarfile.open(path) as tar:
        for file in tar:
            parts = file.name.split("/")
            if file.isfile() and len(parts) == 3:
                arrays.setdefault(parts[1], {})[parts[2]] = tar.extractfile(file).read()
    for name, files in sorted(arrays.items()):
        out = io.StringIO()
        out.write(files["facts"].decode())
        for number in sorted((int(n) for n in files if n.isdigit())):
            data = files[str(number)]
            out.write(f"member {len(data) // 512}\n")
            for line in member(data):
                out.write(line + "\n")
        with open(f"{name}.array", "w") as file:
            file.write(out.getvalue())


main(sys.argv[1])

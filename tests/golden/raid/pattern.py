#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes COUNT sectors of the pattern from number FIRST: `pattern.py FIRST COUNT`. Each is one word, 64 times."""
import sys


def word(number):
    """The number, and above it a mix of it: parity of such words has no meaning by chance."""
    mix = (number * 0x9E3779B1 >> 3 ^ number * 0x85EBCA6B) & 0xFFFFFFFF
    return number | mix << 32


if __name__ == "__main__":
    first, count = int(sys.argv[1], 0), int(sys.argv[2], 0)
    for number in range(first, first + count):
        sys.stdout.buffer.write(word(number).to_bytes(8, "little") * 64)

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Asks LIEF and macholib, which know nothing of us, what they make of a bundle."""

import sys

import lief
from macholib.MachO import MachO

path = sys.argv[1]

fat = lief.MachO.parse(path)
binary = fat.at(0)
good, message = lief.MachO.check_layout(binary)
if not good:
    sys.exit(f"LIEF: {message}")
if not binary.has_code_signature or not binary.has_entrypoint or not binary.is_pie:
    sys.exit("LIEF: no signature, no entry point, or not position independent")
segment = binary.get_segment("__ELFUSE")
if segment is None or segment.virtual_size != 0 or segment.file_size < 16384:
    sys.exit("LIEF: __ELFUSE is not what it should be")
minimum = list(binary.build_version.minos)
if minimum[:2] != [13, 0]:
    sys.exit(f"LIEF: oldest macOS is {minimum}")

headers = MachO(path).headers
if len(headers) != 1 or headers[0].filetype != "execute":
    sys.exit("macholib: not one executable")
names = [c[1].segname.rstrip(b"\0") for c in headers[0].commands if hasattr(c[1], "segname")]
if names[-2:] != [b"__ELFUSE", b"__LINKEDIT"]:
    sys.exit(f"macholib: segments {names}")

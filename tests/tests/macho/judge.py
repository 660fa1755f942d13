# SPDX-License-Identifier: MIT OR Apache-2.0
"""Asks LIEF and macholib what they think of an executable."""
import sys

import lief
from macholib.MachO import MachO

binary = lief.MachO.parse(sys.argv[1]).at(0)
right, remark = lief.MachO.check_layout(binary)
print("lief:", "true" if right else remark)
print("macholib:", MachO(sys.argv[1]).headers[0].filetype)

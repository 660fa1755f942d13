# SPDX-License-Identifier: MIT OR Apache-2.0
"""Hashes every page and slot of a signed arm64 Mach-O, from docs/macho.md alone."""
import hashlib
import struct
import sys

data = open(sys.argv[1], "rb").read()
sha = lambda part: hashlib.sha256(part).digest()
assert struct.unpack_from("<I", data)[0] == 0xFEEDFACF, "magic"
count = struct.unpack_from("<I", data, 16)[0]
at, segments, place = 32, {}, None
for _ in range(count):
    kind, length = struct.unpack_from("<II", data, at)
    if kind == 0x19:
        name = data[at + 8 : at + 24].rstrip(b"\0").decode()
        segments[name] = struct.unpack_from("<QQQQII", data, at + 24)
    if kind == 0x1D:
        place = struct.unpack_from("<II", data, at + 8)
    at += length
limit, size = place
assert limit % 16 == 0 and limit + size == len(data), "signature is not the end"
assert segments["__LINKEDIT"][2] + segments["__LINKEDIT"][3] == len(data), "__LINKEDIT"
assert segments["__ELFUSE"][1] == 0 and segments["__ELFUSE"][4:] == (0, 0), "mapped"

signature = data[limit:]
magic, length, number = struct.unpack_from(">III", signature)
assert (magic, number) == (0xFADE0CC0, 5), "SuperBlob"
assert not any(signature[length:]), "padding"
blobs = {}
for n in range(number):
    slot, offset = struct.unpack_from(">II", signature, 12 + 8 * n)
    blobs[slot] = signature[offset : offset + struct.unpack_from(">I", signature, offset + 4)[0]]
code = blobs[0]
(magic, _, version, flags, hashes, _, special, pages, covered) = struct.unpack_from(">9I", code)
assert (magic, version, flags, special) == (0xFADE0C02, 0x20400, 2, 7), "code directory"
assert covered == limit and pages == -(-limit // 16384), "does not cover the file"
assert struct.unpack_from(">QQQ", code, 64) == (0, segments["__TEXT"][3], 1), "__TEXT"
for slot in range(1, 8):
    stated = code[hashes - 32 * slot :][:32]
    expected = sha(blobs[slot]) if slot in blobs else bytes(32)
    assert stated == expected, f"special slot {slot}"
for page in range(pages):
    start = page * 16384
    stated = code[hashes + 32 * page :][:32]
    assert stated == sha(data[start : min(start + 16384, limit)]), f"page {page}"
print(pages, "pages, all slots right")

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Judges a bundle with nothing but Python's standard library, written from
Apple's headers (mach-o/loader.h, cs_blobs.h) and docs/payload-format.md and
sharing no code with the bundler. Recomputes every page hash and slot of the
signature and every digest of the payload. Prints where things are as JSON;
any finding ends it with a message and exit code 1."""

import hashlib
import json
import struct
import sys

PAGE = 16384
IMAGE = open(sys.argv[1], "rb").read()


def need(condition, message):
    if not condition:
        sys.exit(f"{sys.argv[1]}: {message}")


def sha256(data):
    return hashlib.sha256(data).digest()


def load_commands():
    magic, cpu, _, kind, count, length, flags, _ = struct.unpack_from("<8I", IMAGE)
    need((magic, cpu, kind) == (0xFEEDFACF, 0x0100000C, 2), "not an arm64 executable")
    need(flags & 0x200000, "not position independent")
    at, commands = 32, []
    for _ in range(count):
        command, size = struct.unpack_from("<II", IMAGE, at)
        need(size >= 8 and size % 8 == 0, f"command at {at} has size {size}")
        commands.append((command, at, size))
        at += size
    need(at == 32 + length, "load commands have another length than the header says")
    return commands


def segments(commands):
    found = []
    for command, at, _ in commands:
        if command == 0x19:
            name = IMAGE[at + 8 : at + 24].rstrip(b"\0").decode()
            vmaddr, vmsize, offset, size = struct.unpack_from("<4Q", IMAGE, at + 24)
            maxprot, initprot = struct.unpack_from("<2i", IMAGE, at + 56)
            found.append(dict(name=name, vmaddr=vmaddr, vmsize=vmsize, offset=offset, size=size,
                              maxprot=maxprot, initprot=initprot))
    return found


def check_segments(found):
    need(found[-1]["name"] == "__LINKEDIT" and found[-2]["name"] == "__ELFUSE", "order of segments")
    end_file = end_memory = 0
    for segment in found:
        name = segment["name"]
        need(segment["offset"] % PAGE == 0 and segment["vmaddr"] % PAGE == 0, f"{name} is not aligned")
        if segment["size"]:
            need(segment["offset"] == end_file, f"{name} does not follow the segment before it")
            end_file = segment["offset"] + segment["size"]
        need(segment["vmaddr"] >= end_memory, f"{name} overlaps in memory")
        end_memory = segment["vmaddr"] + segment["vmsize"]
        if segment["vmsize"]:
            need(segment["vmsize"] >= segment["size"], f"{name} is bigger in the file than in memory")
    need(end_file == len(IMAGE), "the file does not end with __LINKEDIT")
    need(len(IMAGE) < 1 << 32, "4 GiB or more")


def check_link_edit(commands, link_edit):
    """Every table that a command points at lies inside __LINKEDIT, in front of the signature."""
    tables = []
    for command, at, _ in commands:
        if command in (0x80000034, 0x80000033, 0x26, 0x29, 0x2B, 0x2E, 0x1D):
            tables.append((hex(command), *struct.unpack_from("<II", IMAGE, at + 8)))
        elif command == 2:
            symbols, count, strings, length = struct.unpack_from("<4I", IMAGE, at + 8)
            tables += [("symbols", symbols, count * 16), ("strings", strings, length)]
        elif command == 0xB:
            fields = struct.unpack_from("<18I", IMAGE, at + 8)
            tables.append(("indirect symbols", fields[12], fields[13] * 4))
    begin, end = link_edit["offset"], link_edit["offset"] + link_edit["size"]
    for name, offset, size in tables:
        if size:
            need(begin <= offset and offset + size <= end, f"table {name} is outside __LINKEDIT")
    tables = sorted((offset, offset + size, name) for name, offset, size in tables if size)
    for (_, end, one), (start, _, other) in zip(tables, tables[1:]):
        need(end <= start, f"tables {one} and {other} overlap")


def check_signature(commands, text):
    at = next((at for command, at, _ in commands if command == 0x1D), None)
    need(at is not None, "no signature")
    offset, size = struct.unpack_from("<II", IMAGE, at + 8)
    need(offset % 16 == 0 and offset + size == len(IMAGE), "the signature is not the end of the file")
    blob = IMAGE[offset:]
    magic, length, count = struct.unpack_from(">3I", blob)
    need(magic == 0xFADE0CC0 and length <= size, "no super blob")
    need(not any(blob[length:]), "bytes after the super blob")
    parts, ends = {}, 12 + 8 * count
    for index in range(count):
        slot, start = struct.unpack_from(">2I", blob, 12 + 8 * index)
        need(start == ends and slot not in parts, f"slot {slot:#x} is out of place")
        parts[slot] = blob[start : start + struct.unpack_from(">I", blob, start + 4)[0]]
        ends = start + len(parts[slot])
    need(ends == length, "the blobs do not fill the super blob")
    directory = parts[0]
    (magic, length, version, flags, hashes, identifier, specials, codes, limit, hash_size, hash_type,
     _, page, _, scatter, team, _, limit64, base, text_size, exec_flags) = struct.unpack_from(
        ">9I4BIIIIQQQQ", directory)
    need(magic == 0xFADE0C02 and length == len(directory), "no code directory")
    need(version == 0x20400 and flags == 2, f"version {version:#x}, flags {flags:#x}")
    need((hash_size, hash_type, page) == (32, 2, 14), "not SHA-256 over 16 KiB pages")
    need(limit == offset and limit64 == 0, "the code limit is not where the signature begins")
    need((scatter, team, base, text_size, exec_flags) == (0, 0, 0, text["size"], 1), "executable segment")
    name = directory[identifier : directory.index(b"\0", identifier)].decode()
    need(name, "no identifier")
    need(codes == (limit + PAGE - 1) // PAGE, f"{codes} code slots")
    need(hashes + 32 * codes == len(directory), "the hashes are not the end of the code directory")
    for index in range(codes):
        found = sha256(IMAGE[index * PAGE : min((index + 1) * PAGE, limit)])
        need(found == directory[hashes + 32 * index :][:32], f"page {index} has another hash")
    for slot in range(1, specials + 1):
        want = sha256(parts[slot]) if slot in parts else bytes(32)
        need(want == directory[hashes - 32 * slot :][:32], f"special slot {slot} has another hash")
    need(set(parts) == {0, 2, 5, 7, 0x10000}, f"slots {sorted(parts)}")
    key = b"com.apple.security.hypervisor"
    need(b"<key>" + key + b"</key><true/>" in b"".join(parts[5][8:].split()), "no entitlement in XML")
    need(parts[7][8:] == bytes.fromhex("7029020101b0243022") + b"\x0c\x1d" + key + b"\x01\x01\xff", "DER entitlement")
    need(parts[2] == bytes.fromhex("fade0c010000000c00000000"), "requirements")
    need(parts[0x10000] == bytes.fromhex("fade0b0100000008"), "CMS")
    return dict(identifier=name, pages=codes)


def check_payload(start, size):
    payload = memoryview(IMAGE)[start : start + size]
    need(bytes(payload[:8]) == b"\x89ELFUSE\n", "no payload header")
    version, count, length, zero = struct.unpack_from("<IIQQ", payload, 8)
    need((version, count, length, zero) == (1, 4, size, 0), "payload header")
    need(sha256(bytes(payload[:32]) + bytes(payload[64:320])) == payload[32:64], "header digest")
    sections, end = {}, 320
    for index, name in enumerate(("manifest", "config", "provenance", "layer")):
        kind, _, offset, length, _ = struct.unpack_from("<IIQQQ", payload, 64 + 64 * index)
        need(kind == index + 1, f"section {index} is of kind {kind}")
        need(not any(payload[end:offset]), f"bytes between sections before {name}")
        data = bytes(payload[offset : offset + length])
        need(len(data) == length, f"{name} leaves the segment")
        need(sha256(data) == payload[64 + 64 * index + 32 :][:32], f"{name} has another digest")
        sections[name] = (offset, length, data)
        end = offset + length
    need(not any(payload[end:]), "bytes after the layer")
    manifest = json.loads(sections["manifest"][2])
    for name, descriptor in (("config", manifest["config"]), ("layer", manifest["layers"][0])):
        need(descriptor["digest"] == "sha256:" + hashlib.sha256(sections[name][2]).hexdigest(), f"digest of {name}")
        need(descriptor["size"] == sections[name][1], f"size of {name}")
    offset, length, _ = sections["layer"]
    return dict(digest="sha256:" + hashlib.sha256(sections["manifest"][2]).hexdigest(),
                diff_id=json.loads(sections["config"][2])["rootfs"]["diff_ids"][0],
                layer=dict(offset=start + offset, size=length))


def main():
    commands = load_commands()
    found = segments(commands)
    check_segments(found)
    named = {segment["name"]: segment for segment in found}
    check_link_edit(commands, named["__LINKEDIT"])
    libraries = [IMAGE[at + 24 : at + size].rstrip(b"\0").decode() for command, at, size in commands if command == 0xC]
    need(any(name.endswith("/Hypervisor") for name in libraries), f"libraries {libraries}")
    payload = named["__ELFUSE"]
    need((payload["vmsize"], payload["maxprot"], payload["initprot"]) == (0, 0, 0), "__ELFUSE is mapped")
    report = check_payload(payload["offset"], payload["size"])
    report["payload"] = dict(offset=payload["offset"], size=payload["size"])
    report["signature"] = check_signature(commands, named["__TEXT"])
    print(json.dumps(report, indent=1))


main()

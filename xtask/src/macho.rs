// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the bundler relies on in the stub's Mach-O, read independently of the
//! code that the bundler itself uses: kind of file, header room, reserved
//! segment, libraries, oldest macOS, imports, and that nothing was signed yet.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::imports;

const MH_MAGIC_64: u32 = 0xfeed_facf;
const CPU_TYPE_ARM64: u32 = 0x0100_000c;
const MH_EXECUTE: u32 = 2;
const LC_SEGMENT_64: u32 = 0x19;
const LC_LOAD_DYLIB: u32 = 0xc;
const LC_CODE_SIGNATURE: u32 = 0x1d;
const LC_BUILD_VERSION: u32 = 0x32;
const LC_DYLD_CHAINED_FIXUPS: u32 = 0x8000_0034;
const HEADER_LEN: usize = 32;

/// The room after the load commands that the linker was asked for.
const HEADER_PAD: u64 = 0x1000;

/// Macos 13.0 as LC_BUILD_VERSION packs it.
const MIN_MACOS: u32 = 13 << 16;

/// The framework that makes a stub able to run anything.
const HYPERVISOR: &str = "/System/Library/Frameworks/Hypervisor.framework/Versions/A/Hypervisor";

#[derive(Default)]
struct Found {
    segments: Vec<String>,
    dylibs: Vec<String>,
    min_macos: u32,
    first_content: u64,
    /// Where the chained fixups are.
    fixups: Option<(usize, usize)>,
    is_signed: bool,
}

/// Fails when `file` is not a stub that a bundle can be made of, as the tree at `root`
/// has it.
pub(crate) fn check_stub(file: &[u8], root: &Path) -> Result<()> {
    ensure!(u32_at(file, 0)? == MH_MAGIC_64, "not a 64-bit Mach-O");
    ensure!(u32_at(file, 4)? == CPU_TYPE_ARM64, "not for arm64");
    ensure!(u32_at(file, 12)? == MH_EXECUTE, "not an executable");
    let commands_len = usize::try_from(u32_at(file, 20)?)?;
    let found = scan(file, u32_at(file, 16)?)?;

    let tail: Vec<&str> = found
        .segments
        .iter()
        .rev()
        .take(2)
        .map(String::as_str)
        .collect();
    ensure!(
        tail == ["__LINKEDIT", "__ELFUSE"],
        "segments end in {tail:?}, not __ELFUSE, __LINKEDIT"
    );
    ensure!(
        found.dylibs.iter().any(|name| name == HYPERVISOR),
        "does not load Hypervisor.framework, only {:?}",
        found.dylibs
    );
    ensure!(
        found.min_macos == MIN_MACOS,
        "oldest macOS is {:#x}, not 13.0",
        found.min_macos
    );
    let (start, len) = found.fixups.context("has no chained fixups")?;
    let fixups = file.get(start..).and_then(|rest| rest.get(..len));
    imports::check(fixups.context("its chained fixups leave the file")?, root)?;
    ensure!(!found.is_signed, "is signed already");
    let room = found
        .first_content
        .saturating_sub(u64::try_from(HEADER_LEN + commands_len)?);
    ensure!(
        room >= HEADER_PAD,
        "has {room} bytes of header room, less than {HEADER_PAD}"
    );
    Ok(())
}

fn scan(file: &[u8], count: u32) -> Result<Found> {
    let mut found = Found {
        first_content: u64::MAX,
        ..Found::default()
    };
    let mut at = HEADER_LEN;
    for _ in 0..count {
        let len = usize::try_from(u32_at(file, at + 4)?)?;
        ensure!(len >= 8, "load command at {at} has {len} bytes");
        let command = file
            .get(at..at + len)
            .context("load commands leave the file")?;
        match u32_at(command, 0)? {
            LC_SEGMENT_64 => segment(command, &mut found)?,
            LC_LOAD_DYLIB => {
                let start = usize::try_from(u32_at(command, 8)?)?;
                found.dylibs.push(text(
                    command.get(start..).context("name leaves LC_LOAD_DYLIB")?,
                )?);
            }
            LC_BUILD_VERSION => found.min_macos = u32_at(command, 12)?,
            LC_CODE_SIGNATURE => found.is_signed = true,
            LC_DYLD_CHAINED_FIXUPS => {
                let place = (u32_at(command, 8)?, u32_at(command, 12)?);
                found.fixups = Some((usize::try_from(place.0)?, usize::try_from(place.1)?));
            }
            _ => {}
        }
        at += len;
    }
    Ok(found)
}

/// Notes a segment's name and where its first section's bytes are.
fn segment(command: &[u8], found: &mut Found) -> Result<()> {
    const SECTIONS: usize = 72;
    const SECTION_LEN: usize = 80;
    found
        .segments
        .push(text(command.get(8..24).context("short segment")?)?);
    for index in 0..usize::try_from(u32_at(command, 64)?)? {
        let offset = u64::from(u32_at(command, SECTIONS + index * SECTION_LEN + 48)?);
        if offset != 0 {
            found.first_content = found.first_content.min(offset);
        }
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Result<String> {
    let end = bytes
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(bytes.len());
    Ok(std::str::from_utf8(&bytes[..end])?.to_owned())
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    match bytes.get(at..at + 4) {
        Some(&[a, b, c, d]) => Ok(u32::from_le_bytes([a, b, c, d])),
        _ => bail!("ends before byte {}", at + 4),
    }
}

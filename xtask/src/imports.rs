// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a linked program imports: each name must be one that macOS 13 has.
//!
//! Chained fixups bind every import when the program starts, so a single newer name
//! keeps it from starting at all (facts/macho.md, "Cross toolchain"). The linker has
//! only our lists of names to go by; this reads its output, and also holds on a Mac,
//! where the linker sees a newer SDK. An import that may be missing at run time
//! (weak) is no exception: nothing of ours expects one.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// The lists of what macOS 13 has.
const LISTS: [&str; 2] = [
    "stub/sdk/usr/lib/libSystem.tbd",
    "stub/sdk/System/Library/Frameworks/Hypervisor.framework/Hypervisor.tbd",
];

/// Fails when the program whose chained fixups are `fixups` imports a name that is
/// on no list in the tree at `root`.
pub(crate) fn check(fixups: &[u8], root: &Path) -> Result<()> {
    let mut known = BTreeSet::new();
    for list in LISTS {
        let path = root.join(list);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        known.extend(listed(&text).map(str::to_owned));
    }
    let newer: Vec<String> = names(fixups)?
        .into_iter()
        .filter(|name| !known.contains(name))
        .collect();
    if !newer.is_empty() {
        bail!("imports names that are not on the lists of macOS 13: {newer:?}");
    }
    Ok(())
}

/// The symbols of a text stub.
fn listed(text: &str) -> impl Iterator<Item = &str> {
    let lists = text.split("symbols:").skip(1);
    lists
        .filter_map(|rest| rest.split(['[', ']']).nth(1))
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
}

/// The imported names (`dyld_chained_fixups_header` of Apple's fixup-chains.h).
fn names(fixups: &[u8]) -> Result<Vec<String>> {
    let imports = offset(fixups, 8)?;
    let symbols = offset(fixups, 12)?;
    let count = offset(fixups, 16)?;
    let (entry, shift) = match word(fixups, 20)? {
        // Eight bits of library, one of weakness, then the name; format 2 has an
        // addend behind them.
        1 => (4, 9),
        2 => (8, 9),
        format => bail!("imports are in format {format}"),
    };
    ensure!(word(fixups, 24)? == 0, "names of imports are compressed");
    ensure!(count <= fixups.len(), "more imports than bytes");
    let name = |index: usize| {
        let import = word(fixups, imports + index * entry)?;
        let start = symbols + usize::try_from(import >> shift)?;
        let bytes = fixups.get(start..).context("a name lies outside")?;
        let end = bytes.iter().position(|&byte| byte == 0);
        let bytes = &bytes[..end.context("a name does not end")?];
        Ok(std::str::from_utf8(bytes)?.to_owned())
    };
    (0..count).map(name).collect()
}

fn offset(bytes: &[u8], at: usize) -> Result<usize> {
    Ok(usize::try_from(word(bytes, at)?)?)
}

fn word(bytes: &[u8], at: usize) -> Result<u32> {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk());
    let field = field.context("chained fixups end early")?;
    Ok(u32::from_le_bytes(*field))
}

#[cfg(test)]
mod tests {
    use super::{check, listed, names};
    use crate::process;

    /// Fixups that import `imported`.
    fn fixups(imported: &[&str]) -> Vec<u8> {
        let (mut imports, mut symbols) = (Vec::new(), vec![0]);
        for name in imported {
            let import = u32::try_from(symbols.len()).unwrap() << 9 | 1;
            imports.extend(import.to_le_bytes());
            symbols.extend(name.as_bytes());
            symbols.push(0);
        }
        let behind = u32::try_from(28 + imports.len()).unwrap();
        let count = u32::try_from(imported.len()).unwrap();
        let header = [0, 0, 28, behind, count, 1, 0];
        let header: Vec<u8> = header.into_iter().flat_map(u32::to_le_bytes).collect();
        [header, imports, symbols].concat()
    }

    #[test]
    fn names_of_macos_13_pass_and_newer_ones_are_named() {
        let root = process::root();
        let old = ["_malloc", "_hv_vm_create", "_sysctlbyname"];
        check(&fixups(&old), &root).unwrap();
        let newer = ["_malloc", "_hv_gic_create", "_os_sync_wait_on_address"];
        let error = check(&fixups(&newer), &root).unwrap_err().to_string();
        assert!(
            error.contains("[\"_hv_gic_create\", \"_os_sync_wait_on_address\"]"),
            "{error}"
        );
    }

    #[test]
    fn lists_are_read_whole() {
        let text = "symbols: [ _a,\n  _b ]\n - targets: [ x ]\n symbols: [ _c ]";
        assert_eq!(listed(text).collect::<Vec<_>>(), ["_a", "_b", "_c"]);
    }

    #[test]
    fn damaged_fixups_are_errors() {
        let whole = fixups(&["_malloc", "_free"]);
        assert_eq!(names(&whole).unwrap(), ["_malloc", "_free"]);
        for end in 0..whole.len() {
            assert!(names(&whole[..end]).is_err(), "cut at {end}");
        }
    }
}

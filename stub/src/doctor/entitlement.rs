// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the program's own signature asks for the hypervisor: read from the
//! file, as the kernel reads it (facts/macho.md, "Ad-hoc signature with
//! entitlements"). Whether the kernel granted it shows when a machine is made.

use std::fs::File;
use std::path::Path;

use elfuse_payload::{FileRange, ReadAt};
use plist::Value;

use super::{Part, Row, Verdict};
use crate::locate::{LocateError, load_commands};

const NAME: &str = "com.apple.security.hypervisor";

const CODE_SIGNATURE: u32 = 0x1d;
const SUPER_BLOB: u32 = 0xfade_0cc0;
const ENTITLEMENTS: u32 = 0xfade_7171;
/// Slot of the entitlements in the index.
const ENTITLEMENTS_SLOT: u32 = 5;
/// Most entries of the index, and most bytes of entitlements, that are read.
const MAX_SLOTS: u32 = 64;
const MAX_ENTITLEMENTS: u32 = 64 << 10;

/// What the file has to say.
#[derive(Debug, PartialEq, Eq)]
enum Signature {
    /// It is not a program for Macs.
    None,
    /// A program without a signature.
    Unsigned,
    /// Signed without the entitlement.
    Without,
    /// Signed with it.
    With,
}

/// The row about the program's file.
pub(super) fn row(program: &Path) -> Row {
    let hint = "sign it with the entitlement: codesign --sign - --force --entitlements FILE \
                PROGRAM, where FILE grants com.apple.security.hypervisor";
    let (verdict, found, hint) = match read(program) {
        Ok(Signature::With) => (Verdict::Ok, format!("signed with {NAME}"), None),
        Ok(Signature::Without) => {
            let found = format!("signed without {NAME}");
            (Verdict::Bad, found, Some(hint))
        }
        Ok(Signature::Unsigned) => (Verdict::Bad, "not signed".to_owned(), Some(hint)),
        Ok(Signature::None) => {
            let found = format!("{} is not a macOS program", program.display());
            (Verdict::Unknown, found, None)
        }
        Err(error) => {
            let found = format!("read {}: {error}", program.display());
            (Verdict::Unknown, found, None)
        }
    };
    Row {
        part: Part::Program,
        name: "entitlement",
        verdict,
        found,
        hint,
        assumed: None,
    }
}

fn read(program: &Path) -> Result<Signature, LocateError> {
    let file = FileRange::whole(File::open(program)?)?;
    signature(&file)
}

fn signature(file: &dyn ReadAt) -> Result<Signature, LocateError> {
    let commands = match load_commands(file) {
        Err(LocateError::NotMachO) => return Ok(Signature::None),
        commands => commands?,
    };
    let mut place = None;
    for command in commands.iter() {
        let command = command?;
        if command.kind == CODE_SIGNATURE {
            place = command.u32_at(8);
        }
    }
    let Some(start) = place.map(u64::from) else {
        return Ok(Signature::Unsigned);
    };
    let word = |at: u64| -> Result<u32, LocateError> {
        let mut word = [0; 4];
        file.read_exact_at(&mut word, start + at)?;
        Ok(u32::from_be_bytes(word))
    };
    if word(0)? != SUPER_BLOB {
        return Err(LocateError::BadCommands);
    }
    for slot in 0..u64::from(word(8)?.min(MAX_SLOTS)) {
        if word(12 + slot * 8)? != ENTITLEMENTS_SLOT {
            continue;
        }
        let blob = u64::from(word(16 + slot * 8)?);
        let len = word(blob + 4)?;
        if word(blob)? != ENTITLEMENTS || !(8..=MAX_ENTITLEMENTS).contains(&len) {
            return Err(LocateError::BadCommands);
        }
        let len = usize::try_from(len - 8).map_err(|_| LocateError::BadCommands)?;
        let mut text = vec![0; len];
        file.read_exact_at(&mut text, start + blob + 8)?;
        return Ok(if grants(&text) {
            Signature::With
        } else {
            Signature::Without
        });
    }
    Ok(Signature::Without)
}

fn grants(text: &[u8]) -> bool {
    let list = Value::from_reader_xml(text).ok();
    let list = list.and_then(Value::into_dictionary);
    list.is_some_and(|list| list.get(NAME).and_then(Value::as_boolean) == Some(true))
}

#[cfg(test)]
mod tests {
    use super::{Signature, grants, signature};
    use crate::locate::LocateError;

    /// A program whose one load command points to `signature`, if there is one.
    fn program(signature: Option<&[u8]>) -> Vec<u8> {
        let mut file = Vec::new();
        let count = u32::from(signature.is_some());
        for word in [0xfeed_facf, 0x0100_000c, 0, 2, count, count * 16, 0, 0] {
            file.extend(u32::to_le_bytes(word));
        }
        if let Some(signature) = signature {
            let len = u32::try_from(signature.len()).unwrap();
            for word in [0x1d, 16, 48, len] {
                file.extend(u32::to_le_bytes(word));
            }
            file.extend(signature);
        }
        file
    }

    /// A signature with a blob of each kind in `slots`.
    fn signed(slots: &[(u32, u32, &[u8])]) -> Vec<u8> {
        let mut index = Vec::new();
        let mut blobs = Vec::new();
        for (slot, magic, body) in slots {
            let at = 12 + slots.len() * 8 + blobs.len();
            index.extend(slot.to_be_bytes());
            index.extend(u32::try_from(at).unwrap().to_be_bytes());
            blobs.extend(magic.to_be_bytes());
            blobs.extend(u32::try_from(body.len() + 8).unwrap().to_be_bytes());
            blobs.extend(*body);
        }
        let len = 12 + index.len() + blobs.len();
        let mut all = Vec::new();
        for word in [0xfade_0cc0, len, slots.len()] {
            all.extend(u32::try_from(word).unwrap().to_be_bytes());
        }
        [all, index, blobs].concat()
    }

    const DIRECTORY: (u32, u32, &[u8]) = (0, 0xfade_0c02, b"directory");

    fn list(key: &str, value: &str) -> Vec<u8> {
        format!("<plist version=\"1.0\"><dict><key>{key}</key><{value}/></dict></plist>")
            .into_bytes()
    }

    #[test]
    fn the_entitlement_is_found_in_its_slot() {
        let granted = list("com.apple.security.hypervisor", "true");
        let with = signed(&[DIRECTORY, (5, 0xfade_7171, &granted)]);
        assert_eq!(signature(&program(Some(&with))), Ok(Signature::With));
        let without = signed(&[DIRECTORY]);
        assert_eq!(signature(&program(Some(&without))), Ok(Signature::Without));
        assert_eq!(signature(&program(None)), Ok(Signature::Unsigned));
        assert_eq!(signature(&b"#!/bin/sh\n".to_vec()), Ok(Signature::None));
    }

    #[test]
    fn only_a_true_value_of_the_right_name_grants() {
        assert!(grants(&list("com.apple.security.hypervisor", "true")));
        assert!(!grants(&list("com.apple.security.hypervisor", "false")));
        assert!(!grants(&list("com.apple.security.network", "true")));
        assert!(!grants(b"com.apple.security.hypervisor"));
    }

    #[test]
    fn damaged_signatures_are_errors() {
        let granted = list("com.apple.security.hypervisor", "true");
        let whole = program(Some(&signed(&[(5, 0xfade_7171, &granted)])));
        for end in 48..whole.len() {
            assert!(signature(&whole[..end].to_vec()).is_err(), "cut at {end}");
        }
        let other = signed(&[(5, 0xfade_7172, &granted)]);
        let found = signature(&program(Some(&other)));
        assert_eq!(found, Err(LocateError::BadCommands));
    }
}

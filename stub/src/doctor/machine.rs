// SPDX-License-Identifier: MIT OR Apache-2.0
//! The computer, its system, its disk and the cache volume.

use std::path::Path;

use super::{Host, Part, Patient, Row, Verdict};
use crate::volume::{CacheVolume, Status};

/// The oldest macOS that the programs are linked for.
pub(super) const OLDEST_MACOS: u32 = 13;
/// Below this, an image of ordinary size cannot be unpacked.
const LEAST_FREE: u64 = 512 << 20;
/// Below this, some cannot.
const LITTLE_FREE: u64 = 4 << 30;

const NOT_A_MAC: &str = "this is not a Mac";

fn row(part: Part, name: &'static str, verdict: Verdict, found: impl Into<String>) -> Row {
    Row {
        part,
        name,
        verdict,
        found: found.into(),
        hint: None,
        assumed: None,
    }
}

/// Processor, Rosetta, macOS and hypervisor support.
pub(super) fn rows(host: &Host) -> Vec<Row> {
    let mut rows = vec![system(host)];
    rows.push(yes_or_no(
        "processor",
        host.has_apple_silicon,
        ["Apple silicon", "not Apple silicon"],
        "bundles hold arm64 programs, which Intel Macs cannot run; on Linux there is \
         elfuse-bundle run",
    ));
    rows.push(yes_or_no(
        "rosetta",
        host.is_translated.map(|is_translated| !is_translated),
        ["not translated", "Rosetta translates this program"],
        "start it from a terminal that is not opened with Rosetta",
    ));
    rows.push(macos(host));
    rows.push(yes_or_no(
        "hypervisor-support",
        host.has_hypervisor,
        ["kern.hv_support is 1", "kern.hv_support is not 1"],
        "inside a virtual machine there is no hypervisor: run bundles on the Mac itself",
    ));
    rows
}

fn system(host: &Host) -> Row {
    let found = match host.is_mac {
        true => host.system.to_owned(),
        false => format!(
            "{}: bundles run here with elfuse-bundle run; of a Mac nothing can be said",
            host.system
        ),
    };
    let verdict = if host.is_mac {
        Verdict::Ok
    } else {
        Verdict::Note
    };
    row(Part::Machine, "system", verdict, found)
}

fn yes_or_no(
    name: &'static str,
    answer: Option<bool>,
    [yes, no]: [&str; 2],
    hint: &'static str,
) -> Row {
    match answer {
        Some(true) => row(Part::Machine, name, Verdict::Ok, yes),
        Some(false) => Row {
            hint: Some(hint),
            ..row(Part::Machine, name, Verdict::Bad, no)
        },
        None => row(Part::Machine, name, Verdict::Unknown, NOT_A_MAC),
    }
}

/// The first number of a version.
pub(super) fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

fn macos(host: &Host) -> Row {
    let name = "macos";
    let Some(version) = &host.macos else {
        let found = if host.is_mac {
            "the kernel does not say its version"
        } else {
            NOT_A_MAC
        };
        return row(Part::Machine, name, Verdict::Unknown, found);
    };
    match major(version) {
        Some(major) if major >= OLDEST_MACOS => row(Part::Machine, name, Verdict::Ok, version),
        Some(_) => Row {
            hint: Some("update macOS to version 13 (Ventura) or newer"),
            ..row(
                Part::Machine,
                name,
                Verdict::Bad,
                format!("{version}, and {OLDEST_MACOS}.0 is the oldest that works"),
            )
        },
        None => row(Part::Machine, name, Verdict::Unknown, version),
    }
}

/// Room on the disk and the volume's state.
pub(super) fn cache(patient: &Patient<'_>) -> Vec<Row> {
    let mut rows = vec![disk(patient)];
    let name = "cache-volume";
    if !patient.host.is_mac {
        let found = "a plain directory serves as the cache on this system";
        rows.push(row(Part::Cache, name, Verdict::Ok, found));
        return rows;
    }
    if !patient.cache.exists() {
        let found = "not made yet; the first start makes it";
        rows.push(row(Part::Cache, name, Verdict::Ok, found));
        return rows;
    }
    let status = CacheVolume::new(patient.images, patient.cache);
    rows.push(match status.and_then(|volume| volume.status()) {
        Ok(status) => row(Part::Cache, name, Verdict::Ok, volume_words(&status)),
        Err(error) => Row {
            hint: Some(error.hint()),
            ..row(Part::Cache, name, Verdict::Bad, error.to_string())
        },
    });
    rows
}

fn volume_words(status: &Status) -> String {
    let image = status.image.display();
    let mount = status.attachment.as_ref().map(|found| &found.mount);
    match (status.exists, mount) {
        (false, _) => "not made yet; the first start makes it".to_owned(),
        (true, None) => format!("{image}, not attached"),
        (true, Some(None)) => {
            format!("{image}, attached without a volume; the next start repairs it")
        }
        (true, Some(Some(mount))) => {
            let free = status.space.map_or(0, |space| space.free);
            format!("{image} at {}, {} free", mount.display(), size(free))
        }
    }
}

fn disk(patient: &Patient<'_>) -> Row {
    let name = "disk";
    let existing = patient.cache.ancestors().find(|path| path.exists());
    let place = existing.unwrap_or(Path::new("/"));
    let free = match patient.images.space(place) {
        Ok(space) => space.free,
        Err(error) => return row(Part::Cache, name, Verdict::Unknown, error.to_string()),
    };
    let found = format!("{} free at {}", size(free), place.display());
    let (verdict, hint) = match free {
        0..LEAST_FREE => (Verdict::Bad, Some("free space on the disk")),
        LEAST_FREE..LITTLE_FREE => (Verdict::Note, Some("large images may not fit")),
        _ => (Verdict::Ok, None),
    };
    Row {
        hint,
        ..row(Part::Cache, name, verdict, found)
    }
}

fn size(bytes: u64) -> String {
    match bytes >> 30 {
        0 => format!("{} MiB", bytes >> 20),
        gib => format!("{gib} GiB"),
    }
}

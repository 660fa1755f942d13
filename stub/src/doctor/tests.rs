// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reports about machines that are described, not had.

use std::path::Path;

use elfuse_machine::hv::{HvError, Hypervisor, Vm};

use super::{Host, Patient, Report, Verdict, examine};
use crate::volume::{Attachment, Detach, DiskImages, ImageError, Space};

/// A disk with some room, and no images.
struct Disk(u64);

fn none() -> ImageError {
    ImageError::NoTool("hdiutil")
}

impl DiskImages for Disk {
    fn create(&self, _: &Path, _: u64) -> Result<(), ImageError> {
        Err(none())
    }
    fn attach(&self, _: &Path, _: &Path) -> Result<Attachment, ImageError> {
        Err(none())
    }
    fn attached(&self, _: &Path) -> Result<Option<Attachment>, ImageError> {
        Err(none())
    }
    fn detach(&self, _: &str, _: Detach) -> Result<(), ImageError> {
        Err(none())
    }
    fn resize(&self, _: &Path, _: u64) -> Result<(), ImageError> {
        Err(none())
    }
    fn fill(&self, _: &str) -> Result<(), ImageError> {
        Err(none())
    }
    fn compact(&self, _: &Path) -> Result<(), ImageError> {
        Err(none())
    }
    fn space(&self, _: &Path) -> Result<Space, ImageError> {
        let free = self.0;
        Ok(Space { total: free, free })
    }
    fn is_mount_point(&self, _: &Path) -> Result<bool, ImageError> {
        Ok(false)
    }
}

/// A hypervisor that this program may not use.
struct Denied;

impl Hypervisor for Denied {
    fn create_vm(&self) -> Result<Box<dyn Vm>, HvError> {
        Err(HvError::Denied)
    }
}

/// A Mac that lacks nothing.
pub(crate) fn mac() -> Host {
    Host {
        is_mac: true,
        system: "macOS",
        has_apple_silicon: Some(true),
        is_translated: Some(false),
        macos: Some("14.5".to_owned()),
        has_hypervisor: Some(true),
    }
}

fn report_of(host: Host, free: u64, hypervisor: Option<&dyn Hypervisor>) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("program");
    std::fs::write(&program, b"no program").unwrap();
    examine(&Patient {
        host,
        program: &program,
        cache: &dir.path().join("none/elfuse"),
        images: &Disk(free),
        hypervisor,
    })
}

fn bad(report: &Report) -> Vec<&'static str> {
    let rows = report.rows.iter();
    let bad = rows.filter(|row| row.verdict == Verdict::Bad);
    bad.map(|row| row.name).collect()
}

const PLENTY: u64 = 100 << 30;

#[test]
fn a_good_mac_has_nothing_bad() {
    let report = report_of(mac(), PLENTY, None);
    assert_eq!(bad(&report), [""; 0]);
    assert!(report.is_well());
}

#[test]
fn each_thing_that_a_mac_can_lack_is_found_and_has_a_hint() {
    let intel = Host {
        has_apple_silicon: Some(false),
        has_hypervisor: Some(true),
        ..mac()
    };
    let old = Host {
        macos: Some("12.7.6".to_owned()),
        ..mac()
    };
    let translated = Host {
        is_translated: Some(true),
        ..mac()
    };
    let inside_a_vm = Host {
        has_hypervisor: Some(false),
        ..mac()
    };
    let cases = [
        (intel, "processor"),
        (old, "macos"),
        (translated, "rosetta"),
        (inside_a_vm, "hypervisor-support"),
    ];
    for (host, name) in cases {
        let report = report_of(host, PLENTY, None);
        assert_eq!(bad(&report), [name]);
        assert!(!report.is_well());
        let row = report.rows.iter().find(|row| row.name == name).unwrap();
        assert!(row.hint.is_some(), "{name}");
    }
    assert_eq!(bad(&report_of(mac(), 100 << 20, None)), ["disk"]);
    let denied = report_of(mac(), PLENTY, Some(&Denied));
    assert_eq!(bad(&denied), ["virtual-machine"]);
}

#[test]
fn macos_13_is_old_enough_and_strange_versions_are_unknown() {
    for (version, verdict) in [
        ("13.0", Verdict::Ok),
        ("26.1", Verdict::Ok),
        ("12.9", Verdict::Bad),
        ("beta", Verdict::Unknown),
    ] {
        let host = Host {
            macos: Some(version.to_owned()),
            ..mac()
        };
        let report = report_of(host, PLENTY, None);
        let row = report.rows.iter().find(|row| row.name == "macos").unwrap();
        assert_eq!(row.verdict, verdict, "{version}");
    }
}

#[test]
fn a_damaged_volume_is_bad_and_a_missing_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("cache.sparsebundle")).unwrap();
    let report = examine(&Patient {
        host: mac(),
        program: dir.path(),
        cache: dir.path(),
        images: &Disk(PLENTY),
        hypervisor: None,
    });
    assert_eq!(bad(&report), ["cache-volume"]);
}

#[test]
fn elsewhere_nothing_is_claimed() {
    let report = report_of(Host::this(), PLENTY, None);
    if !Host::this().is_mac {
        assert!(report.is_well());
        let unknown = report
            .rows
            .iter()
            .filter(|row| row.verdict == Verdict::Unknown);
        let names: Vec<_> = unknown.map(|row| row.name).collect();
        let expected = [
            "processor",
            "rosetta",
            "macos",
            "hypervisor-support",
            "entitlement",
            "virtual-machine",
        ];
        assert_eq!(names, expected);
    }
}

#[test]
fn the_table_and_the_json_say_the_same() {
    let old = Host {
        macos: Some("12.7.6".to_owned()),
        ..mac()
    };
    let report = report_of(old, PLENTY, Some(&Denied));
    let mut table = Vec::new();
    report.write_table(&mut table).unwrap();
    let table = String::from_utf8(table).unwrap();
    assert!(
        table
            .contains("  BAD      macos               12.7.6, and 13.0 is the oldest that works\n")
    );
    assert!(table.contains("hint: update macOS"), "{table}");
    assert!(
        table.ends_with("9 checks: 2 bad, 1 without an answer\n"),
        "{table}"
    );

    let mut text = Vec::new();
    report.write_json(&mut text).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(json["well"], false);
    let checks = json["checks"].as_array().unwrap();
    assert_eq!(checks.len(), report.rows.len());
    for (check, row) in checks.iter().zip(&report.rows) {
        assert_eq!(check["name"], row.name);
        assert!(table.contains(check["found"].as_str().unwrap()));
    }
}

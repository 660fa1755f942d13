// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--elfuse-doctor`: can this machine run bundles, and is its hypervisor as the
//! runtime takes it to be?
//!
//! [`examine`] makes a [`Report`] of rows: the machine ([`machine`]), the program's
//! entitlement ([`entitlement`]), the cache, and one row for each assumption about
//! Hypervisor.framework, which [`elfuse_machine::probe`] asks through the seam, so the
//! same rows come from the simulator. Elsewhere than on a Mac it says what it cannot
//! say. Nothing is changed.

mod entitlement;
mod lack;
mod machine;
mod print;
#[cfg_attr(not(target_os = "macos"), path = "sysctl/absent.rs")]
mod sysctl;

use std::path::Path;

use elfuse_machine::hv::Hypervisor;
use elfuse_machine::probe;

use crate::volume::DiskImages;
pub use lack::Lack;

/// What a row means for who wants to run bundles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it must be.
    Ok,
    /// Bundles cannot run, or not as they should.
    Bad,
    /// Worth knowing.
    Note,
    /// Could not be found out here.
    Unknown,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it belongs to.
    pub part: Part,
    /// Short name.
    pub name: &'static str,
    /// What it means.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What the user can do.
    pub hint: Option<&'static str>,
    /// For assumptions: what was assumed, and the section of docs/hvf.md.
    pub assumed: Option<(&'static str, &'static str)>,
}

/// Groups of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The computer and its system.
    Machine,
    /// This program.
    Program,
    /// Disk space and the volume for root file systems.
    Cache,
    /// Assumptions about the hypervisor.
    Hypervisor,
}

/// The machine as its kernel describes it; `None` is what it does not say.
#[derive(Clone, Debug)]
pub struct Host {
    /// Is it a Mac at all?
    pub is_mac: bool,
    /// Name of the system.
    pub system: &'static str,
    /// An arm64 processor of Apple's?
    pub has_apple_silicon: Option<bool>,
    /// Does Rosetta translate this program?
    pub is_translated: Option<bool>,
    /// Version of macOS, such as `14.5`.
    pub macos: Option<String>,
    /// Does the kernel offer Hypervisor.framework?
    pub has_hypervisor: Option<bool>,
}

impl Host {
    /// This machine.
    #[must_use]
    pub fn this() -> Self {
        sysctl::host()
    }
}

/// What is examined.
pub struct Patient<'a> {
    /// The machine.
    pub host: Host,
    /// The program's own file.
    pub program: &'a Path,
    /// The user's cache directory of this product, which may not exist.
    pub cache: &'a Path,
    /// The system's disk images.
    pub images: &'a dyn DiskImages,
    /// The hypervisor, where there is one.
    pub hypervisor: Option<&'a dyn Hypervisor>,
}

/// All rows.
#[derive(Debug)]
pub struct Report {
    /// In the order in which they are shown.
    pub rows: Vec<Row>,
}

impl Report {
    /// Is there nothing bad?
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.rows.iter().all(|row| row.verdict != Verdict::Bad)
    }
}

/// Looks at everything.
#[must_use]
pub fn examine(patient: &Patient<'_>) -> Report {
    let mut rows = machine::rows(&patient.host);
    rows.push(entitlement::row(patient.program));
    rows.extend(machine::cache(patient));
    rows.extend(hypervisor(patient.hypervisor));
    Report { rows }
}

fn hypervisor(hypervisor: Option<&dyn Hypervisor>) -> Vec<Row> {
    let row = |verdict, found: String, hint| Row {
        part: Part::Hypervisor,
        name: "virtual-machine",
        verdict,
        found,
        hint,
        assumed: None,
    };
    let Some(hypervisor) = hypervisor else {
        let found = "there is no hypervisor here: none of the assumptions was asked about";
        return vec![row(Verdict::Unknown, found.to_owned(), None)];
    };
    if let Err(error) = hypervisor.create_vm() {
        let hint = "the program needs the entitlement com.apple.security.hypervisor, and no \
                    other virtual machine in its process";
        let found = format!("cannot be made: {error}");
        return vec![row(Verdict::Bad, found, Some(hint))];
    }
    let mut rows = vec![row(Verdict::Ok, "can be made".to_owned(), None)];
    rows.extend(probe::ask(hypervisor).into_iter().map(assumption));
    rows
}

fn assumption(finding: probe::Finding) -> Row {
    let verdict = match finding.verdict {
        probe::Verdict::Holds => Verdict::Ok,
        probe::Verdict::Differs => Verdict::Bad,
        probe::Verdict::Noted => Verdict::Note,
        probe::Verdict::Unknown => Verdict::Unknown,
    };
    let hint = "please report this with the output of --elfuse-doctor --json";
    Row {
        part: Part::Hypervisor,
        name: finding.name,
        verdict,
        found: finding.found,
        hint: (verdict == Verdict::Bad).then_some(hint),
        assumed: Some((finding.claim, finding.fact)),
    }
}

#[cfg(test)]
pub(crate) mod tests;

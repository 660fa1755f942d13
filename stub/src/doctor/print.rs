// SPDX-License-Identifier: MIT OR Apache-2.0
//! The report as a table for people and as JSON for programs.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Part, Report, Row, Verdict};

impl Report {
    /// A table: a verdict, a name and what was found, with hints below.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut part = None;
        for row in &self.rows {
            if part != Some(row.part) {
                part = Some(row.part);
                writeln!(out, "{}", title(row.part))?;
            }
            let verdict = word(row.verdict);
            writeln!(out, "  {verdict:7}  {:18}  {}", row.name, row.found)?;
            if let (Some((claim, fact)), false) = (row.assumed, row.verdict == Verdict::Ok) {
                writeln!(
                    out,
                    "           {:18}  assumed: {claim} (docs/hvf.md {fact})",
                    ""
                )?;
            }
            if let Some(hint) = row.hint {
                writeln!(out, "           {:18}  hint: {hint}", "")?;
            }
        }
        let bad = self.count(Verdict::Bad);
        let unknown = self.count(Verdict::Unknown);
        let total = self.rows.len();
        writeln!(
            out,
            "{total} checks: {bad} bad, {unknown} without an answer"
        )
    }

    /// One object; `checks` has the rows in the table's order.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let report = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "well": self.is_well(),
            "checks": self.rows.iter().map(object).collect::<Vec<_>>(),
        });
        serde_json::to_writer_pretty(&mut *out, &report)?;
        writeln!(out)
    }

    fn count(&self, verdict: Verdict) -> usize {
        let rows = self.rows.iter();
        rows.filter(|row| row.verdict == verdict).count()
    }
}

fn object(row: &Row) -> Value {
    let mut object = json!({
        "part": match row.part {
            Part::Machine => "machine",
            Part::Program => "program",
            Part::Cache => "cache",
            Part::Hypervisor => "hypervisor",
        },
        "name": row.name,
        "verdict": word(row.verdict).to_lowercase(),
        "found": row.found,
    });
    if let Some(hint) = row.hint {
        object["hint"] = json!(hint);
    }
    if let Some((claim, fact)) = row.assumed {
        object["assumed"] = json!(claim);
        object["fact"] = json!(format!("docs/hvf.md {fact}"));
    }
    object
}

fn title(part: Part) -> &'static str {
    match part {
        Part::Machine => "Machine",
        Part::Program => "This program",
        Part::Cache => "Cache",
        Part::Hypervisor => "Hypervisor",
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Bad => "BAD",
        Verdict::Note => "note",
        Verdict::Unknown => "unknown",
    }
}

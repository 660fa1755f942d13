// SPDX-License-Identifier: MIT OR Apache-2.0
//! Licences of everything that ends up in the stub and the bundler, from
//! Cargo's own metadata: each crate must offer one that the product can be
//! shipped under. Build-time and test-time crates are not shipped. Where
//! cargo-deny is installed, deny.toml is checked as well.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cross::TARGET;
use crate::process;

/// The programs that are handed out.
const PROGRAMS: [&str; 2] = ["elfuse-bundle", "elfuse-stub"];

const ACCEPTED: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Checks the graphs for Macs and for this machine.
pub(crate) fn check() -> Result<()> {
    let version = process::output(std::process::Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    for platform in [TARGET, host.context("ask rustc for its host")?] {
        graph(platform)?;
    }
    if process::find_program("cargo-deny").is_some() {
        process::quietly(process::cargo().args([
            "deny",
            "--offline",
            "check",
            "bans",
            "licenses",
            "sources",
        ]))?;
    }
    Ok(())
}

fn graph(platform: &str) -> Result<()> {
    let mut metadata = process::cargo();
    metadata.args([
        "metadata",
        "--locked",
        "--format-version=1",
        "--filter-platform",
        platform,
    ]);
    let metadata: Value = serde_json::from_str(&process::output(&mut metadata)?)?;
    let packages: BTreeMap<&str, &Value> = list(&metadata["packages"])
        .filter_map(|package| Some((package["id"].as_str()?, package)))
        .collect();
    let nodes: BTreeMap<&str, &Value> = list(&metadata["resolve"]["nodes"])
        .filter_map(|node| Some((node["id"].as_str()?, node)))
        .collect();
    let is_program = |package: &&Value| {
        package["name"]
            .as_str()
            .is_some_and(|name| PROGRAMS.contains(&name))
    };
    let mut waiting: Vec<&str> = packages
        .values()
        .copied()
        .filter(is_program)
        .filter_map(|package| package["id"].as_str())
        .collect();
    let mut seen = BTreeSet::new();
    let mut broken = Vec::new();
    while let Some(id) = waiting.pop() {
        if !seen.insert(id) {
            continue;
        }
        let package = packages
            .get(id)
            .with_context(|| format!("find package {id}"))?;
        let licence = package["license"].as_str().unwrap_or("(none)");
        if !is_accepted(licence) {
            broken.push(format!("{id}: {licence}"));
        }
        let node = nodes.get(id).with_context(|| format!("find node {id}"))?;
        waiting.extend(
            list(&node["deps"])
                .filter(|dep| is_normal(dep))
                .filter_map(|dep| dep["pkg"].as_str()),
        );
    }
    if seen.len() < PROGRAMS.len() || !broken.is_empty() {
        bail!(
            "licences that cannot be shipped for {platform}:\n{}",
            broken.join("\n")
        );
    }
    Ok(())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Whether a dependency is linked, not only used in build scripts or tests.
fn is_normal(dependency: &Value) -> bool {
    list(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null())
}

/// Whether an SPDX expression can be satisfied with accepted licences.
fn is_accepted(expression: &str) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    either(&mut rest) && rest.is_empty()
}

fn either(words: &mut &[&str]) -> bool {
    let mut accepted = both(words);
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        accepted |= both(words);
    }
    accepted
}

fn both(words: &mut &[&str]) -> bool {
    let mut accepted = one(words);
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        accepted &= one(words);
    }
    accepted
}

fn one(words: &mut &[&str]) -> bool {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let accepted = either(words);
            let closed = words.first() == Some(&")");
            *words = words.get(1..).unwrap_or_default();
            accepted && closed
        }
        [name, "WITH", exception, rest @ ..] => {
            *words = rest;
            ACCEPTED.contains(&format!("{name} WITH {exception}").as_str())
        }
        [name, rest @ ..] => {
            *words = rest;
            ACCEPTED.contains(name)
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_accepted;

    #[test]
    fn one_acceptable_choice_is_enough() {
        assert!(is_accepted("MIT OR Apache-2.0"));
        assert!(is_accepted("MIT/Apache-2.0"));
        assert!(is_accepted("GPL-2.0-only OR MIT"));
        assert!(is_accepted("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(is_accepted("Apache-2.0 WITH LLVM-exception OR Apache-2.0"));
    }

    #[test]
    fn copyleft_is_not_shipped() {
        assert!(!is_accepted("GPL-2.0-only"));
        assert!(!is_accepted("MIT AND GPL-2.0-only"));
        assert!(!is_accepted("(none)"));
        assert!(!is_accepted("(MIT"));
        assert!(!is_accepted(""));
    }
}

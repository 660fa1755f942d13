// SPDX-License-Identifier: MIT OR Apache-2.0
//! House rules that no lint knows: a licence line and a header in each source
//! file, no file that has outgrown its reader, platform differences only
//! where modules are chosen, no address of a package mirror in the tree.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

const LICENCES: [&str; 2] = ["MIT OR Apache-2.0", "GPL-2.0-only"];

/// The most lines a file may have, up to its tests.
const MAX_LINES: usize = 600;

/// Package mirrors and registries are found through each machine's own
/// settings. The halves are joined here so that this file keeps the rule.
const HOSTS: [(&str, &str); 7] = [
    ("deb.debian", ".org"),
    ("archive.ubuntu", ".com"),
    ("snapshot.debian", ".org"),
    ("static.crates", ".io"),
    ("static.rust-lang", ".org"),
    ("pypi", ".org"),
    ("registry.npmjs", ".org"),
];

/// Checks all files that Git knows in the tree at `root`.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut broken = Vec::new();
    for file in tracked(root)? {
        let path = root.join(&file);
        let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        let name = file.display();
        broken.extend(names_a_host(&text).map(|host| format!("{name}: names the host {host}")));
        if file.extension().is_some_and(|extension| extension == "rs") {
            broken.extend(
                rust(&file, &text)
                    .into_iter()
                    .map(|what| format!("{name}: {what}")),
            );
        }
    }
    if !broken.is_empty() {
        bail!("{}", broken.join("\n"));
    }
    Ok(())
}

/// Files that Git tracks or would, and that still exist.
fn tracked(root: &Path) -> Result<Vec<PathBuf>> {
    let mut git = Command::new("git");
    git.current_dir(root);
    git.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let list = process::output(&mut git)?;
    let files = list
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(PathBuf::from);
    Ok(files.filter(|file| root.join(file).is_file()).collect())
}

fn names_a_host(text: &str) -> Option<String> {
    HOSTS
        .iter()
        .map(|(name, domain)| format!("{name}{domain}"))
        .find(|host| text.contains(host))
}

fn rust(file: &Path, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    let licence = lines
        .first()
        .and_then(|line| line.strip_prefix("// SPDX-License-Identifier: "));
    if !licence.is_some_and(|licence| LICENCES.contains(&licence)) {
        broken.push("the first line is not the licence line".to_owned());
    }
    if !lines.get(1).is_some_and(|line| line.starts_with("//! ")) {
        broken.push("the second line does not begin a //! header".to_owned());
    }
    let is_test = file.components().any(|part| part.as_os_str() == "tests")
        || file.file_name().is_some_and(|name| name == "tests.rs");
    let code = lines
        .iter()
        .position(|line| line.starts_with("#[cfg(test)]"))
        .unwrap_or(lines.len());
    if !is_test && code > MAX_LINES {
        broken.push(format!("{code} lines, more than {MAX_LINES}"));
    }
    for (number, line) in lines.iter().enumerate() {
        let cfg = line.trim_start().starts_with("#[cfg") && line.contains("target_os");
        if (cfg && !chooses_module(&lines[number + 1..]))
            || line.contains(concat!("cfg!", "(target_os"))
        {
            broken.push(format!(
                "line {}: target_os away from a mod line",
                number + 1
            ));
        }
    }
    broken
}

/// Whether the item after an attribute is a `mod`.
fn chooses_module(after: &[&str]) -> bool {
    let item = after
        .iter()
        .map(|line| line.trim_start())
        .find(|line| !line.starts_with("#[") && !line.starts_with("//") && !line.is_empty());
    item.is_some_and(|item| item.starts_with("mod ") || item.contains(" mod "))
}

#[cfg(test)]
mod tests {
    use super::{names_a_host, rust};
    use std::path::Path;

    const GOOD: &str = "// SPDX-License-Identifier: MIT OR Apache-2.0\n//! Header.\n";

    fn complaints(text: &str) -> usize {
        rust(Path::new("a/src/lib.rs"), text).len()
    }

    #[test]
    fn headers_are_required() {
        assert_eq!(complaints(GOOD), 0);
        assert_eq!(complaints("//! Header.\n"), 2);
        assert_eq!(
            complaints("// SPDX-License-Identifier: MIT OR Apache-2.0\nfn main() {}\n"),
            1
        );
    }

    #[test]
    fn tests_do_not_count_as_length() {
        let code = format!("{GOOD}{}", "x\n".repeat(599));
        assert_eq!(complaints(&code), 1);
        let tests = format!("{GOOD}#[cfg(test)]\n{}", "x\n".repeat(599));
        assert_eq!(complaints(&tests), 0);
    }

    #[test]
    fn platforms_differ_on_mod_lines_only() {
        let module = format!("{GOOD}#[cfg(target_os = \"macos\")]\n#[path = \"x.rs\"]\nmod x;\n");
        assert_eq!(complaints(&module), 0);
        let function = format!("{GOOD}#[cfg(target_os = \"macos\")]\nfn x() {{}}\n");
        assert_eq!(complaints(&function), 1);
    }

    #[test]
    fn mirrors_are_recognised() {
        assert!(names_a_host(&format!("deb http://deb.debian{}/debian", ".org")).is_some());
        assert!(names_a_host("docker.io/library/alpine").is_none());
    }
}

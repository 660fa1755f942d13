// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shelf of documents: each is there, and each relative link in them
//! leads to a file.

use std::path::Path;

use anyhow::{Context, Result, bail};

const DOCUMENTS: [&str; 13] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "docs/budgets.md",
    "docs/decisions/0001-one-file-one-layer.md",
    "docs/mac-checklist.md",
    "docs/macho.md",
    "docs/payload-format.md",
    "docs/testing.md",
    "deny.toml",
];

/// Checks the shelf in the tree at `root`.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut broken = Vec::new();
    for name in DOCUMENTS {
        let path = root.join(name);
        let Ok(text) = std::fs::read_to_string(&path) else {
            broken.push(format!("{name}: is missing"));
            continue;
        };
        let dir = path.parent().context("find a document's directory")?;
        for target in links(&text).filter(|target| !dir.join(target).exists()) {
            broken.push(format!("{name}: links to {target}, which is not there"));
        }
    }
    if !broken.is_empty() {
        bail!("{}", broken.join("\n"));
    }
    Ok(())
}

/// The files that Markdown links of `text` lead to.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| {
        let target = rest.split(')').next()?.split('#').next()?;
        (!target.is_empty() && !target.contains("://")).then_some(target)
    })
}

#[cfg(test)]
mod tests {
    use super::links;

    #[test]
    fn only_files_are_links() {
        let text = "[a](docs/a.md#part) [b](https://example.com/) [c](#here) (d) [e](e.md)";
        assert_eq!(links(text).collect::<Vec<_>>(), ["docs/a.md", "e.md"]);
    }
}

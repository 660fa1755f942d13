// SPDX-License-Identifier: MIT OR Apache-2.0
//! Images of one application each, as people publish them: a base, the application's
//! packages, a layer of their own on top, and a configuration that says how to run it.
//! Made once and kept.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde_json::json;

use crate::image::{Compression, layer};
use crate::workspace::made_once;
use crate::{debian, layout};

/// A layout with Debian's Python, `python3` as entrypoint, `/app` as working directory
/// and a program in it.
///
/// # Errors
/// The packages cannot be fetched, or a tool fails.
pub fn python() -> Result<PathBuf> {
    made_once("python-application", |to| {
        let packages = debian::fetch("python-image", &["base-files", "dash", "python3"])?;
        let roots = tempfile::tempdir()?;
        let own = roots.path().join("own");
        write_program(&own)?;
        let is_python = |file: &Path| file.to_string_lossy().contains("python3");
        let (base, python) = two_layers(roots.path(), packages, is_python)?;
        let layers = [
            layer(&base, Compression::Gzip)?,
            layer(&python, Compression::Zstd)?,
            layer(&own, Compression::Gzip)?,
        ];
        let run = json!({
            "Entrypoint": ["python3"],
            "Cmd": ["greet.py"],
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE=1", "LANG=C.UTF-8"],
            "WorkingDir": "/app",
            "Healthcheck": { "Test": ["CMD", "python3", "-c", "pass"] },
        });
        Ok(layout::write_with_config(to, &layers, &run)?)
    })
}

/// The layer on top: a program, and documents of the layers below hidden.
fn write_program(root: &Path) -> Result<()> {
    fs::create_dir_all(root.join("app"))?;
    let program = "import platform, sys\n\
                   print('hello from', platform.system(), platform.machine())\n\
                   print(sys.argv[1:])\n";
    fs::write(root.join("app/greet.py"), program)?;
    fs::create_dir_all(root.join("usr/share"))?;
    fs::write(root.join("usr/share/.wh.doc"), "")?;
    Ok(())
}

/// A layout with `gron`, a tool in Go that makes JSON greppable: entrypoint, a user who
/// is not root, and no shell.
///
/// # Errors
/// The packages cannot be fetched, or a tool fails.
pub fn gron() -> Result<PathBuf> {
    made_once("gron-image", |to| {
        let packages = debian::fetch("gron-image", &["gron"])?;
        let roots = tempfile::tempdir()?;
        let is_gron = |file: &Path| file.to_string_lossy().contains("/gron_");
        let (base, gron) = two_layers(roots.path(), packages, is_gron)?;
        let layers = [
            layer(&base, Compression::Gzip)?,
            layer(&gron, Compression::Gzip)?,
        ];
        let run = json!({
            "Entrypoint": ["/usr/bin/gron"],
            "Cmd": ["--version"],
            "Env": ["PATH=/usr/bin:/bin"],
            "User": "65532:65532",
        });
        Ok(layout::write_with_config(to, &layers, &run)?)
    })
}

/// Unpacks packages into two directories below `roots`: what the application needs, and
/// itself, with the package database of both.
fn two_layers(
    roots: &Path,
    packages: Vec<PathBuf>,
    is_own: impl Fn(&Path) -> bool,
) -> Result<(PathBuf, PathBuf)> {
    let (own, base): (Vec<_>, Vec<_>) = packages.into_iter().partition(|file| is_own(file));
    ensure!(!own.is_empty() && !base.is_empty(), "{own:?} on {base:?}");
    let dirs = (roots.join("base"), roots.join("application"));
    for (packages, dir) in [(base, &dirs.0), (own, &dirs.1)] {
        debian::unpack(&packages, dir)?;
    }
    let status = |dir: &Path| fs::read(dir.join("var/lib/dpkg/status"));
    let both = [status(&dirs.0)?, status(&dirs.1)?].concat();
    fs::write(dirs.1.join("var/lib/dpkg/status"), both)?;
    Ok(dirs)
}

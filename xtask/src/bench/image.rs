// SPDX-License-Identifier: MIT OR Apache-2.0
//! The benchmark's image: about 600 MB of files from the packages installed on
//! this machine, as one gzip layer in an OCI layout, which is the hardest case:
//! a single stream cannot be decompressed in parallel. Made once, kept under
//! target/bench.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::process;

/// Bytes of file contents.
const SIZE: u64 = 600_000_000;
/// Larger files are left out: one of them would decide the result.
const LARGEST: u64 = 50_000_000;
/// Where files come from, and how many of a hundred bytes: programs, libraries
/// and data as images have them. What one lacks the last two make up for.
const ROOTS: [(&str, u64); 5] = [
    ("/usr/bin", 25),
    ("/usr/lib", 45),
    ("/usr/share", 30),
    ("/usr/lib", 100),
    ("/usr", 100),
];

/// The image in its forms.
pub(crate) struct BenchImage {
    /// The layer's tar, uncompressed.
    pub(crate) tar: PathBuf,
    /// An OCI layout, tag `latest`.
    pub(crate) layout: PathBuf,
}

/// Makes the image unless it is there.
pub(crate) fn prepare(dir: &Path) -> Result<BenchImage> {
    let image = BenchImage {
        tar: dir.join("image.tar"),
        layout: dir.join("layout"),
    };
    let done = image.layout.join("index.json");
    if done.exists() && image.tar.exists() {
        return Ok(image);
    }
    eprintln!(
        "making an image of {} MB from this machine's packages",
        SIZE / 1_000_000
    );
    fs::create_dir_all(image.layout.join("blobs/sha256"))?;
    let list = dir.join("files");
    fs::write(&list, names(&choose()?))?;
    process::quietly(
        Command::new("tar")
            .args([
                "--create",
                "--no-recursion",
                "--null",
                "--format=posix",
                "--numeric-owner",
            ])
            .args([
                "--owner=0",
                "--group=0",
                "--pax-option=delete=atime,delete=ctime",
            ])
            .args(["--directory=/", "--sort=none"])
            .arg(format!("--files-from={}", list.display()))
            .arg(format!("--file={}", image.tar.display())),
    )?;
    write_layout(&image)?;
    Ok(image)
}

fn choose() -> Result<BTreeSet<PathBuf>> {
    let mut chosen = BTreeSet::new();
    let mut total = 0;
    for (root, percent) in ROOTS {
        let share = (SIZE * percent / 100).min(SIZE - total);
        total += take(Path::new(root), share, &mut chosen)?;
    }
    ensure!(
        total > SIZE / 10 * 9,
        "this machine has only {total} bytes in /usr"
    );
    Ok(chosen)
}

/// Adds files below `root` in order of their names until `budget` is spent.
fn take(root: &Path, budget: u64, chosen: &mut BTreeSet<PathBuf>) -> Result<u64> {
    let mut todo = vec![root.to_path_buf()];
    let mut taken = 0;
    while let Some(path) = todo.pop() {
        let metadata =
            fs::symlink_metadata(&path).with_context(|| format!("read {}", path.display()))?;
        if metadata.is_dir() {
            let mut children = Vec::new();
            for child in fs::read_dir(&path)? {
                children.push(child?.path());
            }
            children.sort_unstable_by(|a, b| b.cmp(a));
            todo.extend(children);
            continue;
        }
        let size = if metadata.is_file() {
            metadata.len()
        } else {
            0
        };
        if size > LARGEST || !(metadata.is_file() || metadata.is_symlink()) {
            continue;
        }
        if taken + size > budget {
            break;
        }
        if chosen.insert(path) {
            taken += size;
        }
    }
    Ok(taken)
}

/// Relative names with their directories, each ended by NUL.
fn names(files: &BTreeSet<PathBuf>) -> Vec<u8> {
    let mut all = BTreeSet::new();
    for file in files {
        all.extend(
            file.ancestors()
                .filter_map(|path| path.strip_prefix("/").ok()),
        );
    }
    let mut list = Vec::new();
    for name in all.into_iter().filter(|name| !name.as_os_str().is_empty()) {
        list.extend_from_slice(name.as_os_str().as_bytes());
        list.push(0);
    }
    list
}

fn write_layout(image: &BenchImage) -> Result<()> {
    let layer = image.layout.join("layer.tmp");
    let file = fs::File::create(&layer)?;
    process::run(
        Command::new("gzip")
            .args(["-n", "-c"])
            .arg(&image.tar)
            .stdout(file),
    )?;
    let diff_id = sha256(&image.tar)?;
    let layer = blob(image, "application/vnd.oci.image.layer.v1.tar+gzip", &layer)?;
    let config = json!({
        "architecture": "arm64",
        "os": "linux",
        "config": { "Cmd": ["sh"] },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{diff_id}")] },
    });
    let config = json_blob(image, "application/vnd.oci.image.config.v1+json", &config)?;
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "config": config,
        "layers": [layer],
    });
    let mut descriptor = json_blob(image, manifest_type, &manifest)?;
    descriptor["platform"] = json!({ "architecture": "arm64", "os": "linux" });
    descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
    fs::write(
        image.layout.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )?;
    // Last: it marks the layout as complete.
    let index = json!({ "schemaVersion": 2, "manifests": [descriptor] });
    Ok(fs::write(
        image.layout.join("index.json"),
        index.to_string(),
    )?)
}

fn json_blob(image: &BenchImage, media_type: &str, value: &Value) -> Result<Value> {
    let file = image.layout.join("json.tmp");
    fs::write(&file, value.to_string())?;
    blob(image, media_type, &file)
}

/// Moves a file to its place in the layout.
fn blob(image: &BenchImage, media_type: &str, file: &Path) -> Result<Value> {
    let digest = sha256(file)?;
    let size = fs::metadata(file)?.len();
    fs::rename(file, image.layout.join("blobs/sha256").join(&digest))?;
    Ok(json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": size }))
}

fn sha256(file: &Path) -> Result<String> {
    let line = process::output(Command::new("sha256sum").arg(file))?;
    let digest = line.split_whitespace().next().unwrap_or_default();
    Ok(digest.trim_start_matches('\\').to_owned())
}

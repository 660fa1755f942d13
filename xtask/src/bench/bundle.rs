// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask bench bundle`: an image of 600 MB to a bundle, beside
//! `umoci unpack`, `skopeo copy` and `zstd -T0 -3` of the same tree; a second
//! bundle from the cache; extraction beside `tar -x`.
//!
//! Sizes and memory are the same on every machine and decide the exit status;
//! times depend on the machine and are only printed beside their targets.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::image::{self, BenchImage};
use super::measure::{Usage, best, measure};
use crate::{bundle, packages, process, stub};

/// Targets on two cores.
const COLD: Duration = Duration::from_millis(3500);
const WARM: Duration = Duration::from_secs(1);
const MEMORY: u64 = 200 << 20;
const SIZE_PERCENT: u64 = 102;

/// What the programs leave in the benchmark's directory.
const OUTPUTS: [&str; 7] = [
    "store",
    "bundle",
    "tar.zst",
    "umoci",
    "copy",
    "extracted",
    "untarred",
];

/// One line of the table.
struct Row {
    name: &'static str,
    usage: Usage,
    size: Option<u64>,
    target: String,
}

impl Row {
    fn new(name: &'static str, usage: Usage) -> Self {
        let target = String::new();
        Self {
            name,
            usage,
            size: None,
            target,
        }
    }

    fn size(self, size: u64) -> Self {
        Self {
            size: Some(size),
            ..self
        }
    }

    fn target(self, target: String) -> Self {
        Self { target, ..self }
    }
}

struct Bench {
    dir: PathBuf,
    image: BenchImage,
    program: PathBuf,
    rounds: usize,
}

/// Runs everything `rounds` times and prints the quickest.
pub(crate) fn run(rounds: usize) -> Result<()> {
    packages::require(&[packages::STUB, packages::TESTS])?;
    let program = bundle::build(&stub::build()?)?;
    let dir = process::target_dir().join("bench/bundle");
    fs::create_dir_all(&dir)?;
    let bench = Bench {
        image: image::prepare(&dir)?,
        dir,
        program,
        rounds: rounds.max(1),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{cores} cores; the quickest of {} runs", bench.rounds);
    println!(
        "{:32} {:>8} {:>8} {:>10} {:>10}  target",
        "", "wall", "cpu", "memory", "size"
    );
    let packing = bench.packing()?;
    print(&packing);
    print(&bench.copying()?);
    print(&bench.unpacking()?);
    for output in OUTPUTS {
        remove(&bench.dir.join(output))?;
    }
    judge(&packing)
}

impl Bench {
    fn packing(&self) -> Result<Vec<Row>> {
        let [store, out, zst] = ["store", "bundle", "tar.zst"].map(|name| self.dir.join(name));
        let bundle = || {
            let mut command = Command::new(&self.program);
            command.arg(self.source()).arg("--quiet");
            command.arg("-o").arg(&out).arg("--store").arg(&store);
            command
        };
        let cold = self.usage(&[&store, &out], bundle)?;
        let warm = self.usage(&[&out], bundle)?;
        let tar = &self.image.tar;
        let compress = || command("zstd", &["-q", "-T0", "-3", "-o"], &[&zst, tar]);
        let zstd = self.usage(&[&zst], compress)?;
        let (bundle, plain) = (size(&out)?, size(&zst)?);
        let limits = format!(
            "{COLD:.1?}, {}, {}",
            mb(MEMORY),
            mb(plain * SIZE_PERCENT / 100)
        );
        Ok(vec![
            Row::new("elfuse-bundle, nothing cached", cold)
                .size(bundle)
                .target(limits),
            Row::new("elfuse-bundle again", warm)
                .size(bundle)
                .target(format!("{WARM:.1?}")),
            Row::new("zstd -T0 -3 of the tar", zstd).size(plain),
        ])
    }

    fn copying(&self) -> Result<Vec<Row>> {
        let [unpacked, copied] = ["umoci", "copy"].map(|name| self.dir.join(name));
        let image = format!("{}:latest", self.image.layout.display());
        let umoci = || command("umoci", &["unpack", "--image", &image], &[&unpacked]);
        let copy = format!("oci:{}:latest", copied.display());
        let skopeo = || command("skopeo", &["copy", "-q", &self.source(), &copy], &[]);
        Ok(vec![
            Row::new("umoci unpack", self.usage(&[&unpacked], umoci)?),
            Row::new("skopeo copy", self.usage(&[&copied], skopeo)?),
        ])
    }

    fn unpacking(&self) -> Result<Vec<Row>> {
        let [bundle, extracted, untarred] =
            ["bundle", "extracted", "untarred"].map(|name| self.dir.join(name));
        let untar = || {
            let _ = fs::create_dir(&untarred);
            command(
                "tar",
                &["-x", "-p", "-f"],
                &[&self.image.tar, Path::new("-C"), &untarred],
            )
        };
        let untar = self.usage(&[&untarred], untar)?;
        let extract = || {
            let mut extract = Command::new(&self.program);
            extract.arg("extract").arg(&bundle).arg(&extracted);
            extract
        };
        let extract = self.usage(&[&extracted], extract)?;
        Ok(vec![
            Row::new("elfuse-bundle extract", extract).target(format!("{:.1?}", untar.wall)),
            Row::new("tar -x of the tar", untar),
        ])
    }

    /// The image as skopeo and the bundler name it.
    fn source(&self) -> String {
        format!("oci:{}:latest", self.image.layout.display())
    }

    /// The quickest of the rounds, each without what `outputs` left behind.
    fn usage(&self, outputs: &[&Path], command: impl Fn() -> Command) -> Result<Usage> {
        let mut runs = Vec::new();
        for _ in 0..self.rounds {
            outputs.iter().try_for_each(|output| remove(output))?;
            runs.push(measure(&mut command())?);
        }
        Ok(best(runs))
    }
}

fn command(program: &str, args: &[&str], paths: &[&Path]) -> Command {
    let mut command = Command::new(program);
    command.args(args).args(paths);
    command
}

fn remove(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Err(_) => Ok(()),
        Ok(metadata) if metadata.is_dir() => Ok(fs::remove_dir_all(path)?),
        Ok(_) => Ok(fs::remove_file(path)?),
    }
}

fn size(path: &Path) -> Result<u64> {
    let metadata = fs::metadata(path).with_context(|| format!("measure {}", path.display()))?;
    Ok(metadata.len())
}

fn mb(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

fn print(rows: &[Row]) {
    for Row {
        name,
        usage,
        size,
        target,
    } in rows
    {
        let seconds = |time: Option<Duration>| {
            time.map_or_else(
                || "-".to_owned(),
                |time| format!("{:.2} s", time.as_secs_f64()),
            )
        };
        let bytes = |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), mb);
        println!(
            "{name:32} {:>8} {:>8} {:>10} {:>10}  {target}",
            seconds(Some(usage.wall)),
            seconds(usage.cpu),
            bytes(usage.peak),
            bytes(*size),
        );
    }
}

/// Fails when what must hold on every machine does not.
fn judge(rows: &[Row]) -> Result<()> {
    let [cold, _, plain, ..] = rows else {
        bail!("rows are missing")
    };
    if cold.usage.peak.is_some_and(|peak| peak > MEMORY) {
        bail!("the bundler used more than {}", mb(MEMORY));
    }
    if cold.size > plain.size.map(|size| size * SIZE_PERCENT / 100) {
        bail!("the bundle is more than 2 % larger than plain zstd -3 of the tar");
    }
    Ok(())
}

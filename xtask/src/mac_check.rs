// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask mac-check`: what only a Mac can show, in one command.
//!
//! Builds natively, makes a bundle, has Apple's own tools judge its signature, asks
//! the doctor, and runs the end-to-end list. Every step runs, also after one that
//! failed, so that one visit to a Mac brings all answers; docs/mac-checklist.md says
//! what they mean. Elsewhere it refuses; `--dry-run` prints the steps on any host.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{bundle, process, stub};

/// What a step must end with.
enum Expected {
    /// This exit status.
    Status(i32),
    /// Success, and exactly this on standard output.
    Output(&'static str),
    /// Any failure.
    Failure,
}

/// One program to run.
struct Step {
    claim: &'static str,
    words: Vec<String>,
    expected: Expected,
}

impl Step {
    fn line(&self) -> String {
        let quoted = self.words.iter().map(|word| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=".contains(c);
            if word.chars().all(is_plain) {
                word.clone()
            } else {
                format!("'{}'", word.replace('\'', r"'\''"))
            }
        });
        quoted.collect::<Vec<_>>().join(" ")
    }

    /// `None`, or what was wrong.
    fn run(&self) -> Result<Option<String>> {
        let (program, args) = self.words.split_first().context("an empty step")?;
        let out = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("start {program}"))?;
        let text = String::from_utf8_lossy(&out.stdout);
        let said = String::from_utf8_lossy(&out.stderr);
        let is_right = match self.expected {
            Expected::Status(status) => out.status.code() == Some(status),
            Expected::Output(wanted) => out.status.success() && text == wanted,
            Expected::Failure => out.status.code().is_some_and(|status| status != 0),
        };
        let found = format!("{}\n{text}{said}", out.status);
        Ok((!is_right).then_some(found))
    }
}

fn step(claim: &'static str, words: &[&str], expected: Expected) -> Step {
    let words = words.iter().map(|&word| word.to_owned()).collect();
    Step {
        claim,
        words,
        expected,
    }
}

/// The steps for the finished bundle `bundle`, which `bundler` has made; `shared` is a
/// directory with a file.
fn steps(bundle: &Path, bundler: &Path, shared: &Path) -> Vec<Step> {
    let bundle = bundle.display().to_string();
    let mut all = judged(&bundle);
    all.extend(guests(&bundle));
    all.extend(named(&bundle, &bundler.display().to_string()));
    all.extend(mounts(&bundle, &shared.display().to_string()));
    all
}

const OK: Expected = Expected::Status(0);

/// The file, by Apple's tools and by itself.
fn judged(bundle: &str) -> Vec<Step> {
    let entitled = "codesign -d --entitlements - --xml \"$0\" | grep -q security.hypervisor";
    let verify = ["codesign", "--verify", "--strict", "--verbose=4", bundle];
    vec![
        step("Apple's tool accepts the signature", &verify, OK),
        step(
            "it shows the entitlement",
            &["sh", "-c", entitled, bundle],
            OK,
        ),
        step("the load commands are sound", &["otool", "-l", bundle], OK),
        step("the program starts", &[bundle, "--elfuse-version"], OK),
        step("the payload is found", &[bundle, "--elfuse-inspect"], OK),
        step(
            "the doctor finds nothing bad",
            &[bundle, "--elfuse-doctor"],
            OK,
        ),
    ]
}

/// Programs of the image.
fn guests(bundle: &str) -> Vec<Step> {
    use Expected::{Output, Status};
    let sh = |claim, script: &str, expected| step(claim, &[bundle, "sh", "-c", script], expected);
    // The first process ignores a signal without a handler: a child takes it.
    let by_signal = "sh -c 'kill -TERM $$' & wait $!";
    let bytes = "f=$(printf '/\\377'); echo x > \"$f\"; cat \"$f\"";
    vec![
        step(
            "a program runs",
            &[bundle, "echo", "hello"],
            Output("hello\n"),
        ),
        sh("exit status", "exit 7", Status(7)),
        sh("a signal's status", by_signal, Status(143)),
        sh("pipes", "echo one two | wc -w | tr -d ' '", Output("2\n")),
        sh(
            "many processes",
            "for i in $(seq 200); do /bin/true; done",
            OK,
        ),
        sh(
            "names differ by case",
            "echo a > /Q; echo b > /q; cat /Q",
            Output("a\n"),
        ),
        sh("names of any bytes", bytes, Output("x\n")),
        sh("what was written is gone", "test -e /Q", Status(1)),
        sh("the network is there", "nslookup localhost", OK),
    ]
}

/// A run in the background, and what finds it by its name.
fn named(bundle: &str, bundler: &str) -> Vec<Step> {
    use Expected::Output;
    let begin = [bundle, "-d", "--init", "--name", "check", "sleep", "60"];
    let beside = [bundler, "exec", "check", "echo", "beside"];
    let listed = "\"$0\" ps | grep -q '^check '";
    let terminal = "script -q /dev/null \"$0\" exec -t check tty | grep -q /dev/pts/0";
    vec![
        step("a run in the background", &begin, Output("check\n")),
        step("ps lists it", &["sh", "-c", listed, bundler], OK),
        step("a program beside it", &beside, Output("beside\n")),
        step("at a terminal", &["sh", "-c", terminal, bundler], OK),
        step(
            "stop ends it",
            &[bundler, "stop", "check"],
            Output("check\n"),
        ),
    ]
}

/// The host's files, and the cache.
fn mounts(bundle: &str, shared: &str) -> Vec<Step> {
    use Expected::{Failure, Output};
    let (v, ro) = (format!("{shared}:/mnt"), format!("{shared}:/mnt:ro"));
    let run = |claim, args: &[&str], expected| {
        let words: Vec<&str> = std::iter::once(bundle)
            .chain(args.iter().copied())
            .collect();
        step(claim, &words, expected)
    };
    vec![
        run("-e", &["-e", "A=b", "sh", "-c", "echo $A"], Output("b\n")),
        run(
            "-v reads",
            &["-v", &v, "cat", "/mnt/file"],
            Output("shared\n"),
        ),
        run("-v writes", &["-v", &v, "touch", "/mnt/new"], OK),
        run("-v :ro refuses", &["-v", &ro, "touch", "/mnt/no"], Failure),
        run(
            "--read-only refuses",
            &["--read-only", "touch", "/no"],
            Failure,
        ),
        run("the cache is in order", &["--elfuse-cache", "status"], OK),
        run("the volume detaches", &["--elfuse-cache", "detach"], OK),
        run(
            "and is attached again",
            &["echo", "again"],
            Output("again\n"),
        ),
    ]
}

/// The builds before the steps, as a person would do them.
fn builds(image: &str, bundle: &Path) -> [String; 2] {
    let bundle = bundle.display();
    [
        "cargo xtask stub".to_owned(),
        format!("cargo xtask bundle {image} -o {bundle}"),
    ]
}

/// Runs all steps on a bundle of `image`, or prints them.
pub(crate) fn run(image: &str, is_dry: bool) -> Result<()> {
    let directory = process::target_dir().join("mac-check");
    let program = directory.join("box");
    let bundler = bundle::program();
    let shared = directory.join("shared");
    if is_dry {
        for line in builds(image, &program) {
            println!("{line}");
        }
        for step in steps(&program, &bundler, &shared) {
            println!("{}    # {}", step.line(), step.claim);
        }
        return Ok(());
    }
    if !process::is_mac() || std::env::consts::ARCH != "aarch64" {
        bail!(
            "check on a Mac: this is {} on {}\nhint: run it on a Mac with Apple silicon; \
             --dry-run prints its steps, and `cargo xtask test` is what runs here",
            std::env::consts::OS,
            std::env::consts::ARCH
        );
    }
    make_bundle(image, &directory, &program)?;
    std::fs::create_dir_all(&shared).context("make the shared directory")?;
    std::fs::write(shared.join("file"), "shared\n").context("write the shared file")?;
    let failures = run_steps(&steps(&program, &bundler, &shared));
    let report = save_report(&program, &directory);
    println!("the doctor's report: {}", report?.display());
    match failures {
        0 => Ok(()),
        count => bail!("{count} steps failed\nhint: docs/mac-checklist.md says what each means"),
    }
}

fn make_bundle(image: &str, directory: &Path, program: &Path) -> Result<()> {
    let stub = stub::build()?;
    let bundler = bundle::build(&stub)?;
    std::fs::create_dir_all(directory).context("make the directory of results")?;
    let mut make = Command::new(bundler);
    make.args([image, "--force", "-o"]).arg(program);
    process::run(&mut make)
}

/// Runs all steps and says how many failed.
fn run_steps(steps: &[Step]) -> usize {
    let mut failures = 0;
    for step in steps {
        let start = Instant::now();
        let outcome = step.run();
        let time = start.elapsed().as_millis();
        let wrong = match outcome {
            Ok(None) => {
                println!("ok    {} ({time} ms)", step.claim);
                continue;
            }
            Ok(Some(found)) => found,
            Err(error) => format!("{error:#}"),
        };
        failures += 1;
        println!("FAIL  {}\n      {}", step.claim, step.line());
        for line in wrong.lines() {
            println!("      | {line}");
        }
    }
    failures
}

/// Keeps the doctor's answers for who was not there.
fn save_report(program: &Path, directory: &Path) -> Result<PathBuf> {
    let mut doctor = Command::new(program);
    let out = doctor.args(["--elfuse-doctor", "--json"]).output();
    let path = directory.join("doctor.json");
    std::fs::write(&path, out.context("start the doctor")?.stdout)
        .with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Expected, Step, run, run_steps, steps};
    use crate::process;

    #[test]
    fn elsewhere_it_refuses_in_one_line_with_a_hint() {
        if process::is_mac() {
            return;
        }
        let error = format!("{:#}", run("alpine", false).unwrap_err());
        let lines: Vec<_> = error.lines().collect();
        assert_eq!(lines.len(), 2, "{error}");
        assert!(lines[0].starts_with("check on a Mac: this is "));
        assert!(lines[1].starts_with("hint: ") && lines[1].contains("--dry-run"));
        run("alpine", true).unwrap();
    }

    #[test]
    fn apples_judgement_comes_before_anything_is_run() {
        let steps = steps(
            Path::new("/t/a box"),
            Path::new("/t/b"),
            Path::new("/t/shared"),
        );
        let lines: Vec<_> = steps.iter().map(Step::line).collect();
        assert_eq!(
            lines[0],
            "codesign --verify --strict --verbose=4 '/t/a box'"
        );
        let doctor = lines.iter().position(|line| line.contains("doctor"));
        let first_run = lines.iter().position(|line| line.ends_with("echo hello"));
        assert!(doctor < first_run, "the doctor comes before the guest");
        assert!(lines.contains(&"'/t/a box' -v /t/shared:/mnt:ro touch /mnt/no".to_owned()));
    }

    #[test]
    fn every_kind_of_disappointment_is_counted() {
        let sh = |script: &str, expected| Step {
            claim: "a claim",
            words: ["sh", "-c", script].map(str::to_owned).to_vec(),
            expected,
        };
        let good = [
            sh("exit 7", Expected::Status(7)),
            sh("echo hello", Expected::Output("hello\n")),
            sh("exit 1", Expected::Failure),
        ];
        assert_eq!(run_steps(&good), 0);
        let bad = [
            sh("exit 6", Expected::Status(7)),
            sh("kill -KILL $$", Expected::Status(137)),
            sh("echo hello!", Expected::Output("hello\n")),
            sh("echo hello; exit 1", Expected::Output("hello\n")),
            sh("exit 0", Expected::Failure),
        ];
        assert_eq!(run_steps(&bad), bad.len());
        let missing = Step {
            claim: "a program that is not there",
            words: vec!["/nonexistent/program".to_owned()],
            expected: Expected::Failure,
        };
        assert_eq!(run_steps(&[missing]), 1);
    }
}

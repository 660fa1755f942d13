// SPDX-License-Identifier: MIT OR Apache-2.0
//! Claims about Linux: the programs of `tests/guest`, one family of cases each. A
//! family is asked of three [`Judge`]s: the Linux below the tests, that Linux through
//! `qemu-user`, and our own runtime. `tests/guest/differences.txt` lists the cases
//! that do not hold somewhere, one line each with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::guest::Guest;
use crate::workspace::{root, run, text_of, try_run};

/// How often a case that failed is asked again, alone: its clock runs on while the
/// machine does something else.
const SECOND_CHANCES: usize = 2;

/// Who says whether a claim holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judge {
    /// The Linux that the tests run on, in the machine's own instructions.
    Linux,
    /// The same Linux behind `qemu-user`, which has opinions of its own.
    Emulator,
    /// Our runtime.
    Runtime,
}

impl Judge {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Linux, Self::Emulator, Self::Runtime];

    /// Its name in the list of differences.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Emulator => "qemu-user",
            Self::Runtime => "elfuse",
        }
    }

    const fn compiler(self) -> &'static str {
        match self {
            Self::Linux => "cc",
            Self::Emulator | Self::Runtime => "aarch64-linux-gnu-gcc",
        }
    }
}

/// The cases that failed, with what they said.
pub type Failures = BTreeMap<String, String>;

/// What a judge found.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Cases that failed each time.
    pub failures: Failures,
    /// Cases that failed at first, and held when they were asked again.
    pub wavering: Failures,
}

/// A family, compiled for its judges.
#[derive(Debug)]
pub struct Family {
    name: String,
    cases: Vec<String>,
    scratch: tempfile::TempDir,
}

impl Family {
    /// Compiles `tests/guest/NAME.c` both ways.
    ///
    /// # Errors
    /// A compiler is missing or refuses it.
    pub fn compile(name: &str) -> Result<Self> {
        let family = Self {
            name: name.to_owned(),
            cases: cases(name)?,
            scratch: tempfile::tempdir()?,
        };
        for judge in [Judge::Linux, Judge::Runtime] {
            let program = family.program(judge);
            fs::create_dir_all(program.parent().unwrap_or(Path::new("/")))?;
            let mut compile = Command::new(judge.compiler());
            // Many claims are about pointers and sizes that a compiler warns of.
            compile.args(["-std=gnu11", "-static", "-O1", "-pthread", "-w", "-o"]);
            run(compile.arg(&program).arg(source(name)))?;
        }
        let tmp = family.scratch.path().join("elfuse/tmp");
        fs::create_dir(&tmp)?;
        fs::set_permissions(&tmp, fs::Permissions::from_mode(0o1777))?;
        Ok(family)
    }

    /// What does not hold before `judge`, who asks those that are not `expected` to
    /// fail again.
    ///
    /// # Errors
    /// The judge cannot be started.
    pub fn ask(&self, judge: Judge, expected: &BTreeSet<&str>) -> Result<Verdict> {
        let mut failures = self.verdicts(judge, &self.cases, &[])?;
        let mut wavering = Failures::new();
        let is_surprise = |case: &&String| !expected.contains(case.as_str());
        let surprises: Vec<String> = failures.keys().filter(is_surprise).cloned().collect();
        for case in surprises {
            let alone = || self.verdicts(judge, std::slice::from_ref(&case), &[&case]);
            for _ in 0..SECOND_CHANCES {
                if alone()?.is_empty() {
                    wavering.extend(failures.remove_entry(&case));
                    break;
                }
            }
        }
        Ok(Verdict { failures, wavering })
    }

    /// Runs the program with `arguments` and looks for a verdict about each of `cases`.
    fn verdicts(&self, judge: Judge, cases: &[String], arguments: &[&str]) -> Result<Failures> {
        let printed = match judge {
            Judge::Runtime => self.in_simulator(arguments),
            Judge::Linux | Judge::Emulator => self.on_linux(judge, arguments)?,
        };
        let verdict = |case: &String| {
            let mut lines = printed.lines();
            let holds = format!("ok {case}");
            if lines.any(|line| line == holds) {
                return None;
            }
            let fails = format!("FAIL {case}: ");
            let why = printed.lines().find_map(|line| line.strip_prefix(&*fails));
            let why = why.unwrap_or("the program says nothing of it");
            Some((case.clone(), why.to_owned()))
        };
        Ok(cases.iter().filter_map(verdict).collect())
    }

    fn in_simulator(&self, arguments: &[&str]) -> String {
        let path = format!("/bin/{}", self.name);
        let command: Vec<&str> = [&*path]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        let guest = Guest::new(&self.scratch.path().join("elfuse"), &command);
        let outcome = guest.limit(Duration::from_secs(150)).run();
        outcome.stdout + &outcome.stderr
    }

    /// In namespaces of its own, as root of one user, in a root with nothing else.
    fn on_linux(&self, judge: Judge, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", "150", "bwrap", "--unshare-all"]);
        command.args([
            "--die-with-parent",
            "--new-session",
            "--uid",
            "0",
            "--gid",
            "0",
        ]);
        command.args(["--clearenv", "--setenv", "PATH", "/bin", "--tmpfs", "/"]);
        command.args(["--perms", "1777", "--dir", "/tmp", "--dev", "/dev"]);
        command.args(["--proc", "/proc", "--ro-bind", "/sys", "/sys", "--ro-bind"]);
        command.arg(self.program(judge)).arg("/bin/program");
        if judge == Judge::Emulator {
            let emulator = which("qemu-aarch64-static")?;
            command.arg("--ro-bind").arg(emulator).arg("/bin/emulator");
            command.args(["/bin/emulator", "/bin/program"]);
        } else {
            command.arg("/bin/program");
        }
        command.args(arguments).stdin(std::process::Stdio::null());
        Ok(text_of(&try_run(&mut command)?))
    }

    fn program(&self, judge: Judge) -> PathBuf {
        let place = match judge {
            Judge::Linux => "linux/bin",
            Judge::Emulator | Judge::Runtime => "elfuse/bin",
        };
        self.scratch.path().join(place).join(&self.name)
    }
}

fn which(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").context("PATH is not set")?;
    let mut places = std::env::split_paths(&path).map(|dir| dir.join(program));
    places
        .find(|place| place.is_file())
        .with_context(|| format!("find {program}"))
}

fn source(family: &str) -> PathBuf {
    root().join("tests/guest").join(format!("{family}.c"))
}

/// The names of all families.
///
/// # Errors
/// The directory cannot be read.
pub fn families() -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(root().join("tests/guest"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "c")
            && let Some(name) = path.file_stem()
        {
            names.insert(name.to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

/// The names of a family's cases.
///
/// # Errors
/// The source cannot be read.
pub fn cases(family: &str) -> Result<Vec<String>> {
    let path = source(family);
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let name = |line: &str| {
        let (name, _) = line.strip_prefix("CASE(")?.split_once(')')?;
        Some(name.to_owned())
    };
    Ok(text.lines().filter_map(name).collect())
}

/// The listed differences: case and reason by family and judge.
#[derive(Debug, Default)]
pub struct Differences(BTreeMap<(String, Judge), BTreeMap<String, String>>);

/// How reasons begin that explain a failure now and then.
const AT_TIMES: &str = "at times: ";

impl Differences {
    /// Reads `tests/guest/differences.txt`.
    ///
    /// # Errors
    /// It cannot be read, or a line is not `JUDGE FAMILY/CASE: REASON`.
    pub fn read() -> Result<Self> {
        let path = root().join("tests/guest/differences.txt");
        Self::parse(&fs::read_to_string(path)?)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut all = Self::default();
        for line in text.lines() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let parse = || {
                let (what, reason) = line.split_once(": ")?;
                let (judge, case) = what.split_once(' ')?;
                let judge = Judge::ALL.into_iter().find(|known| known.name() == judge)?;
                let (family, case) = case.split_once('/')?;
                Some((
                    (family.to_owned(), judge),
                    case.to_owned(),
                    reason.to_owned(),
                ))
            };
            let (key, case, reason) = parse().with_context(|| format!("read `{line}`"))?;
            ensure!(cases(&key.0)?.contains(&case), "no such case: `{line}`");
            let listed = all.0.entry(key).or_default();
            if listed.insert(case, reason).is_some() {
                bail!("listed twice: `{line}`");
            }
        }
        Ok(all)
    }

    /// How many cases are said not to hold before `judge`.
    #[must_use]
    pub fn count(&self, judge: Judge) -> usize {
        let families = self.0.keys().filter(|(_, known)| *known == judge);
        families
            .map(|(family, _)| self.of(family, judge).len())
            .sum()
    }

    /// The cases that are said not to hold before `judge`.
    #[must_use]
    pub fn of(&self, family: &str, judge: Judge) -> BTreeSet<&str> {
        self.listed(family, judge, false)
    }

    /// The cases with that kind of reason: whether they only fail at times.
    fn listed(&self, family: &str, judge: Judge, at_times: bool) -> BTreeSet<&str> {
        let listed = self
            .0
            .get(&(family.to_owned(), judge))
            .into_iter()
            .flatten();
        let listed = listed.filter(|(_, reason)| reason.starts_with(AT_TIMES) == at_times);
        listed.map(|(case, _)| case.as_str()).collect()
    }

    /// Where the list and the verdict disagree, in words: nothing when they agree.
    #[must_use]
    pub fn judge(&self, family: &str, judge: Judge, verdict: &Verdict) -> String {
        let listed = self.of(family, judge);
        let at_times = self.listed(family, judge, true);
        let (name, mut report) = (judge.name(), String::new());
        // What others do now and then on a busy machine does not judge ours.
        let is_ours = judge == Judge::Runtime;
        for (case, why) in verdict.wavering.iter().filter(|_| is_ours) {
            if !at_times.contains(case.as_str()) {
                report += &format!("{name} {family}/{case}: fails at times: {why}\n");
            }
        }
        for (case, why) in &verdict.failures {
            if !listed.contains(case.as_str()) {
                report += &format!("{name} {family}/{case}: fails: {why}\n");
            }
        }
        for case in listed {
            if !verdict.failures.contains_key(case) {
                report += &format!("{name} {family}/{case}: is listed and holds\n");
            }
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::{Differences, Failures, Judge, Verdict};

    #[test]
    fn a_difference_must_be_listed_and_a_listed_one_must_differ() {
        let line = "qemu-user clocks/no_such_case: because";
        let case = super::cases("clocks").unwrap().remove(0);
        assert!(Differences::parse(line).is_err(), "no such case");
        let list = Differences::parse(&format!("elfuse clocks/{case}: because")).unwrap();
        let failures = Failures::from([(case.clone(), "why".to_owned())]);
        let failed = Verdict {
            failures: failures.clone(),
            wavering: Failures::new(),
        };
        assert_eq!(list.judge("clocks", Judge::Runtime, &failed), "");
        assert!(
            list.judge("clocks", Judge::Emulator, &failed)
                .contains("fails: why")
        );
        let held = list.judge("clocks", Judge::Runtime, &Verdict::default());
        assert!(held.ends_with("is listed and holds\n"));
        let wavered = Verdict {
            failures: Failures::new(),
            wavering: failures,
        };
        let none = Differences::default().judge("clocks", Judge::Runtime, &wavered);
        assert!(none.ends_with("fails at times: why\n"), "{none}");
        let others = Differences::default().judge("clocks", Judge::Emulator, &wavered);
        assert_eq!(others, "");
        let listed = Differences::parse(&format!("elfuse clocks/{case}: at times: slow")).unwrap();
        assert_eq!(listed.judge("clocks", Judge::Runtime, &wavered), "");
        assert_eq!(listed.count(Judge::Runtime), 0);
    }
}

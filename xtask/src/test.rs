// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask test`: installs, builds and runs everything that is judged in
//! CI: with --check the checks, then every crate's own tests, and the acceptance tests against
//! the built programs. The last line is `N passed, N failed`.

use std::path::PathBuf;

use anyhow::Result;

use crate::{bundle, check, packages, process, stub, tally::Tally};

/// Which suites run.
pub(crate) struct Suites {
    /// Also those that take minutes: docs/testing.md lists them.
    pub(crate) long: bool,
    /// The checks, before the tests.
    pub(crate) check: bool,
}

/// Runs the suites; `filter` selects tests by name as `cargo test` does.
pub(crate) fn run(suites: &Suites, filter: &[String]) -> Result<()> {
    packages::require(&[packages::STUB, packages::SIMULATOR, packages::TESTS])?;
    let mut tally = Tally::default();
    let image = stub::build()?;
    let bundler = bundle::build(&image)?;
    if suites.check {
        tally.add(check::run(false)?);
    }
    tally.step("stub from another directory", || {
        stub::is_the_same_from_elsewhere(&image)
    });
    let simulator = crate::run::build()?;
    let cargo_test = || {
        let mut test = process::cargo();
        test.args(["test", "--locked", "--no-fail-fast"]);
        test.env("ELFUSE_BUNDLE", &bundler)
            .env("ELFUSE_STUB", &image)
            .env("ELFUSE_SIM", &simulator);
        test
    };
    let mut test = cargo_test();
    test.arg("--workspace");
    if suites.long {
        test.env("ELFUSE_TEST_LONG", "1");
    }
    tally.cargo_test(test.arg("--").args(filter))?;
    if suites.long {
        let mut signing = cargo_test();
        signing.args(["--package=elfuse-tests", "--test=macho"]);
        signing.env("ELFUSE_RCODESIGN", rcodesign()?);
        tally.cargo_test(signing.args(["--", "--ignored"]))?;
        let mut python = cargo_test();
        python.args(["--package=elfuse-tests", "--test=programs"]);
        tally.cargo_test(python.args(["--", "--ignored", "python_suite"]))?;
    }
    tally.finish()
}

/// Builds the signing tool that judges bundles, which takes minutes.
fn rcodesign() -> Result<PathBuf> {
    let home = process::target_dir().join("tools");
    let program = home.join("bin/rcodesign");
    if !program.is_file() {
        let mut install = process::cargo();
        install.args(["install", "--quiet", "--locked", "apple-codesign@0.29.0"]);
        process::run(install.arg("--root").arg(&home))?;
    }
    Ok(program)
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask test`: installs, builds and runs everything that is judged in
//! CI: with --check the checks, then every crate's own tests, and the acceptance tests against
//! the built programs. The last line is `N passed, N failed`.

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
    let mut test = process::cargo();
    test.args(["test", "--locked", "--workspace", "--no-fail-fast", "--"])
        .args(filter);
    test.env("ELFUSE_BUNDLE", bundler).env("ELFUSE_STUB", image);
    test.env("ELFUSE_SIM", crate::run::build()?);
    if suites.long {
        test.env("ELFUSE_TEST_LONG", "1");
    }
    tally.cargo_test(&mut test)?;
    tally.finish()
}

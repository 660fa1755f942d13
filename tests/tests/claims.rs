// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every claim of `tests/guest` holds on Linux, under `qemu-user` and on our runtime,
//! but for `tests/guest/differences.txt`, which is exact: what fails is listed, and
//! what is listed fails. Each family is a test; the judges sit at the same time.

use std::collections::BTreeSet;

use elfuse_tests::claims::{Differences, Family, Judge, cases, families};

/// One test a family, and the list of them.
macro_rules! families {
    ($($family:ident)*) => {
        const TESTED: &[&str] = &[$(stringify!($family)),*];
        $(
            #[test]
            fn $family() {
                holds(stringify!($family));
            }
        )*
    };
}

families! {
    clocks events files identity inet memory names pipes processes procfs signals terminals threads
}

fn holds(name: &str) {
    let differences = Differences::read().expect("a list of differences");
    let family = Family::compile(name).expect("a program");
    let report: String = std::thread::scope(|scope| {
        let (family, differences) = (&family, &differences);
        let judges = Judge::ALL.map(|judge| {
            scope.spawn(move || {
                let failures = family
                    .ask(judge, &differences.of(name, judge))
                    .expect("a judge");
                differences.judge(name, judge, &failures)
            })
        });
        judges
            .map(|judge| judge.join().expect("a verdict"))
            .concat()
    });
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn every_family_is_tested_and_250_claims_hold_on_our_runtime() {
    let tested: BTreeSet<String> = TESTED.iter().map(|&name| name.to_owned()).collect();
    let all = families().expect("families");
    assert_eq!(tested, all);
    let claims: usize = all
        .iter()
        .map(|name| cases(name).expect("cases").len())
        .sum();
    let listed = Differences::read().expect("a list").count(Judge::Runtime);
    // That the others hold is what the families' own tests say.
    assert!(
        claims - listed >= 250,
        "{claims} claims, {listed} do not hold"
    );
}

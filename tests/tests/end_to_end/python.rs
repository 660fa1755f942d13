// SPDX-License-Identifier: MIT OR Apache-2.0
//! An image of Python from a registry, by name: bundled, verified, and run in all the
//! ways that its users run one. It has an entrypoint, a working directory, variables,
//! and a layer that hides what is in the layers below.

use std::fs;
use std::process::Stdio;

use anyhow::{Result, ensure};
use elfuse_tests::workspace::text_of;
use elfuse_tests::{applications, tree};

use crate::common::Owner;

fn owner() -> Result<Owner> {
    Owner::of_registry(&applications::python()?, "team/python:3", &[])
}

#[test]
fn an_image_of_python_is_run_as_its_configuration_says() -> Result<()> {
    let owner = owner()?;
    let verified = owner.user.run(["verify", "box"])?;
    ensure!(verified.starts_with("box: intact"), "{verified}");
    ensure!(owner.prints::<&str>(&[])? == "hello from Linux aarch64\n[]\n");
    let text = owner.prints(&["greet.py", "a b", "c"])?;
    ensure!(text.ends_with("\n['a b', 'c']\n"), "{text}");
    let script = "import os; print(*sorted(os.environ), os.getcwd(), os.environ['A'])";
    let text = owner.prints(&["-e", "A=1", "-w", "/usr", "--", "-c", script])?;
    let names = "A HOME LANG PATH PYTHONDONTWRITEBYTECODE";
    ensure!(text == format!("{names} /usr 1\n"), "{text}");
    // A whiteout of the third layer hides a directory of the first two.
    let script = "import os; print(os.path.exists('/usr/share/doc'), os.listdir('/app'))";
    ensure!(owner.prints(&["--", "-c", script])? == "False ['greet.py']\n");
    let text = owner.prints(&["--elfuse-inspect"])?;
    let lines: Vec<_> = text.lines().collect();
    for line in [
        r#"entrypoint   ["python3"]"#,
        r#"command      ["greet.py"]"#,
        "directory    /app",
        "user         root",
        "healthcheck  in the image, and never run",
    ] {
        ensure!(lines.contains(&line), "{line}: {text}");
    }
    let script = "import subprocess as s; print(s.getoutput('seq 3 | wc -l; echo $0'))";
    let text = owner.prints(&["--", "-c", script])?;
    ensure!(text.ends_with("/bin/sh\n"), "{text}");
    Ok(())
}

#[test]
fn python_ends_with_its_own_status_and_its_own_words() -> Result<()> {
    let owner = owner()?;
    owner.ends_with(3, &["--", "-c", "raise SystemExit(3)"])?;
    let text = owner.ends_with(1, &["--", "-c", "1 / 0"])?;
    ensure!(
        text.ends_with("ZeroDivisionError: division by zero\n"),
        "{text}"
    );
    owner.ends_with(128 + 6, &["--", "-c", "import os; os.abort()"])?;
    owner.ends_with(128 + 9, &["--", "-c", "import os; os.kill(os.getpid(), 9)"])?;
    owner.ends_with(2, &["/app/missing.py"])?;
    // Its input is the caller's.
    let mut command = owner.command(&["--", "-c", "print(sum(map(int, open(0))))"])?;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        std::io::Write::write_all(&mut input, b"1\n20\n300\n")?;
    }
    let output = child.wait_with_output()?;
    ensure!(output.stdout == b"321\n", "{}", text_of(&output));
    Ok(())
}

#[test]
fn python_writes_where_it_may_and_nowhere_else() -> Result<()> {
    let owner = owner()?;
    fs::create_dir(owner.user.path("data"))?;
    fs::write(owner.user.path("data/in"), "6 7\n")?;
    let script = "a, b = open('/data/in').read().split(); \
                  print(int(a) * int(b), file=open('/data/out', 'w'))";
    owner.prints(&["-v", "./data:/data", "--", "-c", script])?;
    ensure!(fs::read_to_string(owner.user.path("data/out"))? == "42\n");
    let text = owner.ends_with(1, &["-v", "./data:/data:ro", "--", "-c", script])?;
    ensure!(
        text.contains("[Errno 30] Read-only file system: '/data/out'"),
        "{text}"
    );
    let write = "open('/app/new', 'w').write('x'); print(len(open('/app/new').read()))";
    let text = owner.ends_with(1, &["--read-only", "--", "-c", write])?;
    ensure!(text.contains("[Errno 30]"), "{text}");
    let text = owner.ends_with(1, &["-u", "1000:1000", "--", "-c", write])?;
    ensure!(
        text.contains("[Errno 13] Permission denied: '/app/new'"),
        "{text}"
    );
    let whoami = "import os; print(os.getuid(), os.getgid())";
    ensure!(owner.prints(&["-u", "1000:1001", "--", "-c", whoami])? == "1000 1001\n");
    let before = tree::describe(&owner.unpacked()?.join("tree"))?;
    ensure!(owner.prints(&["--", "-c", write])? == "1\n");
    owner.prints(&["--persist", "kept", "--", "-c", write])?;
    let read = "print(open('/app/new').read())";
    ensure!(owner.prints(&["--persist", "kept", "--", "-c", read])? == "x\n");
    owner.ends_with(1, &["--", "-c", read])?;
    let after = tree::describe(&owner.unpacked()?.join("tree"))?;
    ensure!(before == after, "the cache has changed");
    Ok(())
}

#[test]
fn a_cli_bundle_of_python_runs_the_users_script_twice_at_once() -> Result<()> {
    let image = applications::python()?;
    let owner = Owner::of_registry(&image, "team/python:3", &["--cli"])?;
    let script =
        "import csv, sys\nfor row in csv.DictReader(open(sys.argv[1])):\n    print(row['n'])\n";
    fs::write(owner.user.path("column.py"), script)?;
    let mut started = Vec::new();
    for n in ["1", "2"] {
        let table = format!("{n}.csv");
        fs::write(owner.user.path(&table), format!("m,n\n0,{n}\n0,{n}\n"))?;
        let mut command = owner.command(&["column.py", &table])?;
        started.push((
            n,
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?,
        ));
    }
    for (n, child) in started {
        let output = child.wait_with_output()?;
        ensure!(
            text_of(&output) == format!("{n}\n{n}\n"),
            "{}",
            text_of(&output)
        );
    }
    // Options are the program's, not ours.
    let text = owner.prints(&["--version"])?;
    ensure!(text.starts_with("Python 3."), "{text}");
    Ok(())
}

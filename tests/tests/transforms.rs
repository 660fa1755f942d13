// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes on the way from image to bundle, asked for on the command line: what
//! is stacked, added, left out and set is what the finished bundle has.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use elfuse_tests::bundler::User;
use elfuse_tests::layout::{self, LayerBlob};
use elfuse_tests::tarball::{Member, Tarball};
use elfuse_tests::workspace::{run, surround_like, text_of};
use serde_json::{Value, json};

/// Writes an image as the layout `name`, to be named `oci:NAME`.
fn image(user: &User, name: &str, members: Vec<Member>) -> Result<String> {
    let layer = LayerBlob::tar(Tarball::of(members).finish());
    layout::write(&user.path(name), &[layer])?;
    Ok(format!("oci:{name}"))
}

fn base(user: &User) -> Result<String> {
    let members = vec![
        Member::dir("etc"),
        Member::file("etc/name", "base\n"),
        Member::dir("lib"),
        Member::dir("usr/bin"),
        Member::file("usr/bin/apt-get", "").mode(0o755),
        Member::dir("usr/share/doc/tool"),
        Member::file("usr/share/doc/tool/README", "read me\n"),
        Member::dir("var/cache/apt/archives"),
        Member::file("var/cache/apt/archives/tool.deb", "package"),
        Member::dir("var/log"),
        Member::file("var/log/tool.log", "logged"),
        Member::dir("opt/cache"),
        Member::file("opt/cache/large", vec![b'c'; 10_000]),
        Member::file("opt/cached", "stays"),
    ];
    image(user, "base", members)
}

/// Builds `name` with these arguments.
fn build(user: &User, name: &str, args: &[&str]) -> Result<()> {
    let words = [&["-q", "-o", name], args].concat();
    user.run(words).map(drop)
}

/// Kind, mode, owner and time of everything in a bundle.
fn list(user: &User, name: &str) -> Result<BTreeMap<String, Value>> {
    let list: Vec<Value> = serde_json::from_str(&user.run(["list", "--json", name])?)?;
    let entry = |entry: Value| Some((entry["path"].as_str()?.to_owned(), entry));
    list.into_iter()
        .map(|value| entry(value).context("no path"))
        .collect()
}

fn inspect(user: &User, name: &str) -> Result<Value> {
    Ok(serde_json::from_str(
        &user.run(["inspect", "--json", name])?,
    )?)
}

#[test]
fn stacked_images_apply_in_order() -> Result<()> {
    let user = User::new()?;
    let base = base(&user)?;
    let members = vec![
        Member::file("etc/name", "upper\n"),
        Member::file("etc/.wh.gone", ""),
        Member::file("opt/.wh.cache", ""),
    ];
    let upper = image(&user, "upper", members)?;
    let top = image(&user, "top", vec![Member::file("etc/top", "top\n")])?;
    build(&user, "tool", &[&base, "--layer", &upper, "--layer", &top])?;
    let list = list(&user, "tool")?;
    ensure!(list.contains_key("/etc/top") && list.contains_key("/opt/cached"));
    ensure!(!list.contains_key("/opt/cache"), "a whiteout reaches below");
    ensure!(user.run(["cat", "tool", "/etc/name"])? == "upper\n");
    let sources = inspect(&user, "tool")?["provenance"]["sources"].clone();
    ensure!(
        sources.as_array().is_some_and(|s| s.len() == 3),
        "{sources}"
    );
    Ok(())
}

#[test]
fn files_and_directories_of_the_host_are_added() -> Result<()> {
    let user = User::new()?;
    let base = base(&user)?;
    fs::write(user.path("conf"), "a = b\n")?;
    fs::create_dir_all(user.path("tree/sub"))?;
    fs::write(user.path("tree/sub/file"), "inside\n")?;
    std::os::unix::fs::symlink("sub/file", user.path("tree/link"))?;
    let args = [
        "--add-file=conf:/etc/tool/",
        "--add-dir=tree:/srv/data",
        &base,
    ];
    build(&user, "tool", &args)?;
    ensure!(user.run(["cat", "tool", "/etc/tool/conf", "/srv/data/link"])? == "a = b\ninside\n");
    let list = list(&user, "tool")?;
    let file = &list["/srv/data/sub/file"];
    ensure!(
        file["uid"] == 0 && file["gid"] == 0,
        "belongs to root: {file}"
    );
    // What no file of the host could make right is wrong usage.
    for (code, args, word) in [
        (3, ["--add-file=gone:/etc/x", &base], "gone"),
        (
            2,
            ["--add-file=conf:etc/x", &base],
            "HOST_PATH:CONTAINER_PATH",
        ),
        (3, ["--add-file=tree:/etc/x", &base], "tree"),
        (3, ["--add-dir=conf:/etc/x", &base], "conf"),
        (2, ["--add-file=conf:/../x", &base], ".."),
    ] {
        let refusal = user.fails(code, [&["-o", "no"], &args[..]].concat())?;
        ensure!(refusal.contains(word), "{refusal}");
        ensure!(!user.path("no").exists());
    }
    Ok(())
}

#[test]
fn what_is_not_wanted_is_left_out() -> Result<()> {
    let user = User::new()?;
    let base = base(&user)?;
    let without = |option: &[&str], gone: &[&str], there: &[&str]| -> Result<()> {
        build(&user, "tool", &[&[base.as_str()], option].concat())?;
        let list = list(&user, "tool")?;
        for path in gone {
            ensure!(!list.contains_key(*path), "{option:?} keeps {path}");
        }
        for path in there {
            ensure!(list.contains_key(*path), "{option:?} drops {path}");
        }
        Ok(())
    };
    let (readme, package) = (
        "/usr/share/doc/tool/README",
        "/var/cache/apt/archives/tool.deb",
    );
    let large = "/opt/cache/large";
    without(&[], &[], &[readme, package, large])?;
    without(&["--strip"], &[readme], &[large, "/etc/name"])?;
    without(
        &["--strip-auto"],
        &[package],
        &[readme, large, "/usr/bin/apt-get"],
    )?;
    without(
        &["--strip-prefix=/opt/cache", "--strip-prefix=etc"],
        &[large, "/opt/cache", "/etc"],
        &["/opt/cached", readme],
    )?;
    Ok(())
}

#[test]
fn settings_replace_those_of_the_image() -> Result<()> {
    let user = User::new()?;
    let base = base(&user)?;
    let args = [
        &base,
        "--entrypoint=[\"/bin/a\",\"b c\"]",
        "--cmd=d",
        "-e",
        "A=1",
        "--env=B=x=y",
        "-w/srv",
        "-u1:2",
        "--label=k=v",
        "--run-option=--read-only",
        "--cli",
    ];
    build(&user, "tool", &args)?;
    let shown = inspect(&user, "tool")?;
    let expected = json!({
        "Entrypoint": ["/bin/a", "b c"], "Cmd": ["d"], "Env": ["A=1", "B=x=y"],
        "WorkingDir": "/srv", "User": "1:2", "Labels": {"k": "v"},
    });
    ensure!(shown["config"]["config"] == expected, "{}", shown["config"]);
    let provenance = &shown["provenance"];
    ensure!(
        provenance["cli"] == true && provenance["labels"]["k"] == "v",
        "{provenance}"
    );
    ensure!(
        provenance["run_options"] == json!(["--read-only"]),
        "{provenance}"
    );
    for (option, word) in [
        ("--env=A", "NAME=VALUE"),
        ("--label==x", "NAME=VALUE"),
        ("--cmd=[x", "JSON"),
    ] {
        let refusal = user.fails(2, ["-o", "no", &base, option])?;
        ensure!(refusal.contains(word), "{refusal}");
    }
    Ok(())
}

#[test]
fn output_without_a_place_is_refused_before_the_work() -> Result<()> {
    let user = User::new()?;
    let image = base(&user)?;
    let text = user.fails(3, ["-o", "gone/box", &image])?;
    ensure!(text.contains("open gone: No such file"), "{text}");
    ensure!(!text.contains("squash"), "{text}");
    Ok(())
}

#[test]
fn no_time_is_later_than_the_epoch() -> Result<()> {
    let user = User::new()?;
    let members = vec![
        Member::file("new", "n").mtime("1700000000.5"),
        Member::file("old", "o").mtime("1000"),
    ];
    let image = image(&user, "dated", members)?;
    fs::write(user.path("conf"), "added\n")?;
    let mut command = user.command(["-q", "-o", "one", &image, "--add-file=conf:/conf"])?;
    run(command.env("SOURCE_DATE_EPOCH", "86400"))?;
    let shown = user.run(["list", "one"])?;
    for line in [
        "1970-01-02 00:00:00 /new",
        "1970-01-01 00:16:40 /old",
        "1970-01-02 00:00:00 /conf",
    ] {
        ensure!(shown.contains(line), "no {line}:\n{shown}");
    }
    // The file's own time on the host is no part of the bundle.
    run(Command::new("touch")
        .args(["-d", "@5"])
        .arg(user.path("conf")))?;
    build(
        &user,
        "two",
        &[&image, "--add-file=conf:/conf", "--source-date-epoch=86400"],
    )?;
    ensure!(fs::read(user.path("one"))? == fs::read(user.path("two"))?);
    Ok(())
}

#[test]
fn variables_count_where_they_matter_and_have_a_value() -> Result<()> {
    let user = User::new()?;
    let image = base(&user)?;
    let with = |args: &[&str], name: &str, value: &str| -> Result<Output> {
        Ok(user.command(args)?.env(name, value).output()?)
    };
    for name in ["SOURCE_DATE_EPOCH", "ELFUSE_STUB", "ELFUSE_BUNDLE_STORE"] {
        let output = with(&["-q", "-o", "box", &image], name, "")?;
        ensure!(output.status.success(), "{name}: {}", text_of(&output));
        let output = with(&["verify", "box"], name, "")?;
        ensure!(output.status.success(), "{name}: {}", text_of(&output));
        // Nothing but a variable is no command line.
        let output = with(&[], name, "x")?;
        let text = text_of(&output);
        ensure!(
            output.status.code() == Some(2) && text.contains("Usage:"),
            "{name}: {text}"
        );
    }
    let wrong = ("SOURCE_DATE_EPOCH", "yesterday");
    ensure!(with(&["list", "box"], wrong.0, wrong.1)?.status.success());
    let text = text_of(&with(&["-o", "box", &image], wrong.0, wrong.1)?);
    ensure!(
        text.starts_with("error: read SOURCE_DATE_EPOCH \"yesterday\""),
        "{text}"
    );
    Ok(())
}

#[test]
fn level_changes_the_size_and_not_the_contents() -> Result<()> {
    let user = User::new()?;
    let text: String = (0..40_000).map(|n| format!("{} ", n * n % 9973)).collect();
    let image = image(&user, "text", vec![Member::file("text", text)])?;
    build(&user, "fast", &[&image, "--compression-level=1"])?;
    build(&user, "small", &[&image, "--compression-level=19"])?;
    let (fast, small) = (inspect(&user, "fast")?, inspect(&user, "small")?);
    ensure!(fast["layer"]["diffId"] == small["layer"]["diffId"]);
    ensure!(fast["layer"]["size"].as_u64() > small["layer"]["size"].as_u64());
    for level in ["0", "20", "x"] {
        user.fails(
            2,
            ["-o", "no", &image, &format!("--compression-level={level}")],
        )?;
    }
    Ok(())
}

/// A directory as people have it who have no image.
fn root(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir.join("bin"))?;
    fs::write(dir.join("bin/tool"), "#!/bin/sh\n")?;
    fs::hard_link(dir.join("bin/tool"), dir.join("bin/other"))?;
    std::os::unix::fs::symlink("bin/tool", dir.join("link"))?;
    Ok(())
}

#[test]
fn directory_and_its_tar_in_any_compression_are_the_same_image() -> Result<()> {
    let user = User::new()?;
    root(&user.path("root"))?;
    let shell = "tar --numeric-owner --format=pax --pax-option=delete=atime,delete=ctime -C root -cf root.tar . \
                 && gzip -k root.tar && zstd -q root.tar && xz -k root.tar";
    run(Command::new("sh")
        .args(["-c", shell])
        .current_dir(user.path("")))?;
    let options = ["--entrypoint=/bin/tool", "--env=A=1", "--label=l=1"];
    let mut digests = Vec::new();
    for (name, source) in [
        ("dir", "rootfs:root"),
        ("plain", "tar:root.tar"),
        ("gzip", "tar:root.tar.gz"),
        ("zstd", "tar:root.tar.zst"),
    ] {
        build(&user, name, &[&[source], &options[..]].concat())?;
        digests.push(inspect(&user, name)?["digest"].clone());
    }
    ensure!(
        digests.iter().all(|digest| *digest == digests[0]),
        "{digests:?}"
    );
    let refusal = user.fails(3, ["tar:root.tar.xz", "-o", "no"])?;
    ensure!(
        refusal.contains("compressed with xz") && refusal.contains("hint: "),
        "{refusal}"
    );
    Ok(())
}

/// System calls of extracting a bundle of so many files, on one thread.
fn calls_of_extracting(user: &User, files: usize) -> Result<usize> {
    let (dir, name) = (user.path(&format!("root{files}")), format!("box{files}"));
    fs::create_dir(&dir)?;
    for number in 0..files {
        let file = dir.join(format!("file{number}"));
        fs::write(&file, number.to_string())?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
    }
    build(user, &name, &[&format!("rootfs:root{files}")])?;
    let bundler = user.command(["-q", "extract", &name, &format!("new{files}")])?;
    let mut strace = Command::new("sh");
    let script = r#"umask 022 && exec strace -f -qq -o calls -- "$@""#;
    strace.args(["-c", script, "sh"]);
    strace.arg(bundler.get_program()).args(bundler.get_args());
    surround_like(&mut strace, &bundler);
    run(&mut strace)?;
    let calls = fs::read_to_string(user.path("calls"))?;
    // Rust's library looks at descriptors with `fcntl` in unoptimised builds.
    let others = [
        "futex", "mmap", "munmap", "brk", "mremap", "fcntl", "resumed",
    ];
    let is_counted = |line: &&str| !others.iter().any(|other| line.contains(other));
    Ok(calls.lines().filter(is_counted).count())
}

#[test]
fn extraction_makes_few_system_calls_for_each_file() -> Result<()> {
    let user = User::new()?;
    let few = calls_of_extracting(&user, 100)?;
    let more = calls_of_extracting(&user, 600)? - few;
    // Make, look, write, set the time, close; root asks who it is, twice.
    ensure!(
        (5 * 500 - 20..7 * 500 + 20).contains(&more),
        "{more} for 500 files"
    );
    Ok(())
}

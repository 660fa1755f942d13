// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a newcomer meets in the first half hour: one line that says what, one that
//! says what to do.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use elfuse_tests::bundler::User;
use elfuse_tests::front::{Front, Rules};
use elfuse_tests::image;
use elfuse_tests::registry::Registry;
use elfuse_tests::workspace::{simulator, surround_like, text_of};

use crate::common::Owner;

#[test]
fn mistakes_of_the_first_half_hour_say_what_and_what_to_do() -> Result<()> {
    let owner = Owner::of_busybox()?;
    let bundle = fs::read(owner.user.path("box"))?;
    fs::write(owner.user.path("notes"), "no bundle\n")?;
    fs::write(owner.user.path("cut"), &bundle[..bundle.len() / 2])?;
    let image = format!("oci:{}:latest", image::busybox()?.display());
    let absent = image.replace(":latest", ":newest");
    let mut damaged = bundle.clone();
    let last = damaged.len() / 2;
    damaged[last] ^= 1;
    fs::write(owner.user.path("damaged"), &damaged)?;
    let foreign = ["-q", "-o", "new", "--platform", "linux/amd64", &image];
    let away = ["-q", "-o", "new", "nowhere.invalid/tool:1"];
    let cases: [(&str, &[&str], &str); 10] = [
        ("damaged", &["-q", "verify", "damaged"], "damaged"),
        ("unknown tag", &["-q", "-o", "new", &absent], "not there"),
        ("no network", &away, "nowhere.invalid"),
        (
            "not pulled",
            &["-q", "-o", "new", "--offline", "nowhere.invalid/tool:1"],
            "offline",
        ),
        (
            "not a bundle",
            &["run", "notes"],
            "open notes: not a bundle",
        ),
        (
            "cut short",
            &["run", "cut", "true"],
            "open cut: not a bundle",
        ),
        ("wrong platform", &foreign, "not for linux/amd64"),
        (
            "file exists",
            &["-q", "-o", "notes", &image],
            "notes: it exists",
        ),
        (
            "no such option",
            &["run", "box", "--frob", "true"],
            "--frob",
        ),
        ("no such run", &["stop", "web"], "find run web"),
    ];
    for (what, args, says) in cases {
        let mut command = owner.user.command(args)?;
        let output = command.env("ELFUSE_SIM", simulator()?).output()?;
        let text = text_of(&output);
        ensure!(!output.status.success(), "{what}: it works");
        let lines: Vec<_> = text.lines().collect();
        let is_plain = matches!(lines[..], [error, hint]
            if error.contains(says) && hint.starts_with("hint: "));
        ensure!(is_plain, "{what}: {text}");
    }
    ensure!(fs::read(owner.user.path("notes"))? == b"no bundle\n");
    ensure!(!owner.user.path("new").exists());
    Ok(())
}

/// The directory of the bundle has a megabyte.
#[test]
fn a_full_disk_leaves_nothing_and_says_where_room_is_needed() -> Result<()> {
    let user = User::new()?;
    let full = user.path("full");
    fs::create_dir(&full)?;
    let image = format!("oci:{}:latest", image::busybox()?.display());
    let bundler = user.command(["-q", "-o", "full/box", &image])?;
    let script = r#""$@"; status=$?; ls -A full; exit $status"#;
    let mut inside = Command::new("bwrap");
    inside.args(["--dev-bind", "/", "/", "--size", "1048576", "--tmpfs"]);
    inside.arg(&full).args(["sh", "-c", script, "sh"]);
    inside.arg(bundler.get_program()).args(bundler.get_args());
    surround_like(&mut inside, &bundler);
    let output = inside.env("PATH", "/usr/bin:/bin").output()?;
    let text = text_of(&output);
    ensure!(output.status.code() == Some(3), "{text}");
    let lines: Vec<_> = text.lines().collect();
    let is_plain = matches!(lines[..], [error, hint]
        if error.contains("full/box") && error.contains("No space") && hint.contains("room"));
    ensure!(is_plain, "{text}");
    Ok(())
}

/// What a newcomer writes into Docker's file by `docker login`.
fn log_in(user: &User, registry: &str) -> Result<()> {
    let dir = user.path("home/.docker");
    fs::create_dir_all(&dir)?;
    // user:secret
    let auths = format!(r#"{{"auths":{{"{registry}":{{"auth":"dXNlcjpzZWNyZXQ="}}}}}}"#);
    Ok(fs::write(dir.join("config.json"), auths)?)
}

#[test]
fn a_registry_that_wants_a_login_says_how_and_then_gives_the_image() -> Result<()> {
    let registry = Registry::start()?;
    registry.fill(&image::busybox()?, "latest", "a/box:1")?;
    let login = || Some("user:secret".to_owned());
    let by_token = Rules {
        token: Some("t0ken".to_owned()),
        login: login(),
        ..Rules::default()
    };
    let by_password = Rules {
        basic: login(),
        ..Rules::default()
    };
    for rules in [by_token, by_password] {
        let front = Front::start(registry.address(), rules)?;
        let user = User::new()?;
        let image = front.image("a/box:1");
        let args = ["-q", "--insecure", "-o", "box", &image];
        let text = user.fails(3, args)?;
        let key = image.split('/').next().context("the registry's name")?;
        let hint = format!(
            "hint: the repository is not there, or needs docker login {key} or podman login {key}"
        );
        let lines: Vec<_> = text.lines().collect();
        let is_plain = matches!(lines[..], [error, told]
            if error.starts_with("error: ") && error.contains("401") && told == hint);
        ensure!(is_plain, "{text}");
        ensure!(!user.path("box").exists());
        log_in(&user, key)?;
        user.run(args)?;
        ensure!(user.path("box").is_file());
    }
    Ok(())
}

#[test]
fn an_image_that_a_registry_does_not_have_says_what_to_check() -> Result<()> {
    let registry = Registry::start()?;
    registry.fill(&image::busybox()?, "latest", "a/box:1")?;
    let user = User::new()?;
    for name in ["a/box:2", "a/bax:1"] {
        let image = format!("{}/{name}", registry.address());
        let text = user.fails(3, ["-q", "--insecure", "-o", "box", &image])?;
        let lines: Vec<_> = text.lines().collect();
        let is_plain = matches!(lines[..], [error, hint]
            if error.contains("404") && hint == "hint: check registry, repository and tag");
        ensure!(is_plain, "{text}");
    }
    Ok(())
}

/// The signal that comes with it would end the bundler without a word.
#[test]
fn a_limit_of_file_sizes_leaves_nothing_and_is_told() -> Result<()> {
    let user = User::new()?;
    let directory = user.path("limited");
    fs::create_dir(&directory)?;
    let image = format!("oci:{}:latest", image::busybox()?.display());
    let bundler = user.command(["-q", "-o", "limited/box", &image])?;
    // The scratch file is the first that is too long; with the layer in the store
    // it is the bundle.
    for place in ["/store/", "limited/box"] {
        let mut limited = Command::new("sh");
        limited.args(["-c", r#"ulimit -f 512 && exec "$@""#, "sh"]);
        limited.arg(bundler.get_program()).args(bundler.get_args());
        surround_like(&mut limited, &bundler);
        let output = limited.output()?;
        let text = text_of(&output);
        ensure!(
            output.status.code() == Some(3),
            "{:?}: {text}",
            output.status
        );
        let lines: Vec<_> = text.lines().collect();
        let is_plain = matches!(lines[..], [error, hint]
            if error.contains(place) && error.contains("File too large") && hint.contains("room"));
        ensure!(is_plain, "{text}");
        ensure!(fs::read_dir(&directory)?.next().is_none(), "{place}");
        user.run(["-q", "-o", "box", &image])?;
    }
    Ok(())
}

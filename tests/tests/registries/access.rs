// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who may fetch what, and over which way: tokens, logins, helpers, private
//! authorities, mirrors, proxies and the policy.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use elfuse_tests::front::{Front, Rules};
use elfuse_tests::image;
use elfuse_tests::registry::{Registry, free_port};
use elfuse_tests::workspace::{run, text_of, try_run};

use super::{World, ended, with_input};

/// `user:secret`, as auth files have it.
const AUTH: &str = "dXNlcjpzZWNyZXQ=";

#[test]
fn public_image_takes_an_anonymous_token() -> Result<()> {
    let world = World::with_busybox()?;
    world.front.set(Rules {
        token: Some("t0ken".to_owned()),
        ..Rules::default()
    });
    world.pull("a/box:1", &[])?;
    let seen = world.front.seen();
    let tokens: Vec<_> = seen
        .iter()
        .filter(|s| s.path.starts_with("/token"))
        .collect();
    ensure!(tokens.len() == 1, "one token for all requests: {seen:?}");
    for part in ["service=test", "scope=repository%3Aa%2Fbox%3Apull"] {
        ensure!(tokens[0].path.contains(part), "{}", tokens[0].path);
    }
    Ok(())
}

#[test]
fn private_image_takes_a_login() -> Result<()> {
    let world = World::with_busybox()?;
    world.front.set(Rules {
        token: Some("t0ken".to_owned()),
        login: Some("user:secret".to_owned()),
        ..Rules::default()
    });
    let refusal = world.pull_fails("a/box:1", &[])?;
    ensure!(refusal.contains("login"), "{refusal}");
    let args = world.args(
        &["pull", "--username", "user", "--password-stdin"],
        "a/box:1",
    );
    let wrong = with_input(world.user.command(&args)?, "not that\n")?;
    let refusal = ended(&wrong, 3)?;
    ensure!(
        refusal.contains("401") && !refusal.contains("not that"),
        "{refusal}"
    );
    let right = with_input(world.user.command(&args)?, "secret\n")?;
    ended(&right, 0)?;
    ensure!(world.stored()?.len() == 3, "manifest, config, layer");
    Ok(())
}

#[test]
fn password_without_a_user_is_wrong_usage() -> Result<()> {
    let world = World::empty()?;
    for words in [&["pull", "--password-stdin"][..], &["pull", "--username=u"]] {
        world.user.fails(2, world.args(words, "a/box:1"))?;
    }
    let args = [
        "--username",
        "u",
        "--password-stdin",
        "oci:somewhere",
        "-o",
        "x",
    ];
    let refusal = ended(&with_input(world.user.command(args)?, "p\n")?, 3)?;
    ensure!(refusal.contains("not in a registry"), "{refusal}");
    Ok(())
}

/// Fetches through a front that takes `user:secret` with basic authorization.
fn pull_with_basic(prepare: impl FnOnce(&World) -> Result<Vec<String>>) -> Result<()> {
    let world = World::with_busybox()?;
    world.front.set(Rules {
        basic: Some("user:secret".to_owned()),
        ..Rules::default()
    });
    let more = prepare(&world)?;
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    world.pull("a/box:1", &more)?;
    Ok(())
}

fn write(world: &World, name: &str, text: &str) -> Result<String> {
    let path = world.user.path(name);
    fs::create_dir_all(path.parent().context("a directory")?)?;
    fs::write(&path, text)?;
    Ok(path.display().to_string())
}

#[test]
fn auth_file_has_the_credentials() -> Result<()> {
    pull_with_basic(|world| {
        let host = world.front.image("");
        let host = host.trim_end_matches('/');
        let auths = format!(r#"{{"auths":{{"{host}/a":{{"auth":"{AUTH}"}}}}}}"#);
        let file = write(world, "auth.json", &auths)?;
        Ok(vec![format!("--auth-file={file}")])
    })
}

#[test]
fn login_of_docker_is_used() -> Result<()> {
    pull_with_basic(|world| {
        let host = world.front.image("");
        let host = host.trim_end_matches('/');
        let auths = format!(r#"{{"auths":{{"http://{host}/v2/":{{"auth":"{AUTH}"}}}}}}"#);
        write(world, "home/.docker/config.json", &auths)?;
        Ok(Vec::new())
    })
}

#[test]
fn credential_helper_is_asked() -> Result<()> {
    let world = World::with_busybox()?;
    world.front.set(Rules {
        basic: Some("user:secret".to_owned()),
        ..Rules::default()
    });
    let helper = "#!/bin/sh\n[ \"$1\" = get ] && cat >asked && echo '{\"Username\":\"user\",\"Secret\":\"secret\"}'\n";
    let path = write(&world, "path/docker-credential-test", helper)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    write(
        &world,
        "home/.docker/config.json",
        r#"{"credsStore":"test"}"#,
    )?;
    let mut command = world.user.command(world.args(&["pull"], "a/box:1"))?;
    let usual = std::env::var("PATH")?;
    command.env(
        "PATH",
        format!("{}:{usual}", world.user.path("path").display()),
    );
    ended(&try_run(&mut command)?, 0)?;
    let asked = fs::read_to_string(world.user.path("asked"))?;
    ensure!(format!("{asked}/") == world.front.image(""), "{asked}");
    Ok(())
}

/// A certificate for 127.0.0.1 and the key, by an authority of its own.
fn certificate(world: &World) -> Result<()> {
    let openssl = |words: &str| {
        run(Command::new("openssl")
            .args(words.split(' '))
            .current_dir(world.user.path("")))
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!(
        "req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"
    ))?;
    openssl(&format!(
        "req {key} -keyout own.key -out own.csr -subj /CN=registry"
    ))?;
    write(world, "own.ext", "subjectAltName=IP:127.0.0.1\n")?;
    openssl(
        "x509 -req -in own.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile own.ext -out own.pem",
    )?;
    Ok(())
}

#[test]
fn private_authority_is_trusted_when_named() -> Result<()> {
    let world = World::empty()?;
    certificate(&world)?;
    let (own, key) = (world.user.path("own.pem"), world.user.path("own.key"));
    let registry = Registry::start_tls(&own, &key)?;
    registry.fill(&image::busybox()?, "latest", "a/box:1")?;
    let image = format!("{}/a/box:1", registry.address());
    let refusal = world.user.fails(3, ["pull", &image])?;
    ensure!(refusal.contains("--ca-file"), "no hint: {refusal}");
    world.user.run(["pull", "--ca-file", "ca.pem", &image])?;
    let refusal = world
        .user
        .fails(3, ["pull", "--ca-file", "own.key", "--pull=always", &image])?;
    ensure!(
        refusal.contains("own.key") && refusal.contains("no certificates"),
        "{refusal}"
    );
    Ok(())
}

#[test]
fn plain_http_is_for_this_machine_and_on_request() -> Result<()> {
    let world = World::with_busybox()?;
    let refusal = world
        .user
        .fails(3, ["pull", &world.front.image("a/box:1"), "--tries=1"])?;
    ensure!(refusal.contains("hint: --insecure"), "{refusal}");
    let refusal = world
        .user
        .fails(3, ["pull", "--insecure", "registry.invalid/a/box:1"])?;
    ensure!(refusal.contains("on this machine only"), "{refusal}");
    Ok(())
}

#[test]
fn mirror_is_asked_first_and_may_fail() -> Result<()> {
    let world = World::with_busybox()?;
    let mirror = Front::start(world.registry.address(), Rules::default())?;
    let host = mirror.image("");
    let registry = world.front.image("");
    let option = format!(
        "--mirror={}={}",
        registry.trim_end_matches('/'),
        host.trim_end_matches('/')
    );
    world.pull("a/box:1", &[&option])?;
    ensure!(
        !mirror.seen().is_empty() && world.front.seen().is_empty(),
        "all from the mirror"
    );
    world.user.run(["-q", "prune"])?;
    let gone = format!(
        "--mirror={}={}",
        registry.trim_end_matches('/'),
        free_port()?
    );
    world.pull("a/box:1", &[&gone])?;
    ensure!(!world.front.seen().is_empty(), "all from the registry");
    Ok(())
}

#[test]
fn policy_decides_which_images_are_used() -> Result<()> {
    let world = World::with_busybox()?;
    let name = world.front.image("a/box");
    let policy = |kind: &str, scope: &str| {
        let text = format!(
            r#"{{"default":[{{"type":"reject"}}],"transports":{{"docker":{{"{scope}":[{{"type":"{kind}"}}]}}}}}}"#
        );
        write(&world, "policy.json", &text).map(|file| format!("--policy={file}"))
    };
    let reject = policy("insecureAcceptAnything", "elsewhere.test")?;
    let refusal = world.pull_fails("a/box:1", &[&reject])?;
    ensure!(
        refusal.contains("rejected") && refusal.contains("policy.json"),
        "{refusal}"
    );
    let unknown = policy("signedBy", &name)?;
    ensure!(
        world
            .pull_fails("a/box:1", &[&unknown])?
            .contains("signedBy")
    );
    ensure!(
        world.front.seen().is_empty(),
        "a refused image is not asked for"
    );
    let accept = policy("insecureAcceptAnything", &name)?;
    world.pull("a/box:1", &[&accept])?;
    Ok(())
}

#[test]
fn proxy_of_the_environment_is_used() -> Result<()> {
    let world = World::empty()?;
    let proxy = TcpListener::bind("127.0.0.1:0")?;
    let address = proxy.local_addr()?;
    let asked = std::thread::spawn(move || -> Result<String> {
        let (client, _) = proxy.accept()?;
        let mut line = String::new();
        BufReader::new(&client).read_line(&mut line)?;
        (&client).write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")?;
        Ok(line)
    });
    let args = ["pull", "--tries=1", "registry.invalid/a/box:1"];
    let mut command = world.user.command(args)?;
    let output = try_run(command.env("HTTPS_PROXY", format!("http://{address}")))?;
    ensure!(output.status.code() == Some(3), "{}", text_of(&output));
    let line = asked.join().ok().context("the proxy panicked")??;
    ensure!(line.starts_with("CONNECT registry.invalid:443 "), "{line}");
    // Nobody listens there any more, and only the first of these finds out.
    for (others, refused) in [("other.invalid", true), ("registry.invalid", false)] {
        let mut command = world.user.command(args)?;
        command.env("HTTPS_PROXY", format!("http://{address}"));
        let text = text_of(&try_run(command.env("NO_PROXY", others))?);
        let is_refused = text.contains("registry.invalid") && text.contains("Connection refused");
        ensure!(is_refused == refused, "{others}: {text}");
    }
    Ok(())
}

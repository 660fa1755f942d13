// SPDX-License-Identifier: MIT OR Apache-2.0
//! One image by several ways is one bundle, and `update` makes of a bundle what
//! building anew would.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use elfuse_tests::image;
use elfuse_tests::layout::{self, LayerBlob};
use elfuse_tests::tarball::{Member, Tarball};
use elfuse_tests::workspace::run;
use serde_json::Value;

use super::World;

/// Copies an image out of the registry with skopeo.
fn copy(world: &World, name: &str, to: &str) -> Result<()> {
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["copy", "--quiet", "--src-tls-verify=false"]);
    skopeo.arg(format!("docker://{}/{name}", world.registry.address()));
    run(skopeo.arg(to).current_dir(world.user.path(""))).map(drop)
}

fn inspect(world: &World, file: &str) -> Result<Value> {
    let shown = world.user.run(["inspect", "--json", file])?;
    Ok(serde_json::from_str(&shown)?)
}

fn equal(world: &World, one: &str, other: &str) -> Result<()> {
    let read = |name: &str| fs::read(world.user.path(name));
    if read(one)? != read(other)? {
        let diff = world.user.fails(1, ["diff", one, other]);
        let (one, other) = (inspect(world, one)?, inspect(world, other)?);
        anyhow::bail!("not equal: {diff:?}\n{one:#}\n{other:#}");
    }
    Ok(())
}

#[test]
fn one_image_by_four_ways_is_one_bundle() -> Result<()> {
    let world = World::empty()?;
    let layout = image::debian_system()?.plain;
    world
        .registry
        .fill_with_gzip(&layout, "latest", "a/debian:1")?;
    world.build("a/debian:1", "registry")?;
    let source = &inspect(&world, "registry")?["provenance"]["sources"][0];
    let name = source["reference"].as_str().context("a name")?;
    ensure!(name == world.front.image("a/debian:1"), "{name}");
    let digest = source["manifest"].as_str().context("a digest")?;
    copy(&world, "a/debian:1", "oci:layout:some")?;
    copy(&world, "a/debian:1", "oci-archive:layout.tar:some")?;
    copy(
        &world,
        "a/debian:1",
        "docker-archive:saved.tar:other/name:2",
    )?;
    for (file, image, name) in [
        ("layout-bundle", "oci:layout:some", name.to_owned()),
        ("archive-bundle", "oci-archive:layout.tar", name.to_owned()),
        (
            "saved-bundle",
            "docker-archive:saved.tar",
            format!("{name}@{digest}"),
        ),
    ] {
        world.user.run(["-q", "-o", file, image, "--name", &name])?;
        equal(&world, "registry", file)?;
    }
    // Without a name it is the same image, called by where it came from.
    world
        .user
        .run(["-q", "-o", "plain", "docker-archive:saved.tar"])?;
    let (plain, other) = (inspect(&world, "plain")?, inspect(&world, "registry")?);
    ensure!(plain["digest"] == other["digest"] && plain["layer"] == other["layer"]);
    let source = &plain["provenance"]["sources"][0];
    ensure!(
        source["reference"] == "docker-archive:docker.io/other/name:2",
        "{source}"
    );
    ensure!(source["manifest"].is_null(), "{source}");
    let wrong = format!("x/y@sha256:{}", "1".repeat(64));
    let args = ["-o", "wrong", "oci:layout:some", "--name", &wrong];
    let refusal = world.user.fails(3, args)?;
    ensure!(refusal.contains("name image sha256:"), "{refusal}");
    Ok(())
}

/// Tags an image with one more file in it.
fn release(world: &World, version: &str) -> Result<()> {
    let dir = world.user.path(&format!("release-{version}"));
    let members = [
        Member::dir("usr/share/doc/tool"),
        Member::file("usr/share/doc/tool/README", "read me\n"),
        Member::file("usr/share/cache", vec![b'c'; 100_000]),
        Member::file("usr/bin/tool", version.repeat(50_000)).mode(0o755),
    ];
    layout::write(&dir, &[LayerBlob::tar(Tarball::of(members).finish())])?;
    world.registry.fill(&dir, "latest", "a/tool:latest")
}

const CHANGES: [&str; 13] = [
    "--strip",
    "--strip-prefix=/usr/share/cache",
    "--entrypoint=[\"/usr/bin/tool\",\"-x\"]",
    "--cmd=--help",
    "--env=A=b c",
    "--workdir=/usr",
    "--user=1:2",
    "--label=l=1",
    "--cli",
    "--run-option=--read-only",
    "--compression-level=11",
    "--source-date-epoch=86400",
    "--add-file=conf:/etc/tool.conf",
];

#[test]
fn update_makes_what_building_anew_makes() -> Result<()> {
    let world = World::empty()?;
    release(&world, "1")?;
    fs::write(world.user.path("conf"), "some = thing\n")?;
    let build = |file: &str, more: &[&str]| {
        let words = [&["-q", "-o", file], more, &CHANGES[..]].concat();
        world.user.run(world.args(&words, "a/tool"))
    };
    build("old", &[])?;
    fs::copy(world.user.path("old"), world.user.path("tool"))?;
    let update = [
        "update",
        "--insecure",
        "--add-file=conf:/etc/tool.conf",
        "tool",
    ];
    let told = world.user.run(update)?;
    ensure!(told.contains("is up to date"), "{told}");
    equal(&world, "old", "tool")?;

    release(&world, "2")?;
    let refusal = world.user.fails(3, ["update", "--insecure", "tool"])?;
    ensure!(
        refusal.contains("hint: say where it is with --add-file"),
        "{refusal}"
    );
    let told = world.user.run(update)?;
    ensure!(told.contains("updated to"), "{told}");
    build("new", &["--pull=always"])?;
    equal(&world, "new", "tool")?;
    ensure!(fs::read(world.user.path("old"))? != fs::read(world.user.path("new"))?);
    world.user.run(["-q", "verify", "tool"])?;
    Ok(())
}

#[test]
fn update_that_fails_leaves_the_bundle() -> Result<()> {
    let world = World::empty()?;
    release(&world, "1")?;
    world.build("a/tool", "tool")?;
    let before = fs::read(world.user.path("tool"))?;
    // Without --insecure the registry cannot be reached.
    world.user.fails(3, ["update", "--tries=1", "tool"])?;
    ensure!(fs::read(world.user.path("tool"))? == before);
    let told = world.user.run(["update", "--offline", "tool"])?;
    ensure!(told.contains("is up to date"), "{told}");
    Ok(())
}

#[test]
fn image_named_by_digest_is_not_updated() -> Result<()> {
    let world = World::empty()?;
    release(&world, "1")?;
    let digest = world.pull("a/tool", &[])?["digest"]
        .as_str()
        .map(str::to_owned);
    let name = format!("a/tool@{}", digest.context("a digest")?);
    world.build(&name, "tool")?;
    release(&world, "2")?;
    let told = world.user.run(["update", "--insecure", "tool"])?;
    ensure!(told.contains("is up to date"), "{told}");
    let reference = inspect(&world, "tool")?["provenance"]["sources"][0]["reference"].clone();
    ensure!(
        reference == world.front.image(&name).as_str(),
        "{reference}"
    );
    Ok(())
}

#[test]
fn bundle_from_files_is_updated_from_files() -> Result<()> {
    let world = World::empty()?;
    release(&world, "1")?;
    release(&world, "2")?;
    let layout = |version: &str| format!("oci:release-{version}:latest");
    let source = |file: &str| inspect(&world, file).map(|i| i["provenance"]["sources"][0].clone());
    world.user.run(["-q", "-o", "tool", &layout("1")])?;
    let refusal = world.user.fails(3, ["update", "tool"])?;
    ensure!(
        refusal.contains("local files (oci:latest)") && refusal.contains("--from"),
        "{refusal}"
    );
    let told = world.user.run(["update", "tool", "--from", &layout("2")])?;
    ensure!(told.contains("updated to"), "{told}");
    world.user.run(["-q", "-o", "new", &layout("2")])?;
    equal(&world, "new", "tool")?;

    // One that was given a name keeps it, and can be pulled by it.
    let name = world.front.image("a/tool:latest");
    world
        .user
        .run(["-q", "-o", "named", &layout("1"), "--name", &name])?;
    world
        .user
        .run(["-q", "update", "named", "--from", &layout("1")])?;
    ensure!(source("named")?["reference"] == name.as_str());
    world.user.run(["-q", "update", "named", "--insecure"])?;
    ensure!(source("named")?["manifest"] == source("new")?["manifest"]);

    for kind in ["rootfs", "tar"] {
        let root = world.user.path("root");
        fs::create_dir_all(root.join("bin"))?;
        fs::write(root.join("bin/tool"), kind)?;
        pack(&root, &world.user.path("root.tar"))?;
        let image = if kind == "tar" {
            "tar:root.tar"
        } else {
            "rootfs:root"
        };
        world
            .user
            .run(["-q", "-o", kind, image, "--cmd", "/bin/tool"])?;
        fs::write(root.join("bin/tool"), "new")?;
        pack(&root, &world.user.path("root.tar"))?;
        let told = world.user.run(["update", kind, "--from", image])?;
        ensure!(told.contains("updated to"), "{told}");
        ensure!(inspect(&world, kind)?["config"]["config"]["Cmd"][0] == "/bin/tool");
    }
    Ok(())
}

fn pack(root: &Path, file: &Path) -> Result<()> {
    run(Command::new("tar")
        .arg("-cf")
        .arg(file)
        .arg("-C")
        .arg(root)
        .arg("."))
    .map(drop)
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! An image of a tool in Go from a registry, by name: no shell in it, a user who is not
//! root, and the user's own files to work on. Its program brings a runtime with threads
//! of its own, and is linked with the C library of the layer below.

use std::fs;
use std::process::Stdio;

use anyhow::{Result, ensure};
use elfuse_tests::workspace::text_of;
use elfuse_tests::{applications, tree};

use crate::common::Owner;

const JSON: &str = r#"{"name": "box", "sizes": [1, 22], "nested": {"yes": true}}"#;
const FLAT: &str = "json = {};\njson.name = \"box\";\njson.nested = {};\njson.nested.yes = true;\n\
                    json.sizes = [];\njson.sizes[0] = 1;\njson.sizes[1] = 22;\n";

fn of_image(more: &[&str]) -> Result<Owner> {
    let owner = Owner::of_registry(&applications::gron()?, "tools/gron:latest", more)?;
    fs::write(owner.user.path("data.json"), JSON)?;
    Ok(owner)
}

#[test]
fn a_tool_in_go_is_run_as_its_image_says() -> Result<()> {
    let owner = of_image(&[])?;
    let verified = owner.user.run(["verify", "box"])?;
    ensure!(verified.starts_with("box: intact"), "{verified}");
    let text = owner.prints::<&str>(&[])?;
    ensure!(text.starts_with("gron version"), "{text}");
    ensure!(owner.prints(&["-v", "./data.json:/in.json:ro", "/in.json"])? == FLAT);
    let text = owner.ends_with(1, &["/missing.json"])?;
    ensure!(text.contains("no such file or directory"), "{text}");
    owner.ends_with(127, &["--entrypoint", "/bin/sh"])?;
    // The program's own options, after the end of the bundle's.
    let back = owner.prints(&["-v", "./data.json:/in.json", "--", "--json", "/in.json"])?;
    ensure!(back.contains(r#"[["sizes",1],22]"#), "{back}");
    Ok(())
}

#[test]
fn a_tool_in_go_reads_what_its_user_may() -> Result<()> {
    let owner = of_image(&[])?;
    let secret = ["-v", "./data.json:/in.json", "--read-only", "/in.json"];
    let before = {
        owner.prints(&secret)?;
        tree::describe(&owner.unpacked()?.join("tree"))?
    };
    ensure!(owner.prints(&[&["-u", "0"], &secret[..]].concat())? == FLAT);
    let mut readers = Vec::new();
    for _ in 0..2 {
        let mut command = owner.command(&["--", "--monochrome", "-"])?;
        let streams = command.stdin(fs::File::open(owner.user.path("data.json"))?);
        readers.push(
            streams
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?,
        );
    }
    for child in readers {
        let output = child.wait_with_output()?;
        ensure!(text_of(&output) == FLAT, "{}", text_of(&output));
    }
    let after = tree::describe(&owner.unpacked()?.join("tree"))?;
    ensure!(before == after, "the cache has changed");
    Ok(())
}

#[test]
fn a_cli_bundle_in_go_works_on_the_file_beside_it() -> Result<()> {
    let owner = of_image(&["--cli"])?;
    ensure!(owner.prints(&["data.json"])? == FLAT);
    fs::write(owner.user.path("flat"), FLAT)?;
    let again = owner.prints(&["--ungron", "flat"])?;
    let (again, first): (serde_json::Value, serde_json::Value) =
        (serde_json::from_str(&again)?, serde_json::from_str(JSON)?);
    ensure!(again == first, "{again}");
    let text = owner.ends_with(1, &["data.yaml"])?;
    ensure!(text.contains("data.yaml"), "{text}");
    Ok(())
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! kill -9 at any moment: no output, and a store that the next run uses.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use elfuse_tests::front::Rules;

use super::{World, names};

/// Moments at which a run is killed, spread over its time.
const MOMENTS: u32 = 22;

/// Starts a build of the debian image and kills it after `time`; tells
/// whether it was still running.
fn kill_after(world: &World, time: Duration) -> Result<bool> {
    let mut command = world
        .user
        .command(world.args(&["-q", "-o", "killed"], "a/debian:1"))?;
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    std::thread::sleep(time);
    child.kill()?;
    Ok(child.wait()?.code().is_none())
}

/// Files that appear under their final name, with what is wrong with any.
fn check_store(world: &World) -> Result<()> {
    let store = world.user.store();
    if !store.join("blobs/sha256").exists() {
        return Ok(());
    }
    for name in names(&store.join("blobs/sha256"))? {
        let bytes = fs::read(store.join("blobs/sha256").join(&name))?;
        let digest = elfuse_payload::Digest::of(&bytes).to_string();
        ensure!(
            digest == format!("sha256:{name}"),
            "blob {name} is {digest}"
        );
    }
    Ok(())
}

#[test]
fn killed_at_any_moment_it_leaves_no_output_and_a_usable_store() -> Result<()> {
    let world = World::with_debian()?;
    // Slow enough that transfers, too, are hit.
    world.front.set(Rules {
        delay: Duration::from_millis(100),
        ..Rules::default()
    });
    let begun = Instant::now();
    let whole = world.build("a/debian:1", "whole")?;
    let time = begun.elapsed();
    let mut killed = 0;
    for moment in 0..MOMENTS {
        // Every fourth time the store is what the kills before made of it.
        if moment % 4 != 3 {
            fs::remove_dir_all(world.user.store())?;
        }
        // What the clock says within a slice is chance enough.
        let chance = begun.elapsed().subsec_nanos() % 1000;
        let slice = time / MOMENTS;
        let after = slice * moment + slice * chance / 1000;
        let was_running = kill_after(&world, after)?;
        let output = world.user.path("killed");
        if was_running {
            killed += 1;
            ensure!(!output.exists(), "an output, killed after {after:?}");
        } else if output.exists() {
            fs::remove_file(&output)?;
        }
        check_store(&world)?;
    }
    ensure!(killed >= 15, "only {killed} runs were killed in {time:?}");
    // The store that is left serves, and the bundle is the one it would have been.
    world.user.run(["status"])?;
    let after = world.build("a/debian:1", "killed")?;
    ensure!(fs::read(after)? == fs::read(whole)?, "another bundle");
    // What the killed runs had begun is gone.
    let left = world.user.leftovers(&["whole", "killed"])?;
    ensure!(left.is_empty(), "beside the output: {left:?}");
    let left = names(&world.user.store().join("scratch"))?;
    ensure!(left.is_empty(), "in the store: {left:?}");
    world.user.run(["-q", "prune"])?;
    ensure!(world.stored()?.is_empty(), "prune left something");
    Ok(())
}

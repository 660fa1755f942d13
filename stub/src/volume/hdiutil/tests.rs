// SPDX-License-Identifier: MIT OR Apache-2.0
//! The requests as command lines, to scripts in hdiutil's place.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{Detach, DiskImages, Hdiutil, ImageError};

/// A tool that appends its arguments to `log` and then runs `script`.
fn tool(dir: &Path, script: &str) -> Hdiutil {
    let path = dir.join("tool");
    let log = dir.join("log");
    let text = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$*\" >> {}\n{script}\n",
        log.display()
    );
    // By another process: a test that forks while this one has the file open for
    // writing keeps it so, and then nobody can execute it.
    let write = ["-c", "printf %s \"$2\" > \"$1\" && chmod 755 \"$1\"", "sh"];
    let mut shell = Command::new("/bin/sh");
    let written = shell.args(write).arg(&path).arg(text).status().unwrap();
    assert!(written.success());
    Hdiutil {
        hdiutil: path.clone(),
        diskutil: path,
        patience: Duration::from_secs(20),
    }
}

#[test]
fn requests_are_the_documented_command_lines() {
    let dir = tempfile::tempdir().unwrap();
    let tool = tool(dir.path(), "exit 0");
    let image = Path::new("/c/a b.sparsebundle");
    tool.create(image, 1 << 30).unwrap();
    tool.attach(image, Path::new("/c/volume")).unwrap_err();
    tool.attached(image).unwrap_err();
    tool.detach("/dev/disk4", Detach::Gently).unwrap();
    tool.detach("/dev/disk4", Detach::ByForce).unwrap();
    tool.resize(image, 1025).unwrap();
    tool.fill("/dev/disk5").unwrap();
    tool.compact(image).unwrap();
    let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
    let expected = "\
create -type SPARSEBUNDLE -fs Case-sensitive APFS -volname elfuse-cache -size 2097152b /c/a b.sparsebundle
attach -nobrowse -noautofsck -owners on -plist -mountpoint /c/volume /c/a b.sparsebundle
info -plist
detach /dev/disk4
detach -force /dev/disk4
resize -size 3b /c/a b.sparsebundle
apfs resizeContainer /dev/disk5 0
compact -batteryallowed /c/a b.sparsebundle
";
    assert_eq!(log, expected);
}

#[test]
fn no_tool_a_refusal_and_silence_are_different_errors() {
    let dir = tempfile::tempdir().unwrap();
    let mut tool = tool(
        dir.path(),
        "echo 'hdiutil: attach failed - Resource busy' >&2; exit 1",
    );
    let image = Path::new("/c/i.sparsebundle");
    let at = Path::new("/c/volume");
    assert!(matches!(tool.attach(image, at), Err(ImageError::Busy(_))));
    tool.hdiutil = dir.path().join("none");
    assert!(matches!(tool.attach(image, at), Err(ImageError::NoTool(_))));
}

#[test]
fn a_tool_that_hangs_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut tool = tool(dir.path(), "exec sleep 600");
    tool.patience = Duration::from_millis(100);
    let error = tool.attached(Path::new("/c/i")).unwrap_err();
    assert!(matches!(error, ImageError::Hung { .. }), "{error}");
}

#[test]
fn long_answers_arrive_whole() {
    let dir = tempfile::tempdir().unwrap();
    let script =
        "i=0; while [ $i -lt 20000 ]; do echo '<!-- padding padding -->'; i=$((i+1)); done";
    let tool = tool(dir.path(), script);
    let out = tool.run(&tool.hdiutil, "test", &[]).unwrap();
    assert_eq!(out.len(), 20000 * 25);
}

#[test]
fn mount_points_and_space_are_the_hosts() {
    let images = Hdiutil::default();
    let dir = tempfile::tempdir().unwrap();
    assert!(!images.is_mount_point(&dir.path().join("none")).unwrap());
    let sub = dir.path().join("sub");
    std::fs::create_dir(&sub).unwrap();
    assert!(!images.is_mount_point(&sub).unwrap());
    // Another file system on every host that the tests run on.
    assert!(images.is_mount_point(Path::new("/dev")).unwrap());
    let space = images.space(dir.path()).unwrap();
    assert!(space.total > 0 && space.free <= space.total);
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commands that work on finished bundles, run as users run them. Exports are
//! judged by skopeo, umoci, zstd and tar.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use elfuse_payload::Digest;
use elfuse_tests::layout::LayerBlob;
use elfuse_tests::program::{bundle, bundler, run, succeed, tool};
use elfuse_tests::tarball::{Member, Tarball};
use elfuse_tests::tree::describe;
use serde_json::Value;

const BIG: usize = 9_000_000;

fn members() -> Vec<Member> {
    vec![
        Member::dir("bin").mode(0o755),
        Member::file("bin/tool", vec![b'x'; BIG]).mode(0o4755),
        Member::hardlink("bin/other", "bin/tool"),
        Member::dir("etc").mode(0o750).owner(3, 4),
        Member::file("etc/name", "box\n")
            .owner(1000, 1001)
            .mtime("1700000000.5"),
        Member::symlink("etc/absolute", "/etc/name"),
        Member::symlink("etc/loop", "loop"),
        Member::symlink("etc/up", "../../../../etc/name"),
        Member::file("etc/new\nline", "odd").xattr("user.note", "kept"),
        Member::device("null", b'3', 1, 3).mode(0o666),
        Member::fifo("pipe"),
    ]
}

fn image(members: Vec<Member>) -> Vec<LayerBlob> {
    vec![LayerBlob::tar(Tarball::of(members).finish())]
}

struct Fixture {
    dir: tempfile::TempDir,
    file: PathBuf,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let file = bundle(
            dir.path(),
            "box",
            &image(members()),
            &["--cmd", "/bin/tool"],
        );
        Self { dir, file }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, name: &str) -> Command {
        let mut command = bundler(&self.path("store"));
        command.arg(name).arg(&self.file);
        command
    }
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

fn prefixed(scheme: &str, path: &Path, suffix: &str) -> OsString {
    let mut text = OsString::from(scheme);
    text.push(path);
    text.push(suffix);
    text
}

#[test]
fn list_shows_what_the_image_has() {
    let fixture = Fixture::new();
    let text = String::from_utf8(succeed(&mut fixture.command("list"))).expect("UTF-8");
    for expected in [
        "-rwsr-xr-x      0     0     9000000 ",
        "h", // the other name
        "drwxr-x---      3     4           0 ",
        "2023-11-14 22:13:20 /etc/name\n",
        " /etc/absolute -> /etc/name\n",
        " /etc/new\\nline\n",
        "crw-rw-rw-      0     0        1, 3 ",
    ] {
        assert!(text.contains(expected), "no {expected:?} in:\n{text}");
    }
    assert_eq!(text.lines().count(), members().len() + 1, "one line each");
    let list = json(&succeed(fixture.command("list").args(["--json", "/etc"])));
    let paths: Vec<_> = list
        .as_array()
        .expect("a list")
        .iter()
        .map(|e| &e["path"])
        .collect();
    assert_eq!(paths.len(), 6);
    assert_eq!(list[0]["path"], "/etc");
    let missing = run(fixture.command("list").arg("/nowhere"));
    assert_eq!(missing.status.code(), Some(3));
}

#[test]
fn cat_follows_links_inside_the_image_only() {
    let fixture = Fixture::new();
    for path in ["/etc/name", "etc/absolute", "/etc/up", "/etc/../etc/./name"] {
        assert_eq!(
            succeed(fixture.command("cat").arg(path)),
            b"box\n",
            "{path}"
        );
    }
    assert_eq!(succeed(fixture.command("cat").arg("/bin/other")).len(), BIG);
    for (path, why) in [
        ("/etc", "it is a directory"),
        ("/etc/loop", "too many symbolic links"),
        ("/etc/name/x", "not a directory"),
        ("/etc/name/", "not a directory"),
        ("/etc/none", "not in the image"),
        ("/null", "it is a character device"),
    ] {
        let output = run(fixture.command("cat").arg(path));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains(why), "{path}: {errors}");
        assert_eq!(output.status.code(), Some(3), "{path}");
    }
}

#[test]
fn any_name_can_be_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let name = OsStr::from_bytes(b"/\xffname");
    let odd = vec![Member::file(&name.as_bytes()[1..], "odd")];
    let file = bundle(dir.path(), "box", &image(odd), &[]);
    let [contents, line] = ["cat", "list"].map(|command| {
        let mut command_line = bundler(&dir.path().join("store"));
        succeed(command_line.arg(command).arg(&file).arg(name))
    });
    assert_eq!(contents, b"odd");
    assert!(line.ends_with(b" /\\xffname\n"), "{line:?}");
}

/// What a pipe or a file that takes nothing makes of commands that print.
fn printing(fixture: &Fixture) -> Vec<Command> {
    let mut cat = fixture.command("cat");
    cat.arg("/bin/tool");
    let mut completions = bundler(&fixture.path("store"));
    completions.args(["completions", "bash"]);
    let mut json = fixture.command("inspect");
    json.arg("--json");
    let mut commands = vec![cat, completions, json];
    commands.extend(["inspect", "list", "sbom"].map(|name| fixture.command(name)));
    commands
}

#[test]
fn a_reader_that_stops_early_is_no_error() {
    let fixture = Fixture::new();
    for mut command in printing(&fixture) {
        // The end that reads is closed before anything can be written.
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = run(command.stdout(writer));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {errors}");
    }
    // Nor is one of what is told on the way.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut verify = loud(&fixture, "verify");
    assert!(verify.stderr(writer).status().expect("an end").success());
}

#[test]
fn output_that_does_not_fit_is_an_error() {
    let fixture = Fixture::new();
    for mut command in printing(&fixture) {
        let full = fs::File::create("/dev/full").expect("/dev/full");
        let output = run(command.stdout(full));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.starts_with("error: print: No space"), "{errors}");
        assert_eq!(output.status.code(), Some(3), "{command:?}");
    }
}

/// A command that is not told to be quiet.
fn loud(fixture: &Fixture, name: &str) -> Command {
    let quiet = fixture.command(name);
    let mut command = Command::new(quiet.get_program());
    command.arg(name).arg(&fixture.file);
    command
}

#[test]
fn what_is_done_is_told_as_loud_as_wanted() {
    let fixture = Fixture::new();
    let told = |more: &[&str]| {
        let output = run(loud(&fixture, "verify").args(more));
        assert!(output.status.success());
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned())
    };
    let [result, progress] = told(&[]);
    assert!(result.contains("intact"), "{result}");
    assert!(progress.contains("check pages ("), "{progress}");
    assert!(!progress.contains("done in"), "{progress}");
    let [_, progress] = told(&["--verbose"]);
    assert!(progress.contains("check pages: done in "), "{progress}");
    assert_eq!(told(&["--quiet"]), ["", ""]);
}

#[test]
fn extract_makes_the_tree_that_umoci_makes() {
    let fixture = Fixture::new();
    let root = fixture.path("root");
    succeed(fixture.command("extract").arg(&root));
    let layout = prefixed("", &fixture.path("box.layout"), ":latest");
    let theirs = fixture.path("umoci");
    tool(
        "umoci",
        [
            &OsString::from("unpack"),
            &OsString::from("--image"),
            &layout,
            theirs.as_os_str(),
        ],
    );
    let ours = describe(&root).expect("our tree");
    let mut theirs = describe(&theirs.join("rootfs")).expect("umoci's tree");
    // The layer does not say what the root is like.
    theirs.insert(".".into(), ours["."].clone());
    assert_eq!(ours, theirs);
    let again = run(fixture.command("extract").arg(&root));
    assert!(String::from_utf8_lossy(&again.stderr).contains("not empty"));
    let left: Vec<_> = fs::read_dir(fixture.dir.path())
        .expect("a directory")
        .flatten()
        .collect();
    assert!(
        left.iter()
            .all(|e| !e.file_name().to_string_lossy().starts_with('.')),
        "{left:?}"
    );
}

#[test]
fn diff_tells_what_changed_and_by_its_exit_code_whether() {
    let fixture = Fixture::new();
    let mut changed = members();
    changed[4] = Member::file("etc/name", "sphere\n")
        .owner(1000, 1001)
        .mtime("1700000000.5");
    changed[9] = Member::device("null", b'3', 1, 5).mode(0o600);
    changed.pop();
    let args = ["--cmd", "/bin/other"];
    let other = bundle(fixture.dir.path(), "other", &image(changed), &args);
    assert_eq!(
        run(fixture.command("diff").arg(&fixture.file))
            .status
            .code(),
        Some(0)
    );
    let output = run(bundler(&fixture.path("store"))
        .arg("diff")
        .arg(&fixture.file)
        .arg(&other));
    assert_eq!(output.status.code(), Some(1));
    let found = json(&succeed_with(
        1,
        fixture.command("diff").arg(&other).arg("--json"),
    ));
    assert_eq!(found["equal"], false);
    assert_eq!(found["settings"][0]["name"], "config.Cmd");
    let files = found["files"].as_array().expect("files");
    let lines: Vec<String> = files
        .iter()
        .map(|f| format!("{} {} {}", f["change"], f["path"], f["aspects"]))
        .collect();
    assert_eq!(
        lines,
        [
            r#""changed" "/etc/name" ["content"]"#,
            r#""changed" "/null" ["mode","device"]"#,
            r#""removed" "/pipe" null"#,
        ]
    );
    // A program that cannot be read is not "different".
    assert_eq!(
        run(fixture.command("diff").arg("/bin/sh")).status.code(),
        Some(3)
    );
}

fn succeed_with(code: i32, command: &mut Command) -> Vec<u8> {
    let output = run(command);
    assert_eq!(output.status.code(), Some(code), "{command:?}");
    output.stdout
}

#[test]
fn skopeo_takes_the_oci_exports_and_zstd_the_layer() {
    let fixture = Fixture::new();
    let inspected = json(&succeed(fixture.command("inspect").arg("--json")));
    let layout = fixture.path("out");
    succeed(
        fixture
            .command("export")
            .arg(prefixed("oci:", &layout, ":one")),
    );
    succeed(
        fixture
            .command("export")
            .arg(prefixed("oci:", &layout, ":two")),
    );
    succeed(
        fixture
            .command("export")
            .arg(prefixed("oci:", &layout, ":one")),
    );
    let index = json(&fs::read(layout.join("index.json")).expect("an index"));
    assert_eq!(
        index["manifests"].as_array().map(Vec::len),
        Some(2),
        "a name is replaced"
    );
    let archive = fixture.path("out.tar");
    succeed(
        fixture
            .command("export")
            .arg(prefixed("oci-archive:", &archive, ":one")),
    );
    for source in [
        prefixed("oci:", &layout, ":two"),
        prefixed("oci-archive:", &archive, ":one"),
    ] {
        let manifest = tool(
            "skopeo",
            [OsString::from("inspect"), "--raw".into(), source.clone()],
        );
        assert_eq!(Digest::of(&manifest).to_string(), inspected["digest"]);
        let copy = tempfile::tempdir().expect("a directory");
        let target = prefixed("dir:", copy.path(), "");
        tool("skopeo", [OsString::from("copy"), source, target]);
        let digest = inspected["layer"]["digest"].as_str().expect("a digest");
        let layer = copy.path().join(digest.trim_start_matches("sha256:"));
        let blob = fs::read(&layer).expect("the layer under its digest");
        assert_eq!(Digest::of(&blob).to_string(), digest);
        let plain = tool("zstd", [OsString::from("-dc"), layer.into()]);
        assert_eq!(Digest::of(&plain).to_string(), inspected["layer"]["diffId"]);
    }
}

#[test]
fn skopeo_umoci_and_tar_take_the_docker_archive() {
    let fixture = Fixture::new();
    let archive = fixture.path("docker.tar");
    succeed(
        fixture
            .command("export")
            .arg(prefixed("docker-archive:", &archive, ":box:v1")),
    );
    let first = fs::read(&archive).expect("an archive");
    succeed(
        fixture
            .command("export")
            .arg(prefixed("docker-archive:", &archive, ":box:v1")),
    );
    assert_eq!(
        fs::read(&archive).expect("an archive"),
        first,
        "equal bytes"
    );
    let layout = fixture.path("from-docker");
    let args = [
        "copy".into(),
        prefixed("docker-archive:", &archive, ":box:v1"),
        prefixed("oci:", &layout, ":v1"),
    ];
    tool("skopeo", args);
    // Older umoci knows no Zstandard; skopeo made gzip of the plain tar.
    let args = [
        "unpack".into(),
        "--image".into(),
        prefixed("", &layout, ":v1"),
        fixture.path("unpacked").into(),
    ];
    tool("umoci", args);
    let root = fixture.path("root");
    succeed(fixture.command("extract").arg(&root));
    let theirs = describe(&fixture.path("unpacked/rootfs")).expect("umoci's tree");
    assert_eq!(describe(&root).expect("ours"), theirs);
    tool(
        "tar",
        [
            "-xf".into(),
            archive.into_os_string(),
            "-C".into(),
            fixture.dir.path().into(),
        ],
    );
    let manifest = json(&fs::read(fixture.path("manifest.json")).expect("a manifest"));
    assert_eq!(manifest[0]["RepoTags"][0], "box:v1");
    let layer = manifest[0]["Layers"][0].as_str().expect("a layer");
    let names = tool("tar", ["-tf".into(), fixture.path(layer).into_os_string()]);
    assert!(String::from_utf8_lossy(&names).contains("bin/tool\n"));
}

#[test]
fn umoci_and_tar_take_the_gzip_exports() {
    let fixture = Fixture::new();
    let layout = fixture.path("out");
    let archive = fixture.path("out.tar");
    let gzip = ["--compression-format", "gzip"];
    let mut export = fixture.command("export");
    succeed(export.arg(prefixed("oci:", &layout, ":one")).args(gzip));
    // One core or all of them, and skopeo's name of the option: the same bytes.
    let mut pinned = Command::new("taskset");
    let export = fixture.command("export");
    pinned.args(["-c", "0"]).arg(export.get_program());
    pinned.args(export.get_args());
    pinned.arg(prefixed("oci-archive:", &archive, ":one"));
    succeed(pinned.args(["--dest-compress-format", "gzip"]));
    let unpacked = fixture.path("unpacked");
    fs::create_dir(&unpacked).expect("a directory");
    let args = ["-xf".as_ref(), archive.as_os_str(), "-C".as_ref()];
    succeed(Command::new("tar").args(args).arg(&unpacked));
    let names = ["index.json", "oci-layout", "blobs/sha256"];
    for name in names {
        let same = Command::new("diff")
            .arg("-r")
            .args([layout.join(name), unpacked.join(name)])
            .status();
        assert!(same.expect("diff").success(), "{name}");
    }
    // umoci's Go reads the members of a gzip file as one stream.
    let image = prefixed("", &layout, ":one");
    let theirs = fixture.path("umoci");
    let words = ["unpack", "--image"].map(OsString::from);
    tool(
        "umoci",
        words
            .into_iter()
            .chain([image.clone(), theirs.clone().into()]),
    );
    let root = fixture.path("root");
    succeed(fixture.command("extract").arg(&root));
    let theirs = describe(&theirs.join("rootfs")).expect("umoci's tree");
    assert_eq!(describe(&root).expect("ours"), theirs);

    let source = prefixed("oci:", &layout, ":one");
    let raw = ["inspect".into(), "--raw".into(), source.clone()];
    let manifest = json(&tool("skopeo", raw));
    let inspected = json(&succeed(fixture.command("inspect").arg("--json")));
    let layer = &manifest["layers"][0];
    assert_eq!(
        layer["mediaType"],
        "application/vnd.oci.image.layer.v1.tar+gzip"
    );
    let digest = layer["digest"].as_str().expect("a digest");
    let blob = layout
        .join("blobs/sha256")
        .join(digest.trim_start_matches("sha256:"));
    let bytes = fs::read(&blob).expect("the layer under its digest");
    assert_eq!(Digest::of(&bytes).to_string(), digest);
    assert_eq!(layer["size"], bytes.len());
    let mut gunzip = Command::new("gzip");
    gunzip
        .arg("-dc")
        .stdin(fs::File::open(&blob).expect("the layer"));
    let plain = succeed(&mut gunzip);
    assert_eq!(Digest::of(&plain).to_string(), inspected["layer"]["diffId"]);

    // Bundled again it is the same image.
    let again = fixture.path("again");
    succeed(
        bundler(&fixture.path("store"))
            .arg(&source)
            .arg("-o")
            .arg(&again),
    );
    let again = json(&succeed(
        bundler(&fixture.path("store"))
            .args(["inspect", "--json"])
            .arg(again),
    ));
    assert_eq!(again["layer"], inspected["layer"]);
    assert_eq!(again["digest"], inspected["digest"]);

    let mut docker = fixture.command("export");
    docker.arg(prefixed("docker-archive:", &fixture.path("d.tar"), ""));
    let output = run(docker.args(gzip));
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("never compressed"));
    assert!(!fixture.path("d.tar").exists());
}

#[test]
fn exports_replace_nothing_that_is_not_theirs() {
    let fixture = Fixture::new();
    let dir = fixture.path("mine");
    fs::create_dir(&dir).expect("a directory");
    fs::write(dir.join("file"), "mine").expect("a file");
    for target in [
        prefixed("oci:", &dir, ""),
        prefixed("oci-archive:", &dir, ""),
        prefixed("docker-archive:", &dir, ""),
    ] {
        assert_eq!(
            run(fixture.command("export").arg(&target)).status.code(),
            Some(3)
        );
    }
    assert_eq!(
        run(fixture.command("export").arg("floppy:a")).status.code(),
        Some(2)
    );
    assert_eq!(fs::read(dir.join("file")).expect("the file"), b"mine");
}

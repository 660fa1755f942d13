// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bills of materials, compared with what dpkg and rpm themselves say of the
//! same root, and judged by the libraries of SPDX and CycloneDX.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use elfuse_tests::bundler::User;
use elfuse_tests::python::{packages_of_python, python_with};
use elfuse_tests::workspace::{self, run, try_run};

/// Bundles a directory and returns the package URLs that both documents have,
/// the image's own left out.
fn packages(user: &User, dir: &Path) -> Result<BTreeSet<String>> {
    let source = format!("rootfs:{}", dir.display());
    user.run([&source, "-o", "box", "--force"])?;
    for format in ["spdx", "cyclonedx"] {
        let document = user.run(["sbom", "box", "--format", format])?;
        let again = user.run(["sbom", "box", "--format", format])?;
        ensure!(
            document == again,
            "{format} differs from one run to the next"
        );
        fs::write(user.path(format), document)?;
    }
    let judges = [
        "spdx-tools==0.8.5",
        "cyclonedx-python-lib[json-validation]==11.12.0",
    ];
    let mut judge = python_with("sbom", &judges)?;
    judge.arg(workspace::root().join("tests/tools/judge_sbom.py"));
    judge.arg(user.path("spdx")).arg(user.path("cyclonedx"));
    let purls = String::from_utf8(run(&mut judge)?)?;
    let image = |purl: &&str| !purl.starts_with("pkg:oci/");
    Ok(purls.lines().filter(image).map(str::to_owned).collect())
}

fn write(root: &Path, path: &str, text: &str) -> Result<()> {
    let path = root.join(path);
    fs::create_dir_all(path.parent().context("a parent")?)?;
    Ok(fs::write(path, text)?)
}

const STATUS: &str = "\
Package: libc6
Status: install ok installed
Maintainer: GNU Libc Maintainers <debian-glibc@lists.debian.org>
Architecture: arm64
Source: glibc
Version: 2.36-9+deb12u8
Description: a library
 Version: 9 is not a field here

Package: removed
Status: deinstall ok config-files
Architecture: arm64
Version: 1

Package: tar
Status: install ok installed
Maintainer: Somebody
Architecture: arm64
Version: 1:1.34+dfsg-1.2
";

#[test]
fn dpkg_packages_are_those_that_dpkg_query_lists() -> Result<()> {
    let user = User::new()?;
    let dir = user.path("root");
    write(&dir, "etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n")?;
    write(&dir, "var/lib/dpkg/status", STATUS)?;
    let found = packages(&user, &dir)?;
    let format = "${db:Status-Status} pkg:deb/debian/${Package}@${Version}?arch=${Architecture}&distro=debian-12 ${source:Package} ${Package}\n";
    let mut query = Command::new("dpkg-query");
    query.arg("--admindir").arg(dir.join("var/lib/dpkg"));
    let listed = String::from_utf8(run(query.args(["-W", "-f", format]))?)?;
    let mut expected = BTreeSet::new();
    for line in listed.lines() {
        if let ["installed", purl, source, package] = line.split(' ').collect::<Vec<_>>()[..] {
            let purl = purl.replace('+', "%2B");
            expected.insert(match source {
                source if source == package => purl,
                source => format!("{purl}&upstream={source}"),
            });
        }
    }
    ensure!(
        expected.len() == 2 && found == expected,
        "{found:?} {expected:?}"
    );
    Ok(())
}

#[test]
fn packages_of_images_without_dpkg_and_of_apk_are_found() -> Result<()> {
    let user = User::new()?;
    let dir = user.path("root");
    let one = "Package: base-files\nVersion: 12.4\nArchitecture: arm64\n";
    write(&dir, "var/lib/dpkg/status.d/base", one)?;
    write(&dir, "var/lib/dpkg/status.d/base.md5sums", "0 Package: x\n")?;
    write(&dir, "usr/lib/os-release", "ID=alpine\nVERSION_ID=3.20.1\n")?;
    let installed = "C:Q1\nP:busybox\nV:1.36.1-r29\nA:aarch64\nL:GPL-2.0-only\no:busybox\n\n\
                     P:ssl_client\nV:1.36.1-r29\nA:aarch64\no:busybox\n";
    write(&dir, "lib/apk/db/installed", installed)?;
    let found = packages(&user, &dir)?;
    let distro = "arch=aarch64&distro=alpine-3.20.1";
    let expected = BTreeSet::from([
        format!("pkg:apk/alpine/busybox@1.36.1-r29?{distro}"),
        format!("pkg:apk/alpine/ssl_client@1.36.1-r29?{distro}&upstream=busybox"),
        "pkg:deb/alpine/base-files@12.4?arch=arm64&distro=alpine-3.20.1".to_owned(),
    ]);
    ensure!(found == expected, "{found:?}");
    Ok(())
}

/// Packages of many sizes, the first one so big that no page of a database holds it.
fn rpm_spec() -> String {
    let text = "a long description\n".repeat(5000);
    let mut spec = format!(
        "Name: one\nVersion: 1.2~rc1\nRelease: 3\nEpoch: 1\nSummary: s\nLicense: MIT and BSD\n\
         Vendor: Vendor Inc.\nBuildArch: noarch\n%description\n{text}\n%files\n"
    );
    for n in 0..RPM_PARTS {
        let text = "more\n".repeat(n % 50 * 20);
        spec +=
            &format!("%package part{n}\nSummary: s\n%description part{n}\n{text}%files part{n}\n");
    }
    spec
}

/// More than a page of ndb has slots for.
const RPM_PARTS: usize = 300;

/// rpm for a database of some format. Debian's writes SQLite and reads Berkeley
/// DB; ndb is known to the rpm that a scanner of packages brings for x86-64.
fn rpm(format: &str, database: &Path) -> Result<Command> {
    let mut rpm = Command::new("rpm");
    if format == "ndb" {
        let wheel = ["--no-deps", "rpm-inspector-rpm==4.16.1.3.210404"];
        let bin = packages_of_python("rpm", &wheel)?.join("rpm_inspector_rpm/bin");
        rpm = Command::new(bin.join("rpm"));
        rpm.arg("--rcfile").arg(bin.join("rpmrc"));
    }
    rpm.args(options(format, database));
    Ok(rpm)
}

fn options(format: &str, database: &Path) -> Vec<String> {
    let database = database.display();
    let macros = [
        format!("_db_backend {format}"),
        format!("_dbpath {database}"),
        format!("_rpmlock_path {database}/.lock"),
    ];
    let option = |value| ["--define".to_owned(), value];
    macros.into_iter().flat_map(option).collect()
}

/// Bundles a root with a database and compares what is found in it with what
/// rpm lists. Returns the notes.
fn compare_with_rpm(user: &User, format: &str, root: &Path, database: &Path) -> Result<String> {
    write(root, "etc/os-release", "ID=fedora\nVERSION_ID=40\n")?;
    let found = packages(user, root)?;
    let line = "pkg:rpm/fedora/%{NAME}@%{VERSION}-%{RELEASE}?arch=%{ARCH}&distro=fedora-40&epoch=%{EPOCH}&upstream=%{SOURCERPM}\n";
    let mut query = rpm(format, database)?;
    let listed = String::from_utf8(run(query.args(["-qa", "--qf", line]))?)?;
    let expected: BTreeSet<_> = listed.lines().map(str::to_owned).collect();
    ensure!(
        expected.len() == RPM_PARTS && found == expected,
        "{format}: {found:?} {expected:?}"
    );
    let again = try_run(&mut user.command(["sbom", "box"])?)?;
    Ok(String::from_utf8(again.stderr)?)
}

#[test]
fn rpm_packages_of_all_formats_are_those_that_rpm_itself_lists() -> Result<()> {
    let user = User::new()?;
    let spec = user.path("one.spec");
    fs::write(&spec, rpm_spec())?;
    let top = format!("_topdir {}", user.path("build").display());
    run(Command::new("rpmbuild")
        .args(["--define", &top, "-bb"])
        .arg(&spec))?;
    let mut built = Vec::new();
    for package in fs::read_dir(user.path("build/RPMS/noarch"))? {
        built.push(package?.path());
    }
    let database = |format| user.path(format).join("usr/lib/sysimage/rpm");
    for format in ["sqlite", "ndb"] {
        let database = database(format);
        fs::create_dir_all(&database)?;
        let mut install = rpm(format, &database)?;
        install.args([
            "-i",
            "--justdb",
            "--nodeps",
            "--nosignature",
            "--ignorearch",
        ]);
        run(install.args(&built))?;
        let mut erase = rpm(format, &database)?;
        run(erase.args(["-e", "--justdb", "--nodeps", "one-part7"]))?;
        // From before the system changed to the present format.
        let root = user.path(format);
        write(&root, "var/lib/rpm/Packages", "left over")?;
        let notes = compare_with_rpm(&user, format, &root, &database)?;
        ensure!(
            notes.starts_with("/var/lib/rpm/Packages: not read"),
            "{notes}"
        );
    }
    let mut export = Command::new("rpmdb");
    export.args(options("sqlite", &database("sqlite")));
    let headers = run(export.arg("--exportdb"))?;
    fs::write(user.path("headers"), headers)?;
    for (page_size, order) in [("512", "little"), ("4096", "big"), ("32768", "little")] {
        let root = user.path(page_size);
        let database = root.join("var/lib/rpm");
        fs::create_dir_all(&database)?;
        let mut load = Command::new("perl");
        load.arg(workspace::root().join("tests/tools/rpm_berkeley.pl"));
        load.arg(database.join("Packages")).args([page_size, order]);
        run(load.stdin(File::open(user.path("headers"))?))?;
        fs::create_dir_all(root.join("usr/lib/sysimage"))?;
        symlink("/var/lib/rpm", root.join("usr/lib/sysimage/rpm"))?;
        let notes = compare_with_rpm(&user, "bdb_ro", &root, &database)?;
        ensure!(notes.is_empty(), "{notes}");
    }
    Ok(())
}

#[test]
fn damaged_rpm_databases_are_refused_by_name() -> Result<()> {
    let user = User::new()?;
    let cases = [
        ("var/lib/rpm/Packages", "not a Berkeley DB database"),
        ("usr/lib/sysimage/rpm/Packages.db", "not an ndb database"),
        ("var/lib/rpm/rpmdb.sqlite", "not an SQLite database"),
    ];
    for (path, why) in cases {
        let dir = user.path("root");
        write(&dir, path, &"x".repeat(4096))?;
        let source = format!("rootfs:{}", dir.display());
        user.run([&source, "-o", "box", "--force"])?;
        let said = user.fails(3, ["sbom", "box"])?;
        ensure!(said.contains(path) && said.contains(why), "{said}");
        fs::remove_dir_all(dir)?;
    }
    Ok(())
}

#[test]
fn image_without_a_database_has_a_document_and_a_note() -> Result<()> {
    let user = User::new()?;
    write(&user.path("root"), "bin/tool", "x")?;
    let found = packages(&user, &user.path("root"))?;
    ensure!(found.is_empty(), "{found:?}");
    Ok(())
}

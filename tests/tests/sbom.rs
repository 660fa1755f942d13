// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bills of materials, compared with what dpkg and rpm themselves say of the
//! same root, and judged by the libraries of SPDX and CycloneDX.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use elfuse_tests::bundler::User;
use elfuse_tests::python::python_with;
use elfuse_tests::workspace::{root, run};

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
    judge.arg(root().join("tests/tools/judge_sbom.py"));
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

/// A package with many files' worth of changes in its header, so that it needs
/// overflow pages in the database.
fn rpm_spec(name: &str) -> String {
    let text = "a long description\n".repeat(500);
    format!(
        "Name: {name}\nVersion: 1.2~rc1\nRelease: 3\nEpoch: 1\nSummary: s\nLicense: MIT and BSD\n\
         Vendor: Vendor Inc.\nBuildArch: noarch\n%description\n{text}\n%files\n"
    )
}

#[test]
fn rpm_packages_are_those_that_rpm_itself_lists() -> Result<()> {
    let user = User::new()?;
    let dir = user.path("root");
    write(&dir, "etc/os-release", "ID=fedora\nVERSION_ID=40\n")?;
    let database = dir.join("usr/lib/sysimage/rpm");
    fs::create_dir_all(&database)?;
    let database = format!("_dbpath {}", database.display());
    let rpm = || {
        let mut rpm = Command::new("rpm");
        rpm.args(["--define", &database, "--define", "_db_backend sqlite"]);
        rpm
    };
    let top = format!("_topdir {}", user.path("build").display());
    for name in ["one", "two", "three"] {
        let spec = user.path(&format!("{name}.spec"));
        fs::write(&spec, rpm_spec(name))?;
        run(Command::new("rpmbuild")
            .args(["--define", &top, "-bb"])
            .arg(&spec))?;
        let package = user.path(&format!("build/RPMS/noarch/{name}-1.2~rc1-3.noarch.rpm"));
        run(rpm()
            .args(["-i", "--justdb", "--nodeps", "--nosignature"])
            .arg(package))?;
    }
    let found = packages(&user, &dir)?;
    let format = "pkg:rpm/fedora/%{NAME}@%{VERSION}-%{RELEASE}?arch=%{ARCH}&distro=fedora-40&epoch=%{EPOCH}&upstream=%{SOURCERPM}\n";
    let listed = String::from_utf8(run(rpm().args(["-qa", "--qf", format]))?)?;
    let expected: BTreeSet<_> = listed.lines().map(str::to_owned).collect();
    ensure!(
        expected.len() == 3 && found == expected,
        "{found:?} {expected:?}"
    );
    Ok(())
}

#[test]
fn older_rpm_databases_and_damaged_ones_are_refused_by_name() -> Result<()> {
    let user = User::new()?;
    let cases = [
        (
            "var/lib/rpm/Packages",
            "the Berkeley DB format is not supported",
        ),
        (
            "usr/lib/sysimage/rpm/Packages.db",
            "the ndb format is not supported",
        ),
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

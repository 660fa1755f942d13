// SPDX-License-Identifier: MIT OR Apache-2.0
//! Software bill of materials from the package databases of an image.
//!
//! [`Inventory::of`] reads what dpkg, apk and rpm recorded, out of the layer and
//! without extracting it; [`Format`] writes it down. Databases are foreign
//! bytes: sizes are bounded, and damage is an error that names the file. Equal
//! bundles have equal documents: their only time is the image's own.

mod apk;
mod berkeley;
mod cyclonedx;
mod dpkg;
mod ndb;
mod os_release;
mod pages;
mod rpm;
mod spdx;
mod sqlite;
mod stanza;
#[cfg(test)]
mod tests;

use std::io::{self, Read};

use elfuse_payload::Digest;
use elfuse_payload::provenance::Provenance;
use elfuse_payload::toc::{Entry, Kind};
use serde_json::Value;

use crate::bundle::{Bundle, BundleError, Tree, text};
use os_release::OsRelease;

/// A database longer than this is refused.
const MAX_DATABASE: u64 = 512 << 20;
/// An image with more packages than this is refused.
const MAX_PACKAGES: usize = 1 << 18;

/// Why there is no bill of materials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SbomError {
    /// The bundle is damaged.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A database is damaged or not supported, or the bundle is damaged there.
    #[error("read package database {path}: {source}")]
    Database {
        /// The file in the image.
        path: String,
        /// What is wrong.
        source: io::Error,
    },
}

/// How the document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// SPDX 2.3 as JSON.
    #[default]
    Spdx,
    /// CycloneDX 1.5 as JSON.
    Cyclonedx,
}

/// Whose database a package stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Manager {
    Apk,
    Dpkg,
    Rpm,
}

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    manager: Manager,
    name: String,
    /// As the package manager writes it, without an rpm's epoch.
    version: String,
    epoch: Option<u32>,
    architecture: Option<String>,
    /// As the database has it: often no SPDX expression.
    license: Option<String>,
    /// Who made the package: `NAME <MAIL>` or a name.
    maintainer: Option<String>,
    /// The source package, where it has another name.
    source: Option<String>,
}

/// What is installed in an image.
#[derive(Debug)]
pub struct Inventory {
    subject: Subject,
    os: OsRelease,
    packages: Vec<Package>,
    notes: Vec<String>,
}

/// The image that a document is about.
#[derive(Debug)]
struct Subject {
    name: String,
    digest: Digest,
    created: String,
}

impl Inventory {
    /// Reads the package databases of a bundle.
    ///
    /// # Errors
    /// A database is damaged or of an unknown format, or the bundle is damaged.
    pub fn of(bundle: &Bundle) -> Result<Self, SbomError> {
        let tree = Tree::open(bundle)?;
        let mut notes = Vec::new();
        let mut packages = dpkg::read(&tree)?;
        packages.append(&mut apk::read(&tree)?);
        packages.append(&mut rpm::read(&tree, &mut notes)?);
        if packages.is_empty() {
            notes.push("no packages: the image has no database of dpkg, apk or rpm".to_owned());
        }
        packages.sort();
        packages.dedup();
        Ok(Self {
            subject: Subject::of(bundle),
            os: OsRelease::of(&tree)?,
            packages,
            notes,
        })
    }

    /// What a reader of the document should know.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The document.
    #[must_use]
    pub fn document(&self, format: Format) -> Value {
        match format {
            Format::Spdx => spdx::document(self),
            Format::Cyclonedx => cyclonedx::document(self),
        }
    }
}

impl Subject {
    fn of(bundle: &Bundle) -> Self {
        let provenance: &Provenance = bundle.payload().provenance();
        let source = provenance.sources.first();
        Self {
            name: source.map_or_else(|| "image".to_owned(), |s| s.reference.clone()),
            digest: Digest::of(bundle.payload().manifest()),
            created: whole_seconds(provenance.created.as_deref()),
        }
    }

    /// A package URL without registry: digests are the same everywhere.
    fn purl(&self) -> String {
        let path = self.name.split('@').next().unwrap_or(&self.name);
        let last = path.rsplit('/').next().unwrap_or(path);
        let name = last.split(':').next().unwrap_or(last);
        format!(
            "pkg:oci/{}@{}",
            quoted(name),
            quoted(&self.digest.to_string())
        )
    }
}

/// `YYYY-MM-DDThh:mm:ssZ` of a time in UTC; the beginning of 1970 for others.
fn whole_seconds(time: Option<&str>) -> String {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let seconds = time.filter(|time| time.ends_with('Z'));
    let seconds = seconds.and_then(|time| time.get(..SHAPE.len()));
    let is_time = |time: &&str| {
        let mut pairs = time.bytes().zip(SHAPE);
        pairs.all(|(byte, shape)| byte == *shape || *shape == b'0' && byte.is_ascii_digit())
    };
    seconds
        .filter(is_time)
        .map_or_else(|| crate::date::rfc3339(0), |time| format!("{time}Z"))
}

impl Package {
    /// The package URL.
    fn purl(&self, os: &OsRelease) -> String {
        let kind = match self.manager {
            Manager::Apk => "apk",
            Manager::Dpkg => "deb",
            Manager::Rpm => "rpm",
        };
        let version = quoted(&self.version);
        let mut purl = format!(
            "pkg:{kind}/{}/{}@{version}",
            quoted(&os.id),
            quoted(&self.name)
        );
        let qualifiers = [
            ("arch", self.architecture.clone()),
            (
                "distro",
                os.version.as_ref().map(|v| format!("{}-{v}", os.id)),
            ),
            ("epoch", self.epoch.map(|epoch| epoch.to_string())),
            ("upstream", self.source.clone()),
        ];
        let mut separator = '?';
        for (key, value) in qualifiers {
            if let Some(value) = value {
                purl.push_str(&format!("{separator}{key}={}", quoted(&value)));
                separator = '&';
            }
        }
        purl
    }
}

/// Percent-encoded as package URLs have it: a colon stays.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            quoted.push_str(&format!("%{byte:02X}"));
        }
    }
    quoted
}

/// The file that a path leads to, if there is one.
fn file<'t>(tree: &'t Tree, path: &str) -> Option<&'t Entry> {
    let entry = tree.resolve(path.as_bytes()).ok()?;
    (entry.kind == Kind::File).then_some(entry)
}

/// Opens a database for reading.
fn open(tree: &Tree, entry: &Entry) -> Result<impl Read + use<>, SbomError> {
    let failed = database_error(entry);
    if entry.size > MAX_DATABASE {
        return Err(failed(io::Error::other("it is longer than 512 MiB")));
    }
    tree.read(entry).map_err(failed)
}

fn database_error(entry: &Entry) -> impl Fn(io::Error) -> SbomError + use<> {
    let path = text(&entry.path);
    move |source| SbomError::Database {
        path: path.clone(),
        source,
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

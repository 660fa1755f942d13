// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes a bundle's image in formats other tools read.
//!
//! [`Target`] names the format and the place. OCI targets get the manifest,
//! config and layer blob as they are in the bundle, so digests stay, unless
//! [`Compression`] says otherwise; a docker-archive gets the layer as the plain
//! tar whose digest the config states. Every byte is checked against its digest
//! on the way, and a target appears under its name when it is complete.

mod archive;
mod layout;
mod outgoing;

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use elfuse_payload::Digest;
use elfuse_payload::layer::LayerError;
use elfuse_payload::reader::PayloadError;

pub use outgoing::{Compression, Outgoing};

use crate::bundle::Bundle;
use crate::progress::Progress;

/// Name of an image that was given none.
const DEFAULT_TAG: &str = "latest";

/// Where an export goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `oci:DIR[:TAG]`: a layout directory, new or with other images in it.
    OciLayout {
        /// The directory.
        dir: PathBuf,
        /// The image's name in it.
        tag: String,
    },
    /// `oci-archive:FILE[:TAG]`: a layout in a tar.
    OciArchive {
        /// The file.
        file: PathBuf,
        /// The image's name in it.
        tag: String,
    },
    /// `docker-archive:FILE[:REF]`: what `docker load` reads.
    DockerArchive {
        /// The file.
        file: PathBuf,
        /// The image's name with its tag.
        name: Option<String>,
    },
}

/// Why an image could not be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Not one of the three forms.
    #[error(
        "export to {0:?}: not a target\nhint: use oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME:TAG]"
    )]
    Target(String),
    /// A name that the format does not allow.
    #[error("export as {0:?}: not a valid name")]
    Name(String),
    /// The format leaves no choice.
    #[error(
        "export to docker-archive: its layer is never compressed\nhint: leave out --compression-format, or use oci-archive:FILE"
    )]
    Compression,
    /// Something that is not ours to replace is there.
    #[error("export to {}: {what}", .path.display())]
    Occupied {
        /// The path.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// The bundle is damaged.
    #[error("export layer: its digest is {actual}, not {expected}")]
    Digest {
        /// What the bundle says.
        expected: Digest,
        /// What is there.
        actual: Digest,
    },
    /// The bundle is damaged.
    #[error("export layer")]
    Layer(#[from] LayerError),
    /// The bundle is damaged.
    #[error("export layer")]
    Payload(#[from] PayloadError),
    /// The host refused something.
    #[error("{action} {}: {source}", .path.display())]
    Io {
        /// What was done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl FromStr for Target {
    type Err = ExportError;

    fn from_str(text: &str) -> Result<Self, ExportError> {
        let wrong = || ExportError::Target(text.to_owned());
        let (scheme, rest) = text.split_once(':').ok_or_else(wrong)?;
        let (path, name) = match rest.split_once(':') {
            Some((path, name)) => (path, Some(name)),
            None => (rest, None),
        };
        if path.is_empty() {
            return Err(wrong());
        }
        let tag = || layout_tag(name.unwrap_or(DEFAULT_TAG));
        match scheme {
            "oci" => Ok(Self::OciLayout {
                dir: path.into(),
                tag: tag()?,
            }),
            "oci-archive" => Ok(Self::OciArchive {
                file: path.into(),
                tag: tag()?,
            }),
            "docker-archive" => Ok(Self::DockerArchive {
                file: path.into(),
                name: name.map(docker_name).transpose()?,
            }),
            _ => Err(wrong()),
        }
    }
}

/// A reference name as the OCI layout has it: words joined by separators.
fn layout_tag(tag: &str) -> Result<String, ExportError> {
    let is_word = |b: u8| b.is_ascii_alphanumeric();
    let is_separator = |b: u8| b"-._:@+/".contains(&b);
    let bytes = tag.as_bytes();
    let is_joined = bytes
        .windows(2)
        .all(|pair| !(is_separator(pair[0]) && is_separator(pair[1])));
    let valid = bytes.iter().all(|&b| is_word(b) || is_separator(b))
        && bytes.first().copied().is_some_and(is_word)
        && bytes.last().copied().is_some_and(is_word);
    if valid && is_joined {
        Ok(tag.to_owned())
    } else {
        Err(ExportError::Name(tag.to_owned()))
    }
}

/// `NAME[:TAG]` with the tag that docker assumes.
fn docker_name(name: &str) -> Result<String, ExportError> {
    let valid = |part: &str, extra: &[u8]| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || extra.contains(&b))
    };
    let (repository, tag) = match name.rsplit_once(':') {
        // A colon before a slash is a port's.
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, DEFAULT_TAG),
    };
    let tag_lower = tag.to_ascii_lowercase();
    if valid(repository, b"./-_:") && valid(&tag_lower, b".-_") && tag.len() <= 128 {
        Ok(format!("{repository}:{tag}"))
    } else {
        Err(ExportError::Name(name.to_owned()))
    }
}

/// How an image is exported.
#[derive(Debug, Clone, Copy)]
pub struct ExportOptions<'a> {
    /// The layer's compression; a choice for OCI targets only.
    pub compression: Option<Compression>,
    /// Where a layer that is compressed anew waits, in a file without a name.
    pub scratch: &'a Path,
    /// Threads that compress and decompress.
    pub threads: usize,
}

/// Writes the image of `bundle` to `target`.
///
/// # Errors
/// What is wrong with the target or the bundle; the target is then untouched.
pub fn export(
    bundle: &Bundle,
    target: &Target,
    options: &ExportOptions<'_>,
    progress: &dyn Progress,
) -> Result<(), ExportError> {
    let ExportOptions {
        compression,
        scratch,
        threads,
    } = *options;
    let outgoing = || {
        let compression = compression.unwrap_or_default();
        Outgoing::new(bundle, compression, scratch, threads, progress)
    };
    match target {
        Target::OciLayout { dir, tag } => layout::write(&outgoing()?, dir, tag, progress),
        Target::OciArchive { file, tag } => archive::write_oci(&outgoing()?, file, tag, progress),
        Target::DockerArchive { .. } if compression.is_some() => Err(ExportError::Compression),
        Target::DockerArchive { file, name } => {
            archive::write_docker(bundle, file, name.as_deref(), threads, progress)
        }
    }
}

fn io_error<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> ExportError + 'a {
    move |source| ExportError::Io {
        action,
        path: path.to_path_buf(),
        source,
    }
}

fn check(expected: Digest, actual: Digest) -> Result<(), ExportError> {
    if expected == actual {
        Ok(())
    } else {
        Err(ExportError::Digest { expected, actual })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_told_apart() {
        let oci = |dir: &str, tag: &str| Target::OciLayout {
            dir: dir.into(),
            tag: tag.into(),
        };
        assert_eq!("oci:a/b".parse::<Target>().unwrap(), oci("a/b", "latest"));
        assert_eq!("oci:a:v1".parse::<Target>().unwrap(), oci("a", "v1"));
        assert_eq!(
            "docker-archive:f.tar:localhost:5000/a/b:1.0"
                .parse::<Target>()
                .unwrap(),
            Target::DockerArchive {
                file: "f.tar".into(),
                name: Some("localhost:5000/a/b:1.0".into())
            }
        );
        for text in [
            "",
            "x",
            "oci:",
            "oci::v1",
            "dir:x",
            "oci:a:-",
            "oci:a:v 1",
            "docker-archive:f:A",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn docker_names_get_the_default_tag() {
        assert_eq!(docker_name("a").unwrap(), "a:latest");
        assert_eq!(docker_name("host:5000/a").unwrap(), "host:5000/a:latest");
        assert_eq!(docker_name("a:V1").unwrap(), "a:V1");
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Image reference grammar: `[REGISTRY/]REPO[:TAG][@DIGEST]`.
//!
//! The grammar is that of the distribution project, and short names are read as
//! Docker reads them: without a registry it is Docker's, there without a slash it
//! is `library/`, and without tag and digest it is `latest`. A first component is
//! a registry if it has a dot, a colon or an upper-case letter, or is
//! `localhost`. [`Reference`] prints in full, so equal images have equal names.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use elfuse_payload::Digest;

/// The registry of short names.
pub const DEFAULT_REGISTRY: &str = "docker.io";
/// Where that registry answers.
const DEFAULT_REGISTRY_HOST: &str = "registry-1.docker.io";
const DEFAULT_TAG: &str = "latest";
/// Longest registry and repository together.
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// The name of an image in a registry, in full.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is no image reference.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("parse image name {text:?}: {why}")]
pub struct InvalidReference {
    text: String,
    why: Why,
}

#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
enum Why {
    #[error("it is empty")]
    Empty,
    #[error("the registry is not HOST[:PORT]")]
    Registry,
    #[error("docker:// is skopeo's way to write it\nhint: leave out docker://")]
    Scheme,
    #[error("the repository has upper-case letters\nhint: repositories are lower case")]
    UpperCase,
    #[error("the repository is not made of a-z, 0-9 and single separators . _ __ - /")]
    Repository,
    #[error("registry and repository are longer than {MAX_NAME} characters")]
    Length,
    #[error("the tag is not made of at most {MAX_TAG} of A-Z, a-z, 0-9, . _ -")]
    Tag,
    #[error("the digest is not sha256: and 64 lower-case hexadecimal digits")]
    Digest,
    #[error("64 hexadecimal digits are an image's id, not its name")]
    Id,
}

impl Reference {
    /// The registry, such as `docker.io` or `localhost:5000`.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The host and port that answer for the registry.
    #[must_use]
    pub fn registry_host(&self) -> &str {
        if self.registry == DEFAULT_REGISTRY {
            DEFAULT_REGISTRY_HOST
        } else {
            &self.registry
        }
    }

    /// The repository in its registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; `None` only if there is a digest.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, which then decides and not the tag.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Registry and repository.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest
            .iter()
            .try_for_each(|digest| write!(f, "@{digest}"))
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        parse(text)
    }
}

/// Parses a reference.
///
/// # Errors
/// Says which part is wrong.
pub fn parse(text: &str) -> Result<Reference, InvalidReference> {
    parts(text).map_err(|why| InvalidReference {
        text: text.to_owned(),
        why,
    })
}

fn parts(text: &str) -> Result<Reference, Why> {
    if text.is_empty() {
        return Err(Why::Empty);
    }
    if text.starts_with("docker://") {
        return Err(Why::Scheme);
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.parse().map_err(|_| Why::Digest)?)),
        None => (text, None),
    };
    let (registry, rest) = match rest.split_once('/') {
        Some((first, rest)) if is_registry(first) => (Some(first), rest),
        _ => (None, rest),
    };
    let (repository, tag) = match rest.split_once(':') {
        Some((repository, tag)) => (repository, Some(tag)),
        None => (rest, None),
    };
    if !tag.is_none_or(is_tag) {
        return Err(Why::Tag);
    }
    let registry = match registry {
        None | Some("index.docker.io") => DEFAULT_REGISTRY,
        Some(registry) if is_host(registry) => registry,
        Some(_) => return Err(Why::Registry),
    };
    if repository.len() == 64 && repository.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Why::Id);
    }
    if !repository.split('/').all(is_component) {
        let upper = repository.bytes().any(|b| b.is_ascii_uppercase());
        let fixed = repository.to_ascii_lowercase();
        let only_case = upper && fixed.split('/').all(is_component);
        return Err(if only_case {
            Why::UpperCase
        } else {
            Why::Repository
        });
    }
    let is_official = registry == DEFAULT_REGISTRY && !repository.contains('/');
    let repository = match is_official {
        true => format!("library/{repository}"),
        false => repository.to_owned(),
    };
    if registry.len() + 1 + repository.len() > MAX_NAME {
        return Err(Why::Length);
    }
    let tag = tag.or(digest.is_none().then_some(DEFAULT_TAG));
    Ok(Reference {
        registry: registry.to_owned(),
        repository,
        tag: tag.map(str::to_owned),
        digest,
    })
}

/// Whether a first component names a registry rather than a user.
fn is_registry(first: &str) -> bool {
    first == "localhost"
        || first.contains(['.', ':'])
        || first.bytes().any(|b| b.is_ascii_uppercase())
}

/// `HOST[:PORT]`, with IPv6 addresses in brackets.
pub(crate) fn is_host(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        let is_address = address.parse::<std::net::Ipv6Addr>().is_ok();
        return is_address && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    host.split('.').all(is_label) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Runs of `a-z0-9` with one separator between: `.`, `_`, `__` or dashes.
fn is_component(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let edges =
        bytes.first().copied().is_some_and(plain) && bytes.last().copied().is_some_and(plain);
    edges
        && text
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|b| b == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

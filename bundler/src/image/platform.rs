// SPDX-License-Identifier: MIT OR Apache-2.0
//! Platforms: what an image runs on.

use std::fmt;
use std::str::FromStr;

use oci_spec::image as oci;

/// An operating system, an architecture and perhaps its variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// Such as `linux`.
    pub os: String,
    /// Such as `arm64`.
    pub architecture: String,
    /// Such as `v8`.
    pub variant: Option<String>,
}

/// The text is not `OS/ARCHITECTURE[/VARIANT]`.
#[derive(Debug, thiserror::Error)]
#[error(
    "parse platform {0:?}: expected OS/ARCHITECTURE[/VARIANT]\nhint: linux/arm64 is the default"
)]
pub struct InvalidPlatform(String);

impl Default for Platform {
    /// What the runtime runs: `linux/arm64`.
    fn default() -> Self {
        Self {
            os: "linux".into(),
            architecture: "arm64".into(),
            variant: None,
        }
    }
}

impl Platform {
    /// The platform of an entry in an index.
    #[must_use]
    pub fn of_descriptor(platform: &oci::Platform) -> Self {
        Self {
            os: platform.os().to_string(),
            architecture: platform.architecture().to_string(),
            variant: platform
                .variant()
                .clone()
                .filter(|variant| !variant.is_empty()),
        }
    }

    /// The platform of an image's config.
    #[must_use]
    pub fn of_config(config: &oci::ImageConfiguration) -> Self {
        Self {
            os: config.os().to_string(),
            architecture: config.architecture().to_string(),
            variant: config
                .variant()
                .clone()
                .filter(|variant| !variant.is_empty()),
        }
    }

    /// Whether something made for `offered` runs where `self` is wanted. The
    /// only variant of 64-bit ARM is `v8`, so stating it changes nothing.
    #[must_use]
    pub fn accepts(&self, offered: &Self) -> bool {
        self.os == offered.os
            && self.architecture == offered.architecture
            && self.effective_variant() == offered.effective_variant()
    }

    fn effective_variant(&self) -> Option<&str> {
        let default = (self.architecture == "arm64").then_some("v8");
        self.variant.as_deref().or(default)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant
            .iter()
            .try_for_each(|variant| write!(f, "/{variant}"))
    }
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        let parts: Vec<&str> = text.split('/').collect();
        let plain = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        match parts[..] {
            [os, architecture, ref rest @ ..] if rest.len() < 2 && parts.iter().all(plain) => {
                Ok(Self {
                    os: os.to_owned(),
                    architecture: architecture.to_owned(),
                    variant: rest.first().map(|&variant| variant.to_owned()),
                })
            }
            _ => Err(InvalidPlatform(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stating_v8_changes_nothing_on_arm64() {
        let wanted: Platform = "linux/arm64".parse().unwrap();
        assert!(wanted.accepts(&"linux/arm64/v8".parse().unwrap()));
        assert!(!wanted.accepts(&"linux/arm/v8".parse().unwrap()));
        assert!(!wanted.accepts(&"linux/amd64".parse().unwrap()));
        assert!(!wanted.accepts(&"linux/arm64/v9".parse().unwrap()));
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "linux",
            "linux/",
            "/arm64",
            "linux/arm64/v8/x",
            "linux arm64/x",
        ] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}

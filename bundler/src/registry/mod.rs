// SPDX-License-Identifier: MIT OR Apache-2.0
//! Client of the OCI distribution protocol.
//!
//! A [`Client`] talks to one repository: through its mirrors first, then with the
//! registry itself. `endpoint` sends one request and authenticates it, `retry`
//! decides what is worth another try, `pull` and `push` are the operations.
//! Everything is HTTPS; plain HTTP is for this machine alone, when asked for.

mod challenge;
mod credentials;
mod endpoint;
mod error;
mod policy;
mod pull;
mod push;
mod retry;
#[cfg(test)]
mod tests;
mod token;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

pub use credentials::Login;
pub use error::{Missing, RegistryError, Shown};
pub use policy::Policy;
pub use pull::Fetched;
pub use push::OpenAt;

use crate::progress::Progress;
use crate::reference::{DEFAULT_REGISTRY, Reference};
use endpoint::Endpoint;
pub use retry::Retry;

/// How registries are reached.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    /// Credentials, instead of Podman's and Docker's own files.
    pub auth_file: Option<PathBuf>,
    /// User and password, before any file is asked.
    pub login: Option<Login>,
    /// Certificates (PEM) trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Plain HTTP to registries on this machine.
    pub insecure: bool,
    /// Asked before the registries they stand for, in this order.
    pub mirrors: Vec<Mirror>,
    /// Which images may be used (containers-policy.json).
    pub policy: Option<PathBuf>,
    /// When to try again.
    pub retry: Retry,
}

/// A host that has the images of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    registry: String,
    host: String,
    prefix: String,
}

/// The text is not `[REGISTRY=]HOST[:PORT][/PREFIX]`.
#[derive(Debug, thiserror::Error)]
#[error("parse mirror {0:?}: expected [REGISTRY=]HOST[:PORT][/PREFIX]")]
pub struct InvalidMirror(String);

impl FromStr for Mirror {
    type Err = InvalidMirror;

    fn from_str(text: &str) -> Result<Self, InvalidMirror> {
        let (registry, place) = text.split_once('=').unwrap_or((DEFAULT_REGISTRY, text));
        let place = place.strip_prefix("https://").unwrap_or(place);
        let (host, prefix) = place.split_once('/').unwrap_or((place, ""));
        let prefix = prefix.trim_end_matches('/');
        // The reference grammar knows what registries and repositories are.
        let repository = if prefix.is_empty() { "x" } else { prefix };
        let is_host = |host: &str| crate::reference::is_host(host);
        let is_prefix = crate::reference::parse(&format!("x.test/{repository}"))
            .is_ok_and(|reference| reference.repository() == repository);
        if is_host(registry) && is_host(host) && is_prefix {
            Ok(Self {
                registry: registry.to_owned(),
                host: host.to_owned(),
                prefix: prefix.to_owned(),
            })
        } else {
            Err(InvalidMirror(text.to_owned()))
        }
    }
}

/// What a client does with its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Fetches.
    Pull,
    /// Fetches and stores.
    Push,
}

impl Access {
    fn actions(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
        }
    }
}

/// A connection to one repository. Shared between threads.
pub struct Client<'a> {
    /// Mirrors, then the registry, which is always there.
    endpoints: Vec<Endpoint>,
    retry: Retry,
    progress: &'a dyn Progress,
}

impl<'a> Client<'a> {
    /// A client for the repository of `reference`. Sends nothing yet.
    ///
    /// # Errors
    /// An option is wrong, or not allowed for this registry.
    pub fn new(
        reference: &Reference,
        access: Access,
        options: &RegistryOptions,
        progress: &'a dyn Progress,
    ) -> Result<Self, RegistryError> {
        let mut endpoints = Vec::new();
        // What is pushed goes to the registry and nowhere else.
        let mirrors = options
            .mirrors
            .iter()
            .filter(|mirror| access == Access::Pull && mirror.registry == reference.registry());
        for mirror in mirrors {
            let repository = match &mirror.prefix[..] {
                "" => reference.repository().to_owned(),
                prefix => format!("{prefix}/{}", reference.repository()),
            };
            let (key, host) = (&mirror.host, &mirror.host);
            endpoints.push(Endpoint::new(key, host, repository, access, options)?);
        }
        let (key, host) = (reference.registry(), reference.registry_host());
        let repository = reference.repository().to_owned();
        let registry = Endpoint::new(key, host, repository, access, options)?;
        let url = Shown::from(&registry.base());
        endpoints.push(registry);
        if options.insecure && !endpoints.iter().any(Endpoint::is_insecure) {
            let why = "--insecure is for registries on this machine only\nhint: --ca-file names a certificate to trust";
            return Err(RegistryError::Address { url, why });
        }
        Ok(Self {
            endpoints,
            retry: options.retry,
            progress,
        })
    }

    /// Asks the mirrors once each, then the registry until it is no use.
    fn ask<T>(
        &self,
        mut request: impl FnMut(&Endpoint) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let (registry, mirrors) = self.registry();
        for mirror in mirrors {
            match request(mirror) {
                Ok(answer) => return Ok(answer),
                Err(error) => self.progress.note(&format!("mirror: {error}")),
            }
        }
        self.retry.run(self.progress, || request(registry))
    }

    fn registry(&self) -> (&Endpoint, &[Endpoint]) {
        let (registry, mirrors) = self.endpoints.split_last().expect("the registry");
        (registry, mirrors)
    }
}

/// How long nothing may happen on a connection.
const STALL: Duration = Duration::from_secs(60);

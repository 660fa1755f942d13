// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which images may be used: containers-policy.json(5).
//!
//! Of the kinds of requirement, `insecureAcceptAnything` and `reject` are known.
//! Any other, signatures above all, refuses the image: a requirement that cannot
//! be checked is not met. The most specific scope of the `docker` transport
//! decides, then the transport's own default (`""`), then the policy's.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::RegistryError;
use crate::reference::Reference;

/// A policy, read from a file.
#[derive(Debug)]
pub struct Policy {
    path: PathBuf,
    rules: Rules,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    default: Vec<Requirement>,
    #[serde(default)]
    transports: HashMap<String, HashMap<String, Vec<Requirement>>>,
}

#[derive(Debug, Deserialize)]
struct Requirement {
    #[serde(rename = "type")]
    kind: String,
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// The file cannot be read or is no policy.
    pub fn read(path: &Path) -> Result<Self, RegistryError> {
        let failed = |why: String| RegistryError::File {
            path: path.to_owned(),
            why,
        };
        let bytes = fs::read(path).map_err(|error| failed(error.to_string()))?;
        let rules = serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
        let path = path.to_owned();
        Ok(Self { path, rules })
    }

    /// Whether the image may be used.
    ///
    /// # Errors
    /// [`RegistryError::Policy`] if not.
    pub fn check(&self, reference: &Reference) -> Result<(), RegistryError> {
        let requirements = self.requirements(reference);
        let refusal = if requirements.is_empty() {
            Some("no requirement is given, which accepts nothing".to_owned())
        } else {
            requirements.iter().find_map(|r| match r.kind.as_str() {
                "insecureAcceptAnything" => None,
                "reject" => Some("rejected".to_owned()),
                other => Some(format!("requirement {other:?} cannot be checked")),
            })
        };
        match refusal {
            None => Ok(()),
            Some(why) => Err(RegistryError::Policy {
                reference: reference.to_string(),
                why,
                path: self.path.clone(),
            }),
        }
    }

    fn requirements(&self, reference: &Reference) -> &[Requirement] {
        let scopes = self.rules.transports.get("docker");
        let found = scopes.and_then(|all| scopes_of(reference).iter().find_map(|s| all.get(s)));
        found.unwrap_or(&self.rules.default)
    }
}

/// From the most specific scope to the transport's default.
fn scopes_of(reference: &Reference) -> Vec<String> {
    let name = reference.name();
    let mut scopes = Vec::new();
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => scopes.push(format!("{name}@{digest}")),
        (None, Some(tag)) => scopes.push(format!("{name}:{tag}")),
        (None, None) => {}
    }
    let mut rest = &name[..];
    scopes.push(rest.to_owned());
    while let Some((parent, _)) = rest.rsplit_once('/') {
        scopes.push(parent.to_owned());
        rest = parent;
    }
    // A wildcard stands for any number of labels, but never for all.
    let mut host = reference.registry();
    while let Some((_, parent)) = host.split_once('.') {
        scopes.push(format!("*.{parent}"));
        host = parent;
    }
    scopes.push(String::new());
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(json: &str, reference: &str) -> Result<(), String> {
        let policy = Policy {
            path: "p.json".into(),
            rules: serde_json::from_str(json).unwrap(),
        };
        let reference = reference.parse().unwrap();
        policy.check(&reference).map_err(|error| error.to_string())
    }

    #[test]
    fn most_specific_scope_decides() {
        let json = r#"{"default":[{"type":"reject"}],"transports":{"docker":{
            "a.test":[{"type":"insecureAcceptAnything"}],
            "a.test/bad":[{"type":"reject"}],
            "a.test/bad/good:1":[{"type":"insecureAcceptAnything"}],
            "*.b.test":[{"type":"insecureAcceptAnything"}]}}}"#;
        assert!(allows(json, "a.test/x/y").is_ok());
        assert!(
            allows(json, "a.test/bad/x")
                .unwrap_err()
                .contains("rejected")
        );
        assert!(allows(json, "a.test/badly").is_ok());
        assert!(allows(json, "a.test/bad/good:1").is_ok());
        assert!(allows(json, "a.test/bad/good:2").is_err());
        assert!(allows(json, "x.y.b.test/z").is_ok());
        assert!(allows(json, "b.test/z").is_err());
        assert!(allows(json, "alpine").is_err());
    }

    #[test]
    fn what_cannot_be_checked_is_not_met() {
        let json = r#"{"default":[{"type":"insecureAcceptAnything"},{"type":"signedBy","keyType":"GPGKeys"}]}"#;
        assert!(allows(json, "alpine").unwrap_err().contains("signedBy"));
        assert!(allows(r#"{"default":[]}"#, "alpine").is_err());
        let json =
            r#"{"default":[],"transports":{"docker":{"":[{"type":"insecureAcceptAnything"}]}}}"#;
        assert!(allows(json, "alpine").is_ok());
    }
}

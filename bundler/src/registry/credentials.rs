// SPDX-License-Identifier: MIT OR Apache-2.0
//! Credentials: given by hand, or as Docker and Podman keep them.
//!
//! Files are asked in this order: the one named by an option or by
//! `REGISTRY_AUTH_FILE`, Podman's of the session, Podman's of the user, Docker's.
//! In a file a helper for the registry comes first, then `auths`, from the most
//! specific repository to the registry, then the helper for everything.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::RegistryError;
use crate::reference::DEFAULT_REGISTRY;

/// The name that Docker's tools keep the default registry's credentials under.
const DEFAULT_REGISTRY_KEY: &str = "https://index.docker.io/v1/";
/// What a helper says when it knows nothing.
const NOT_FOUND: &str = "credentials not found";
/// The user name that marks the secret as an identity token.
const TOKEN_USER: &str = "<token>";

/// A user and password for one registry, given by hand. The password never
/// appears in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The registry; no other host gets them.
    pub registry: String,
    /// The name.
    pub user: String,
    /// The secret.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({:?}, {:?}, ...)", self.registry, self.user)
    }
}

/// Who the user is to a registry. The secret never appears in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    /// User and password.
    Basic {
        /// The name.
        user: String,
        /// The secret.
        password: String,
    },
    /// An OAuth2 refresh token.
    IdentityToken(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Basic { user, .. } => write!(f, "Basic({user:?}, ...)"),
            Self::IdentityToken(_) => f.write_str("IdentityToken(...)"),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: HashMap<String, Entry>,
    cred_helpers: HashMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entry")
    }
}

/// Finds the credentials for a repository.
///
/// # Errors
/// A file is not what it should be, or a helper fails.
pub(super) fn find(
    auth_file: Option<&Path>,
    registry: &str,
    repository: &str,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<Credentials>, RegistryError> {
    let named = auth_file.map(PathBuf::from);
    let named = named.or_else(|| env("REGISTRY_AUTH_FILE").map(PathBuf::from));
    if let Some(path) = named {
        // A file asked for has to be there.
        return in_file(&path, &read(&path)?, registry, repository);
    }
    for path in usual_places(env) {
        if path.is_file() {
            let found = in_file(&path, &read(&path)?, registry, repository)?;
            if found.is_some() {
                return Ok(found);
            }
        }
    }
    Ok(None)
}

fn usual_places(env: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let dir = |name| env(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let home = dir("HOME");
    let below = |path: &str| home.as_ref().map(|home| home.join(path));
    let session = dir("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json"));
    let config = dir("XDG_CONFIG_HOME").or_else(|| below(".config"));
    let user = config.map(|dir| dir.join("containers/auth.json"));
    let docker = dir("DOCKER_CONFIG").or_else(|| below(".docker"));
    let docker = docker.map(|dir| dir.join("config.json"));
    [session, user, docker].into_iter().flatten().collect()
}

fn read(path: &Path) -> Result<Config, RegistryError> {
    let failed = |why: String| RegistryError::File {
        path: path.to_owned(),
        why,
    };
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    // The parser's own message may quote a value, and values are secrets.
    serde_json::from_slice(&bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        failed(format!("no auth file: line {line} column {column}"))
    })
}

fn in_file(
    path: &Path,
    config: &Config,
    registry: &str,
    repository: &str,
) -> Result<Option<Credentials>, RegistryError> {
    let key = if registry == DEFAULT_REGISTRY {
        DEFAULT_REGISTRY_KEY
    } else {
        registry
    };
    let helper = config.cred_helpers.get(registry);
    if let Some(helper) = helper.or_else(|| config.cred_helpers.get(key)) {
        return ask(helper, key);
    }
    for name in keys(registry, repository) {
        let matches = |(k, _): &(&String, &Entry)| normal(k) == name;
        let entry = config.auths.iter().find(matches).map(|(_, entry)| entry);
        if let Some(found) = entry
            .map(|entry| decode(path, &name, entry))
            .transpose()?
            .flatten()
        {
            return Ok(Some(found));
        }
    }
    match config.creds_store.as_deref() {
        Some(helper) if !helper.is_empty() => ask(helper, key),
        _ => Ok(None),
    }
}

/// `registry/a/b`, `registry/a`, `registry`.
fn keys(registry: &str, repository: &str) -> Vec<String> {
    let mut name = format!("{registry}/{repository}");
    let mut keys = Vec::new();
    while let Some(at) = name.rfind('/') {
        keys.push(name.clone());
        name.truncate(at);
    }
    keys.push(name);
    keys
}

/// Docker's keys may be addresses: scheme and version paths say nothing.
fn normal(key: &str) -> String {
    if key == DEFAULT_REGISTRY_KEY {
        return DEFAULT_REGISTRY.to_owned();
    }
    let bare = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"));
    let rest = bare.unwrap_or(key).trim_end_matches('/');
    let rest = match bare {
        Some(_) => rest
            .strip_suffix("/v1")
            .or_else(|| rest.strip_suffix("/v2"))
            .unwrap_or(rest),
        None => rest,
    };
    match rest {
        "index.docker.io" | "registry-1.docker.io" => DEFAULT_REGISTRY.to_owned(),
        rest => rest.to_owned(),
    }
}

fn decode(path: &Path, name: &str, entry: &Entry) -> Result<Option<Credentials>, RegistryError> {
    let text = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
    if let Some(token) = text(&entry.identitytoken) {
        return Ok(Some(Credentials::IdentityToken(token)));
    }
    if let (Some(user), Some(password)) = (text(&entry.username), text(&entry.password)) {
        return Ok(Some(Credentials::Basic { user, password }));
    }
    let Some(auth) = text(&entry.auth) else {
        return Ok(None);
    };
    let pair = STANDARD.decode(auth.trim()).ok();
    let pair = pair.and_then(|bytes| String::from_utf8(bytes).ok());
    match pair.as_deref().and_then(|pair| pair.split_once(':')) {
        Some((user, password)) => Ok(Some(Credentials::Basic {
            user: user.to_owned(),
            // Docker pads old entries with zero bytes.
            password: password.trim_end_matches('\0').to_owned(),
        })),
        None => Err(RegistryError::File {
            path: path.to_owned(),
            why: format!("auth of {name:?} is not base64 of USER:PASSWORD"),
        }),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    secret: String,
}

/// Asks `docker-credential-HELPER`.
fn ask(helper: &str, server: &str) -> Result<Option<Credentials>, RegistryError> {
    let program = format!("docker-credential-{helper}");
    let failed = |why: String| RegistryError::Helper {
        helper: program.clone(),
        registry: server.to_owned(),
        why,
    };
    // The name comes from a file and must not become a path.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if !helper.bytes().all(plain) {
        return Err(failed("not the name of a helper".into()));
    }
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read has answered already.
        let _ = stdin.write_all(server.as_bytes());
    }
    let output = child
        .wait_with_output()
        .map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return match text.contains(NOT_FOUND) {
            true => Ok(None),
            false => Err(failed(text.trim().chars().take(200).collect())),
        };
    }
    let answer: Answer =
        serde_json::from_str(&text).map_err(|_| failed("its answer is not JSON".into()))?;
    Ok(Some(if answer.username == TOKEN_USER {
        Credentials::IdentityToken(answer.secret)
    } else {
        Credentials::Basic {
            user: answer.username,
            password: answer.secret,
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(json: &str, registry: &str, repository: &str) -> Option<Credentials> {
        let config = serde_json::from_str(json).unwrap();
        in_file(Path::new("auth.json"), &config, registry, repository).unwrap()
    }

    fn basic(user: &str, password: &str) -> Option<Credentials> {
        let (user, password) = (user.to_owned(), password.to_owned());
        Some(Credentials::Basic { user, password })
    }

    #[test]
    fn most_specific_entry_wins() {
        // "u:p", "v:q" and "w:r:s".
        let json = r#"{"auths":{"a.test":{"auth":"dTpw"},"a.test/x":{"auth":"djpx"},
            "https://index.docker.io/v1/":{"auth":"dzpyOnM="},"https://b.test/v2/":{"auth":"dTpw"}}}"#;
        assert_eq!(lookup(json, "a.test", "y/z"), basic("u", "p"));
        assert_eq!(lookup(json, "a.test", "x/z"), basic("v", "q"));
        assert_eq!(lookup(json, "a.test", "xy"), basic("u", "p"));
        assert_eq!(
            lookup(json, "docker.io", "library/alpine"),
            basic("w", "r:s")
        );
        assert_eq!(lookup(json, "b.test", "x"), basic("u", "p"));
        assert_eq!(lookup(json, "a.test.evil", "x"), None);
    }

    #[test]
    fn identity_token_comes_before_the_pair() {
        let json = r#"{"auths":{"a.test":{"auth":"dTpw","identitytoken":"t"}}}"#;
        assert_eq!(
            lookup(json, "a.test", "x"),
            Some(Credentials::IdentityToken("t".into()))
        );
        assert_eq!(lookup(r#"{"auths":{"a.test":{}}}"#, "a.test", "x"), None);
    }

    #[test]
    fn secrets_are_not_in_debug_or_messages() {
        let shown = format!("{:?}", basic("u", "hunter2").unwrap());
        assert!(!shown.contains("hunter2"));
        let config = serde_json::from_str(r#"{"auths":{"a.test":{"auth":"hunter2"}}}"#).unwrap();
        let error = in_file(Path::new("f"), &config, "a.test", "x").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn helper_is_a_name_not_a_path() {
        let config = serde_json::from_str(r#"{"credsStore":"x/../../bin/sh"}"#).unwrap();
        let error = in_file(Path::new("f"), &config, "a.test", "x").unwrap_err();
        assert!(error.to_string().contains("not the name of a helper"));
    }

    #[test]
    fn places_are_asked_in_order() {
        let env = |name: &str| {
            let values = [("HOME", "/h"), ("XDG_RUNTIME_DIR", "/r")];
            let found = values.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let expected = [
            "/r/containers/auth.json",
            "/h/.config/containers/auth.json",
            "/h/.docker/config.json",
        ];
        assert_eq!(usual_places(&env), expected.map(PathBuf::from));
    }
}

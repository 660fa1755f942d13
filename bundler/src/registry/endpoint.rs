// SPDX-License-Identifier: MIT OR Apache-2.0
//! One repository on one host: sends requests and authenticates them.
//!
//! Requests go out without credentials; a host that wants some says so, and gets
//! what was obtained for it and nobody else. Redirects lose the authorization
//! when they leave the host, and never lead from HTTPS to plain HTTP.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::blocking::{Client as Http, RequestBuilder, Response};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Certificate, Method, StatusCode, Url, redirect};

use super::credentials::Credentials;
use super::retry::{Distrust, distrust};
use super::{Access, RegistryError, RegistryOptions, STALL, Shown, challenge, credentials, token};

const CONNECT: Duration = Duration::from_secs(20);
const MAX_REDIRECTS: usize = 5;
/// Bytes read of an error's text.
const MAX_MESSAGE: u64 = 64 << 10;
const AGENT: &str = concat!("elfuse-bundle/", env!("CARGO_PKG_VERSION"));

pub(super) struct Endpoint {
    pub(super) http: Http,
    base: Url,
    /// Name under which credentials are kept.
    key: String,
    repository: String,
    access: Access,
    options: RegistryOptions,
    credentials: OnceLock<Option<Credentials>>,
    /// What the host accepted last.
    authorization: Mutex<Option<HeaderValue>>,
}

impl Endpoint {
    pub(super) fn new(
        key: &str,
        host: &str,
        repository: String,
        access: Access,
        options: &RegistryOptions,
    ) -> Result<Self, RegistryError> {
        let is_plain = options.insecure && is_loopback(host);
        let scheme = if is_plain { "http" } else { "https" };
        let text = format!("{scheme}://{host}/v2/{repository}/");
        let base = Url::parse(&text).map_err(|error| RegistryError::File {
            path: text.into(),
            why: error.to_string(),
        })?;
        // Nor may one that speaks HTTPS lead away from it.
        let options = RegistryOptions {
            insecure: is_plain,
            ..options.clone()
        };
        Ok(Self {
            http: connect(&options, is_loopback(host))?,
            base,
            key: key.to_owned(),
            repository,
            access,
            options,
            credentials: OnceLock::new(),
            authorization: Mutex::new(None),
        })
    }

    /// Whether it is asked by plain HTTP.
    pub(super) fn is_insecure(&self) -> bool {
        self.options.insecure
    }

    pub(super) fn base(&self) -> Url {
        self.base.clone()
    }

    /// The address of something in the repository.
    pub(super) fn url(&self, path: &str) -> Result<Url, RegistryError> {
        self.base
            .join(path)
            .map_err(|error| RegistryError::Protocol {
                method: "build",
                url: Shown::from(&self.base),
                why: error.to_string(),
            })
    }

    /// The scope of a token for this repository.
    pub(super) fn scope(&self) -> String {
        format!("repository:{}:{}", self.repository, self.access.actions())
    }

    /// Whether a secret may be sent there.
    pub(super) fn is_allowed(&self, url: &Url) -> bool {
        allowed(url, self.options.insecure)
    }

    pub(super) fn credentials(&self) -> Result<Option<&Credentials>, RegistryError> {
        if let Some(found) = self.credentials.get() {
            return Ok(found.as_ref());
        }
        let login = self.options.login.as_ref();
        let found = match login.filter(|login| login.registry == self.key) {
            Some(login) => Some(Credentials::Basic {
                user: login.user.clone(),
                password: login.password.clone(),
            }),
            None => {
                let file = self.options.auth_file.as_deref();
                let env = |name: &str| std::env::var_os(name);
                credentials::find(file, &self.key, &self.repository, &env)?
            }
        };
        Ok(self.credentials.get_or_init(|| found).as_ref())
    }

    /// Sends a request, authenticated as far as the host wants it, and hands
    /// out answers below 400 and those whose status is in `expected`.
    pub(super) fn send(
        &self,
        method: &Method,
        url: &Url,
        expected: &[StatusCode],
        build: &mut dyn FnMut(RequestBuilder) -> Result<RequestBuilder, RegistryError>,
    ) -> Result<Response, RegistryError> {
        let name = method_name(method);
        if !self.is_allowed(url) {
            return Err(RegistryError::Address {
                url: Shown::from(url),
                why: "not HTTPS",
            });
        }
        let is_own = url.origin() == self.base.origin();
        let mut once = |authorization: Option<&HeaderValue>| {
            let mut request = build(self.http.request(method.clone(), url.clone()))?;
            if let Some(value) = authorization.filter(|_| is_own) {
                request = request.header(AUTHORIZATION, value);
            }
            request.send().map_err(|error| network(name, url, error))
        };
        let used = self.authorization().clone();
        let mut answer = once(used.as_ref())?;
        if answer.status() == StatusCode::UNAUTHORIZED && is_own {
            match self.authenticate(used.as_ref(), answer.headers())? {
                Some(value) => answer = once(Some(&value))?,
                None => return Err(refused(name, answer, self.needs_login())),
            }
        }
        let status = answer.status();
        if status.as_u16() < 400 || expected.contains(&status) {
            return Ok(answer);
        }
        Err(refused(name, answer, self.needs_login()))
    }

    /// Gets what a host wants that refused `used`; `None` if there is nothing.
    fn authenticate(
        &self,
        used: Option<&HeaderValue>,
        headers: &HeaderMap,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        // Held while a token is fetched, so that many threads fetch one.
        let mut current = self.authorization();
        if current.as_ref() != used {
            return Ok(current.clone());
        }
        let headers = headers.get_all(WWW_AUTHENTICATE).iter();
        let challenges: Vec<_> = headers
            .filter_map(|header| header.to_str().ok())
            .flat_map(challenge::parse)
            .collect();
        *current = token::answer(self, &challenges)?;
        Ok(current.clone())
    }

    fn authorization(&self) -> std::sync::MutexGuard<'_, Option<HeaderValue>> {
        self.authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn needs_login(&self) -> String {
        let key = &self.key;
        match self.credentials() {
            Ok(Some(_)) => format!(
                "\nhint: the credentials for {key} do not allow it, or the repository is not there"
            ),
            _ => format!(
                "\nhint: the repository is not there, or needs docker login {key} or podman login {key}"
            ),
        }
    }
}

/// What `refused` and others show for a method.
pub(super) fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::HEAD => "check",
        Method::POST => "begin upload to",
        _ => "upload to",
    }
}

/// The HTTP client: TLS by ring, roots of the system and of `--ca-file`.
fn connect(options: &RegistryOptions, is_loopback: bool) -> Result<Http, RegistryError> {
    // Another part of the process may have chosen a provider, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let insecure = options.insecure;
    let redirects = redirect::Policy::custom(move |attempt| {
        if attempt.previous().len() > MAX_REDIRECTS {
            attempt.error("too many redirects")
        } else if allowed(attempt.url(), insecure) {
            attempt.follow()
        } else {
            attempt.error("redirect away from HTTPS")
        }
    });
    let mut builder = Http::builder()
        .user_agent(AGENT)
        .redirect(redirects)
        .referer(false)
        .connect_timeout(CONNECT)
        .timeout(STALL);
    if is_loopback {
        // A proxy has another loopback.
        builder = builder.no_proxy();
    }
    if let Some(path) = &options.ca_file {
        builder = builder.tls_certs_merge(certificates(path)?);
    }
    builder.build().map_err(|cause| RegistryError::Network {
        method: "prepare",
        url: Shown::nowhere(),
        cause,
        hint: "",
    })
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, RegistryError> {
    let failed = |why: String| RegistryError::File {
        path: path.to_owned(),
        why,
    };
    let pem = fs::read(path).map_err(|error| failed(error.to_string()))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(failed("no certificates in PEM form".into())),
    }
}

fn allowed(url: &Url, insecure: bool) -> bool {
    let is_local = || url.host_str().is_some_and(is_loopback);
    url.scheme() == "https" || (insecure && url.scheme() == "http" && is_local())
}

/// Whether `HOST[:PORT]` is this machine.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    let address = name.parse::<std::net::IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

pub(super) fn network(method: &'static str, url: &Url, source: reqwest::Error) -> RegistryError {
    let is_local = url.host_str().is_some_and(is_loopback);
    let distrust = distrust(&source);
    let hint = if distrust == Some(Distrust::Certificate) {
        "\nhint: --ca-file names a certificate to trust"
    } else if source.is_connect() && url.scheme() == "https" && is_local {
        "\nhint: --insecure uses plain HTTP for registries on this machine"
    } else if distrust == Some(Distrust::NoTls) {
        "\nhint: what answers there does not speak TLS; check the port"
    } else if source.is_connect() || source.is_timeout() {
        "\nhint: check the network and HTTPS_PROXY; --offline uses what was pulled before"
    } else {
        ""
    };
    RegistryError::Network {
        method,
        url: Shown::from(url),
        cause: source.without_url(),
        hint,
    }
}

/// The error that an answer is.
pub(super) fn refused(method: &'static str, answer: Response, login: String) -> RegistryError {
    let url = Shown::from(answer.url());
    let (status, headers) = (answer.status(), answer.headers().clone());
    let message = said(answer);
    match status {
        StatusCode::TOO_MANY_REQUESTS => RegistryError::RateLimit {
            method,
            url,
            retry_after: retry_after(&headers),
            message: message + &limits(&headers),
        },
        _ => RegistryError::Status {
            method,
            url,
            status,
            message,
            hint: match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => login,
                StatusCode::NOT_FOUND => "\nhint: check registry, repository and tag".into(),
                _ => String::new(),
            },
        },
    }
}

/// What the registry says in the protocol's form, fit for a terminal.
fn said(answer: Response) -> String {
    #[derive(serde::Deserialize)]
    struct Errors {
        errors: Vec<One>,
    }
    #[derive(serde::Deserialize)]
    struct One {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let mut body = Vec::new();
    // What cannot be read is not told.
    let _ = std::io::Read::read_to_end(&mut std::io::Read::take(answer, MAX_MESSAGE), &mut body);
    let Ok(Errors { errors }) = serde_json::from_slice(&body) else {
        return String::new();
    };
    let errors = errors
        .iter()
        .map(|one| format!(": {} {}", one.code, one.message));
    let text: String = errors.collect();
    text.chars().filter(|c| !c.is_control()).take(400).collect()
}

/// When to come back: as the host says, or when its window begins again.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |text: &str| text.trim().parse().ok().map(Duration::from_secs);
    let text = |name: &str| headers.get(name)?.to_str().ok();
    if let Some(seconds) = text(RETRY_AFTER.as_str()).and_then(number) {
        return Some(seconds);
    }
    let remaining = text("ratelimit-remaining")?;
    let (left, window) = remaining.split_once(";w=")?;
    (left.trim() == "0").then(|| number(window)).flatten()
}

fn limits(headers: &HeaderMap) -> String {
    let names = ["ratelimit-limit", "ratelimit-remaining"];
    let shown = names.iter().filter_map(|name| {
        let value = headers.get(*name)?.to_str().ok()?;
        Some(format!(", {name} {value}"))
    });
    shown.collect()
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Answers to challenges: basic authorization and bearer tokens.
//!
//! A token comes from the service that the registry names, which is asked for
//! what the registry wants and for what the client will do. Without credentials
//! the token is anonymous, which public images need.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};

use super::challenge::Challenge;
use super::credentials::Credentials;
use super::endpoint::{Endpoint, network, refused};
use super::{RegistryError, Shown};

/// Bytes an answer with a token may have.
const MAX_ANSWER: u64 = 1 << 20;
const METHOD: &str = "get a token from";
const CLIENT: &str = "elfuse-bundle";

#[derive(serde::Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// The `Authorization` for the first challenge that can be answered; `None` if
/// it takes credentials and there are none.
pub(super) fn answer(
    endpoint: &Endpoint,
    challenges: &[Challenge],
) -> Result<Option<HeaderValue>, RegistryError> {
    for challenge in challenges {
        match challenge {
            Challenge::Bearer {
                realm,
                service,
                scope,
            } => {
                let token = bearer(endpoint, realm, service.as_deref(), scope.as_deref())?;
                return Ok(Some(token));
            }
            Challenge::Basic => {
                if let Some(Credentials::Basic { user, password }) = endpoint.credentials()? {
                    return basic(user, password)
                        .map(Some)
                        .ok_or_else(|| invalid(endpoint));
                }
            }
        }
    }
    Ok(None)
}

fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    let pair = STANDARD.encode(format!("{user}:{password}"));
    secret(&format!("Basic {pair}"))
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn invalid(endpoint: &Endpoint) -> RegistryError {
    protocol(&endpoint.base(), "credentials cannot stand in a header")
}

fn protocol(url: &Url, why: &str) -> RegistryError {
    RegistryError::Protocol {
        method: METHOD,
        url: Shown::from(url),
        why: why.to_owned(),
    }
}

fn bearer(
    endpoint: &Endpoint,
    realm: &str,
    service: Option<&str>,
    scope: Option<&str>,
) -> Result<HeaderValue, RegistryError> {
    let base = endpoint.base();
    let mut url = base
        .join(realm)
        .map_err(|_| protocol(&base, "the realm is no address"))?;
    if !endpoint.is_allowed(&url) {
        return Err(RegistryError::Address {
            url: Shown::from(&url),
            why: "credentials would be sent without HTTPS",
        });
    }
    let own = endpoint.scope();
    let mut scopes = vec![&own[..]];
    scopes.extend(scope.filter(|scope| *scope != own));
    let credentials = endpoint.credentials()?;
    let request = match credentials {
        Some(Credentials::IdentityToken(token)) => {
            let scopes = scopes.join(" ");
            let mut fields = vec![
                ("grant_type", "refresh_token"),
                ("refresh_token", token),
                ("client_id", CLIENT),
                ("scope", &scopes),
            ];
            fields.extend(service.map(|service| ("service", service)));
            endpoint
                .http
                .post(url.clone())
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form(&base, &fields))
        }
        basic_or_none => {
            {
                let mut query = url.query_pairs_mut();
                query.extend_pairs(service.map(|service| ("service", service)));
                query.extend_pairs(scopes.iter().map(|scope| ("scope", scope)));
            }
            let request = endpoint.http.get(url.clone());
            match basic_or_none {
                Some(Credentials::Basic { user, password }) => {
                    let value = basic(user, password).ok_or_else(|| invalid(endpoint))?;
                    request.header(AUTHORIZATION, value)
                }
                _ => request,
            }
        }
    };
    let answer = request
        .send()
        .map_err(|error| network(METHOD, &url, error))?;
    if !answer.status().is_success() {
        return Err(refused(METHOD, answer, endpoint.needs_login()));
    }
    let mut body = Vec::new();
    answer
        .take(MAX_ANSWER)
        .read_to_end(&mut body)
        .map_err(|source| RegistryError::Body {
            method: METHOD,
            url: Shown::from(&url),
            source,
        })?;
    let token: Option<Token> = serde_json::from_slice(&body).ok();
    let token = token.and_then(|t| t.token.filter(|t| !t.is_empty()).or(t.access_token));
    token
        .and_then(|token| secret(&format!("Bearer {token}")))
        .ok_or_else(|| protocol(&url, "the answer has no token"))
}

/// Encodes fields as a form's body, which is what a query is.
fn form(base: &Url, fields: &[(&str, &str)]) -> String {
    let mut url = base.clone();
    url.query_pairs_mut().clear().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Storing: blobs and manifests into a registry.
//!
//! Small blobs go up in one request, larger ones in pieces, so that a broken
//! connection costs one piece: the registry says how far it got. Some forget a
//! broken upload; then it begins anew.

use std::io::{self, Read};

use elfuse_payload::Digest;
use reqwest::blocking::{Body, RequestBuilder, Response};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use reqwest::{Method, StatusCode, Url};

use super::endpoint::Endpoint;
use super::{Client, RegistryError, STALL, Shown};
use crate::progress::Task;

/// Bytes of a piece.
const PIECE: u64 = 32 << 20;
/// Slower than this, in bytes a second, an upload counts as stalled.
const SLOWEST: u64 = 32 << 10;
const METHOD: &str = "upload to";

/// Opens the bytes of a blob, any number of times, from an offset.
pub type OpenAt<'a> = &'a dyn Fn(u64) -> io::Result<Box<dyn Read + Send>>;

impl Client<'_> {
    /// Whether the registry has a blob.
    ///
    /// # Errors
    /// The registry's.
    pub fn has_blob(&self, digest: &Digest, size: u64) -> Result<bool, RegistryError> {
        self.ask(|endpoint| {
            let url = endpoint.url(&format!("blobs/{digest}"))?;
            let expected = [StatusCode::NOT_FOUND];
            let answer = endpoint.send(&Method::HEAD, &url, &expected, &mut Ok)?;
            let length = answer.headers().get(CONTENT_LENGTH);
            let length = length.and_then(|l| l.to_str().ok()?.parse::<u64>().ok());
            Ok(answer.status().is_success() && length.is_none_or(|length| length == size))
        })
    }

    /// Stores a blob, unless it is there; tells whether it had to.
    ///
    /// # Errors
    /// The registry's, or the blob cannot be read.
    pub fn push_blob(
        &self,
        digest: Digest,
        size: u64,
        open: OpenAt<'_>,
        task: &dyn Task,
    ) -> Result<bool, RegistryError> {
        if self.has_blob(&digest, size)? {
            task.advance(size);
            return Ok(false);
        }
        let (registry, _) = self.registry();
        let mut failures = 0;
        loop {
            let mut upload = self.retry.run(self.progress, || Upload::begin(registry))?;
            match self.transfer(registry, &mut upload, digest, size, open, task) {
                Ok(()) => return Ok(true),
                Err(error) => {
                    failures += 1;
                    self.retry.wait(failures, error, self.progress)?;
                }
            }
        }
    }

    fn transfer(
        &self,
        registry: &Endpoint,
        upload: &mut Upload,
        digest: Digest,
        size: u64,
        open: OpenAt<'_>,
        task: &dyn Task,
    ) -> Result<(), RegistryError> {
        let (mut failures, mut furthest) = (0, 0);
        while size > PIECE && upload.sent < size {
            if let Err(error) = upload.piece(registry, size, open) {
                failures += 1;
                self.retry.wait(failures, error, self.progress)?;
                // The registry knows how much of the piece it has, or has dropped
                // the upload because it broke.
                if !upload.ask(registry)? {
                    *upload = self.retry.run(self.progress, || Upload::begin(registry))?;
                }
            }
            if upload.sent > furthest {
                failures = 0;
                task.advance(upload.sent - furthest);
                furthest = upload.sent;
            }
        }
        let rest = size - upload.sent;
        upload.close(registry, digest, rest, open)?;
        task.advance(size - furthest);
        Ok(())
    }

    /// Stores a manifest under a tag or its digest.
    ///
    /// # Errors
    /// The registry's, or it stored something else.
    pub fn push_manifest(
        &self,
        name: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Digest, RegistryError> {
        let digest = Digest::of(bytes);
        let (registry, _) = self.registry();
        let url = registry.url(&format!("manifests/{name}"))?;
        let answer = self.retry.run(self.progress, || {
            registry.send(&Method::PUT, &url, &[], &mut |request| {
                Ok(request
                    .header(CONTENT_TYPE, media_type)
                    .body(bytes.to_vec()))
            })
        })?;
        let stored = answer.headers().get("docker-content-digest");
        let stored = stored.and_then(|text| text.to_str().ok()?.parse::<Digest>().ok());
        match stored {
            Some(stored) if stored != digest => Err(protocol(
                &url,
                &format!("it stored {stored} instead of {digest}"),
            )),
            _ => Ok(digest),
        }
    }
}

/// An upload that the registry has begun.
struct Upload {
    url: Url,
    sent: u64,
}

impl Upload {
    fn begin(registry: &Endpoint) -> Result<Self, RegistryError> {
        let url = registry.url("blobs/uploads/")?;
        let answer = registry.send(&Method::POST, &url, &[], &mut |request| {
            Ok(request.header(CONTENT_LENGTH, 0))
        })?;
        let mut upload = Self { url, sent: 0 };
        upload.follow(&answer)?;
        Ok(upload)
    }

    /// The address for the next request, which changes with every one.
    fn follow(&mut self, answer: &Response) -> Result<(), RegistryError> {
        let location = answer.headers().get(LOCATION).and_then(|l| l.to_str().ok());
        let next = location.and_then(|location| answer.url().join(location).ok());
        let missing = || protocol(answer.url(), "no address to upload to");
        self.url = next.ok_or_else(missing)?;
        Ok(())
    }

    fn piece(
        &mut self,
        registry: &Endpoint,
        size: u64,
        open: OpenAt<'_>,
    ) -> Result<(), RegistryError> {
        let (from, length) = (self.sent, PIECE.min(size - self.sent));
        let range = format!("{from}-{}", from + length - 1);
        let url = self.url.clone();
        let answer = registry.send(&Method::PATCH, &url, &[], &mut |request| {
            Ok(body(request, &url, from, length, open)?.header(CONTENT_RANGE, &range))
        })?;
        self.follow(&answer)?;
        self.sent = reached(&answer).unwrap_or(from + length).min(size);
        if self.sent <= from {
            return Err(protocol(&url, "the upload does not grow"));
        }
        Ok(())
    }

    /// Asks how far the upload is; false if the registry has it no more.
    fn ask(&mut self, registry: &Endpoint) -> Result<bool, RegistryError> {
        let gone = [StatusCode::NOT_FOUND];
        let answer = registry.send(&Method::GET, &self.url, &gone, &mut Ok)?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        if answer.headers().contains_key(LOCATION) {
            self.follow(&answer)?;
        }
        self.sent = reached(&answer).unwrap_or(0);
        Ok(true)
    }

    /// Sends the rest and names the blob.
    fn close(
        &mut self,
        registry: &Endpoint,
        digest: Digest,
        rest: u64,
        open: OpenAt<'_>,
    ) -> Result<(), RegistryError> {
        let mut url = self.url.clone();
        url.query_pairs_mut()
            .append_pair("digest", &digest.to_string());
        let from = self.sent;
        registry.send(&Method::PUT, &url, &[], &mut |request| {
            if rest == 0 {
                return Ok(request.header(CONTENT_LENGTH, 0));
            }
            body(request, &url, from, rest, open)
        })?;
        Ok(())
    }
}

/// Bytes that the registry has: `0-LAST`; `0-0` is said for none, too.
fn reached(answer: &Response) -> Option<u64> {
    let text = answer.headers().get(RANGE)?.to_str().ok()?;
    let text = text.strip_prefix("bytes=").unwrap_or(text);
    let last: u64 = text.strip_prefix("0-")?.parse().ok()?;
    Some(if last == 0 { 0 } else { last + 1 })
}

fn body(
    request: RequestBuilder,
    url: &Url,
    from: u64,
    length: u64,
    open: OpenAt<'_>,
) -> Result<RequestBuilder, RegistryError> {
    let blob = open(from).map_err(|source| RegistryError::Body {
        method: "read what to upload to",
        url: Shown::from(url),
        source,
    })?;
    let time = STALL + std::time::Duration::from_secs(length / SLOWEST);
    Ok(request
        .header(CONTENT_TYPE, "application/octet-stream")
        .timeout(time)
        .body(Body::sized(blob.take(length), length)))
}

fn protocol(url: &Url, why: &str) -> RegistryError {
    RegistryError::Protocol {
        method: METHOD,
        url: Shown::from(url),
        why: why.to_owned(),
    }
}

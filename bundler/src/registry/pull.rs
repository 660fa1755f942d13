// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fetching: manifests, configs, and blobs into the store.
//!
//! A blob that breaks off is continued where it stopped, in this run or a later
//! one. Bytes are compared with their digest when they are complete; if a
//! continued blob is wrong, it is fetched once more from its beginning.

use std::io::{self, Read};

use elfuse_payload::Digest;
use reqwest::blocking::Response;
use reqwest::header::{ACCEPT, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, RANGE};
use reqwest::{Method, StatusCode, Url};

use super::endpoint::Endpoint;
use super::{Client, RegistryError, Shown};
use crate::image::{BlobHandle, ImageError, MANIFEST_TYPES, MAX_DOCUMENT};
use crate::progress::Task;
use crate::store::{Ingest, Store, StoreError};

const DIGEST_HEADER: &str = "docker-content-digest";
const GET: &str = "get";

/// A manifest or an index.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// As it came.
    pub bytes: Vec<u8>,
    /// Of the bytes.
    pub digest: Digest,
    /// As the registry says.
    pub media_type: String,
}

impl Client<'_> {
    /// Asks what a tag points at, without fetching it, which registries do not
    /// count; `None` if this registry does not say.
    ///
    /// # Errors
    /// The registry's.
    pub fn resolve(&self, tag: &str) -> Result<Option<Digest>, RegistryError> {
        self.ask(|endpoint| {
            let url = endpoint.url(&format!("manifests/{tag}"))?;
            let answer = manifest_request(endpoint, &Method::HEAD, &url)?;
            Ok(header(answer.headers(), DIGEST_HEADER).and_then(|digest| digest.parse().ok()))
        })
    }

    /// Fetches the manifest or index that a tag or a digest names.
    ///
    /// # Errors
    /// The registry's, or the bytes are not those of the digest.
    pub fn manifest(&self, name: &str) -> Result<Fetched, RegistryError> {
        self.ask(|endpoint| {
            let url = endpoint.url(&format!("manifests/{name}"))?;
            let answer = manifest_request(endpoint, &Method::GET, &url)?;
            let headers = answer.headers().clone();
            let bytes = read_document(answer, &url)?;
            let digest = Digest::of(&bytes);
            let stated = header(&headers, DIGEST_HEADER).and_then(|text| text.parse().ok());
            let wanted = name.parse().ok().or(stated);
            if let Some(expected) = wanted.filter(|wanted: &Digest| *wanted != digest) {
                let actual = digest;
                return Err(ImageError::Content { expected, actual }.into());
            }
            let media_type = header(&headers, CONTENT_TYPE.as_str()).unwrap_or_default();
            let media_type = media_type.split(';').next().unwrap_or_default().trim();
            Ok(Fetched {
                bytes,
                digest,
                media_type: media_type.to_owned(),
            })
        })
    }

    /// Fetches a small blob, a config; the caller compares it.
    ///
    /// # Errors
    /// The registry's.
    pub fn document(&self, digest: &Digest) -> Result<Vec<u8>, RegistryError> {
        self.ask(|endpoint| {
            let url = endpoint.url(&format!("blobs/{digest}"))?;
            let answer = endpoint.send(&Method::GET, &url, &[], &mut Ok)?;
            let bytes = read_document(answer, &url)?;
            let actual = Digest::of(&bytes);
            if actual == *digest {
                return Ok(bytes);
            }
            let expected = *digest;
            Err(ImageError::Content { expected, actual }.into())
        })
    }

    /// Brings a blob into the store, unless it is there.
    ///
    /// # Errors
    /// The registry's, the store's, or the blob is not the one of the digest.
    pub fn blob(
        &self,
        store: &Store,
        digest: Digest,
        size: u64,
        task: &dyn Task,
    ) -> Result<BlobHandle, RegistryError> {
        let mut is_retried = false;
        loop {
            let Some(mut ingest) = store.ingest(digest, size)? else {
                task.advance(size);
                return Ok(BlobHandle::from_path(store.blob_path(&digest)));
            };
            // What is there may have been written by a run that went wrong.
            let is_continued = ingest.received() > 0;
            task.advance(ingest.received());
            self.fill(&mut ingest, digest, size, task)?;
            match ingest.finish() {
                Err(StoreError::Content { .. }) if is_continued && !is_retried => {
                    is_retried = true;
                }
                done => return Ok(done?),
            }
        }
    }

    /// Fetches what is missing of a blob.
    fn fill(
        &self,
        ingest: &mut Ingest<'_>,
        digest: Digest,
        size: u64,
        task: &dyn Task,
    ) -> Result<(), RegistryError> {
        let (registry, mirrors) = self.registry();
        for mirror in mirrors {
            if ingest.received() == size {
                return Ok(());
            }
            if let Err(error) = fetch(mirror, ingest, digest, size, task) {
                self.progress.note(&format!("mirror: {error}"));
            }
        }
        let mut failures = 0;
        while ingest.received() < size {
            let before = ingest.received();
            if let Err(error) = fetch(registry, ingest, digest, size, task) {
                // A transfer that moves on is not given up.
                failures = if ingest.received() > before {
                    1
                } else {
                    failures + 1
                };
                self.retry.wait(failures, error, self.progress)?;
            }
        }
        Ok(())
    }
}

/// One request for the rest of a blob.
fn fetch(
    endpoint: &Endpoint,
    ingest: &mut Ingest<'_>,
    digest: Digest,
    size: u64,
    task: &dyn Task,
) -> Result<(), RegistryError> {
    let url = endpoint.url(&format!("blobs/{digest}"))?;
    let from = ingest.received();
    let expected = [StatusCode::RANGE_NOT_SATISFIABLE];
    let answer = endpoint.send(&Method::GET, &url, &expected, &mut |request| {
        Ok(match from {
            0 => request,
            from => request.header(RANGE, format!("bytes={from}-")),
        })
    })?;
    let shown = Shown::from(answer.url());
    let is_rest = answer.status() == StatusCode::PARTIAL_CONTENT
        && range_start(answer.headers()) == Some(from);
    let protocol = |why: &str| RegistryError::Protocol {
        method: GET,
        url: shown.clone(),
        why: why.to_owned(),
    };
    match answer.status() {
        StatusCode::OK if from > 0 => ingest.restart()?,
        StatusCode::OK => {}
        StatusCode::PARTIAL_CONTENT if is_rest => {}
        _ if from > 0 => {
            // It cannot continue here: the next try begins anew.
            ingest.restart()?;
            let status = answer.status();
            return Err(RegistryError::Body {
                method: GET,
                url: shown,
                source: io::Error::other(format!("cannot continue: {status}")),
            });
        }
        _ => return Err(protocol("another range than asked for")),
    }
    if let Some(length) = answer.content_length()
        && length > size - ingest.received()
    {
        return Err(protocol("more bytes than the blob has"));
    }
    copy(answer, ingest, task, &shown)?;
    if ingest.received() < size {
        return Err(RegistryError::Body {
            method: GET,
            url: shown,
            source: io::ErrorKind::UnexpectedEof.into(),
        });
    }
    Ok(())
}

/// Copies an answer; errors of the two sides stay apart.
fn copy(
    mut answer: Response,
    ingest: &mut Ingest<'_>,
    task: &dyn Task,
    url: &Shown,
) -> Result<(), RegistryError> {
    let mut buffer = vec![0; 128 << 10];
    loop {
        let n = match answer.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => {
                return Err(RegistryError::Body {
                    method: GET,
                    url: url.clone(),
                    source,
                });
            }
        };
        ingest.keep(&buffer[..n])?;
        task.advance(n as u64);
    }
}

/// Where a partial answer begins: `bytes FROM-TO/ALL`.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let text = header(headers, CONTENT_RANGE.as_str())?;
    let (from, _) = text.strip_prefix("bytes ")?.split_once('-')?;
    from.trim().parse().ok()
}

fn manifest_request(
    endpoint: &Endpoint,
    method: &Method,
    url: &Url,
) -> Result<Response, RegistryError> {
    endpoint.send(method, url, &[], &mut |request| {
        Ok(request.header(ACCEPT, MANIFEST_TYPES.join(", ")))
    })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Reads a document, refusing long ones before they fill the memory.
fn read_document(answer: Response, url: &Url) -> Result<Vec<u8>, RegistryError> {
    let mut bytes = Vec::new();
    let mut bounded = answer.take(MAX_DOCUMENT + 1);
    bounded
        .read_to_end(&mut bytes)
        .map_err(|source| RegistryError::Body {
            method: GET,
            url: Shown::from(url),
            source,
        })?;
    if bytes.len() as u64 > MAX_DOCUMENT {
        return Err(RegistryError::Protocol {
            method: GET,
            url: Shown::from(url),
            why: format!("more than {MAX_DOCUMENT} bytes for a document"),
        });
    }
    Ok(bytes)
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A real registry on a loopback port, filled by skopeo. It ends with the test.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use elfuse_payload::Digest;

use crate::workspace::run;

/// A running `docker-registry` with an empty storage of its own.
pub struct Registry {
    child: Child,
    address: SocketAddr,
    _storage: tempfile::TempDir,
}

impl Registry {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// It does not start.
    pub fn start() -> Result<Self> {
        Self::start_with(None)
    }

    /// Starts one that speaks TLS with this certificate and key.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_tls(certificate: &Path, key: &Path) -> Result<Self> {
        Self::start_with(Some((certificate, key)))
    }

    fn start_with(tls: Option<(&Path, &Path)>) -> Result<Self> {
        let tls = tls.map_or_else(String::new, |(certificate, key)| {
            format!(
                "  tls:\n    certificate: {}\n    key: {}\n",
                certificate.display(),
                key.display()
            )
        });
        let storage = tempfile::Builder::new()
            .prefix("elfuse-registry")
            .tempdir()?;
        let address = free_port()?;
        let config = storage.path().join("config.yml");
        let data = storage.path().join("data");
        std::fs::write(
            &config,
            format!(
                "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\n\
                 storage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\n\
                 http:\n  addr: {address}\n{tls}",
                data.display()
            ),
        )?;
        let mut serve = Command::new("docker-registry");
        serve
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = serve.spawn().context("start docker-registry")?;
        let registry = Self {
            child,
            address,
            _storage: storage,
        };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(
                begun.elapsed() < Duration::from_secs(20),
                "docker-registry does not answer"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(registry)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Copies `layout:tag` to `name` here (`library/box:1`), as it is.
    ///
    /// # Errors
    /// skopeo fails.
    pub fn fill(&self, layout: &Path, tag: &str, name: &str) -> Result<()> {
        self.copy(layout, tag, name, "--preserve-digests")
    }

    /// Copies `layout:tag` to `name` here, with layers compressed by gzip.
    ///
    /// # Errors
    /// skopeo fails.
    pub fn fill_with_gzip(&self, layout: &Path, tag: &str, name: &str) -> Result<()> {
        self.copy(layout, tag, name, "--dest-compress-format=gzip")
    }

    /// Copies `layout:tag` to `name` here, with documents of Docker's kinds.
    ///
    /// # Errors
    /// skopeo fails.
    pub fn fill_as_docker(&self, layout: &Path, tag: &str, name: &str) -> Result<()> {
        self.copy(layout, tag, name, "--format=v2s2")
    }

    fn copy(&self, layout: &Path, tag: &str, name: &str, how: &str) -> Result<()> {
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["copy", "--quiet", "--all", how, "--dest-tls-verify=false"]);
        skopeo.arg(format!("oci:{}:{tag}", layout.display()));
        run(skopeo.arg(format!("docker://{}/{name}", self.address))).map(drop)
    }
}

impl Registry {
    /// Stores a document that no tool would make as `name:tag`, and returns
    /// its digest.
    ///
    /// # Errors
    /// The registry does not take it.
    pub fn put_manifest(&self, name: &str, tag: &str, kind: &str, bytes: &[u8]) -> Result<Digest> {
        let mut stream = TcpStream::connect(self.address)?;
        let head = format!(
            "PUT /v2/{name}/manifests/{tag} HTTP/1.1\r\nHost: {}\r\nContent-Type: {kind}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            self.address,
            bytes.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(bytes)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 201"), "put manifest: {answer}");
        Ok(Digest::of(bytes))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago.
///
/// # Errors
/// There is none.
pub fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

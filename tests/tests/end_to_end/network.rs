// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host's network in a guest: programs reach others and are reached, under other
//! port numbers if wanted, or have no network at all.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::common::Owner;

/// How long a guest may take until it listens.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn guest_fetches_from_a_server_of_the_host() -> Result<()> {
    let owner = Owner::of_busybox()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let server = std::thread::spawn(move || -> Result<String> {
        let (mut stream, _) = listener.accept()?;
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            request.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n")?;
        Ok(String::from_utf8(request)?)
    });
    let url = format!("http://localhost:{port}/file");
    ensure!(owner.prints(&["busybox", "wget", "-q", "-O", "-", &url])? == "hello\n");
    let request = server.join().map_err(|_| anyhow::anyhow!("the server"))??;
    ensure!(request.starts_with("GET /file HTTP/1"), "{request}");
    Ok(())
}

/// A port that nobody has now.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// What the first to listen at `port` says.
fn hear(port: u16) -> Result<String> {
    let start = Instant::now();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    while start.elapsed() < PATIENCE {
        if let Ok(mut stream) = TcpStream::connect(address) {
            let mut said = String::new();
            stream.read_to_string(&mut said)?;
            return Ok(said);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("nobody listens at {address}")
}

#[test]
fn port_of_the_guest_is_another_of_the_host() -> Result<()> {
    let owner = Owner::of_busybox()?;
    let port = free_port()?;
    let published = format!("127.0.0.1:{port}:80");
    let script = "echo from port 80 | nc -l -p 80";
    let mut guest = owner
        .command(&["-p", &published, "sh", "-c", script])?
        .spawn()?;
    let said = hear(port).context("the guest's port 80");
    guest.kill()?;
    guest.wait()?;
    ensure!(said? == "from port 80\n");
    Ok(())
}

#[test]
fn guest_finds_its_own_published_port_under_its_own_number() -> Result<()> {
    let owner = Owner::of_busybox()?;
    let published = format!("{}:80", free_port()?);
    let script = "(echo found | nc -l -p 80) & \
                  for i in 1 2 3 4 5 6 7 8 9; do nc 127.0.0.1 80 </dev/null && exit; sleep 1; done";
    let args = ["-p", &published, "sh", "-c", script];
    ensure!(owner.prints(&args)? == "found\n");
    Ok(())
}

#[test]
fn without_a_network_there_are_no_sockets_and_no_name_servers() -> Result<()> {
    let owner = Owner::of_busybox()?;
    let config = owner.prints(&["--net", "none", "cat", "/etc/resolv.conf"])?;
    ensure!(config.is_empty(), "{config}");
    let text = owner.ends_with(1, &["--net", "none", "busybox", "nc", "127.0.0.1", "1"])?;
    ensure!(text.contains("Address family not supported"), "{text}");
    let text = owner.ends_with(125, &["--net", "none", "-p", "8080:80", "true"])?;
    ensure!(
        text.contains("a guest without a network has no ports"),
        "{text}"
    );
    Ok(())
}

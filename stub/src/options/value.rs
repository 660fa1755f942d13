// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values of options that have parts: `-v HOST:GUEST:ro`, `--tmpfs DIR:size=1m`,
//! `--add-host NAME:ADDRESS`, `--ulimit NAME=SOFT:HARD`, sizes. Each reader says
//! what it expected.

use std::ffi::OsStr;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use elfuse_runs::spare::parse_size;

use elfuse_kernel::net::Published;
use elfuse_machine::host::net::Kind;

/// Why a value is refused.
pub(super) type Why = &'static str;

/// `-v HOST:GUEST[:ro]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) host: PathBuf,
    pub(crate) guest: Vec<u8>,
    pub(crate) is_read_only: bool,
}

/// `--tmpfs DIR[:size=N,mode=N,ro,exec,...]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tmpfs {
    pub(crate) path: Vec<u8>,
    pub(crate) bytes: Option<u64>,
    pub(crate) mode: u32,
    pub(crate) is_read_only: bool,
    pub(crate) is_executable: bool,
}

/// `--add-host NAME:ADDRESS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostName {
    pub(crate) name: String,
    pub(crate) address: IpAddr,
}

/// `--ulimit NAME=SOFT[:HARD]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ulimit {
    pub(crate) which: usize,
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

/// `--secret ID=FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Secret {
    pub(crate) id: String,
    pub(crate) source: PathBuf,
}

/// An absolute path of the guest.
pub(super) fn guest_path(value: &[u8]) -> Result<Vec<u8>, Why> {
    if value.first() != Some(&b'/') {
        return Err("the path in the guest must begin with /");
    }
    if value.contains(&0) || value.len() > 4095 {
        return Err("the path in the guest is too long or has a zero byte");
    }
    Ok(value.to_vec())
}

pub(super) fn text(value: &OsStr) -> Result<&str, Why> {
    value.to_str().ok_or("not valid UTF-8")
}

pub(super) fn volume(value: &OsStr) -> Result<Volume, Why> {
    let parts: Vec<&[u8]> = value.as_bytes().split(|&byte| byte == b':').collect();
    let (host, guest, mode) = match parts[..] {
        [host, guest] => (host, guest, &b"rw"[..]),
        [host, guest, mode] => (host, guest, mode),
        _ => return Err("expected HOST:GUEST or HOST:GUEST:ro"),
    };
    if !host.contains(&b'/') && host != b"." && host != b".." {
        // A name without a slash is a volume's in docker; there are none here.
        return Err("there are no named volumes; begin the host's path with / or ./");
    }
    let is_read_only = match mode {
        b"ro" => true,
        b"rw" => false,
        _ => return Err("after the second colon only ro or rw may stand"),
    };
    Ok(Volume {
        host: PathBuf::from(OsStr::from_bytes(host)),
        guest: guest_path(guest)?,
        is_read_only,
    })
}

/// `ID=FILE`, or `id=ID,src=FILE` as `docker build` has it.
pub(super) fn secret(value: &OsStr) -> Result<Secret, Why> {
    let expected = "expected ID=FILE or id=ID,src=FILE";
    let bytes = value.as_bytes();
    let (id, source) = if bytes.starts_with(b"id=") && bytes.contains(&b',') {
        let at = bytes
            .iter()
            .position(|&byte| byte == b',')
            .ok_or(expected)?;
        let source = &bytes[at + 1..];
        let source = source
            .strip_prefix(b"src=")
            .or_else(|| source.strip_prefix(b"source="));
        (&bytes[3..at], source.ok_or(expected)?)
    } else {
        let at = bytes
            .iter()
            .position(|&byte| byte == b'=')
            .ok_or(expected)?;
        (&bytes[..at], &bytes[at + 1..])
    };
    let id = std::str::from_utf8(id).map_err(|_| expected)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if id.is_empty() || id.len() > 64 || id.starts_with('.') || !id.chars().all(is_plain) {
        return Err("a secret's name has up to 64 letters, digits, dots, hyphens, underscores");
    }
    if source.is_empty() {
        return Err(expected);
    }
    Ok(Secret {
        id: id.to_owned(),
        source: PathBuf::from(OsStr::from_bytes(source)),
    })
}

pub(super) fn tmpfs(value: &OsStr) -> Result<Tmpfs, Why> {
    let value = value.as_bytes();
    let (path, options) = match value.iter().position(|&byte| byte == b':') {
        Some(at) => (&value[..at], &value[at + 1..]),
        None => (value, &b""[..]),
    };
    let mut tmpfs = Tmpfs {
        path: guest_path(path)?,
        bytes: None,
        mode: 0o1777,
        is_read_only: false,
        is_executable: false,
    };
    let options = std::str::from_utf8(options).map_err(|_| "not valid UTF-8")?;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("size", size)) => tmpfs.bytes = Some(room(size)?),
            Some(("mode", mode)) => {
                let mode = u32::from_str_radix(mode, 8).ok();
                tmpfs.mode = mode
                    .filter(|mode| *mode <= 0o7777)
                    .ok_or("mode is an octal number up to 7777")?;
            }
            None if option == "ro" => tmpfs.is_read_only = true,
            None if option == "exec" => tmpfs.is_executable = true,
            // What is so in any case.
            None if ["rw", "noexec", "nosuid", "nodev"].contains(&option) => {}
            _ => return Err("known are size=, mode=, ro, rw, exec, noexec, nosuid, nodev"),
        }
    }
    Ok(tmpfs)
}

pub(super) fn host_name(value: &OsStr) -> Result<HostName, Why> {
    let expected = "expected NAME:ADDRESS with a numeric address";
    let (name, address) = text(value)?.split_once([':', '=']).ok_or(expected)?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err("a host name has letters, digits, dots and hyphens");
    }
    Ok(HostName {
        name: name.to_owned(),
        address: address.parse().map_err(|_| expected)?,
    })
}

/// `[ADDRESS:]HOST:GUEST[/tcp|/udp]`; an address of version 6 stands in brackets.
pub(super) fn published(value: &OsStr) -> Result<Published, Why> {
    let expected = "expected [ADDRESS:]HOST:GUEST[/udp] with two port numbers";
    let (ports, protocol) = text(value)?
        .rsplit_once('/')
        .unwrap_or((text(value)?, "tcp"));
    let kind = match protocol {
        "tcp" => Kind::Stream,
        "udp" => Kind::Datagram,
        _ => return Err("the protocol is tcp or udp"),
    };
    let (ports, guest_port) = ports.rsplit_once(':').ok_or(expected)?;
    let (address, host_port) = match ports.rsplit_once(':') {
        Some((address, port)) => (Some(address), port),
        None => (None, ports),
    };
    let port = |text: &str| text.parse().ok().filter(|&port| port > 0).ok_or(expected);
    let address = address.map(|address| {
        let inner = address.strip_prefix('[').and_then(|a| a.strip_suffix(']'));
        inner.unwrap_or(address).parse().map_err(|_| expected)
    });
    Ok(Published {
        kind,
        host: address.transpose()?,
        host_port: port(host_port)?,
        guest_port: port(guest_port)?,
    })
}

/// Names and numbers of Linux's resource limits, as `docker run` has them.
const ULIMITS: [(&str, usize); 15] = [
    ("cpu", 0),
    ("fsize", 1),
    ("data", 2),
    ("stack", 3),
    ("core", 4),
    ("rss", 5),
    ("nproc", 6),
    ("nofile", 7),
    ("memlock", 8),
    ("locks", 10),
    ("sigpending", 11),
    ("msgqueue", 12),
    ("nice", 13),
    ("rtprio", 14),
    ("rttime", 15),
];

pub(super) fn ulimit(value: &OsStr) -> Result<Ulimit, Why> {
    let expected = "expected NAME=SOFT or NAME=SOFT:HARD";
    let (name, limits) = text(value)?.split_once('=').ok_or(expected)?;
    let which = ULIMITS.iter().find(|(known, _)| *known == name);
    let (_, which) = which.ok_or("Linux has no limit of this name")?;
    let limit = |text: &str| match text {
        "-1" | "unlimited" => Ok(u64::MAX),
        text => text.parse::<u64>().map_err(|_| expected),
    };
    let (soft, hard) = match limits.split_once(':') {
        Some((soft, hard)) => (limit(soft)?, limit(hard)?),
        None => (limit(limits)?, limit(limits)?),
    };
    if soft > hard {
        return Err("the soft limit is above the hard limit");
    }
    Ok(Ulimit {
        which: *which,
        soft,
        hard,
    })
}

/// A size that something has to fit into.
fn room(size: &str) -> Result<u64, Why> {
    let bytes = parse_size(size)?;
    if bytes == 0 {
        return Err("a size is above 0");
    }
    Ok(bytes)
}

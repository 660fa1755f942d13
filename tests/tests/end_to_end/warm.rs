// SPDX-License-Identifier: MIT OR Apache-2.0
//! A warm start reads no more of the bundle than its headers and table of contents.
//! Bytes are counted, by `strace` on the outside and by a counting reader on the inside;
//! neither depends on the machine.

use std::fs::{self, File};
use std::io;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use elfuse_payload::reader::Payload;
use elfuse_payload::{FileRange, Range, ReadAt};
use elfuse_tests::workspace::{run, simulator};

use crate::common::Owner;

/// Counts what is read.
struct Counting {
    inner: FileRange,
    bytes: Arc<AtomicU64>,
}

impl ReadAt for Counting {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = self.inner.read_at(buf, offset)?;
        let read = u64::try_from(count).unwrap_or(u64::MAX);
        self.bytes.fetch_add(read, Ordering::Relaxed);
        Ok(count)
    }

    fn size(&self) -> u64 {
        self.inner.size()
    }
}

/// What reading the headers and the table of contents takes.
fn least(owner: &Owner) -> Result<u64> {
    let bytes = Arc::new(AtomicU64::new(0));
    let file = Counting {
        inner: FileRange::whole(File::open(owner.user.path("box"))?)?,
        bytes: Arc::clone(&bytes),
    };
    let segment = elfuse_stub::payload_range(&file)?;
    let length = segment.end - segment.start;
    let segment = Range::new(Arc::new(file), segment.start, length).context("a segment")?;
    Payload::open(segment)?.layer()?.toc()?;
    Ok(bytes.load(Ordering::Relaxed))
}

/// Bytes of the bundle that a start reads, as the host sees it.
fn read_by_a_start(owner: &Owner) -> Result<u64> {
    let (bundle, trace) = (owner.user.path("box"), owner.user.path("trace"));
    let mut strace = Command::new("strace");
    strace.args([
        "-f",
        "-qq",
        "-e",
        "trace=read,pread64,readv,preadv,mmap",
        "-P",
    ]);
    strace.arg(&bundle).arg("-o").arg(&trace);
    strace.arg(simulator()?).arg(&bundle).arg("/bin/true");
    strace.env("HOME", owner.user.path("home"));
    strace
        .env_remove("ELFUSE_CACHE")
        .env_remove("XDG_CACHE_HOME");
    run(&mut strace)?;
    let mut total = 0;
    for line in fs::read_to_string(trace)?.lines() {
        ensure!(!line.contains("mmap("), "the bundle is mapped: {line}");
        let result = line.rsplit_once(" = ").map(|(_, result)| result.trim());
        total += result
            .and_then(|count| count.parse::<u64>().ok())
            .unwrap_or(0);
    }
    Ok(total)
}

#[test]
fn a_warm_start_reads_headers_and_table_of_contents_only() -> Result<()> {
    let owner = Owner::of_debian()?;
    let size = fs::metadata(owner.user.path("box"))?.len();
    let least = least(&owner)?;
    let cold = read_by_a_start(&owner)?;
    let warm = read_by_a_start(&owner)?;
    println!("of {size} bytes: cold {cold}, warm {warm}, headers and table {least}");
    ensure!(
        cold > size / 2,
        "the count is wrong: a cold start reads {cold} of {size}"
    );
    ensure!(
        warm <= least,
        "a warm start reads {warm}, headers and table are {least}"
    );
    ensure!(least < size / 20, "headers and table are {least} of {size}");
    Ok(())
}

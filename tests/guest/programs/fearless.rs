// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Rust's standard library asks of a kernel. Every line it prints is determined.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex, RwLock, mpsc};
use std::time::{Duration, Instant};
use std::{env, fs, io, panic, thread};

thread_local! {
    static OWN: Cell<u64> = const { Cell::new(0) };
}

fn threads() {
    let (total, barrier) = (Arc::new(AtomicU64::new(0)), Arc::new(Barrier::new(8)));
    let shared = Arc::new(RwLock::new(HashMap::new()));
    let workers: Vec<_> = (0..8u64)
        .map(|n| {
            let (total, barrier, shared) = (total.clone(), barrier.clone(), shared.clone());
            thread::spawn(move || {
                barrier.wait();
                for i in 0..1000 {
                    OWN.set(OWN.get() + i * n);
                    *shared.write().unwrap().entry(i % 13).or_insert(0) += n;
                }
                total.fetch_add(OWN.get(), Ordering::SeqCst)
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| drop(worker.join()));
    let sums: BTreeMap<u64, u64> = shared.read().unwrap().iter().map(|(k, v)| (*k, *v)).collect();
    println!("threads {} {sums:?} {}", total.load(Ordering::SeqCst), OWN.get());

    let (sender, receiver) = mpsc::sync_channel(1);
    let scoped: u32 = thread::scope(|scope| {
        for n in 0..20 {
            let sender = sender.clone();
            scope.spawn(move || sender.send(n).unwrap());
        }
        drop(sender);
        receiver.iter().sum()
    });
    let pair = (Mutex::new(false), Condvar::new());
    let started = Instant::now();
    let guard = pair.0.lock().unwrap();
    let (guard, timeout) = pair.1.wait_timeout(guard, Duration::from_millis(30)).unwrap();
    let waited = started.elapsed() >= Duration::from_millis(30);
    println!("channel {scoped} condition {} {} {waited}", *guard, timeout.timed_out());
}

fn processes() -> io::Result<()> {
    let me = env::current_exe()?;
    let mut child = Command::new(&me)
        .arg("child")
        .env("WHO", "Rust")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child.stdin.take().unwrap().write_all(b"one\ntwo\n")?;
    let output = child.wait_with_output()?;
    println!("child {:?} {:?}", String::from_utf8_lossy(&output.stdout), output.status.code());
    let mut sleeper = Command::new(&me).arg("sleeper").spawn()?;
    println!("still there {:?}", sleeper.try_wait()?);
    sleeper.kill()?;
    println!("killed {:?}", sleeper.wait()?.signal());
    let missing = Command::new("/nowhere").spawn().map(drop);
    println!("missing {missing:?}");
    let aborted = Command::new(&me).arg("abort").stderr(Stdio::null()).status()?;
    println!("aborted {:?}", aborted.signal());
    Ok(())
}

fn files() -> io::Result<()> {
    let dir = env::temp_dir().join("rust");
    fs::create_dir_all(dir.join("a/b"))?;
    let path = dir.join("a/file");
    let mut file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    file.write_all(&vec![b'x'; 100_000])?;
    file.seek(SeekFrom::Start(50_000))?;
    writeln!(file, "middle")?;
    file.set_len(60_000)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604))?;
    symlink("file", dir.join("a/link"))?;
    fs::hard_link(&path, dir.join("hard"))?;
    let meta = fs::metadata(dir.join("a/link"))?;
    println!("file {} {:o} {} links", meta.len(), meta.mode(), meta.nlink());
    println!("copied {}", fs::copy(&path, dir.join("copy"))?);
    let mut names: Vec<_> = fs::read_dir(&dir)?.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    println!("{names:?} {:?}", fs::read_link(dir.join("a/link"))?);
    println!("{:?} {:?}", fs::read("/nowhere").map(drop), fs::remove_dir(&dir));
    println!("canonical {:?}", fs::canonicalize(dir.join("a/b/../link"))?);
    fs::remove_dir_all(&dir)
}

fn sockets() -> io::Result<()> {
    let (mut left, right) = UnixStream::pair()?;
    right.set_read_timeout(Some(Duration::from_millis(20)))?;
    let echo = thread::spawn(move || {
        let mut lines = BufReader::new(right);
        let mut line = String::new();
        let first = lines.read_line(&mut line).map_err(|error| error.kind());
        lines.get_ref().set_read_timeout(None)?;
        lines.read_line(&mut line)?;
        lines.get_mut().write_all(line.to_uppercase().as_bytes())?;
        Ok::<_, io::Error>(first)
    });
    thread::sleep(Duration::from_millis(100));
    left.write_all(b"over a socket\n")?;
    let mut answer = String::new();
    left.read_to_string(&mut answer)?;
    println!("socket {answer:?} {:?}", echo.join().unwrap()?);
    Ok(())
}

fn main() -> io::Result<()> {
    match env::args().nth(1).as_deref() {
        Some("child") => {
            let text = io::read_to_string(io::stdin())?;
            print!("{} {}", env::var("WHO").unwrap_or_default(), text.lines().rev().collect::<String>());
            std::process::exit(4);
        }
        Some("abort") => panic::catch_unwind(|| std::process::abort()).unwrap_or(()),
        Some(_) => thread::sleep(Duration::from_secs(60)),
        None => {}
    }
    threads();
    processes()?;
    files()?;
    sockets()?;
    panic::set_hook(Box::new(|_| {}));
    let caught = panic::catch_unwind(|| {
        let empty: Vec<u32> = Vec::new();
        empty[env::args().count()]
    });
    let deep = thread::Builder::new().stack_size(16 << 20).spawn(|| depth(100_000))?;
    println!("panic {} depth {}", caught.is_err(), deep.join().unwrap());
    println!("{:.6} {:e} {:#x} {:>8}", 2f64.sqrt(), 1e-9, 48879, "right");
    println!("rust: done");
    Ok(())
}

fn depth(n: u64) -> u64 {
    if n == 0 { 0 } else { 1 + std::hint::black_box(depth(n - 1)) }
}

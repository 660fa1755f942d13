// SPDX-License-Identifier: MIT OR Apache-2.0
//! One row for each option: its names, what it takes, what it does, its line of
//! `--elfuse-help`. Rows that refuse stand for options of other container tools
//! that people will try.

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use elfuse_kernel::net::Published;
use elfuse_runs::spare::{parse_age, parse_size};

use super::value::{self, Why, text};
use super::{Action, CacheAction, EnvChange, Options};

/// What an option takes, and what it does.
pub(super) enum Take {
    /// Nothing.
    Flag(fn(&mut Options)),
    /// A value of this name.
    Value(&'static str, fn(&mut Options, &OsStr) -> Result<(), Why>),
    /// A file with more options.
    File,
    /// Not in this version, and why.
    Refused(&'static str),
}

/// An option.
pub(super) struct Row {
    pub(super) long: &'static str,
    pub(super) short: Option<u8>,
    pub(super) take: Take,
    pub(super) help: &'static str,
}

const fn flag(long: &'static str, set: fn(&mut Options), help: &'static str) -> Row {
    Row {
        long,
        short: None,
        take: Take::Flag(set),
        help,
    }
}

const fn value(
    long: &'static str,
    what: &'static str,
    set: fn(&mut Options, &OsStr) -> Result<(), Why>,
    help: &'static str,
) -> Row {
    Row {
        long,
        short: None,
        take: Take::Value(what, set),
        help,
    }
}

const fn refused(long: &'static str, why: &'static str) -> Row {
    Row {
        long,
        short: None,
        take: Take::Refused(why),
        help: "",
    }
}

impl Row {
    const fn short(mut self, letter: u8) -> Self {
        self.short = Some(letter);
        self
    }
}

/// Every option, in the order of `--elfuse-help`.
pub(super) static ROWS: &[Row] = &[
    value(
        "entrypoint",
        "PROGRAM",
        entrypoint,
        "Run this instead of the image's program",
    ),
    value("workdir", "DIR", workdir, "Start in this directory").short(b'w'),
    value(
        "env",
        "NAME[=VALUE]",
        env,
        "Set a variable, or pass the host's on",
    )
    .short(b'e'),
    value(
        "env-file",
        "FILE",
        env_file,
        "Set the variables in this file, one a line",
    ),
    value(
        "user",
        "USER[:GROUP]",
        user,
        "Run as this user, by name or number",
    )
    .short(b'u'),
    value(
        "volume",
        "HOST:GUEST[:ro]",
        volume,
        "Show a host file or directory in the guest",
    )
    .short(b'v'),
    value(
        "tmpfs",
        "DIR[:OPTIONS]",
        tmpfs,
        "Mount memory here; options such as size=64m",
    ),
    value(
        "secret",
        "ID=FILE",
        secret,
        "Show a file as /run/secrets/ID, to the program's user only",
    ),
    flag(
        "read-only",
        |o| o.is_read_only = true,
        "Refuse writes to the root file system",
    ),
    value(
        "persist",
        "NAME|DIR",
        persist,
        "Keep what is written, under a name or in a directory",
    ),
    flag(
        "rm-persist",
        |o| o.forgets_persisted = true,
        "With --persist: forget what was kept before",
    ),
    value("hostname", "NAME", hostname, "The guest's host name").short(b'h'),
    value(
        "add-host",
        "NAME:ADDRESS",
        add_host,
        "Add a line to /etc/hosts",
    ),
    value(
        "dns",
        "ADDRESS",
        dns,
        "Ask this name server instead of the host's",
    ),
    value(
        "dns-search",
        "DOMAIN",
        dns_search,
        "Search names in this domain",
    ),
    value(
        "network",
        "host|none",
        network,
        "Have the host's network (so it is anyway), or none",
    ),
    value("net", "host|none", network, "The same"),
    value(
        "publish",
        "[ADDRESS:]HOST:GUEST[/udp]",
        publish,
        "Let the guest's port be another of the host's",
    )
    .short(b'p'),
    value("ulimit", "NAME=SOFT[:HARD]", ulimit, "Set a resource limit"),
    value(
        "memory",
        "SIZE",
        memory,
        "Memory of the guest, such as 512m",
    )
    .short(b'm'),
    value("cpus", "NUMBER", cpus, "Processors of the guest"),
    value(
        "pids-limit",
        "NUMBER",
        tasks,
        "Most processes and threads at once",
    ),
    flag(
        "interactive",
        |_| (),
        "Nothing: standard input is always there",
    )
    .short(b'i'),
    flag(
        "tty",
        |o| o.needs_terminal = true,
        "Fail if there is no terminal",
    )
    .short(b't'),
    flag(
        "ssh-agent",
        |o| o.has_agent = true,
        "Let programs ask your ssh agent",
    ),
    flag(
        "init",
        |o| o.has_init = true,
        "Put a process before the program that reaps orphans",
    ),
    flag(
        "detach",
        |o| o.is_detached = true,
        "Go on in the background and print the run's name",
    )
    .short(b'd'),
    value(
        "name",
        "NAME",
        name,
        "Name the run, for elfuse-bundle ps, stop, logs and exec",
    ),
    Row {
        long: "config",
        short: None,
        take: Take::File,
        help: "Take options from this file, a NAME or NAME = VALUE a line",
    },
    flag(
        "debug",
        |o| o.explains = true,
        "Print the steps of the start",
    ),
    flag("strace", |o| o.is_traced = true, "Print every system call"),
    flag(
        "stats",
        |o| o.shows_stats = true,
        "Print counters at the end",
    ),
    flag(
        "elfuse-inspect",
        |o| o.action = Some(Action::Inspect),
        "Describe the image inside, with --json for programs",
    ),
    value(
        "elfuse-extract",
        "DIR",
        extract,
        "Unpack the image's files into DIR, a new directory",
    ),
    value(
        "elfuse-cache",
        "ACTION",
        cache,
        "Look after unpacked images: status, prune, or detach their volume",
    ),
    value(
        "older-than",
        "AGE",
        older_than,
        "With prune: only what was not used for so long: a number and s, m, h or d",
    ),
    value(
        "keep-bytes",
        "SIZE",
        keep_bytes,
        "With prune: the longest unused, until SIZE is left, such as 512m or 5g (of 1024 MiB)",
    ),
    flag(
        "elfuse-doctor",
        |o| o.action = Some(Action::Doctor),
        "Check whether this machine runs bundles; exit status 1 if not",
    ),
    flag(
        "json",
        |o| o.is_json = true,
        "With --elfuse-inspect, -cache, -doctor and --stats: print JSON",
    ),
    flag(
        "elfuse-version",
        |o| o.action = Some(Action::Version),
        "Print the version of the carrier program",
    ),
    flag(
        "elfuse-help",
        |o| o.action = Some(Action::Help),
        "Print this",
    ),
    refused(
        "rm",
        "what is written is gone afterwards unless --persist is given",
    ),
    refused("privileged", "there are no privileges of the host to give"),
    refused(
        "cap-add",
        "the guest's root has all capabilities over the guest",
    ),
    refused("cap-drop", "run as another user with -u"),
    refused("mount", "use -v or --tmpfs"),
    refused("platform", "a bundle is for linux/arm64"),
];

fn entrypoint(o: &mut Options, value: &OsStr) -> Result<(), Why> {
    o.entrypoint = Some(value.as_bytes().to_vec());
    Ok(())
}

fn workdir(o: &mut Options, value: &OsStr) -> Result<(), Why> {
    o.workdir = Some(value::guest_path(value.as_bytes())?);
    Ok(())
}

/// `NAME=VALUE` or `NAME`.
fn change(word: &[u8]) -> Result<EnvChange, Why> {
    match word.iter().position(|&byte| byte == b'=') {
        Some(0) => Err("a variable needs a name"),
        None if word.is_empty() => Err("a variable needs a name"),
        Some(_) => Ok(EnvChange::Set(word.to_vec())),
        None => Ok(EnvChange::Inherit(word.to_vec())),
    }
}

fn env(o: &mut Options, value: &OsStr) -> Result<(), Why> {
    o.env.push(change(value.as_bytes())?);
    Ok(())
}

/// Lines as `docker run --env-file` reads them: no quotes, `#` begins a comment
/// only at the start of a line.
fn env_file(o: &mut Options, value: &OsStr) -> Result<(), Why> {
    let text = std::fs::read(value).map_err(|_| "the file cannot be read")?;
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.trim_ascii_start();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || line.first() == Some(&b'#') {
            continue;
        }
        let name = line.split(|&byte| byte == b'=').next().unwrap_or(line);
        if name.iter().any(u8::is_ascii_whitespace) {
            return Err("a line of the file has blanks in a variable's name");
        }
        o.env.push(change(line)?);
    }
    Ok(())
}

fn user(o: &mut Options, value: &OsStr) -> Result<(), Why> {
    o.user = Some(text(value)?.to_owned());
    Ok(())
}

fn volume(o: &mut Options, value: &OsStr) -> Result<(), Why> {
    o.volumes.push(value::volume(value)?);
    Ok(())
}

fn secret(o: &mut Options, value: &OsStr) -> Result<(), Why> {
    let secret = value::secret(value)?;
    if o.secrets.iter().any(|other| other.id == secret.id) {
        return Err("there is another secret with this name");
    }
    o.secrets.push(secret);
    Ok(())
}

fn name(o: &mut Options, value: &OsStr) -> Result<(), Why> {
    let name = text(value)?;
    elfuse_runs::check_name(name)
        .map_err(|_| "a name has up to 32 letters, digits, dots, hyphens, underscores")?;
    o.name = Some(name.to_owned());
    Ok(())
}

fn network(o: &mut Options, value: &OsStr) -> Result<(), Why> {
    match value.as_bytes() {
        b"none" => o.has_no_network = true,
        b"host" => o.has_no_network = false,
        _ => return Err("there are no networks of containers; only host and none"),
    }
    Ok(())
}

fn publish(o: &mut Options, value: &OsStr) -> Result<(), Why> {
    let published = value::published(value)?;
    let is_same = |other: &Published| {
        other.kind == published.kind && other.guest_port == published.guest_port
    };
    if o.published.iter().any(is_same) {
        return Err("the guest's port is another one of the host's already");
    }
    o.published.push(published);
    Ok(())
}

fn tmpfs(o: &mut Options, value: &OsStr) -> Result<(), Why> {
    o.tmpfs.push(value::tmpfs(value)?);
    Ok(())
}

fn persist(o: &mut Options, value: &OsStr) -> Result<(), Why> {
    if value.is_empty() {
        return Err("a name or a directory is needed");
    }
    o.persist = Some(value.to_owned());
    Ok(())
}

fn hostname(o: &mut Options, value: &OsStr) -> Result<(), Why> {
    let name = text(value)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
        return Err("a host name has up to 64 letters, digits, dots and hyphens");
    }
    o.hostname = Some(name.as_bytes().to_vec());
    Ok(())
}

fn add_host(o: &mut Options, value: &OsStr) -> Result<(), Why> {
    o.hosts.push(value::host_name(value)?);
    Ok(())
}

fn dns(o: &mut Options, value: &OsStr) -> Result<(), Why> {
    let address = text(value)?.parse();
    o.name_servers
        .push(address.map_err(|_| "not a numeric address")?);
    Ok(())
}

fn dns_search(o: &mut Options, value: &OsStr) -> Result<(), Why> {
    let domain = text(value)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if domain.is_empty() || !domain.chars().all(is_plain) {
        return Err("a domain has letters, digits, dots and hyphens");
    }
    o.search_domains.push(domain.to_owned());
    Ok(())
}

fn ulimit(o: &mut Options, value: &OsStr) -> Result<(), Why> {
    o.ulimits.push(value::ulimit(value)?);
    Ok(())
}

fn memory(o: &mut Options, value: &OsStr) -> Result<(), Why> {
    let bytes = parse_size(text(value)?)?;
    if bytes < 6 << 20 {
        return Err("a guest needs at least 6m");
    }
    o.memory = Some(bytes);
    Ok(())
}

fn tasks(o: &mut Options, value: &OsStr) -> Result<(), Why> {
    let number = text(value)?.parse::<usize>();
    let number = number.ok().filter(|number| (1..=1 << 22).contains(number));
    o.tasks = Some(number.ok_or("expected a number from 1 to 4194304")?);
    Ok(())
}

fn cpus(o: &mut Options, value: &OsStr) -> Result<(), Why> {
    let number = text(value)?.parse::<usize>();
    let number = number.ok().filter(|number| (1..=64).contains(number));
    o.cpus = Some(number.ok_or("expected a number from 1 to 64")?);
    Ok(())
}

fn extract(o: &mut Options, value: &OsStr) -> Result<(), Why> {
    o.action = Some(Action::Extract(PathBuf::from(value)));
    Ok(())
}

fn cache(o: &mut Options, value: &OsStr) -> Result<(), Why> {
    o.action = Some(Action::Cache(match value.as_bytes() {
        b"status" => CacheAction::Status,
        b"prune" => CacheAction::Prune,
        b"detach" => CacheAction::Detach,
        _ => return Err("expected status, prune or detach"),
    }));
    Ok(())
}

fn older_than(o: &mut Options, age: &OsStr) -> Result<(), Why> {
    o.spare.older_than = Some(parse_age(text(age)?)?);
    Ok(())
}

fn keep_bytes(o: &mut Options, size: &OsStr) -> Result<(), Why> {
    o.spare.keep_bytes = Some(parse_size(text(size)?)?);
    Ok(())
}

/// The text of `--elfuse-help`.
pub(super) fn help() -> String {
    let mut text = String::from(
        "A Linux program in one macOS file, made by elfuse-bundle.\n\n\
         Usage: BUNDLE [OPTIONS] [COMMAND [ARGS]]\n\n\
         Options, before the command:\n",
    );
    for row in ROWS {
        let what = match row.take {
            Take::Flag(_) => "",
            Take::Value(what, _) => what,
            Take::File => "FILE",
            Take::Refused(_) => continue,
        };
        let short = row.short.map_or("    ".to_owned(), |letter| {
            format!("-{}, ", char::from(letter))
        });
        let name = format!("{short}--{} {what}", row.long);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<34} {}", row.help);
    }
    text.push_str(
        "\nIn a bundle made with --cli every argument goes to the program inside;\n\
         these options are then given in the variable ELFUSE_OPTS.\n\n\
         Examples:\n  \
           ./BUNDLE sh -c 'uname -sm'                 a command of the image\n  \
           ./BUNDLE -v \"$PWD\":/work -w /work sh       a shell on your own files\n  \
           ./BUNDLE --persist mine sh                 one that keeps what it writes\n  \
           ./BUNDLE -- --version                      an option for the image's own program\n",
    );
    text
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! One row for each option of a bundle: its names, what it takes, its line of
//! `--elfuse-help`. Rows that refuse stand for options of other container tools
//! that people will try. What an option does is the stub's, which has a `match`
//! over [`Flag`] and one over [`Value`].

/// An option without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the help in an option's row says it")]
pub enum Flag {
    ReadOnly,
    RmPersist,
    Interactive,
    Tty,
    SshAgent,
    Init,
    Detach,
    Debug,
    Strace,
    Stats,
    Inspect,
    Doctor,
    Json,
    Version,
    Help,
}

/// An option with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the help in an option's row says it")]
pub enum Value {
    Entrypoint,
    Workdir,
    Env,
    EnvFile,
    User,
    Volume,
    Tmpfs,
    Secret,
    Persist,
    Hostname,
    AddHost,
    Dns,
    DnsSearch,
    Network,
    Publish,
    Ulimit,
    Memory,
    Cpus,
    PidsLimit,
    Name,
    Extract,
    Cache,
    OlderThan,
    KeepBytes,
}

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// Nothing.
    Flag(Flag),
    /// A value of this name.
    Value(&'static str, Value),
    /// A file with more options.
    File,
    /// Not in this version, and why.
    Refused(&'static str),
}

/// An option.
#[derive(Debug)]
pub struct Row {
    /// Its name, without the hyphens.
    pub long: &'static str,
    /// Its letter.
    pub short: Option<u8>,
    /// What it takes.
    pub take: Take,
    /// Its line of the help.
    pub help: &'static str,
}

const fn flag(long: &'static str, flag: Flag, help: &'static str) -> Row {
    row(long, Take::Flag(flag), help)
}

const fn value(long: &'static str, what: &'static str, value: Value, help: &'static str) -> Row {
    row(long, Take::Value(what, value), help)
}

const fn refused(long: &'static str, why: &'static str) -> Row {
    row(long, Take::Refused(why), "")
}

const fn row(long: &'static str, take: Take, help: &'static str) -> Row {
    Row {
        long,
        short: None,
        take,
        help,
    }
}

impl Row {
    const fn short(mut self, letter: u8) -> Self {
        self.short = Some(letter);
        self
    }
}

/// Every option, in the order of `--elfuse-help`.
pub static ROWS: &[Row] = &[
    value(
        "entrypoint",
        "PROGRAM",
        Value::Entrypoint,
        "Run this instead of the image's program",
    ),
    value("workdir", "DIR", Value::Workdir, "Start in this directory").short(b'w'),
    value(
        "env",
        "NAME[=VALUE]",
        Value::Env,
        "Set a variable, or pass the host's on",
    )
    .short(b'e'),
    value(
        "env-file",
        "FILE",
        Value::EnvFile,
        "Set the variables in this file, one a line",
    ),
    value(
        "user",
        "USER[:GROUP]",
        Value::User,
        "Run as this user, by name or number",
    )
    .short(b'u'),
    value(
        "volume",
        "HOST:GUEST[:ro]",
        Value::Volume,
        "Show a host file or directory in the guest",
    )
    .short(b'v'),
    value(
        "tmpfs",
        "DIR[:OPTIONS]",
        Value::Tmpfs,
        "Mount memory here; options such as size=64m",
    ),
    value(
        "secret",
        "ID=FILE",
        Value::Secret,
        "Show a file as /run/secrets/ID, to the program's user only",
    ),
    flag(
        "read-only",
        Flag::ReadOnly,
        "Refuse writes to the root file system",
    ),
    value(
        "persist",
        "NAME|DIR",
        Value::Persist,
        "Keep what is written, under a name or in a directory",
    ),
    flag(
        "rm-persist",
        Flag::RmPersist,
        "With --persist: forget what was kept before",
    ),
    value("hostname", "NAME", Value::Hostname, "The guest's host name").short(b'h'),
    value(
        "add-host",
        "NAME:ADDRESS",
        Value::AddHost,
        "Add a line to /etc/hosts",
    ),
    value(
        "dns",
        "ADDRESS",
        Value::Dns,
        "Ask this name server instead of the host's",
    ),
    value(
        "dns-search",
        "DOMAIN",
        Value::DnsSearch,
        "Search names in this domain",
    ),
    value(
        "network",
        "host|none",
        Value::Network,
        "Have the host's network (so it is anyway), or none",
    ),
    value("net", "host|none", Value::Network, "The same"),
    value(
        "publish",
        "[ADDRESS:]HOST:GUEST[/udp]",
        Value::Publish,
        "Let the guest's port be another of the host's",
    )
    .short(b'p'),
    value(
        "ulimit",
        "NAME=SOFT[:HARD]",
        Value::Ulimit,
        "Set a resource limit",
    ),
    value(
        "memory",
        "SIZE",
        Value::Memory,
        "Memory of the guest, such as 512m",
    )
    .short(b'm'),
    value("cpus", "NUMBER", Value::Cpus, "Processors of the guest"),
    value(
        "pids-limit",
        "NUMBER",
        Value::PidsLimit,
        "Most processes and threads at once",
    ),
    flag(
        "interactive",
        Flag::Interactive,
        "Nothing: standard input is always there",
    )
    .short(b'i'),
    flag("tty", Flag::Tty, "Fail if there is no terminal").short(b't'),
    flag(
        "ssh-agent",
        Flag::SshAgent,
        "Let programs ask your ssh agent",
    ),
    flag(
        "init",
        Flag::Init,
        "Put a process before the program that reaps orphans",
    ),
    flag(
        "detach",
        Flag::Detach,
        "Go on in the background and print the run's name",
    )
    .short(b'd'),
    value(
        "name",
        "NAME",
        Value::Name,
        "Name the run, for elfuse-bundle ps, stop, logs and exec",
    ),
    row(
        "config",
        Take::File,
        "Take options from this file, a NAME or NAME = VALUE a line",
    ),
    flag("debug", Flag::Debug, "Print the steps of the start"),
    flag("strace", Flag::Strace, "Print every system call"),
    flag("stats", Flag::Stats, "Print counters at the end"),
    flag(
        "elfuse-inspect",
        Flag::Inspect,
        "Describe the image inside, with --json for programs",
    ),
    value(
        "elfuse-extract",
        "DIR",
        Value::Extract,
        "Unpack the image's files into DIR, a new directory",
    ),
    value(
        "elfuse-cache",
        "ACTION",
        Value::Cache,
        "Look after unpacked images: status, prune, or detach their volume",
    ),
    value(
        "older-than",
        "AGE",
        Value::OlderThan,
        "With prune: only what was not used for so long: a number and s, m, h or d",
    ),
    value(
        "keep-bytes",
        "SIZE",
        Value::KeepBytes,
        "With prune: the longest unused, until SIZE is left, such as 512m or 5g (of 1024 MiB)",
    ),
    flag(
        "elfuse-doctor",
        Flag::Doctor,
        "Check whether this machine runs bundles; exit status 1 if not",
    ),
    flag(
        "json",
        Flag::Json,
        "With --elfuse-inspect, -cache, -doctor and --stats: print JSON",
    ),
    flag(
        "elfuse-version",
        Flag::Version,
        "Print the version of the carrier program",
    ),
    flag("elfuse-help", Flag::Help, "Print this"),
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

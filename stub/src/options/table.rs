// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each option does, and the text of `--elfuse-help`. The options' names are
//! in [`elfuse_runs::options`].

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use elfuse_kernel::net::Published;
use elfuse_runs::options::{Flag, ROWS, Take, Value};
use elfuse_runs::spare::{parse_age, parse_size};

use super::value::{self, Why, text};
use super::{Action, CacheAction, EnvChange, Options};

/// Sets an option without a value.
pub(super) fn set_flag(o: &mut Options, flag: Flag) {
    match flag {
        Flag::ReadOnly => o.is_read_only = true,
        Flag::RmPersist => o.forgets_persisted = true,
        Flag::Interactive => (),
        Flag::Tty => o.needs_terminal = true,
        Flag::SshAgent => o.has_agent = true,
        Flag::Init => o.has_init = true,
        Flag::Detach => o.is_detached = true,
        Flag::Debug => o.explains = true,
        Flag::Strace => o.is_traced = true,
        Flag::Stats => o.shows_stats = true,
        Flag::Inspect => o.action = Some(Action::Inspect),
        Flag::Doctor => o.action = Some(Action::Doctor),
        Flag::Json => o.is_json = true,
        Flag::Version => o.action = Some(Action::Version),
        Flag::Help => o.action = Some(Action::Help),
    }
}

/// Sets an option with a value.
pub(super) fn set_value(o: &mut Options, option: Value, value: &OsStr) -> Result<(), Why> {
    let set = match option {
        Value::Entrypoint => entrypoint,
        Value::Workdir => workdir,
        Value::Env => env,
        Value::EnvFile => env_file,
        Value::User => user,
        Value::Volume => volume,
        Value::Tmpfs => tmpfs,
        Value::Secret => secret,
        Value::Persist => persist,
        Value::Hostname => hostname,
        Value::AddHost => add_host,
        Value::Dns => dns,
        Value::DnsSearch => dns_search,
        Value::Network => network,
        Value::Publish => publish,
        Value::Ulimit => ulimit,
        Value::Memory => memory,
        Value::Cpus => cpus,
        Value::PidsLimit => tasks,
        Value::Name => name,
        Value::Extract => extract,
        Value::Cache => cache,
        Value::OlderThan => older_than,
        Value::KeepBytes => keep_bytes,
    };
    set(o, value)
}

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

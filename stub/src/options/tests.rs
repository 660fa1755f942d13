// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where options end, what they mean, and that none is ignored.

use std::ffi::OsString;

use elfuse_machine::host::net::Kind;
use elfuse_runs::options::{ROWS, Take};

use super::{Action, EnvChange, Options, help};

fn words(args: &[&str]) -> Vec<OsString> {
    args.iter().map(OsString::from).collect()
}

fn read(args: &[&str]) -> Result<Options, String> {
    Options::default()
        .and(&words(args))
        .map_err(|error| error.to_string())
}

fn action(args: &[&str]) -> Option<Action> {
    read(args).unwrap().action
}

#[test]
fn options_after_the_command_are_the_guests() {
    assert_eq!(action(&["sh", "--elfuse-help"]), None);
    assert_eq!(action(&["--", "--elfuse-help"]), None);
    assert_eq!(action(&["--elfuse-help", "sh"]), Some(Action::Help));
    let options = read(&["-e", "A=1", "sh", "-e", "B=2", "--"]).unwrap();
    assert_eq!(options.command, [&b"sh"[..], b"-e", b"B=2", b"--"]);
    assert_eq!(options.env, [EnvChange::Set(b"A=1".to_vec())]);
}

#[test]
fn values_are_attached_or_follow() {
    for args in [
        &["-w", "/x"][..],
        &["-w/x"],
        &["-w=/x"],
        &["--workdir", "/x"],
        &["--workdir=/x"],
        &["-itw/x"],
    ] {
        assert_eq!(read(args).unwrap().workdir.as_deref(), Some(&b"/x"[..]));
    }
    assert!(
        read(&["--workdir"])
            .unwrap_err()
            .contains("DIR must follow")
    );
    assert!(read(&["--read-only=yes"]).unwrap_err().contains("no value"));
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    assert!(
        read(&["--frobnicate"])
            .unwrap_err()
            .contains("--frobnicate")
    );
    assert!(read(&["-iz"]).unwrap_err().contains("-iz"));
    for row in ROWS {
        if matches!(row.take, Take::Refused(_)) {
            let error = read(&[&format!("--{}", row.long)]).unwrap_err();
            assert!(error.contains(&format!("--{}", row.long)), "{error}");
        }
    }
}

#[test]
fn help_names_every_option_that_works() {
    let text = help();
    for row in ROWS {
        let is_named = text.contains(&format!("--{} ", row.long));
        assert_eq!(
            is_named,
            !matches!(row.take, Take::Refused(_)),
            "{}",
            row.long
        );
    }
}

#[test]
fn later_places_add_to_earlier_ones() {
    let baked = ["--read-only".to_owned(), "-w".into(), "/a".into()];
    let environment = OsString::from(" -w /b  -e X=1 ");
    let options = Options::baked(&baked)
        .and_then(|options| options.and_environment(Some(&environment)))
        .and_then(|options| options.and(&words(&["-e", "Y", "sh"])))
        .unwrap();
    assert!(options.is_read_only);
    assert_eq!(options.workdir.as_deref(), Some(&b"/b"[..]));
    let expected = [
        EnvChange::Set(b"X=1".to_vec()),
        EnvChange::Inherit(b"Y".to_vec()),
    ];
    assert_eq!(options.env, expected);
    let words = OsString::from("--elfuse-help sh");
    let error = Options::default().and_environment(Some(&words));
    assert!(error.unwrap_err().to_string().contains("sh"));
}

#[test]
fn volumes_and_tmpfs_are_read_and_refused() {
    let options = read(&["-v", "./a:/b:ro", "--tmpfs", "/t:size=1m,mode=700"]).unwrap();
    assert!(options.volumes[0].is_read_only);
    assert_eq!(options.tmpfs[0].bytes, Some(1 << 20));
    assert_eq!(options.tmpfs[0].mode, 0o700);
    for bad in ["/a", "/a:b", "/a:/b:rx", "name:/b", "/a:/b:ro:z"] {
        assert!(read(&["-v", bad]).is_err(), "{bad}");
    }
    for bad in ["t", "/t:size=0", "/t:mode=9", "/t:frob"] {
        assert!(read(&["--tmpfs", bad]).is_err(), "{bad}");
    }
}

#[test]
fn ulimits_and_sizes_are_linux() {
    let options = read(&["--ulimit", "nofile=64:128", "-m", "512m"]).unwrap();
    let limit = options.ulimits[0];
    assert_eq!((limit.which, limit.soft, limit.hard), (7, 64, 128));
    assert_eq!(options.memory, Some(512 << 20));
    for bad in ["nofile", "frob=1", "nofile=2:1", "nofile=x"] {
        assert!(read(&["--ulimit", bad]).is_err(), "{bad}");
    }
}

fn in_file(text: &str) -> Result<Options, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    read(&["--config", file.path().to_str().unwrap(), "cmd"])
}

#[test]
fn a_file_has_options_one_a_line() {
    let text = "# comment\n\n env = A=b c \nread-only\nworkdir=/x\nuser = 5\n";
    let options = in_file(text).unwrap();
    assert_eq!(options.env, [EnvChange::Set(b"A=b c".to_vec())]);
    assert!(options.is_read_only);
    assert_eq!(options.workdir.as_deref(), Some(&b"/x"[..]));
    assert_eq!(options.user.as_deref(), Some("5"));
    assert_eq!(options.command, [b"cmd".to_vec()]);
}

#[test]
fn a_file_with_anything_else_is_refused_with_its_line() {
    for (text, why) in [
        (
            "read-only\nfrobnicate = 1",
            "line 2: read option \"frobnicate\"",
        ),
        ("read-only = yes", "line 1: read option --read-only \"yes\""),
        ("workdir", "line 1: read option --workdir: DIR must follow"),
        (
            "config = other",
            "line 1: read option --config: not supported",
        ),
        ("elfuse-cache = prune", "line 1: read option --elfuse-cache"),
        ("--read-only", "line 1: read option \"--read-only\""),
        (
            "privileged = yes",
            "line 1: read option --privileged: not supported",
        ),
    ] {
        let error = in_file(text).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
    let error = read(&["--config", "/missing"]).unwrap_err();
    assert!(error.contains("read options from /missing"), "{error}");
}

#[test]
fn secrets_have_a_name_and_a_file() {
    let secret = |word: &str| {
        let options = read(&["--secret", word])?;
        let secret = options.secrets[0].clone();
        Ok::<_, String>((secret.id, secret.source))
    };
    let expected = ("key".to_owned(), "./a=b".into());
    assert_eq!(secret("key=./a=b").unwrap(), expected);
    assert_eq!(secret("id=key,src=./a=b").unwrap(), expected);
    for word in [
        "key",
        "=a",
        "key=",
        "../x=a",
        "a/b=c",
        ".=a",
        "id=key,uid=4",
    ] {
        assert!(secret(word).is_err(), "{word}");
    }
    assert!(read(&["--secret", "a=x", "--secret", "a=y"]).is_err());
}

#[test]
fn network_is_the_hosts_or_none() {
    assert!(read(&["--net", "none"]).unwrap().has_no_network);
    assert!(read(&["--network=none"]).unwrap().has_no_network);
    assert!(!read(&["--net=none", "--net=host"]).unwrap().has_no_network);
    let error = read(&["--net", "bridge"]).unwrap_err();
    assert!(error.contains("only host and none"), "{error}");
}

#[test]
fn published_ports_are_read_as_docker_reads_them() {
    let published = |word: &str| {
        let options = read(&["-p", word]).unwrap();
        let [port] = options.published[..] else {
            panic!("{word}: one port");
        };
        let host = port.host.map(|host| host.to_string());
        (port.kind, host, port.host_port, port.guest_port)
    };
    let (tcp, udp) = (Kind::Stream, Kind::Datagram);
    assert_eq!(published("8080:80"), (tcp, None, 8080, 80));
    assert_eq!(published("5353:53/udp"), (udp, None, 5353, 53));
    let local = Some("127.0.0.1".to_owned());
    assert_eq!(published("127.0.0.1:1:2/tcp"), (tcp, local, 1, 2));
    assert_eq!(published("[::1]:1:2"), (tcp, Some("::1".to_owned()), 1, 2));
    for word in ["80", "0:80", "80:", "1:65536", "a:1:2", "1:2/sctp", "-1:2"] {
        assert!(read(&["-p", word]).is_err(), "{word}");
    }
    let twice = read(&["-p", "1:80", "-p", "2:80"]).unwrap_err();
    assert!(twice.contains("already"), "{twice}");
    assert!(read(&["-p", "1:80", "-p", "2:80/udp"]).is_ok());
}

#[test]
fn pruning_takes_ages_and_sizes() {
    let prune = [
        "--elfuse-cache",
        "prune",
        "--older-than",
        "30d",
        "--keep-bytes=5g",
    ];
    let spare = read(&prune).unwrap().spare;
    let month = std::time::Duration::from_secs(30 * 86400);
    assert_eq!(
        (spare.older_than, spare.keep_bytes),
        (Some(month), Some(5 << 30))
    );
    for wrong in ["30", "d", "-1d", "1w", "99999999999999999999d"] {
        assert!(read(&["--older-than", wrong]).is_err(), "{wrong}");
    }
}

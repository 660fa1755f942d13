// SPDX-License-Identifier: MIT OR Apache-2.0
//! The merge of config and options, case by case as docker does it.

use std::ffi::OsString;

use super::{ImageConfig, Run, Terminal, add_home, signal_number};
use crate::StartError;
use crate::options::Options;

fn merge(config: &str, args: &[&str]) -> Result<Run, StartError> {
    let args: Vec<OsString> = args.iter().map(OsString::from).collect();
    let options = Options::default().and(&args).unwrap();
    let document = format!("{{\"config\":{config}}}");
    let host = |name: &[u8]| (name == b"HOST").then(|| b"here".to_vec());
    ImageConfig::parse(document.as_bytes())
        .unwrap()
        .merge(&options, Terminal::No, &host)
}

fn argv(config: &str, args: &[&str]) -> String {
    let run = merge(config, args).unwrap();
    String::from_utf8(run.argv.join(&b' ')).unwrap()
}

#[test]
fn entrypoint_and_command_are_merged_as_docker_does() {
    let both = r#"{"Entrypoint":["e","1"],"Cmd":["c","2"]}"#;
    let command = r#"{"Cmd":["c","2"]}"#;
    let entry = r#"{"Entrypoint":["e","1"],"Cmd":null}"#;
    assert_eq!(argv(both, &[]), "e 1 c 2");
    assert_eq!(argv(both, &["a"]), "e 1 a");
    assert_eq!(argv(command, &[]), "c 2");
    assert_eq!(argv(command, &["a", "b"]), "a b");
    assert_eq!(argv(entry, &[]), "e 1");
    assert_eq!(argv(entry, &["a"]), "e 1 a");
    assert_eq!(argv(both, &["--entrypoint", "x"]), "x");
    assert_eq!(argv(both, &["--entrypoint", "x", "a"]), "x a");
    assert_eq!(argv(both, &["--entrypoint", "", "a"]), "a");
}

#[test]
fn nothing_to_run_is_an_error() {
    for (config, args) in [
        ("null", &[][..]),
        ("{}", &[]),
        (r#"{"Cmd":["c"]}"#, &["--entrypoint", ""]),
    ] {
        assert!(matches!(merge(config, args), Err(StartError::NoCommand)));
    }
}

#[test]
fn environment_is_the_images_then_the_options() {
    let config = r#"{"Cmd":["c"],"Env":["A=1","B=2","A=3"]}"#;
    let run = merge(
        config,
        &["-e", "B=x=y", "-e", "HOST", "-e", "C=", "-e", "GONE"],
    )
    .unwrap();
    let env: Vec<_> = run.env.iter().map(|v| String::from_utf8_lossy(v)).collect();
    assert_eq!(env[1..], ["A=3", "B=x=y", "HOST=here", "C="]);
    assert!(env[0].starts_with("PATH=/usr/local/sbin:"));
    let run = merge(
        r#"{"Cmd":["c"],"Env":["PATH=/p","GONE=1"]}"#,
        &["-e", "GONE"],
    )
    .unwrap();
    assert_eq!(run.env, [b"PATH=/p".to_vec()]);
}

#[test]
fn home_is_added_only_when_missing() {
    let mut env = vec![b"HOME=/a".to_vec()];
    add_home(&mut env, "/b");
    assert_eq!(env, [b"HOME=/a".to_vec()]);
    let mut env = vec![b"HOMES=/a".to_vec()];
    add_home(&mut env, "/b");
    assert_eq!(env[1], b"HOME=/b");
}

#[test]
fn directory_user_and_signal_come_from_image_or_option() {
    let config = r#"{"Cmd":["c"],"WorkingDir":"srv","User":"u:g","StopSignal":"SIGINT"}"#;
    let run = merge(config, &[]).unwrap();
    assert_eq!(
        (run.cwd.as_slice(), run.user.as_str()),
        (&b"/srv"[..], "u:g")
    );
    assert_eq!(run.stop_signal, 2);
    let run = merge(config, &["-w", "/x", "-u", "7"]).unwrap();
    assert_eq!((run.cwd.as_slice(), run.user.as_str()), (&b"/x"[..], "7"));
    assert!(merge(r#"{"Cmd":["c"],"StopSignal":"NOPE"}"#, &[]).is_err());
}

#[test]
fn signals_are_known_by_all_their_names() {
    for (name, number) in [
        ("15", Some(15)),
        ("TERM", Some(15)),
        ("sigterm", Some(15)),
        ("SIGRTMIN+3", Some(37)),
        ("SIGSYS", Some(31)),
        ("0", None),
        ("65", None),
        ("FROB", None),
    ] {
        assert_eq!(signal_number(name), number, "{name}");
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first process: signals end it as they end any program, unless `--init` puts one
//! of ours before it (docs/decisions/0031). Linux protects it; a bundle is a program on
//! somebody's computer, which ^C has to end.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use elfuse_tests::guest::Guest;
use elfuse_tests::guest_root;

fn guest(script: &str) -> Guest {
    let packages = ["base-files", "busybox-static", "coreutils", "dash"];
    let root = guest_root::root("counts", &packages).expect("a root of Debian packages");
    Guest::new(&root, &["/bin/busybox", "sh", "-c", script])
}

#[test]
fn signals_without_a_handler_end_the_first_process() {
    let cases = [
        ("kill $$; sleep 1; exit 3", 128 + 15),
        ("kill -9 $$; exit 3", 128 + 9),
        ("(kill -INT 1); sleep 1; exit 3", 128 + 2),
        ("(kill -9 1); sleep 1; exit 3", 128 + 9),
        ("trap 'exit 4' TERM; (kill 1); sleep 1; exit 3", 4),
        ("trap '' TERM; (kill 1); exit 3", 3),
        // To everybody, which is nobody but the first process and the sender.
        ("(kill -9 -1); exit 3", 3),
    ];
    for (script, status) in cases {
        assert_eq!(guest(script).run().status, status, "{script}");
    }
}

#[test]
fn signals_of_the_host_end_the_first_process() {
    for (signal, number) in [("-INT", 2), ("-TERM", 15), ("-HUP", 1)] {
        let mut simulator = guest("echo ready; exec sleep 60")
            .simulated()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the simulator");
        let mut line = String::new();
        let out = simulator.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n");
        let sent = std::process::Command::new("kill")
            .args([signal, &simulator.id().to_string()])
            .status();
        assert!(sent.expect("send a signal").success());
        let status = simulator.wait().expect("wait for the simulator");
        let ended = status.code().unwrap_or(128 + status.signal().unwrap_or(0));
        assert_eq!(ended, 128 + number, "{signal}: {status}");
    }
}

#[test]
fn an_init_of_ours_cannot_be_killed_from_inside() {
    let guest = guest("kill -9 1; kill -STOP 1; kill -0 1 && exit 7").options(&["--init"]);
    assert_eq!(guest.run().status, 7);
}

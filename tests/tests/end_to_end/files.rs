// SPDX-License-Identifier: MIT OR Apache-2.0
//! What of the host the guest sees, what it may write, and where writes go.

use std::fs;

use anyhow::{Result, ensure};
use elfuse_tests::tree;

use crate::common::Owner;

#[test]
fn volumes_are_read_and_written_and_can_refuse_writes() -> Result<()> {
    let owner = Owner::of_busybox()?;
    let shared = owner.user.path("shared");
    fs::create_dir(&shared)?;
    fs::write(shared.join("in"), "from the host\n")?;
    let script = "cat /data/in && echo back > /data/out && busybox mkdir /data/d";
    let text = owner.prints(&["-v", "./shared:/data", "sh", "-c", script])?;
    ensure!(text == "from the host\n", "{text}");
    ensure!(fs::read_to_string(shared.join("out"))? == "back\n");
    ensure!(shared.join("d").is_dir());
    let text = owner.ends_with(
        1,
        &["-v", "./shared:/data:ro", "sh", "-c", "echo x > /data/no"],
    )?;
    ensure!(text.contains("Read-only file system"), "{text}");
    ensure!(!shared.join("no").exists());
    let text = owner.prints(&["-v", "./shared/in:/etc/one", "cat", "/etc/one"])?;
    ensure!(text == "from the host\n", "{text}");
    let text = owner.ends_with(125, &["-v", "./missing:/data", "true"])?;
    ensure!(text.contains("missing"), "{text}");
    Ok(())
}

#[test]
fn a_volume_is_all_of_the_host_that_is_seen() -> Result<()> {
    let owner = Owner::of_busybox()?;
    fs::create_dir(owner.user.path("shared"))?;
    fs::write(owner.user.path("secret"), "not for guests\n")?;
    std::os::unix::fs::symlink(owner.user.path("secret"), owner.user.path("shared/link"))?;
    std::os::unix::fs::symlink("../secret", owner.user.path("shared/up"))?;
    for path in ["/data/link", "/data/up", "/data/../secret"] {
        let text = owner.ends_with(1, &["-v", "./shared:/data", "cat", path])?;
        ensure!(text.contains("No such file"), "{path}: {text}");
    }
    Ok(())
}

#[test]
fn a_read_only_root_refuses_writes_and_tmpfs_takes_them() -> Result<()> {
    let owner = Owner::of_busybox()?;
    let text = owner.ends_with(1, &["--read-only", "sh", "-c", "echo x > /new"])?;
    ensure!(text.contains("Read-only file system"), "{text}");
    let options = ["--read-only", "--tmpfs", "/scratch:size=64k"];
    let script = "echo x > /scratch/a && cat /scratch/a";
    let args = [&options[..], &["sh", "-c", script]].concat();
    ensure!(owner.prints(&args)? == "x\n");
    let script = "busybox dd if=/dev/zero of=/scratch/a bs=1k count=128";
    let text = owner.ends_with(1, &[&options[..], &["sh", "-c", script]].concat())?;
    ensure!(text.contains("No space left"), "{text}");
    Ok(())
}

#[test]
fn writes_are_gone_afterwards_and_the_cache_is_untouched() -> Result<()> {
    let owner = Owner::of_busybox()?;
    owner.prints(&["true"])?;
    let tree = owner.unpacked()?.join("tree");
    let before = tree::describe(&tree)?;
    let script = "echo x > /bin/new; echo y >> /bin/busybox; busybox rm -r /usr; \
                  busybox mv /var /moved; busybox chmod 0 /bin/cat; echo done";
    ensure!(owner.prints(&["sh", "-c", script])? == "done\n");
    ensure!(tree::describe(&tree)? == before, "the cache has changed");
    ensure!(
        owner
            .prints(&["sh", "-c", "echo /*"])?
            .contains("/usr /var")
    );
    Ok(())
}

#[test]
fn names_of_the_host_are_synthesised() -> Result<()> {
    let owner = Owner::of_busybox()?;
    let options = [
        "--hostname",
        "box",
        "--add-host",
        "db:10.1.2.3",
        "--dns",
        "10.9.9.9",
    ];
    let script = "busybox hostname; cat /etc/hostname /etc/hosts /etc/resolv.conf";
    let text = owner.prints(&[&options[..], &["sh", "-c", script]].concat())?;
    ensure!(
        text.starts_with("box\nbox\n127.0.0.1\tlocalhost\n"),
        "{text}"
    );
    ensure!(
        text.contains("10.1.2.3\tdb\n") && text.contains("nameserver 10.9.9.9\n"),
        "{text}"
    );
    Ok(())
}

#[test]
fn directories_that_are_missing_are_made() -> Result<()> {
    let owner = Owner::of_busybox()?;
    ensure!(owner.prints(&["-w", "/a/b/c", "sh", "-c", "pwd"])? == "/a/b/c\n");
    let text = owner.ends_with(125, &["-w", "/bin/sh", "true"])?;
    ensure!(text.contains("/bin/sh"), "{text}");
    Ok(())
}

#[test]
fn odd_files_are_exact_although_the_host_holds_only_bytes() -> Result<()> {
    let owner = Owner::of_debian()?;
    let script = "cd /usr/share/odd; stat -c '%n %a %u %g %F %h' none all owned null disk; \
                  stat -c %h 'first name'; cat $'invalid \\xff\\xfe utf-8' | od -An -tx1 | head -1; \
                  cat Case case; echo; ls | wc -l";
    let text = owner.prints(&["bash", "-c", script])?;
    let expected = "none 0 0 0 regular file 1\n\
                    all 7777 0 0 regular file 1\n\
                    owned 644 4000000000 3000000001 regular file 1\n\
                    null 644 0 0 character special file 1\n\
                    disk 644 0 0 block special file 1\n2\n \
                    69 6e 76 61 6c 69 64 20 ff fe 20 75 74 66 2d 38\n\
                    Casecase\n";
    ensure!(text.starts_with(expected), "{text}");
    Ok(())
}

#[test]
fn persistent_writes_are_there_in_the_next_run() -> Result<()> {
    let owner = Owner::of_busybox()?;
    let script = "echo kept > /root.txt; busybox rm /bin/ls; busybox mv /var /moved; \
                  busybox ln /root.txt /second";
    owner.prints(&["--persist", "one", "sh", "-c", script])?;
    let script = "cat /second; echo /bin/ls* /moved* /var*; echo more >> /second; cat /root.txt";
    let text = owner.prints(&["--persist", "one", "sh", "-c", script])?;
    ensure!(
        text == "kept\n/bin/ls* /moved /var*\nkept\nmore\n",
        "{text}"
    );
    // Nothing of it is in another place, or in the image.
    owner.ends_with(1, &["--persist", "./other", "cat", "/root.txt"])?;
    owner.ends_with(1, &["cat", "/root.txt"])?;
    owner.ends_with(1, &["--persist", "one", "--rm-persist", "cat", "/root.txt"])?;
    Ok(())
}

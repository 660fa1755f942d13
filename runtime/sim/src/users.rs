// SPDX-License-Identifier: GPL-2.0-only
//! The user a program runs as: by number, or by name from the root's own files.
//!
//! The rules are those of `docker run --user`.

use std::path::Path;

/// Who the program is.
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
}

/// Fields of the first line of a colon-separated file that `matches`.
fn find(text: &str, matches: impl Fn(&[&str]) -> bool) -> Option<Vec<String>> {
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let line = lines.find(|fields| fields.len() >= 4 && matches(fields))?;
    Some(line.into_iter().map(str::to_owned).collect())
}

/// A file of the root; a link is not followed, because it could lead out of it.
fn read(rootfs: &Path, name: &str) -> String {
    let path = rootfs.join("etc").join(name);
    let is_file = path.symlink_metadata().is_ok_and(|meta| meta.is_file());
    if is_file {
        std::fs::read_to_string(path).unwrap_or_default()
    } else {
        String::new()
    }
}

/// Finds `USER[:GROUP]` in the root's `passwd` and `group`.
pub(crate) fn resolve(rootfs: &Path, wanted: &str) -> anyhow::Result<User> {
    let (user, group) = match wanted.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (wanted, None),
    };
    let passwd = read(rootfs, "passwd");
    let groups = read(rootfs, "group");
    let entry = find(&passwd, |fields| fields[0] == user)
        .or_else(|| find(&passwd, |fields| fields[2] == user));
    let number = |text: &str| text.parse::<u32>().ok();
    let uid = entry
        .as_ref()
        .and_then(|fields| number(&fields[2]))
        .or_else(|| number(user));
    let uid =
        uid.ok_or_else(|| anyhow::anyhow!("find user {user}: no such name in /etc/passwd"))?;
    let name = entry
        .as_ref()
        .map(|fields| fields[0].clone())
        .unwrap_or_default();
    let gid = match group {
        None => entry
            .as_ref()
            .and_then(|fields| number(&fields[3]))
            .unwrap_or(0),
        Some(group) => find(&groups, |fields| fields[0] == group)
            .and_then(|fields| number(&fields[2]))
            .or_else(|| number(group))
            .ok_or_else(|| anyhow::anyhow!("find group {group}: no such name in /etc/group"))?,
    };
    let supplementary = groups
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .filter(|fields| fields.len() >= 4 && !name.is_empty() && group.is_none())
        .filter(|fields| fields[3].split(',').any(|member| member == name))
        .filter_map(|fields| number(fields[2]))
        .collect();
    let home = entry
        .and_then(|fields| fields.get(5).cloned())
        .unwrap_or_else(|| "/".to_owned());
    Ok(User {
        uid,
        gid,
        groups: supplementary,
        home,
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn names_and_numbers_are_found() {
        let text = "root:x:0:0::/root:/bin/sh\nann:x:1000:100::/home/ann:/bin/sh\n";
        let ann = find(text, |fields| fields[0] == "ann").expect("ann is there");
        assert_eq!((ann[2].as_str(), ann[5].as_str()), ("1000", "/home/ann"));
        assert!(find(text, |fields| fields[2] == "7").is_none());
    }
}

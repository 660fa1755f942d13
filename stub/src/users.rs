// SPDX-License-Identifier: MIT OR Apache-2.0
//! The user a program runs as: by number, or by name from the image's own files,
//! by the rules of `docker run --user`. A number that no file knows is allowed,
//! a name is not; a group given with the user replaces the supplementary ones.

use crate::StartError;

/// The longest `/etc/passwd` or `/etc/group` that is read.
pub(crate) const MAX_USERS: usize = 4 << 20;

/// Who the program is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
}

/// Fields of the first line of a colon-separated file that `matches`.
fn find(text: &str, matches: impl Fn(&[&str]) -> bool) -> Option<Vec<&str>> {
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|fields| fields.len() >= 3 && matches(fields))
}

fn number(text: &str) -> Option<u32> {
    // The highest number means "no change" to Linux.
    text.parse::<u32>().ok().filter(|id| *id != u32::MAX)
}

/// Finds `USER[:GROUP]`; empty means root.
pub(crate) fn resolve(wanted: &str, passwd: &[u8], group: &[u8]) -> Result<User, StartError> {
    let passwd = String::from_utf8_lossy(passwd);
    let groups = String::from_utf8_lossy(group);
    let (name, group) = match wanted.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (wanted, None),
    };
    let name = if name.is_empty() { "0" } else { name };
    let entry = find(&passwd, |fields| fields[0] == name).or_else(|| {
        find(&passwd, |fields| {
            number(name).is_some() && fields[2] == name
        })
    });
    let field = |at: usize| entry.as_ref().and_then(|fields| fields.get(at).copied());
    let uid = field(2).and_then(number).or_else(|| number(name));
    let uid = uid.ok_or_else(|| StartError::UnknownUser(name.to_owned()))?;
    let gid = match group {
        None => field(3).and_then(number).unwrap_or(0),
        Some(group) => find(&groups, |fields| fields[0] == group)
            .and_then(|fields| number(fields[2]))
            .or_else(|| number(group))
            .ok_or_else(|| StartError::UnknownGroup(group.to_owned()))?,
    };
    let login = field(0).filter(|_| group.is_none());
    let lines = groups
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let supplementary = lines
        .filter(|fields| fields.len() >= 4)
        .filter(|fields| login.is_some_and(|login| fields[3].split(',').any(|m| m == login)))
        .filter_map(|fields| number(fields[2]))
        .collect();
    let home = field(5).filter(|home| !home.is_empty()).unwrap_or("/");
    Ok(User {
        uid,
        gid,
        groups: supplementary,
        home: home.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::resolve;

    const PASSWD: &[u8] =
        b"root:x:0:0:root:/root:/bin/sh\nann:x:1000:100::/home/ann:\n7:x:9:9::/n:\n";
    const GROUP: &[u8] = b"root:x:0:\nwheel:x:10:root,ann\nadm:x:4:ann\nstaff:x:50:bob\n";

    fn ids(wanted: &str) -> (u32, u32, Vec<u32>, String) {
        let user = resolve(wanted, PASSWD, GROUP).unwrap();
        (user.uid, user.gid, user.groups, user.home)
    }

    #[test]
    fn users_are_found_by_name_and_number() {
        assert_eq!(ids(""), (0, 0, vec![10], "/root".into()));
        assert_eq!(ids("ann"), (1000, 100, vec![10, 4], "/home/ann".into()));
        assert_eq!(ids("1000"), (1000, 100, vec![10, 4], "/home/ann".into()));
        // A name of digits is a name first, as docker has it.
        assert_eq!(ids("7"), (9, 9, vec![], "/n".into()));
        assert_eq!(ids("4242"), (4242, 0, vec![], "/".into()));
    }

    #[test]
    fn a_group_replaces_the_supplementary_ones() {
        assert_eq!(ids("ann:staff"), (1000, 50, vec![], "/home/ann".into()));
        assert_eq!(ids("ann:77"), (1000, 77, vec![], "/home/ann".into()));
        assert_eq!(ids(":staff"), (0, 50, vec![], "/root".into()));
    }

    #[test]
    fn unknown_names_are_refused() {
        assert!(resolve("eve", PASSWD, GROUP).is_err());
        assert!(resolve("ann:nobody", PASSWD, GROUP).is_err());
        assert!(resolve("4294967295", PASSWD, GROUP).is_err());
    }
}

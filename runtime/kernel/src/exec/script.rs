// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first line of a script: `#!interpreter [argument]`.
//!
//! Linux 6.12 `fs/binfmt_script.c`, truncation rules included: an interpreter name
//! that may be cut off is refused, an argument that is cut off is used as it is.

use linux_abi::Errno;

/// What the line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) interpreter: Vec<u8>,
    pub(super) argument: Option<Vec<u8>>,
}

const fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Parses the head of a file that starts with `#!`.
///
/// # Errors
/// `ENOEXEC` without an interpreter, or when its name is cut off.
pub(super) fn parse(head: &[u8]) -> Result<Line, Errno> {
    let body = head.get(2..).ok_or(Errno::ENOEXEC)?;
    let end = body.iter().position(|&byte| byte == b'\n' || byte == 0);
    let line = &body[..end.unwrap_or(body.len())];
    let line = line.trim_ascii_start();
    let name_end = line.iter().position(|&byte| is_blank(byte));
    if end.is_none() && name_end.is_none() && head.len() >= super::HEAD_LEN {
        return Err(Errno::ENOEXEC);
    }
    let (name, rest) = line.split_at(name_end.unwrap_or(line.len()));
    if name.is_empty() {
        return Err(Errno::ENOEXEC);
    }
    let start = rest
        .iter()
        .position(|&byte| !is_blank(byte))
        .unwrap_or(rest.len());
    let stop = rest
        .iter()
        .rposition(|&byte| !is_blank(byte))
        .map_or(start, |at| at + 1);
    let argument = (start < stop).then(|| rest[start..stop].to_vec());
    Ok(Line {
        interpreter: name.to_vec(),
        argument,
    })
}

#[cfg(test)]
mod tests {
    use linux_abi::Errno;

    use super::{Line, parse};

    fn line(interpreter: &str, argument: Option<&str>) -> Result<Line, Errno> {
        let argument = argument.map(|a| a.as_bytes().to_vec());
        Ok(Line {
            interpreter: interpreter.into(),
            argument,
        })
    }

    #[test]
    fn everything_after_the_name_is_one_argument() {
        assert_eq!(parse(b"#!/bin/sh\necho"), line("/bin/sh", None));
        assert_eq!(
            parse(b"#! \t/usr/bin/env -S a b \n"),
            line("/usr/bin/env", Some("-S a b"))
        );
    }

    #[test]
    fn empty_line_is_no_script() {
        assert_eq!(parse(b"#!\n"), Err(Errno::ENOEXEC));
        assert_eq!(parse(b"#!   \n"), Err(Errno::ENOEXEC));
    }

    #[test]
    fn cut_off_name_is_refused_and_cut_off_argument_is_not() {
        let mut long = b"#!/".to_vec();
        long.resize(256, b'x');
        assert_eq!(parse(&long), Err(Errno::ENOEXEC));
        let mut with_argument = b"#!/bin/sh ".to_vec();
        with_argument.resize(256, b'x');
        assert!(parse(&with_argument).is_ok());
    }
}

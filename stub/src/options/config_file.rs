// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--config FILE`: options in a file. A line is a long option's name, or
//! `NAME = VALUE`; `#` begins a comment at the start of a line. The value is the rest
//! of the line without blanks around it, taken as it is: no quotes, no variables.
//! What the command line does not know, or what is no option of a run, is an error
//! with the line's number; files do not name other files.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use elfuse_runs::options::{Row, WrongOption};

use super::Options;
use crate::OptionError;

/// The longest file that is read.
const MAX_BYTES: u64 = 1 << 20;

impl Options {
    /// Reads the options in the file `path`.
    pub(super) fn read_file(&mut self, path: &OsStr) -> Result<(), OptionError> {
        let path = Path::new(path);
        let text = read(path).map_err(|source| OptionError::ConfigFile {
            path: path.to_path_buf(),
            source,
        })?;
        for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.first() == Some(&b'#') {
                continue;
            }
            let read = self.read_line(line);
            read.map_err(|source| OptionError::ConfigLine {
                path: path.to_path_buf(),
                line: number + 1,
                source: Box::new(source),
            })?;
        }
        Ok(())
    }

    fn read_line(&mut self, line: &[u8]) -> Result<(), OptionError> {
        let (name, value) = match line.iter().position(|&byte| byte == b'=') {
            Some(at) => (&line[..at], Some(&line[at + 1..])),
            None => (line, None),
        };
        let name = name.trim_ascii_end();
        let unknown = || WrongOption::Unknown(OsStr::from_bytes(name).to_owned());
        let row = Row::named(name).ok_or_else(unknown)?;
        if row.long == "config" || row.long.starts_with("elfuse-") {
            let why = "a file has options of a run only";
            return Err(OptionError::Refused(row.long, why));
        }
        let value = value.map(|value| OsStr::from_bytes(value.trim_ascii_start()));
        let (given, _) = row.given(value, &[])?;
        self.apply(given)
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    let mut text = Vec::new();
    let mut limited = std::io::Read::take(file, MAX_BYTES + 1);
    let count = std::io::Read::read_to_end(&mut limited, &mut text)?;
    if u64::try_from(count).is_ok_and(|count| count > MAX_BYTES) {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

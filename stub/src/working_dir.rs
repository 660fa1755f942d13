// SPDX-License-Identifier: MIT OR Apache-2.0
//! The user's current directory in a bundle made with `--cli`: it is shown to the
//! guest under its own path, so that absolute names of files in it work as well,
//! or at `/mnt/host` where the image has something at that path.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::HostError;

/// Where a directory is shown whose own path is taken.
const ELSEWHERE: &[u8] = b"/mnt/host";

/// The directory of the host.
pub(crate) struct Share {
    pub(crate) host: PathBuf,
}

/// The current directory.
pub(crate) fn find() -> Result<Share, HostError> {
    let host = std::env::current_dir().map_err(HostError::CurrentDirectory)?;
    Ok(Share { host })
}

impl Share {
    /// Where the guest sees it; `is_taken` says what the image has.
    pub(crate) fn guest_path(&self, is_taken: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let own = self.host.as_os_str().as_bytes();
        if own == b"/" || is_taken(own) {
            ELSEWHERE.to_vec()
        } else {
            own.to_vec()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Share;

    #[test]
    fn a_path_of_the_image_is_not_covered() {
        let share = |path: &str| Share { host: path.into() };
        let taken = |path: &[u8]| path == b"/tmp";
        assert_eq!(share("/home/ann/x").guest_path(taken), b"/home/ann/x");
        assert_eq!(share("/tmp").guest_path(taken), b"/mnt/host");
        assert_eq!(share("/").guest_path(|_| false), b"/mnt/host");
    }
}

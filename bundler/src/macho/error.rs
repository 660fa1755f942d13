// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be wrong with a Mach-O file.

/// Why a Mach-O file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MachoError {
    /// Not an arm64 executable.
    #[error("read executable: not a 64-bit arm64 Mach-O executable")]
    NotExecutable,
    /// The file ends inside a structure, or one structure claims another's room.
    #[error("read executable: {what} at byte {at} does not fit")]
    Malformed {
        /// The structure.
        what: &'static str,
        /// Its file offset.
        at: u64,
    },
    /// A segment or load command that a bundle has is not there.
    #[error("read executable: no {0}")]
    Missing(&'static str),
    /// The file would pass 4 GiB.
    #[error(
        "write bundle: {size} bytes, more than the {limit} that a Mach-O file can hold\nhint: leave things out with --strip, --strip-auto or --strip-prefix"
    )]
    TooLarge {
        /// Size that the file would have.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The signature does not cover what it should, or is not of our form.
    #[error("verify signature: {0}")]
    Signature(String),
    /// A page does not have the digest the signature says.
    #[error("verify signature: page {page} (bytes {start} to {end}) was changed: {part}")]
    Page {
        /// Index of the page.
        page: u64,
        /// First byte.
        start: u64,
        /// One past the last byte.
        end: u64,
        /// Which part of the file lies there.
        part: String,
    },
    /// A second, independent parser disagrees.
    #[error("verify structure: {0}")]
    Structure(String),
    /// The host's read or write failed.
    #[error("{action} executable: {source}")]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The cause.
        source: std::io::Error,
    },
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--secret`: files of the host that the program finds in `/run/secrets`, mode 0400 and
//! its user's. They are read once and live in the guest's memory: neither the cache
//! nor what `--persist` keeps ever has them.

use std::io::Read;

use elfuse_kernel::fs::setup::MemoryFile;
use elfuse_kernel::fs::world::FileWorld;

use crate::StartError;
use crate::options::Secret;
use crate::users::User;

/// Where they are.
const DIRECTORY: &[u8] = b"/run/secrets";
/// The longest one, as container tools have it.
const MAX_BYTES: u64 = 500 * 1024;

/// Puts the secrets into the guest's files.
pub(crate) fn mount(world: &FileWorld, secrets: &[Secret], user: &User) -> Result<(), StartError> {
    if secrets.is_empty() {
        return Ok(());
    }
    let contents = secrets.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let files = secrets.iter().zip(&contents);
    let files: Vec<_> = files
        .map(|(secret, bytes)| MemoryFile {
            name: secret.id.as_bytes(),
            bytes,
            perm: 0o400,
            uid: user.uid,
            gid: user.gid,
        })
        .collect();
    let mounted = world.mount_files(DIRECTORY, &files);
    mounted.map_err(|errno| StartError::mount(DIRECTORY, errno))
}

fn read(secret: &Secret) -> Result<Vec<u8>, StartError> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(&secret.source)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .and_then(|_| match u64::try_from(bytes.len()) {
            Ok(count) if count <= MAX_BYTES => Ok(()),
            _ => Err(std::io::ErrorKind::FileTooLarge.into()),
        });
    read.map_err(|source| StartError::Secret {
        id: secret.id.clone(),
        path: secret.source.clone(),
        source,
    })?;
    Ok(bytes)
}

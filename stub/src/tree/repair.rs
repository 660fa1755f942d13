// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opening a file of the unpacked tree, and putting it right when it is not what
//! was unpacked.
//!
//! A file whose size is right and which has not changed since the tree was
//! complete is taken as it is: that is one `fstat`. One that changed is compared
//! with its digest, and written again from the payload when it differs or is gone.
//! It is written under another name and renamed, so that a second start that does
//! the same meets a whole file.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use elfuse_machine::host::{HostDir, HostFile, HostOpen, HostStat};
use elfuse_payload::Sha256Stream;
use elfuse_payload::layer::LayerReader;
use elfuse_payload::toc::Entry;
use linux_abi::Errno;

/// Bytes moved at a time.
const CHUNK: usize = 256 * 1024;

/// Opens the file `name` in `dir`, which holds the contents of `entry`.
pub(super) fn open(
    dir: &dyn HostDir,
    name: &[u8],
    entry: &Entry,
    layer: &LayerReader,
    finished: SystemTime,
) -> Result<Arc<dyn HostFile>, Errno> {
    match dir.open_file(name, HostOpen::Read) {
        Ok(file) => {
            let stat = file.stat()?;
            let has_size = stat.size == entry.size;
            if has_size && (!has_changed(&stat, finished) || has_contents(&*file, entry)?) {
                return Ok(file);
            }
        }
        Err(Errno::ENOENT | Errno::EINVAL | Errno::ELOOP | Errno::EACCES) => {}
        Err(errno) => return Err(errno),
    }
    write_again(dir, name, entry, layer)?;
    let file = dir.open_file(name, HostOpen::Read)?;
    if file.stat()?.size == entry.size {
        Ok(file)
    } else {
        Err(Errno::EIO)
    }
}

/// The host's clock for files is coarser than the one for programs, and both
/// times here are the former's.
fn has_changed(stat: &HostStat, finished: SystemTime) -> bool {
    let (seconds, nanos) = stat.ctime;
    let Ok(seconds) = u64::try_from(seconds) else {
        return true;
    };
    SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos) > finished
}

fn has_contents(file: &dyn HostFile, entry: &Entry) -> Result<bool, Errno> {
    let mut hash = Sha256Stream::new();
    let mut buf = vec![0; CHUNK];
    let mut pos = 0;
    loop {
        let count = file.read_at(&mut buf, pos)?;
        if count == 0 {
            return Ok(Some(hash.finish()) == entry.digest);
        }
        hash.update(&buf[..count]);
        pos += u64::try_from(count).map_err(|_| Errno::EIO)?;
    }
}

fn write_again(
    dir: &dyn HostDir,
    name: &[u8],
    entry: &Entry,
    layer: &LayerReader,
) -> Result<(), Errno> {
    // No name of the image looks like this: `%` is followed by hex digits or ~.
    let new = format!("%new-{}-{}", std::process::id(), entry.offset).into_bytes();
    match dir.remove(&new, false) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(errno) => return Err(errno),
    }
    let file = dir.open_file(&new, HostOpen::Create(0o600))?;
    let mut contents = layer.open_entry(entry).map_err(|_| Errno::EIO)?;
    let mut buf = vec![0; CHUNK];
    let mut pos = 0;
    loop {
        // The reader checks the digest before it says that it is at the end.
        let count = contents.read(&mut buf).map_err(|_| Errno::EIO)?;
        if count == 0 {
            break;
        }
        if file.write_at(&buf[..count], pos)? < count {
            return Err(Errno::ENOSPC);
        }
        pos += u64::try_from(count).map_err(|_| Errno::EIO)?;
    }
    drop(file);
    clear(dir, name)?;
    dir.rename(&new, dir, name, false)
}

/// Takes away a directory that stands where the file should be.
fn clear(dir: &dyn HostDir, name: &[u8]) -> Result<(), Errno> {
    match dir.remove(name, true) {
        Ok(()) | Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

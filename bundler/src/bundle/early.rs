// SPDX-License-Identifier: MIT OR Apache-2.0
//! Puts the layer into the bundle's file while it is being compressed.
//!
//! What stands in front of the layer names its digest and has to wait, but its
//! length is known: the layer begins at a multiple of the page, which hides the
//! few digits by which a size may be longer. So [`EarlyLayer`] writes to that
//! place, hashes page by page and has the disk take what is there; [`Placed`] is
//! what it has done. Neither fails: if the file refused something or the place
//! was not the right one after all, the layer is written again, and then errors
//! count.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use elfuse_payload::Digest;

use crate::macho::{PAGE, SignedWriter};

/// Bytes after which the disk is asked to take them.
const FLUSH: u64 = 16 << 20;

/// Takes a layer as a stream.
pub(super) struct EarlyLayer<'a> {
    file: &'a File,
    is_sound: bool,
    flusher: Option<Flusher>,
    placed: Placed,
}

/// A layer that is in its place.
pub(super) struct Placed {
    /// Where it begins, a multiple of the page size.
    pub(super) start: u64,
    /// Digests of its whole pages.
    pages: Vec<Digest>,
    /// The last page, if it is not a whole one.
    rest: Vec<u8>,
}

impl<'a> EarlyLayer<'a> {
    pub(super) fn new(file: &'a File, start: u64) -> Self {
        let placed = Placed {
            start,
            pages: Vec::new(),
            rest: Vec::new(),
        };
        Self {
            file,
            is_sound: start.is_multiple_of(PAGE),
            flusher: Flusher::start(file).ok(),
            placed,
        }
    }

    /// What is in the file now, unless it refused something.
    pub(super) fn finish(self) -> Option<Placed> {
        let is_flushed = self.flusher.is_none_or(Flusher::finish);
        (self.is_sound && is_flushed).then_some(self.placed)
    }
}

impl Write for EarlyLayer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_sound {
            let at = self.placed.start + self.placed.size();
            self.is_sound = self.file.write_all_at(bytes, at).is_ok();
            self.placed.hash(bytes);
            if let Some(flusher) = &mut self.flusher {
                flusher.wrote(bytes.len() as u64);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a file to the disk while more of it comes, so that waiting for all of
/// it in the end is short.
struct Flusher {
    wake: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
    /// Bytes since it was last woken.
    waiting: u64,
}

impl Flusher {
    fn start(file: &File) -> io::Result<Self> {
        let file = file.try_clone()?;
        let (wake, woken) = sync_channel(0);
        let flush = move || {
            woken
                .iter()
                .try_for_each(|()| Ok(rustix::fs::fsync(&file)?))
        };
        let thread = thread::Builder::new().name("flush".into()).spawn(flush)?;
        Ok(Self {
            wake,
            thread,
            waiting: 0,
        })
    }

    /// Never waits: a disk that is busy is asked later.
    fn wrote(&mut self, bytes: u64) {
        self.waiting += bytes;
        if self.waiting >= FLUSH && self.wake.try_send(()).is_ok() {
            self.waiting = 0;
        }
    }

    /// Whether nothing failed: the host reports a failed write to one caller only.
    fn finish(self) -> bool {
        drop(self.wake);
        self.thread.join().is_ok_and(|flushed| flushed.is_ok())
    }
}

impl Placed {
    /// Length of the layer.
    pub(super) fn size(&self) -> u64 {
        self.pages.len() as u64 * PAGE + self.rest.len() as u64
    }

    /// Makes it the next part of what `writer` writes. Returns its length.
    pub(super) fn adopt<W: Write + Seek>(self, writer: &mut SignedWriter<W>) -> io::Result<u64> {
        let size = self.size();
        writer.adopt(self.pages)?;
        writer.write_all(&self.rest)?;
        Ok(size)
    }

    fn hash(&mut self, mut bytes: &[u8]) {
        let page = usize::try_from(PAGE).unwrap_or(usize::MAX);
        if !self.rest.is_empty() {
            let missing = (page - self.rest.len()).min(bytes.len());
            let (now, later) = bytes.split_at(missing);
            self.rest.extend_from_slice(now);
            bytes = later;
            if self.rest.len() < page {
                return;
            }
            self.pages.push(Digest::of(&self.rest));
            self.rest.clear();
        }
        let whole = bytes.chunks_exact(page);
        self.rest.extend_from_slice(whole.remainder());
        self.pages.extend(Digest::of_each(whole));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use elfuse_payload::segment::SegmentPlan;

    use super::*;
    use crate::bundle::Contents;
    use crate::bundle::write::Output;
    use crate::macho::{self, Template};
    use crate::progress::Quiet;

    /// The bundle of a layer that was placed early, `head` bytes into the payload,
    /// and whether it was.
    fn bundle(dir: &Path, layer: &[u8], head: Option<u64>) -> (Vec<u8>, bool) {
        let stub = Template::new(macho::tests::stub()).expect("a stub");
        let path = dir.join("box");
        let output = Output::create(&stub, &path).expect("a temporary file");
        let placed = head.and_then(|head| {
            let mut early = output.early_layer(head);
            for piece in layer.chunks(10_007) {
                early.write_all(piece).expect("never fails");
            }
            early.finish()
        });
        let is_placed = placed.is_some();
        let contents = Contents {
            manifest: b"manifest",
            config: b"config",
            provenance: b"provenance",
            // What is in its place is not read again.
            layer: &mut if is_placed && head == Some(expected(layer)) {
                &[]
            } else {
                layer
            },
            layer_size: layer.len() as u64,
            layer_digest: Digest::of(layer),
        };
        output
            .finish(contents, placed, 2, &Quiet)
            .expect("a bundle");
        (std::fs::read(path).expect("the bundle"), is_placed)
    }

    fn expected(layer: &[u8]) -> u64 {
        let (size, digest) = (layer.len() as u64, Digest::of(layer));
        let plan = SegmentPlan::new(b"manifest", b"config", b"provenance", size, digest);
        plan.expect("small").head.len() as u64
    }

    #[test]
    fn layer_placed_early_makes_the_same_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let data: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        for size in [0, 1, 16383, 16384, 16385, 800_000] {
            let layer = &data[..size];
            let (whole, _) = bundle(dir.path(), layer, None);
            macho::verify(&whole, &|_| ()).expect("a good signature");
            let head = expected(layer);
            // The right place, one that turns out to be wrong, and an impossible one.
            for (place, is_possible) in [(head, true), (head + PAGE, true), (head + 1, false)] {
                let (file, is_placed) = bundle(dir.path(), layer, Some(place));
                assert!(file == whole, "{size} bytes at {place}");
                assert_eq!(is_placed, is_possible);
            }
        }
    }

    #[test]
    fn file_that_refuses_a_write_has_no_layer() {
        let file = File::open("/dev/null").expect("/dev/null");
        let mut early = EarlyLayer::new(&file, 0);
        early.write_all(b"layer").expect("never fails");
        assert!(early.finish().is_none());
    }
}

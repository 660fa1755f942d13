// SPDX-License-Identifier: MIT OR Apache-2.0
//! inotify: watches on files, and the queue of events behind a descriptor.
//!
//! [`Watches`] hangs on an inode and refers to its watchers weakly; an
//! [`Inotify`] instance holds its watches. The functions at the end are what the
//! VFS calls when something happened; without any watch they cost one load.
//! Locks: the list of an inode before the queue of an instance.
//! Linux 6.12 `fs/notify/`.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use linux_abi::Errno;
use linux_abi::inotify::InotifyMask as Mask;
use linux_abi::poll::PollEvents;

use crate::error::SysResult;
use crate::file::{Caller, File, IoFlags, IoSink, Ioctl, OpenFile};
use crate::vfs::{Inode, Kind, Location};
use crate::wait::WaitQueue;

/// Events that an instance queues before it reports an overflow.
const MAX_QUEUED: usize = 16384;
/// Bytes of an event without its name.
const HEADER: usize = 16;

/// Watches in the whole program: nothing is looked up while there are none.
static WATCH_COUNT: AtomicUsize = AtomicUsize::new(0);
static NEXT_COOKIE: AtomicU32 = AtomicU32::new(1);

struct Watch {
    wd: i32,
    mask: AtomicU32,
    owner: Weak<Inotify>,
    inode: Weak<dyn Inode>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCH_COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The watches on one file.
#[derive(Default)]
pub struct Watches {
    list: Mutex<Vec<Weak<Watch>>>,
}

impl Watches {
    fn live(&self) -> Vec<Arc<Watch>> {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|weak| weak.strong_count() > 0);
        list.iter().filter_map(Weak::upgrade).collect()
    }

    fn notify(&self, event: Mask, cookie: u32, name: &[u8]) {
        for watch in self.live() {
            if let Some(owner) = watch.owner.upgrade() {
                owner.deliver(&watch, event, cookie, name);
            }
        }
    }
}

#[derive(Clone, PartialEq, Eq)]
struct Event {
    wd: i32,
    mask: Mask,
    cookie: u32,
    name: Box<[u8]>,
}

impl Event {
    /// Length of the name as it is read: with a terminator, padded to 16.
    fn padded_name(&self) -> usize {
        if self.name.is_empty() {
            0
        } else {
            (self.name.len() + 1).next_multiple_of(HEADER)
        }
    }

    fn encode(&self) -> Vec<u8> {
        let padded = self.padded_name();
        let mut out = Vec::with_capacity(HEADER + padded);
        out.extend_from_slice(&self.wd.to_le_bytes());
        out.extend_from_slice(&self.mask.bits().to_le_bytes());
        out.extend_from_slice(&self.cookie.to_le_bytes());
        out.extend_from_slice(&u32::try_from(padded).unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&self.name);
        out.resize(HEADER + padded, 0);
        out
    }
}

#[derive(Default)]
struct State {
    watches: HashMap<i32, Arc<Watch>>,
    next_wd: i32,
    events: VecDeque<Event>,
}

/// An inotify instance.
pub struct Inotify {
    me: Weak<Self>,
    state: Mutex<State>,
    queue: WaitQueue,
}

impl Inotify {
    /// An instance without watches.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            state: Mutex::default(),
            queue: WaitQueue::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches the file, or changes the watch it has.
    ///
    /// # Errors
    /// `EEXIST` with `MASK_CREATE` when there is a watch, `ENOSPC`.
    pub fn add_watch(&self, inode: &Arc<dyn Inode>, mask: Mask) -> Result<i32, Errno> {
        let watches = inode.attachments().watches();
        let mut list = watches.list.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = |watch: &Arc<Watch>| std::ptr::eq(watch.owner.as_ptr(), self.me.as_ptr());
        let existing = list.iter().filter_map(Weak::upgrade).find(mine);
        if let Some(watch) = existing {
            if mask.contains(Mask::MASK_CREATE) {
                return Err(Errno::EEXIST);
            }
            let kept = if mask.contains(Mask::MASK_ADD) {
                watch.mask.load(Ordering::Relaxed)
            } else {
                0
            };
            watch
                .mask
                .store((mask - Mask::MASK_ADD).bits() | kept, Ordering::Relaxed);
            return Ok(watch.wd);
        }
        let mut state = self.lock();
        state.next_wd = state.next_wd.checked_add(1).ok_or(Errno::ENOSPC)?;
        let watch = Arc::new(Watch {
            wd: state.next_wd,
            mask: AtomicU32::new(mask.bits()),
            owner: self.me.clone(),
            inode: Arc::downgrade(inode),
        });
        WATCH_COUNT.fetch_add(1, Ordering::Relaxed);
        list.push(Arc::downgrade(&watch));
        state.watches.insert(watch.wd, watch.clone());
        Ok(watch.wd)
    }

    /// Ends a watch.
    ///
    /// # Errors
    /// `EINVAL` when there is none with that number.
    pub fn remove_watch(&self, wd: i32) -> Result<(), Errno> {
        let watch = self.lock().watches.remove(&wd).ok_or(Errno::EINVAL)?;
        self.push(Event {
            wd,
            mask: Mask::IGNORED,
            cookie: 0,
            name: Box::default(),
        });
        drop(watch);
        Ok(())
    }

    fn deliver(&self, watch: &Watch, event: Mask, cookie: u32, name: &[u8]) {
        let wanted = Mask::from_bits_retain(watch.mask.load(Ordering::Relaxed));
        let is_gone = event.contains(Mask::DELETE_SELF);
        if wanted.intersects(event & Mask::ALL_EVENTS) {
            // The directory bit tells about the subject of child events only.
            self.push(Event {
                wd: watch.wd,
                mask: event,
                cookie,
                name: name.into(),
            });
            if wanted.contains(Mask::ONESHOT) && !is_gone {
                // The watch may be gone already; then there is nothing to end.
                let _ = self.remove_watch(watch.wd);
            }
        }
        if is_gone {
            // As above.
            let _ = self.remove_watch(watch.wd);
        }
    }

    fn push(&self, event: Event) {
        let mut state = self.lock();
        if state.events.back() == Some(&event) {
            return;
        }
        if state.events.len() >= MAX_QUEUED {
            let overflow = Event {
                wd: -1,
                mask: Mask::Q_OVERFLOW,
                cookie: 0,
                name: Box::default(),
            };
            if state.events.back() != Some(&overflow) {
                state.events.push_back(overflow);
            }
        } else {
            state.events.push_back(event);
        }
        drop(state);
        self.queue.wake_all();
    }

    /// One line for each watch, for `/proc/PID/fdinfo`.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut watches: Vec<Arc<Watch>> = self.lock().watches.values().cloned().collect();
        watches.sort_by_key(|watch| watch.wd);
        let mut text = String::new();
        for watch in watches {
            let attr = watch.inode.upgrade().and_then(|inode| inode.attr().ok());
            let (ino, dev) = attr.map_or((0, 0), |attr| (attr.ino, attr.dev));
            let mask = watch.mask.load(Ordering::Relaxed);
            let wd = watch.wd;
            text += &format!("inotify wd:{wd} ino:{ino:x} sdev:{dev:x} mask:{mask:x}\n");
        }
        text
    }
}

impl File for Inotify {
    fn try_read(
        &self,
        _caller: &Caller<'_>,
        dst: &mut dyn IoSink,
        _pos: &mut u64,
        _how: IoFlags,
    ) -> SysResult<usize> {
        let mut state = self.lock();
        let mut done = 0;
        while let Some(event) = state.events.front() {
            let bytes = event.encode();
            if bytes.len() > dst.remaining() {
                break;
            }
            if let Err(error) = dst.put(&bytes) {
                return if done == 0 {
                    Err(error.into())
                } else {
                    Ok(done)
                };
            }
            done += bytes.len();
            state.events.pop_front();
        }
        match (done, state.events.is_empty()) {
            (0, true) => Err(Errno::EAGAIN.into()),
            (0, false) => Err(Errno::EINVAL.into()),
            _ => Ok(done),
        }
    }

    fn readiness(&self) -> PollEvents {
        if self.lock().events.is_empty() {
            PollEvents::empty()
        } else {
            PollEvents::READABLE
        }
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }

    fn ioctl(&self, caller: &Caller<'_>, _open: &OpenFile, req: Ioctl) -> SysResult<usize> {
        if req.request != linux_abi::ioctl::FIONREAD {
            return Err(Errno::ENOTTY.into());
        }
        let len: usize = self
            .lock()
            .events
            .iter()
            .map(|e| HEADER + e.padded_name())
            .sum();
        let len = i32::try_from(len).unwrap_or(i32::MAX);
        crate::file::put_ioctl(caller, req.arg, &len.to_le_bytes())
    }
}

fn anybody_watches() -> bool {
    WATCH_COUNT.load(Ordering::Relaxed) > 0
}

fn dir_bit(is_dir: bool) -> Mask {
    if is_dir { Mask::ISDIR } else { Mask::empty() }
}

/// Tells the watchers of a directory about a child.
fn tell(inode: &Arc<dyn Inode>, event: Mask, cookie: u32, name: &[u8]) {
    if let Some(watches) = inode.attachments().watches_if_any() {
        watches.notify(event, cookie, name);
    }
}

/// Tells the watchers of a file and of the directory it is in.
fn tell_both(at: &Location, event: Mask) {
    if !anybody_watches() || at.dentry.is_anonymous() {
        return;
    }
    let event = event | dir_bit(at.inode().kind() == Kind::Directory);
    if let Some(parent) = at.dentry.parent() {
        tell(parent.inode(), event, 0, &at.dentry.name());
    }
    tell(at.inode(), event, 0, b"");
}

/// `name` was created in `dir`.
pub fn created(dir: &Arc<dyn Inode>, name: &[u8], is_dir: bool) {
    if anybody_watches() {
        tell(dir, Mask::CREATE | dir_bit(is_dir), 0, name);
    }
}

/// `name`, a name of `victim`, was removed from `dir`.
pub fn removed(dir: &Arc<dyn Inode>, name: &[u8], victim: &Arc<dyn Inode>) {
    if !anybody_watches() {
        return;
    }
    let is_dir = victim.kind() == Kind::Directory;
    if !is_dir {
        tell(victim, Mask::ATTRIB, 0, b"");
    }
    tell(dir, Mask::DELETE | dir_bit(is_dir), 0, name);
    gone(victim);
}

/// A name of `victim` went away; the file itself, when it was the last.
pub fn gone(victim: &Arc<dyn Inode>) {
    let is_dir = victim.kind() == Kind::Directory;
    if anybody_watches() && (is_dir || victim.attr().is_ok_and(|attr| attr.nlink == 0)) {
        tell(victim, Mask::DELETE_SELF | dir_bit(is_dir), 0, b"");
    }
}

/// A file moved from one directory and name to another.
pub fn renamed(
    (old_dir, old_name): (&Arc<dyn Inode>, &[u8]),
    (new_dir, new_name): (&Arc<dyn Inode>, &[u8]),
    moved: &Arc<dyn Inode>,
) {
    if !anybody_watches() {
        return;
    }
    let cookie = NEXT_COOKIE.fetch_add(1, Ordering::Relaxed);
    let is_dir = dir_bit(moved.kind() == Kind::Directory);
    tell(old_dir, Mask::MOVED_FROM | is_dir, cookie, old_name);
    tell(new_dir, Mask::MOVED_TO | is_dir, cookie, new_name);
    tell(moved, Mask::MOVE_SELF, 0, b"");
}

/// The content changed.
pub fn modified(at: &Location) {
    tell_both(at, Mask::MODIFY);
}

/// The content was read.
pub fn accessed(at: &Location) {
    tell_both(at, Mask::ACCESS);
}

/// The attributes changed.
pub fn attributes(at: &Location) {
    tell_both(at, Mask::ATTRIB);
}

/// It was opened.
pub fn opened(at: &Location) {
    tell_both(at, Mask::OPEN);
}

/// The last descriptor of a description was closed.
pub fn closed(at: &Location, was_writable: bool) {
    tell_both(
        at,
        if was_writable {
            Mask::CLOSE_WRITE
        } else {
            Mask::CLOSE_NOWRITE
        },
    );
}

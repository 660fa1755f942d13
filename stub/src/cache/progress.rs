// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the user sees while an image is unpacked for the first time: nothing for
//! half a second, then one line that grows, on a terminal only.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long nothing is said.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often the line is written.
const PERIOD: Duration = Duration::from_millis(100);

/// A line on the terminal; dropping it takes the line away.
pub(super) struct Progress {
    done: Arc<AtomicU64>,
    painter: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Begins with nothing done of `total` bytes.
    pub(super) fn start(total: u64) -> Self {
        let done = Arc::new(AtomicU64::new(0));
        let painter = std::io::stderr().is_terminal().then(|| paint(&done, total));
        Self {
            done,
            painter: painter.flatten(),
        }
    }

    pub(super) fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A host that gives no thread gives no line.
fn paint(done: &Arc<AtomicU64>, total: u64) -> Option<(Sender<()>, JoinHandle<()>)> {
    let (stop, stopped) = channel::<()>();
    let done = Arc::clone(done);
    let thread = std::thread::Builder::new().spawn(move || {
        let mut wait = PATIENCE;
        let mut is_shown = false;
        while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            let bytes = done.load(Ordering::Relaxed).min(total);
            let percent = bytes * 100 / total.max(1);
            let _ = write!(
                std::io::stderr(),
                "\rpreparing the image for its first start: {percent:3} %"
            );
            (wait, is_shown) = (PERIOD, true);
        }
        if is_shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    });
    Some((stop, thread.ok()?))
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.painter.take() {
            drop(stop);
            // The line is decoration.
            let _ = thread.join();
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The standard input of a program that `elfuse-bundle exec` started: somebody else's
//! stream, which must not be read any more when the program has ended, because what
//! is typed then is for whoever comes next.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};

/// Reads until the stream ends, or [`Stop`] is dropped.
pub(super) struct Input {
    stream: File,
    stopped: OwnedFd,
}

/// Keeps an [`Input`] going.
pub(super) struct Stop {
    _end: OwnedFd,
}

impl Input {
    pub(super) fn new(stream: OwnedFd) -> io::Result<(Self, Stop)> {
        let (stopped, end) = rustix::pipe::pipe()?;
        for end in [&stopped, &end] {
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
        }
        let stream = File::from(stream);
        Ok((Self { stream, stopped }, Stop { _end: end }))
    }
}

impl Read for Input {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut both = [
                PollFd::new(&self.stopped, PollFlags::IN),
                PollFd::new(&self.stream, PollFlags::IN),
            ];
            match poll(&mut both, None) {
                Err(rustix::io::Errno::INTR) => continue,
                polled => polled?,
            };
            let [stopped, stream] = both;
            if !stopped.revents().is_empty() {
                return Ok(0);
            }
            if !stream.revents().is_empty() {
                return self.stream.read(buf);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Input;
    use std::io::{Read, Write};

    #[test]
    fn a_stopped_input_ends_and_leaves_the_rest() {
        let (far, mut near) = std::io::pipe().unwrap();
        let (mut input, stop) = Input::new(far.try_clone().unwrap().into()).unwrap();
        near.write_all(b"one").unwrap();
        let mut buf = [0; 16];
        assert_eq!(input.read(&mut buf).unwrap(), 3);
        let reader = std::thread::spawn(move || input.read(&mut buf).unwrap());
        drop(stop);
        assert_eq!(reader.join().unwrap(), 0);
        near.write_all(b"two").unwrap();
        drop(near);
        let mut rest = String::new();
        (&far).read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "two");
    }
}

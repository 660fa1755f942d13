// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is said to a run over its socket: one [`Request`], with descriptors when it
//! starts a program, and one [`Reply`]. Until the reply comes, whoever started a program
//! at a terminal may say that its window has changed.
//!
//! A message is its length in four bytes, then JSON. The socket's directory is its
//! user's alone (mode 0700), so whoever connects may do all that the user may.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

use crate::terminal::Window;
use crate::{Claim, Found, RunError};

/// The longest message.
const MAX_BYTES: usize = 4 << 20;
/// The most descriptors of a request: standard input, output and error.
const MAX_STREAMS: usize = 3;
/// Name of the socket in the run's directory.
const SOCKET: &str = "control";

/// A program to start beside the run's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// `NAME=VALUE`, besides the run's own.
    pub env: Vec<String>,
    /// Working directory, instead of the run's.
    pub workdir: Option<String>,
    /// `USER[:GROUP]`, instead of the run's.
    pub user: Option<String>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Send the program this signal, by Linux's number.
    Signal(i32),
    /// Start a program; its three standard streams come along.
    Exec(Exec),
    /// Start a program at a terminal of this size; one stream comes along, which carries
    /// what is typed and what is shown.
    Terminal(Exec, Window),
    /// The window of the terminal has this size now.
    Resize(Window),
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// It is done.
    Done,
    /// The program has ended with this status, 128 and more for signals.
    Ended(u8),
    /// It cannot be done; the status is what the asking program exits with.
    Refused {
        /// Why.
        why: String,
        /// 125 to 127, as container tools have it.
        status: u8,
    },
}

/// Begins to listen at a run's socket.
///
/// # Errors
/// The socket cannot be made; a path may be too long for one.
pub fn listen(claim: &Claim) -> Result<UnixListener, RunError> {
    let path = claim.file(SOCKET);
    UnixListener::bind(&path).map_err(|source| RunError::File { path, source })
}

/// Says one thing to a run and waits for the answer.
///
/// # Errors
/// [`RunError::Ended`], [`RunError::Talk`].
pub fn ask(run: &Found, request: &Request, streams: &[BorrowedFd<'_>]) -> Result<Reply, RunError> {
    Asked::new(run, request, streams)?.reply()
}

/// A request on its way, for who has more to say before the answer comes.
pub struct Asked {
    name: String,
    stream: UnixStream,
}

impl Asked {
    /// Says one thing to a run.
    ///
    /// # Errors
    /// [`RunError::Ended`], [`RunError::Talk`].
    pub fn new(
        run: &Found,
        request: &Request,
        streams: &[BorrowedFd<'_>],
    ) -> Result<Self, RunError> {
        let name = run.record.name.clone();
        if !run.is_running() {
            return Err(RunError::Ended(name));
        }
        let sent = UnixStream::connect(run.file(SOCKET)).and_then(|stream| {
            send(&stream, request, streams)?;
            Ok(stream)
        });
        match sent {
            Ok(stream) => Ok(Self { name, stream }),
            Err(source) => Err(RunError::Talk { name, source }),
        }
    }

    /// Says something more.
    ///
    /// # Errors
    /// [`RunError::Talk`].
    pub fn say(&self, request: &Request) -> Result<(), RunError> {
        send(&self.stream, request, &[]).map_err(|source| self.failed(source))
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// [`RunError::Talk`].
    pub fn reply(&self) -> Result<Reply, RunError> {
        receive_text(&self.stream).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> RunError {
        let name = self.name.clone();
        RunError::Talk { name, source }
    }
}

fn send(mut stream: &UnixStream, request: &Request, streams: &[BorrowedFd<'_>]) -> io::Result<()> {
    let text = serde_json::to_vec(request)?;
    let length = length_of(&text)?;
    // The descriptors ride on the four bytes of the length, which always fit at once.
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_STREAMS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !streams.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(streams));
    }
    let sent = sendmsg(
        stream,
        &[IoSlice::new(&length)],
        &mut control,
        SendFlags::empty(),
    )?;
    if sent != length.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    stream.write_all(&text)
}

fn length_of(text: &[u8]) -> io::Result<[u8; 4]> {
    let length = u32::try_from(text.len()).ok();
    let length = length.filter(|_| text.len() <= MAX_BYTES);
    length
        .map(u32::to_be_bytes)
        .ok_or_else(|| io::ErrorKind::FileTooLarge.into())
}

/// The request that somebody who connected sends, and the descriptors with it.
///
/// # Errors
/// It is cut short, too long or not understood.
pub fn receive(stream: &mut UnixStream) -> io::Result<(Request, Vec<OwnedFd>)> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_STREAMS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut length)];
    let received = recvmsg(stream.as_fd(), &mut parts, &mut control, RecvFlags::empty())?;
    let mut streams = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(given) = message {
            streams.extend(given);
        }
    }
    for stream in &streams {
        rustix::io::fcntl_setfd(stream, rustix::io::FdFlags::CLOEXEC)?;
    }
    stream.read_exact(&mut length[received.bytes..])?;
    Ok((read_text(stream, length)?, streams))
}

/// Answers a request.
///
/// # Errors
/// The other side is gone.
pub fn answer(stream: &mut UnixStream, reply: &Reply) -> io::Result<()> {
    let text = serde_json::to_vec(reply)?;
    stream.write_all(&length_of(&text)?)?;
    stream.write_all(&text)
}

fn receive_text(mut stream: &UnixStream) -> io::Result<Reply> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    read_text(stream, length)
}

fn read_text<T: serde::de::DeserializeOwned>(
    mut stream: &UnixStream,
    length: [u8; 4],
) -> io::Result<T> {
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut text = vec![0; length];
    stream.read_exact(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

#[cfg(test)]
mod tests {
    use super::{Exec, Reply, Request, answer, receive, receive_text, send};
    use std::io::{Read, Seek, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_request_takes_its_descriptors_along() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        let request = Request::Exec(Exec {
            argv: vec!["sh".to_owned(); 10_000],
            env: Vec::new(),
            workdir: None,
            user: Some("1".to_owned()),
        });
        let sent = request.clone();
        let given = file.try_clone().unwrap();
        let sender = std::thread::spawn(move || {
            let fd = given.as_fd();
            send(&near, &sent, &[fd, fd, fd]).unwrap();
            near
        });
        let (received, streams) = receive(&mut far).unwrap();
        let near = sender.join().unwrap();
        assert_eq!((received, streams.len()), (request, 3));
        for stream in streams {
            std::fs::File::from(stream).write_all(b"x").unwrap();
        }
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "xxx");
        answer(&mut far, &Reply::Ended(3)).unwrap();
        assert_eq!(receive_text(&near).unwrap(), Reply::Ended(3));
    }

    #[test]
    fn what_is_no_request_is_an_error() {
        for bytes in [&b"\xff\xff\xff\xff"[..], b"\0\0\0\x02{}", b"\0\0\0\x09cut"] {
            let (mut near, mut far) = UnixStream::pair().unwrap();
            near.write_all(bytes).unwrap();
            drop(near);
            assert!(receive(&mut far).is_err());
        }
    }
}

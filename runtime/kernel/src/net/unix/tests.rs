// SPDX-License-Identifier: MIT OR Apache-2.0
//! Local sockets: boundaries, descriptors, and what a closed end leaves behind.

use std::sync::Arc;

use linux_abi::Errno;
use linux_abi::fcntl::OpenFlags;
use linux_abi::poll::PollEvents;

use super::{Ancillary, PeerCred, Received, Shutdown, SocketKind, UnixName, UnixSocket};
use crate::eventfd::EventFd;
use crate::file::{File, OpenFile, SliceSource, VecSink};
use crate::vfs::testing::World;

const CRED: PeerCred = PeerCred {
    pid: 1,
    uid: 0,
    gid: 0,
};

fn send(from: &UnixSocket, data: &[u8]) -> Result<usize, Errno> {
    from.try_send(&mut SliceSource(data), None, &Ancillary::default(), CRED)
}

fn receive(to: &UnixSocket, limit: usize) -> Result<(Vec<u8>, Received), Errno> {
    let mut sink = VecSink::new(limit);
    let received = to.try_receive(&mut sink, false)?;
    Ok((sink.into_inner(), received))
}

#[test]
fn stream_has_no_boundaries_and_datagrams_have() {
    let (a, b) = UnixSocket::pair(SocketKind::Stream, CRED);
    send(&a, b"ab").unwrap();
    send(&a, b"cd").unwrap();
    assert_eq!(receive(&b, 3).unwrap().0, b"abc");
    let (a, b) = UnixSocket::pair(SocketKind::Datagram, CRED);
    send(&a, b"abcd").unwrap();
    send(&a, b"").unwrap();
    let (data, received) = receive(&b, 3).unwrap();
    assert_eq!((data.as_slice(), received.total), (&b"abc"[..], 4));
    assert_eq!(receive(&b, 3).unwrap().0, b"");
    assert_eq!(receive(&b, 3).err(), Some(Errno::EAGAIN));
}

#[test]
fn read_stops_before_a_message_with_other_descriptors() {
    let world = World::on_tmpfs();
    let file = OpenFile::new(
        Arc::new(EventFd::new(0, false)),
        world.fs.cwd(),
        OpenFlags::RDWR,
    );
    let (a, b) = UnixSocket::pair(SocketKind::Stream, CRED);
    send(&a, b"1").unwrap();
    let rights = Ancillary {
        files: vec![file.clone()],
        cred: None,
    };
    a.try_send(&mut SliceSource(b"2"), None, &rights, CRED)
        .unwrap();
    send(&a, b"3").unwrap();
    assert_eq!(receive(&b, 9).unwrap().0, b"1");
    let (data, received) = receive(&b, 9).unwrap();
    assert_eq!((data.as_slice(), received.files.len()), (&b"2"[..], 1));
    assert!(Arc::ptr_eq(&received.files[0], &file));
    assert_eq!(receive(&b, 9).unwrap().0, b"3");
}

#[test]
fn closed_end_leaves_end_of_file_and_broken_pipe() {
    let (a, b) = UnixSocket::pair(SocketKind::Stream, CRED);
    send(&a, b"x").unwrap();
    drop(a);
    assert!(
        b.readiness()
            .contains(PollEvents::HUP | PollEvents::RDHUP | PollEvents::IN)
    );
    assert_eq!(receive(&b, 9).unwrap().0, b"x");
    assert_eq!(receive(&b, 9).unwrap().0, b"");
    assert_eq!(send(&b, b"y"), Err(Errno::EPIPE));
}

#[test]
fn unread_data_resets_the_connection() {
    let (a, b) = UnixSocket::pair(SocketKind::Stream, CRED);
    send(&b, b"lost").unwrap();
    drop(a);
    assert_eq!(receive(&b, 9).err(), Some(Errno::ECONNRESET));
    assert_eq!(receive(&b, 9).unwrap().0, b"");
}

#[test]
fn shutdown_for_writing_is_end_of_file_for_the_peer() {
    let (a, b) = UnixSocket::pair(SocketKind::Stream, CRED);
    a.shutdown(Shutdown::Write).unwrap();
    assert_eq!(receive(&b, 9).unwrap().0, b"");
    assert_eq!(send(&a, b"x"), Err(Errno::EPIPE));
    assert_eq!(send(&b, b"x"), Ok(1));
    assert_eq!(receive(&a, 9).unwrap().0, b"x");
}

#[test]
fn sender_waits_when_the_receiver_does_not_read() {
    let (a, b) = UnixSocket::pair(SocketKind::Stream, CRED);
    let mut total = 0;
    while let Ok(n) = send(&a, &[0; 10_000]) {
        total += n;
    }
    assert_eq!(total, super::SEND_BUFFER);
    assert_eq!(send(&a, b"x"), Err(Errno::EAGAIN));
    assert_eq!(receive(&b, 1 << 20).unwrap().0.len(), total);
    assert_eq!(send(&a, b"x"), Ok(1));
}

#[test]
fn connection_is_made_before_it_is_accepted() {
    let (listener, client) = (
        UnixSocket::new(SocketKind::Stream),
        UnixSocket::new(SocketKind::Stream),
    );
    assert_eq!(
        client.try_connect(&listener, CRED),
        Err(Errno::ECONNREFUSED)
    );
    listener
        .set_name(UnixName::Abstract(Box::from(*b"x")), None)
        .unwrap();
    listener.listen(0, PeerCred { pid: 7, ..CRED }).unwrap();
    client.try_connect(&listener, CRED).unwrap();
    assert_eq!(client.peer_cred().map(|c| c.pid), Some(7));
    assert_eq!(client.try_connect(&listener, CRED), Err(Errno::EISCONN));
    send(&client, b"early").unwrap();
    let third = UnixSocket::new(SocketKind::Stream);
    assert_eq!(third.try_connect(&listener, CRED), Err(Errno::EAGAIN));
    let accepted = listener.try_accept().unwrap();
    assert_eq!(receive(&accepted, 9).unwrap().0, b"early");
    assert_eq!(listener.try_accept().err(), Some(Errno::EAGAIN));
    assert_eq!(third.try_connect(&listener, CRED), Ok(()));
}

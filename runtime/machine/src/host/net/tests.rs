// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets on loopback: every wait is for an edge, as the kernel waits.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

use linux_abi::Errno;
use linux_abi::poll::PollEvents;

use super::{Family, HostNet, HostSocket, Kind, ReceiveFlags, SendFlags, ShutdownHow, Watcher};

struct Bell(Sender<()>);

impl Watcher for Bell {
    fn changed(&self) {
        // Nobody listens any more.
        let _ = self.0.send(());
    }
}

/// A watcher and what it rings. The socket holds it weakly.
fn bell() -> (Arc<dyn Watcher>, Receiver<()>) {
    let (rings, heard) = channel();
    (Arc::new(Bell(rings)), heard)
}

fn until<T>(heard: &Receiver<()>, mut attempt: impl FnMut() -> Result<T, Errno>) -> T {
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(Errno::EAGAIN) => {}
            Err(error) => panic!("{error:?}"),
        }
        heard
            .recv_timeout(Duration::from_secs(10))
            .expect("an edge");
    }
}

const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

#[test]
fn stream_carries_bytes_and_its_end() {
    let net = HostNet::start().unwrap();
    let (watch_listener, at_listener) = bell();
    let listener = HostSocket::new(
        &net,
        Family::V4,
        Kind::Stream,
        Arc::downgrade(&watch_listener),
    )
    .unwrap();
    listener.bind(LOOPBACK).unwrap();
    listener.listen(8).unwrap();
    let nobody: Weak<dyn Watcher> = Weak::<Bell>::new();
    assert_eq!(listener.accept(nobody).err(), Some(Errno::EAGAIN));

    let (watch_client, at_client) = bell();
    let client = HostSocket::new(
        &net,
        Family::V4,
        Kind::Stream,
        Arc::downgrade(&watch_client),
    )
    .unwrap();
    let begun = client.connect(listener.local().unwrap());
    assert!(
        matches!(begun, Ok(()) | Err(Errno::EINPROGRESS)),
        "{begun:?}"
    );
    let (watch_server, at_server) = bell();
    let (server, from) = until(&at_listener, || {
        listener.accept(Arc::downgrade(&watch_server))
    });
    until(&at_client, || match client.ready() {
        ready if ready.contains(PollEvents::OUT) => client.take_error(),
        _ => Err(Errno::EAGAIN),
    });
    assert_eq!(from, client.local().unwrap());
    assert_eq!(server.peer().unwrap(), from);

    let mut buf = [0; 16];
    let none = server.receive(&mut buf, ReceiveFlags::empty());
    assert_eq!(none.err(), Some(Errno::EAGAIN));
    assert_eq!(client.send(b"hello", None, SendFlags::empty()), Ok(5));
    let peeked = until(&at_server, || server.receive(&mut buf, ReceiveFlags::PEEK));
    assert_eq!(&buf[..peeked.len], b"hello");
    assert_eq!(server.unread(), Ok(5));
    assert_eq!(
        server.receive(&mut buf, ReceiveFlags::empty()).unwrap().len,
        5
    );
    client.shutdown(ShutdownHow::Write).unwrap();
    let end = until(&at_server, || {
        server.receive(&mut buf, ReceiveFlags::empty())
    });
    assert_eq!(end.len, 0);
}

#[test]
fn refused_connection_is_an_error_of_the_socket() {
    let net = HostNet::start().unwrap();
    let (watch, heard) = bell();
    let make = || HostSocket::new(&net, Family::V4, Kind::Stream, Arc::downgrade(&watch)).unwrap();
    let (bound, client) = (make(), make());
    bound.bind(LOOPBACK).unwrap();
    let refused = match client.connect(bound.local().unwrap()) {
        Err(Errno::EINPROGRESS) => until(&heard, || {
            let ready = client.ready();
            if ready.intersects(PollEvents::ERR | PollEvents::HUP) {
                Ok(client.take_error())
            } else {
                Err(Errno::EAGAIN)
            }
        }),
        at_once => at_once,
    };
    assert_eq!(refused, Err(Errno::ECONNREFUSED));
}

#[test]
fn message_says_who_sent_it() {
    let net = HostNet::start().unwrap();
    let (watch, heard) = bell();
    let make =
        || HostSocket::new(&net, Family::V4, Kind::Datagram, Arc::downgrade(&watch)).unwrap();
    let (a, b) = (make(), make());
    a.bind(LOOPBACK).unwrap();
    b.bind(LOOPBACK).unwrap();
    a.send(b"ping", Some(b.local().unwrap()), SendFlags::empty())
        .unwrap();
    let mut buf = [0; 8];
    let got = until(&heard, || b.receive(&mut buf, ReceiveFlags::empty()));
    assert_eq!(
        (&buf[..got.len], got.from),
        (&b"ping"[..], Some(a.local().unwrap()))
    );
}

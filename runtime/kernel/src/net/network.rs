// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest has of the host's network: all of it, with some ports of the guest
//! under other numbers.
//!
//! The host's thread for it starts with the first socket: most programs have none.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use elfuse_machine::host::net::{Family, HostNet, Kind};
use linux_abi::Errno;

/// A port of the guest that is another one at the host (`-p`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// TCP or UDP.
    pub kind: Kind,
    /// The host's address; `None` for the one that the guest asks for.
    pub host: Option<IpAddr>,
    /// The host's port.
    pub host_port: u16,
    /// The guest's port.
    pub guest_port: u16,
}

/// The network of a guest.
#[derive(Default)]
pub struct Network {
    published: Vec<Published>,
    host: Mutex<Option<Arc<HostNet>>>,
}

impl Network {
    /// The host's network with these ports under other numbers.
    #[must_use]
    pub fn new(published: Vec<Published>) -> Self {
        Self {
            published,
            host: Mutex::default(),
        }
    }

    /// The host's side.
    pub(super) fn host(&self) -> Result<Arc<HostNet>, Errno> {
        let mut host = self.host.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = &*host {
            return Ok(Arc::clone(host));
        }
        let started = HostNet::start().map_err(|_| Errno::ENOBUFS)?;
        *host = Some(Arc::clone(&started));
        Ok(started)
    }

    fn published(&self, kind: Kind, guest_port: u16) -> Option<&Published> {
        let is_it = |p: &&Published| p.kind == kind && p.guest_port == guest_port;
        self.published.iter().find(is_it)
    }

    /// Where the host binds what the guest binds to `address`; `None` when that is the
    /// same.
    pub(super) fn outside(
        &self,
        family: Family,
        kind: Kind,
        address: SocketAddr,
    ) -> Result<Option<SocketAddr>, Errno> {
        let Some(published) = self.published(kind, address.port()) else {
            return Ok(None);
        };
        let ip = match (published.host.unwrap_or(address.ip()), family) {
            (IpAddr::V4(ip), Family::V6) => IpAddr::V6(ip.to_ipv6_mapped()),
            (IpAddr::V6(_), Family::V4) => return Err(Errno::EADDRNOTAVAIL),
            (ip, _) => ip,
        };
        Ok(Some(SocketAddr::new(ip, published.host_port)))
    }

    /// Where the guest connects to when it names `address`: its own published ports are
    /// found on loopback as if they had kept their numbers.
    pub(super) fn target(&self, kind: Kind, address: SocketAddr) -> SocketAddr {
        let is_here = address.ip().to_canonical().is_loopback();
        match self.published(kind, address.port()).filter(|_| is_here) {
            Some(published) => SocketAddr::new(address.ip(), published.host_port),
            None => address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Family, Kind, Network, Published};

    #[test]
    fn published_port_has_another_number_outside() {
        let network = Network::new(vec![
            Published {
                kind: Kind::Stream,
                host: Some("127.0.0.1".parse().unwrap()),
                host_port: 8080,
                guest_port: 80,
            },
            Published {
                kind: Kind::Datagram,
                host: None,
                host_port: 5353,
                guest_port: 53,
            },
        ]);
        let outside = |family, kind, address: &str| {
            let address = network.outside(family, kind, address.parse().unwrap());
            address.unwrap().map(|address| address.to_string())
        };
        let (tcp, udp) = (Kind::Stream, Kind::Datagram);
        assert_eq!(
            outside(Family::V4, tcp, "0.0.0.0:80").as_deref(),
            Some("127.0.0.1:8080")
        );
        assert_eq!(
            outside(Family::V6, tcp, "[::]:80").as_deref(),
            Some("[::ffff:127.0.0.1]:8080")
        );
        assert_eq!(
            outside(Family::V4, udp, "10.0.0.1:53").as_deref(),
            Some("10.0.0.1:5353")
        );
        assert_eq!(outside(Family::V4, udp, "0.0.0.0:80"), None);
        let target = |address: &str| network.target(tcp, address.parse().unwrap()).to_string();
        assert_eq!(target("127.0.0.1:80"), "127.0.0.1:8080");
        assert_eq!(target("[::ffff:127.0.0.1]:80"), "[::ffff:127.0.0.1]:8080");
        assert_eq!(target("192.0.2.1:80"), "192.0.2.1:80");
    }
}

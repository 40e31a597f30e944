//! What systemd is told (`sd_notify`).

use std::{
    env,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

/// The supervisor that wants to know, if there is one.
#[derive(Default)]
pub(crate) struct Notifier(Option<(UnixDatagram, SocketAddr)>);

impl Notifier {
    /// The one that `NOTIFY_SOCKET` names.
    pub(crate) fn from_env() -> Self {
        let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|n| !n.is_empty()) else {
            return Self(None);
        };
        let address = match name.as_bytes() {
            [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest),
            [b'/', ..] => SocketAddr::from_pathname(&name),
            _ => {
                tracing::warn!("NOTIFY_SOCKET is neither a path nor an abstract name");
                return Self(None);
            }
        };
        let socket = UnixDatagram::unbound().and_then(|s| s.set_nonblocking(true).map(|()| s));
        match socket.and_then(|s| address.map(|a| (s, a))) {
            Ok(target) => Self(Some(target)),
            Err(error) => {
                tracing::warn!(%error, "NOTIFY_SOCKET can't be used");
                Self(None)
            }
        }
    }

    /// Sends `state`, lines of `VARIABLE=value`.
    pub(crate) fn tell(&self, state: &str) {
        if let Some((socket, address)) = &self.0
            && let Err(error) = socket.send_to_addr(state.as_bytes(), address)
        {
            tracing::warn!(%error, "the service manager was not told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_arrive_at_an_abstract_socket() {
        let name = format!("sv-notify-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a short name");
        let receiver = UnixDatagram::bind_addr(&address).expect("bound");
        let sender = UnixDatagram::unbound().expect("a socket");
        Notifier(Some((sender, address))).tell("READY=1\nSTATUS=locked");
        let mut buffer = [0; 64];
        let n = receiver.recv(&mut buffer).expect("a datagram");
        assert_eq!(&buffer[..n], b"READY=1\nSTATUS=locked");
    }

    #[test]
    fn nobody_listening_is_no_error() {
        Notifier::default().tell("READY=1");
    }
}

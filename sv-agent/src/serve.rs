//! Accepting, and one task for each connection.

use crate::{
    connections::Entry,
    events,
    gates::{self, Next},
    inbox::Inbox,
    limits,
    state::Agent,
};
use nix::errno::Errno;
use std::{io, rc::Rc};
use sv_proto::{Kind, Response, frame, message::Failure};
use tokio::{
    net::{UnixListener, UnixStream},
    task::yield_now,
    time::{sleep, timeout},
};

/// Accepts until the listening socket fails.
pub(crate) async fn accept(agent: Rc<Agent>, listener: UnixListener) -> io::Error {
    let mut evicted = 0;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                evicted += admit(&agent, stream).await;
                // Descriptors and memory of those are free when their tasks
                // have run.
                if evicted >= limits::EVICTED_AT_ONCE {
                    evicted = 0;
                    yield_now().await;
                }
            }
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::ECONNABORTED | Errno::EINTR | Errno::EPROTO | Errno::EPERM) => {}
                Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM) => {
                    tracing::warn!(%error, "no connection can be accepted");
                    agent.connections.evict();
                    sleep(limits::ACCEPT_PAUSE).await;
                }
                _ => return error,
            },
        }
    }
}

/// Takes the connection on, and says how many had to go for it.
async fn admit(agent: &Rc<Agent>, stream: UnixStream) -> usize {
    let pid = match gates::peer(&stream) {
        Ok(pid) => pid,
        Err(failure) => {
            if let Ok(peer) = stream.peer_cred() {
                events::refused(agent, peer.uid(), peer.pid().unwrap_or_default());
            }
            turn_away(&stream, failure);
            return 0;
        }
    };
    let mut evicted = 0;
    while agent.connections.full() {
        if agent.connections.evict() {
            evicted += 1;
        } else if timeout(limits::ADMIT_WAIT, agent.connections.freed())
            .await
            .is_err()
        {
            let busy = Failure::new(Kind::Busy, "the agent has no connection left");
            turn_away(&stream, busy);
            return evicted;
        }
    }
    let entry = agent.connections.register(pid);
    let slot = Rc::clone(entry.slot());
    let task = agent
        .tasks
        .spawn_local(converse(Rc::clone(agent), entry, stream));
    slot.run_by(task.abort_handle());
    evicted
}

/// One frame, as far as the socket takes it at once, and out.
fn turn_away(stream: &UnixStream, failure: Failure) {
    if let Ok(frame) = frame::encode(0, 0, &Response::Failed(failure))
        && let Err(error) = stream.try_write(&frame)
    {
        tracing::debug!(%error, "a refusal was not taken");
    }
}

/// Serves one connection, request by request, in order.
async fn converse(agent: Rc<Agent>, entry: Entry, mut stream: UnixStream) {
    let mut inbox = Inbox::new();
    while let Next::Request = gates::serve(&agent, entry.slot(), &mut stream, &mut inbox).await {}
}

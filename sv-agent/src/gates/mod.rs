//! What each request passes, in this order, in this one place:
//!
//! 1. peer uid ([`peer`], before the first byte is read)
//! 2. frame cap, version, flags ([`crate::inbox`], before memory is taken)
//! 3. decode, and the sizes of whatever waits or is compared ([`bounds::check`])
//! 4. the vault that was named ([`vault`])
//! 5. locked?
//! 6. policy ([`policy`])
//! 7. dispatch ([`handlers::dispatch`])
//!
//! The first that fails answers.

mod bounds;

use crate::{
    connections::{Phase, Slot},
    errors, events, handlers,
    inbox::{Broken, Inbox},
    limits,
    reply::{self, Reply, Unread},
    state::Agent,
};
use nix::unistd::geteuid;
use std::{
    fs,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::MetadataExt,
    },
    path::PathBuf,
    rc::Rc,
    time::Instant,
};
use sv_proto::{
    Envelope, Kind, Request, Response, codec, frame::Versions, limits as protocol, message::Failure,
};
use tokio::{net::UnixStream, task::spawn_blocking, time::timeout};

/// What becomes of the connection.
pub(crate) enum Next {
    /// It takes another request.
    Request,
    /// It is closed.
    Close,
}

/// Gate 1. The peer's process id, if it runs as the agent's own user.
pub(crate) fn peer(stream: &UnixStream) -> Result<i32, Failure> {
    let peer = stream.peer_cred().map_err(|e| errors::internal(&e))?;
    if peer.uid() == geteuid().as_raw() {
        Ok(peer.pid().unwrap_or_default())
    } else {
        tracing::warn!(uid = peer.uid(), pid = peer.pid(), "refused another user");
        Err(Failure::new(
            Kind::Refused,
            "this agent belongs to another user",
        ))
    }
}

/// Takes one request from `stream` through all the other gates and answers it.
pub(crate) async fn serve(
    agent: &Rc<Agent>,
    slot: &Rc<Slot>,
    stream: &mut UnixStream,
    inbox: &mut Inbox,
) -> Next {
    // Gate 2.
    let frame = match inbox.next(stream, slot, &agent.budget).await {
        Ok(frame) => frame,
        Err(broken) => {
            close(agent, slot, stream, broken).await;
            return Next::Close;
        }
    };
    slot.enter(Phase::Serving);
    let started = Instant::now();
    let id = frame.header.id;

    // Gate 3. The frame is wiped as soon as the message is made of it.
    let decoded = codec::decode::<Envelope>(inbox.body(&frame));
    let room = inbox.done(frame);
    let mut reply = Reply::new(stream, slot, &agent.budget, id);
    let Ok(Envelope {
        vault: named,
        request,
    }) = decoded
    else {
        tracing::warn!(pid = slot.pid(), "malformed message");
        let failure = Failure::new(Kind::Malformed, "the message could not be read");
        let _ = reply.last(Response::Failed(failure)).await;
        return Next::Close;
    };

    let label = request.label();
    let stop = matches!(request, Request::Stop);
    let passed = async {
        bounds::check(&request)?;
        // Past the bounds, only what carries a value is large. Nothing else
        // may hold room here: its answer may have to wait for some.
        let _room = room.filter(|_| carries_value(&request));
        if let Some(named) = named {
            reply.waiting(vault(agent, named)).await??; // Gate 4.
        }
        let needs_keys = needs_keys(&request);
        let is_use = is_use(&request);
        if needs_keys {
            agent.require_unlocked()?; // Gate 5.
        }
        let told = events::of(&request);
        let work = async {
            policy(&request)?; // Gate 6.
            // Whoever writes waits for a rotation. This is no gate: nobody is refused.
            let _pass = match is_write(&request) {
                true => Some(reply.waiting(agent.writers.clone().read_owned()).await?),
                false => None,
            };
            handlers::dispatch(agent, request, &mut reply).await // Gate 7.
        };
        let response = match told {
            Some(what) => events::follow(agent, slot.asker().clone(), what, work).await?,
            None => work.await?,
        };
        if needs_keys && is_use {
            agent.touch();
        }
        Ok(response)
    };
    let response: Result<Response, Failure> = passed.await;
    let response = response.unwrap_or_else(Response::Failed);

    let outcome = match &response {
        Response::Failed(failure) => failure.kind.as_str(),
        _ => "ok",
    };
    let micros = started.elapsed().as_micros();
    tracing::debug!(request = label, outcome, pid = slot.pid(), micros, "served");

    let stop = stop && matches!(response, Response::Done);
    let sent = reply.last(response).await;
    if stop {
        agent.shutdown.cancel();
    }
    match sent {
        Ok(()) => Next::Request,
        Err(Unread) => Next::Close,
    }
}

/// Says why before a connection is closed, where somebody may be listening.
async fn close(agent: &Rc<Agent>, slot: &Rc<Slot>, stream: &UnixStream, broken: Broken) {
    let (id, failure) = match broken {
        Broken::Gone => return,
        Broken::Version(id) => {
            let _ = reply::write(stream, &Versions::OURS.frame(id)).await;
            return;
        }
        Broken::Length => (
            0,
            Failure::new(Kind::Malformed, "a frame has 12 to 2097152 bytes"),
        ),
        Broken::Flags(id) => (
            id,
            Failure::new(Kind::Malformed, "a request has no such flags"),
        ),
        Broken::Late => (
            0,
            Failure::new(Kind::Timeout, "the request was not complete in time"),
        ),
        Broken::Busy(id, failure) => (id, failure),
    };
    tracing::warn!(
        pid = slot.pid(),
        outcome = failure.kind.as_str(),
        "bad frame"
    );
    let _ = Reply::new(stream, slot, &agent.budget, id)
        .last(Response::Failed(failure))
        .await;
}

const fn carries_value(request: &Request) -> bool {
    matches!(request, Request::Add { .. } | Request::Update { .. })
}

/// Gate 4. The vault that the client named is the one that is served: by its
/// path, or because both paths lead to one file.
async fn vault(agent: &Rc<Agent>, named: Vec<u8>) -> Result<(), Failure> {
    let ours = agent.vault.as_os_str().as_bytes();
    if named == ours {
        return Ok(());
    }
    let other = || {
        Failure::new(
            Kind::OtherVault,
            format!("the agent serves another vault: {}", agent.vault_shown()),
        )
    };
    if named.len() > protocol::PATH {
        return Err(other());
    }
    // The path is the client's: it may lead to a file system that never
    // answers. At most one look is under way.
    let Ok(permit) = timeout(limits::STAT_TIME, agent.looks.clone().acquire_owned()).await else {
        return Err(other());
    };
    let ours = agent.vault.clone();
    let look = spawn_blocking(move || {
        let named = PathBuf::from(std::ffi::OsString::from_vec(named));
        let same = match (fs::metadata(&ours), fs::metadata(&named)) {
            (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
            _ => false,
        };
        drop(permit);
        same
    });
    match timeout(limits::STAT_TIME, look).await {
        Ok(Ok(true)) => Ok(()),
        _ => Err(other()),
    }
}

/// Gate 5 is for these.
const fn needs_keys(request: &Request) -> bool {
    match request {
        Request::Status
        | Request::Init { .. }
        | Request::Unlock { .. }
        | Request::Lock
        | Request::Stop
        | Request::UnlockWith { .. }
        | Request::ShareCheck { .. }
        | Request::Recover { .. }
        | Request::RecoverDrill { .. }
        | Request::CeremonyStart { .. }
        | Request::CeremonySubmit { .. }
        | Request::CeremonyStatus
        | Request::CeremonyCancel
        | Request::FileVerify { .. }
        // Into an unlocked vault, or where there is none.
        | Request::Restore { .. } => false,
        Request::Add { .. }
        | Request::Get { .. }
        | Request::Show { .. }
        | Request::List { .. }
        | Request::Search { .. }
        | Request::Update { .. }
        | Request::Delete { .. }
        | Request::Rename { .. }
        | Request::History { .. }
        | Request::Revert { .. }
        | Request::Passwd { .. }
        | Request::Verify
        | Request::Health
        | Request::Slots
        | Request::SlotAdd { .. }
        | Request::SlotRemove { .. }
        | Request::Rotate { .. }
        | Request::Deal { .. }
        | Request::Dealings
        | Request::Share { .. }
        | Request::ShareDelivered { .. }
        | Request::ShareVerified { .. }
        | Request::DealCommit { .. }
        | Request::DealCancel { .. }
        | Request::Audit { .. }
        | Request::AuditVerify
        | Request::Backup { .. }
        | Request::BackupDone { .. } => true,
    }
}

/// What is asked again and again by a program that watches does not count as use.
const fn is_use(request: &Request) -> bool {
    !matches!(
        request,
        Request::Health | Request::Audit { after: Some(_), .. }
    )
}

/// These change the vault, in one transaction each. Rotations, recoveries and
/// restores see to themselves.
const fn is_write(request: &Request) -> bool {
    matches!(
        request,
        Request::Add { .. }
            | Request::Update { .. }
            | Request::Delete { .. }
            | Request::Rename { .. }
            | Request::Revert { .. }
            | Request::Passwd { .. }
            | Request::SlotAdd { .. }
            | Request::SlotRemove { .. }
            | Request::Deal { .. }
            | Request::ShareDelivered { .. }
            | Request::ShareVerified { .. }
            | Request::DealCancel { .. }
            | Request::RecoverDrill { .. }
            | Request::BackupDone { .. }
    )
}

/// Gate 6. No policy can be configured yet, so every request of the owner
/// passes; whatever narrows that belongs here.
const fn policy(_request: &Request) -> Result<(), Failure> {
    Ok(())
}

//! What each request passes, in this order, in this one place:
//!
//! 1. peer uid ([`peer`], before the first byte is read)
//! 2. frame cap, version, flags ([`crate::inbox`], before memory is taken)
//! 3. decode, and the sizes of whatever waits or is compared ([`bounds`])
//! 4. the vault that was named ([`vault`])
//! 5. locked?
//! 6. policy ([`policy`])
//! 7. dispatch ([`handlers::dispatch`])
//!
//! The first that fails answers.

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
    Envelope, Kind, Request, Response, Secret, codec,
    frame::Versions,
    limits as protocol,
    message::{Failure, Key, KeyKind},
    name,
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
        bounds(&request)?;
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

/// Gate 3, second half. Whatever is kept while a request waits is small from
/// here on, and names are names.
fn bounds(request: &Request) -> Result<(), Failure> {
    let usage = |message: &str| Err(Failure::new(Kind::Usage, message));
    let password = |secret: &Secret| {
        if (1..=protocol::PASSWORD).contains(&secret.len()) {
            Ok(())
        } else {
            usage("a password has 1 to 4096 bytes")
        }
    };
    let name = |name: &str| {
        name::check(name).map_err(|error| Failure::new(Kind::Usage, error.to_string()))
    };
    match request {
        Request::Init { password: p } => password(p),
        // Empty, it asks whether a password is needed.
        Request::Unlock { password: p, .. } if p.is_empty() => Ok(()),
        Request::Unlock { password: p, .. } => password(p),
        Request::Passwd { old, new } => password(old).and_then(|()| password(new)),
        Request::Add { name: n, value, .. } => {
            name(n)?;
            value_size(value)
        }
        Request::Update { name: n, value, .. } => {
            name(n)?;
            value.as_ref().map_or(Ok(()), value_size)
        }
        Request::Get { name: n, .. }
        | Request::Show { name: n, .. }
        | Request::Delete { name: n, .. }
        | Request::History { name: n }
        | Request::Revert { name: n, .. } => name(n),
        Request::Rename { old, new } => name(old).and_then(|()| name(new)),
        Request::List {
            prefix,
            category,
            tags,
            ..
        } => {
            if prefix.len() > protocol::NAME {
                return usage("a prefix has at most 1024 bytes");
            }
            if category
                .as_ref()
                .is_some_and(|c| c.len() > protocol::CATEGORY)
            {
                return usage("a category has at most 64 bytes");
            }
            if tags.len() > protocol::TAGS || tags.iter().any(|t| t.len() > protocol::TAG) {
                return usage("at most 32 tags, each of at most 64 bytes");
            }
            Ok(())
        }
        Request::Search { query, .. } => {
            if query.len() > protocol::QUERY {
                return usage("a query has at most 1024 bytes");
            }
            if query.trim().is_empty() {
                return usage("a query can't be empty");
            }
            Ok(())
        }
        // Empty, it asks whether a key is needed.
        Request::UnlockWith { key, .. } if key.secret.is_empty() => Ok(()),
        Request::UnlockWith { key: k, .. } => key(k),
        Request::SlotAdd {
            present,
            new,
            label,
        } => {
            key(present)?;
            key(new)?;
            text(label, protocol::LABEL, "a label has at most 64 bytes")
        }
        Request::Rotate { passwords: None } => Ok(()),
        Request::Rotate {
            passwords: Some((old, new)),
        } => password(old).and_then(|()| password(new)),
        Request::Deal { count, threshold } => {
            if *threshold < 2 || threshold > count {
                return usage("a threshold is 2 to the number of shares, which is at most 255");
            }
            Ok(())
        }
        Request::ShareDelivered { holder, .. } => holder_text(holder),
        Request::ShareVerified { share: s, holder } => {
            share(s)?;
            holder.as_deref().map_or(Ok(()), holder_text)
        }
        Request::ShareCheck { share: s } | Request::CeremonySubmit { share: s } => share(s),
        Request::Recover {
            shares,
            password: p,
        } => {
            all_shares(shares)?;
            password(p)
        }
        Request::RecoverDrill { shares } => all_shares(shares),
        Request::CeremonyStart { seconds } => {
            if !(1..=protocol::CEREMONY).contains(seconds) {
                return usage("a ceremony lasts 1s to 1d");
            }
            Ok(())
        }
        Request::Audit { name: n, .. } => n.as_deref().map_or(Ok(()), name),
        Request::BackupDone { place, .. } => holder_text(place),
        Request::FileVerify { file } => staged(file),
        Request::Restore {
            file,
            key: k,
            shares,
        } => {
            staged(file)?;
            k.as_ref().map_or(Ok(()), key)?;
            all_shares(shares)
        }
        Request::Status
        | Request::Lock
        | Request::Verify
        | Request::Stop
        | Request::Health
        | Request::Slots
        | Request::SlotRemove { .. }
        | Request::Dealings
        | Request::Share { .. }
        | Request::DealCommit { .. }
        | Request::DealCancel { .. }
        | Request::CeremonyStatus
        | Request::CeremonyCancel
        | Request::AuditVerify
        | Request::Backup { .. } => Ok(()),
    }
}

fn text(text: &str, most: usize, message: &str) -> Result<(), Failure> {
    if text.len() > most || text.chars().any(char::is_control) {
        return Err(Failure::new(Kind::Usage, message));
    }
    Ok(())
}

fn holder_text(holder: &str) -> Result<(), Failure> {
    text(
        holder,
        protocol::HOLDER,
        "a holder's name has at most 255 bytes and no control characters",
    )
}

fn share(share: &Secret) -> Result<(), Failure> {
    if !(1..=protocol::SHARE).contains(&share.len()) {
        return Err(Failure::new(Kind::BadShare, "a share has 1 to 1024 bytes"));
    }
    Ok(())
}

fn all_shares(shares: &[Secret]) -> Result<(), Failure> {
    if shares.len() > protocol::SHARES {
        return Err(Failure::new(Kind::Usage, "there are at most 255 shares"));
    }
    shares.iter().try_for_each(share)
}

fn key(key: &Key) -> Result<(), Failure> {
    let (sizes, message) = match key.kind {
        KeyKind::Password => (1..=protocol::PASSWORD, "a password has 1 to 4096 bytes"),
        KeyKind::KeyFile | KeyKind::Credential => {
            (protocol::KEY_FILE, "a key file has 32 to 4096 bytes")
        }
    };
    if sizes.contains(&key.secret.len()) {
        return Ok(());
    }
    Err(Failure::new(Kind::Usage, message))
}

/// The name of a file that a client put beside the vault: it can't lead anywhere else.
fn staged(file: &str) -> Result<(), Failure> {
    let ok = file.len() <= protocol::HOLDER && !file.is_empty() && !file.contains(['/', '\0']);
    if ok {
        return Ok(());
    }
    Err(Failure::new(
        Kind::Usage,
        "a file beside the vault is named without its folder",
    ))
}

const fn carries_value(request: &Request) -> bool {
    matches!(request, Request::Add { .. } | Request::Update { .. })
}

fn value_size(value: &Secret) -> Result<(), Failure> {
    if value.len() > protocol::VALUE {
        return Err(Failure::new(Kind::Usage, "a value has at most 1 MiB"));
    }
    Ok(())
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

//! A backup becomes the vault, or adds what it knows to the vault.

use super::{
    backup::{FILES, gone},
    file_verify::{self, about},
};
use crate::{
    convert, derivations, errors, events, limits,
    reply::Reply,
    rotation,
    state::{Agent, Ticket},
};
use std::rc::Rc;
use sv_proto::{
    Kind, Response, Secret,
    message::{Failure, Key, Restored},
};
use sv_vault_core::{Check, CopyKey, SlotKey};
use tokio::{
    sync::watch,
    task::{spawn_local, yield_now},
};

pub(super) async fn handle(
    agent: &Rc<Agent>,
    file: String,
    key: Option<Key>,
    shares: Vec<Secret>,
    reply: &mut Reply<'_>,
) -> Result<Response, Failure> {
    let turn = reply.waiting(FILES.lock()).await?;
    let ticket = match agent.open() {
        Ok(()) => Some(agent.ticket()?),
        Err(failure) if failure.kind == Kind::NoVault => None,
        Err(failure) => return Err(failure),
    };
    let keep = ticket.is_none();
    let check = Check::staged(&agent.vault, &file, keep).map_err(|error| about(&error))?;
    let (told, progress) = watch::channel((0, 0));
    let work = spawn_local(async move {
        let checked = file_verify::run(check, told).await;
        (checked, turn)
    });
    rotation::following(progress, reply).await;
    let (checked, _turn) = work.await.map_err(|error| errors::internal(&error))?;
    let check = checked?;
    if let Some(problem) = check.report().problems.first() {
        let message = format!("the backup is damaged: {problem}");
        return Err(Failure::new(Kind::Damaged, message));
    }
    match ticket {
        None => settle(agent, check),
        Some(ticket) => {
            let key = open(agent, ticket, &check, key, &shares, reply).await?;
            merge(agent, ticket, check, key, shares, reply).await
        }
    }
}

/// There is no vault: the file becomes it.
fn settle(agent: &Rc<Agent>, check: Check) -> Result<Response, Failure> {
    let report = check.report().clone();
    check
        .settle(&agent.vault, &agent.note)
        .map_err(|error| about(&error))?;
    tracing::info!(generation = report.generation, "a backup became the vault");
    if let Err(failure) = agent.open() {
        // Whoever asks next is told.
        tracing::error!(error = failure.message, "the vault can't be opened");
    }
    Ok(Response::Restored(Restored {
        created: true,
        secrets: report.secrets,
        revisions: report.revisions,
        conflicts: 0,
    }))
}

/// The key of one of the backup's slots, where one is needed and was given.
async fn open(
    agent: &Rc<Agent>,
    ticket: Ticket,
    check: &Check,
    key: Option<Key>,
    shares: &[Secret],
    reply: &mut Reply<'_>,
) -> Result<Option<SlotKey>, Failure> {
    let needed = agent.with_ticket(ticket, |vault| vault.merge_needs_key(check))?;
    let Some(key) = key.filter(|_| needed && shares.is_empty()) else {
        return Ok(None);
    };
    let challenge = check.challenge().map_err(|error| about(&error))?;
    let mut turn = reply.waiting(agent.derivations.turn()).await?;
    let agent = Rc::clone(agent);
    let kind = convert::key_kind(key.kind);
    let prove = async move { turn.prove_on(&agent, challenge, kind, key.secret).await };
    derivations::to_the_end(prove).await.map(Some)
}

async fn merge(
    agent: &Rc<Agent>,
    ticket: Ticket,
    check: Check,
    key: Option<SlotKey>,
    shares: Vec<Secret>,
    reply: &mut Reply<'_>,
) -> Result<Response, Failure> {
    let alone = reply.waiting(agent.writers.clone().write_owned()).await?;
    let (told, progress) = watch::channel((0, 0));
    let now = agent.clock.wall();
    let agent = Rc::clone(agent);
    let work = events::spawn_local(async move {
        let _alone = alone;
        let key = match (key, shares.is_empty()) {
            (Some(key), _) => CopyKey::Slot(key),
            (None, false) => CopyKey::Shares(shares.iter().map(Secret::expose).collect()),
            (None, true) => CopyKey::None,
        };
        let mut merge = agent.with_ticket(ticket, |vault| vault.merge_begin(check, &key))?;
        while !agent.with_ticket(ticket, |vault| {
            vault.merge_step(&mut merge, limits::MERGE_STEP)
        })? {
            if told.is_closed() {
                agent.with_ticket(ticket, |vault| {
                    vault.merge_abort();
                    Ok(())
                })?;
                return Err(gone());
            }
            told.send_replace(merge.progress());
            yield_now().await;
        }
        agent.with_ticket(ticket, |vault| vault.merge_commit(merge, now))
    });
    rotation::following(progress, reply).await;
    let merged = work.await.map_err(|error| errors::internal(&error))??;
    tracing::info!(
        revisions = merged.revisions,
        conflicts = merged.conflicts,
        "a backup was merged into the vault"
    );
    Ok(Response::Restored(Restored {
        created: false,
        secrets: merged.secrets,
        revisions: merged.revisions,
        conflicts: merged.conflicts,
    }))
}

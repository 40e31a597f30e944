//! A copy of the vault beside it, made while others are served.

use crate::{errors, limits, reply::Reply, rotation, state::Agent};
use std::rc::Rc;
use sv_proto::{
    Response,
    message::{BackupMade, Failure},
};
use sv_vault_core::BackupStep;
use tokio::{
    sync::{Mutex, watch},
    task::{spawn_local, yield_now},
    time::sleep,
};

/// One copy is made, checked or read at a time: each takes a page cache, and
/// the vault feeds one.
pub(super) static FILES: Mutex<()> = Mutex::const_new(());

pub(super) async fn handle(
    agent: &Rc<Agent>,
    slots: bool,
    reply: &mut Reply<'_>,
) -> Result<Response, Failure> {
    let ticket = agent.ticket()?;
    let turn = reply.waiting(FILES.lock()).await?;
    let (told, progress) = watch::channel((0, 0));
    let worker = Rc::clone(agent);
    // In a task of its own, which sees when nobody waits for it any more: what
    // it made is removed then.
    let work = spawn_local(async move {
        let _turn = turn;
        let mut backup = worker.with_ticket(ticket, |vault| vault.backup_begin(slots))?;
        loop {
            let step = worker.with_ticket(ticket, |vault| {
                vault.backup_step(&mut backup, limits::BACKUP_PAGES, limits::VERIFY_STEP)
            });
            if told.is_closed() || step.is_err() {
                // A locked vault has given it up by itself.
                let _ = worker.with_ticket(ticket, |vault| {
                    vault.backup_abort();
                    Ok(())
                });
            }
            match step? {
                BackupStep::Done => return Ok(backup),
                _ if told.is_closed() => return Err(gone()),
                BackupStep::More => yield_now().await,
                BackupStep::Waiting => sleep(limits::BACKUP_PAUSE).await,
            }
            told.send_replace(backup.progress());
        }
    });
    rotation::following(progress, reply).await;
    let backup = work.await.map_err(|error| errors::internal(&error))??;
    let made = backup.finish().map_err(|error| errors::failure(&error))?;
    let vault = agent.with_ticket(ticket, |vault| Ok(vault.id()))?;
    tracing::info!(
        generation = made.generation,
        size = made.size,
        "a backup was made"
    );
    Ok(Response::BackupMade(BackupMade {
        file: made.file,
        size: made.size,
        digest: made.digest,
        vault,
        generation: made.generation,
        secrets: made.secrets,
    }))
}

/// Nobody waits for the answer any more.
pub(super) fn gone() -> Failure {
    errors::internal(&"the client went away")
}

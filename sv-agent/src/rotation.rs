//! Rotations, to the end: a client that goes away stops none. Reads are served
//! between the steps, writes wait.

use crate::{errors, events::spawn_local, limits, reply::Reply, state::Agent};
use std::{rc::Rc, time::Instant};
use sv_proto::{Response, message::Failure};
use sv_vault_core::{Result, Rotated, Rotation, Vault};
use tokio::{sync::watch, task::yield_now};

/// Runs the rotation that `begin` begins, telling how far it is.
pub(crate) async fn run(
    agent: &Rc<Agent>,
    begin: impl FnOnce(&mut Vault) -> Result<Rotation> + 'static,
    reply: &mut Reply<'_>,
) -> std::result::Result<Rotated, Failure> {
    let ticket = agent.ticket()?;
    let alone = reply.waiting(agent.writers.clone().write_owned()).await?;
    let (told, progress) = watch::channel((0, 0));
    let agent = Rc::clone(agent);
    let work = spawn_local(async move {
        let _alone = alone;
        let mut rotation = agent.with_ticket(ticket, begin)?;
        while !agent.with_ticket(ticket, |vault| {
            vault.rotate_step(&mut rotation, limits::ROTATE_STEP)
        })? {
            told.send_replace(rotation.progress());
            yield_now().await;
        }
        let rotated = agent.with_ticket(ticket, |vault| vault.rotate_commit(rotation))?;
        tracing::info!(epoch = rotated.epoch, "the keys were renewed");
        Ok(rotated)
    });
    following(progress, reply).await;
    work.await.map_err(|error| errors::internal(&error))?
}

/// Passes progress on until there is no more. Who does not read it is not told,
/// and nothing else changes.
pub(crate) async fn following(mut progress: watch::Receiver<(u64, u64)>, reply: &mut Reply<'_>) {
    let mut said = Instant::now();
    while progress.changed().await.is_ok() {
        if said.elapsed() < limits::PROGRESS {
            continue;
        }
        said = Instant::now();
        let (done, total) = *progress.borrow_and_update();
        if reply
            .part(Response::Progress { done, total })
            .await
            .is_err()
        {
            break;
        }
    }
}

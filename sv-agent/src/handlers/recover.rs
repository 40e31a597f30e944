//! Opens the vault with shares and gives it a new password.

use crate::{
    errors,
    events::{self, spawn_last},
    reply::Reply,
    rotation,
    state::Agent,
};
use std::rc::Rc;
use sv_proto::{Response, Secret, message::Failure};
use tokio::{sync::watch, task::spawn_blocking};

// The Err is large because it gives the open file back.
#[allow(clippy::result_large_err)]
pub(super) async fn handle(
    agent: &Rc<Agent>,
    shares: Vec<Secret>,
    password: Secret,
    reply: &mut Reply<'_>,
) -> Result<Response, Failure> {
    agent.open()?;
    let shares = match shares.is_empty() {
        false => shares,
        true => agent.with_ceremony(|ceremony| {
            let copy = |share: &Secret| Secret::new(share.expose().to_vec());
            Ok(ceremony.shares().map(copy).collect())
        })?,
    };
    // Before anything is locked or derived.
    prove(agent, &shares)?;
    let mut turn = reply.waiting(agent.derivations.turn()).await?;
    let alone = reply.waiting(agent.writers.clone().write_owned()).await?;
    let (told, progress) = watch::channel((0, 0));
    let now = agent.clock.wall();
    let agent = Rc::clone(agent);
    let work = spawn_last(async move {
        let _alone = alone;
        let slot = turn.new_slot(&agent, password).await?;
        let locked = agent.take_locked("recovery")?;
        let memory = agent.memory.clone();
        let event = events::of_transaction();
        let result = spawn_blocking(move || {
            let texts: Vec<&[u8]> = shares.iter().map(Secret::expose).collect();
            locked.recover(&texts, slot, event, now, &memory, &mut |done, total| {
                told.send_replace((done, total));
            })
        })
        .await;
        let recovered = matches!(&result, Ok(Ok(_)));
        let unlocked = agent.put_back(result)?;
        if recovered {
            events::told();
        }
        tracing::info!("the vault was recovered with shares");
        agent.set_ceremony(None);
        Ok(Response::Unlocked(unlocked))
    });
    rotation::following(progress, reply).await;
    work.await.map_err(|error| errors::internal(&error))?
}

fn prove(agent: &Agent, shares: &[Secret]) -> Result<(), Failure> {
    let texts: Vec<&[u8]> = shares.iter().map(Secret::expose).collect();
    agent.with_either(
        |locked| locked.drill(&texts, &agent.memory).map(drop),
        |vault| vault.drill(&texts).map(drop),
    )
}

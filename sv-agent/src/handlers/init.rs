//! A new vault, left unlocked.

use crate::{derivations, errors, reply::Reply, state::Agent};
use std::rc::Rc;
use sv_proto::{Kind, Response, Secret, message::Failure};
use sv_vault_core::Error;

pub(super) async fn handle(
    agent: &Rc<Agent>,
    password: Secret,
    reply: &Reply<'_>,
) -> Result<Response, Failure> {
    // Asked before and after the wait for the turn: another one may create it
    // meanwhile.
    nothing_there(agent)?;
    let mut turn = reply.waiting(agent.derivations.turn()).await?;
    nothing_there(agent)?;
    let agent = Rc::clone(agent);
    derivations::to_the_end(async move {
        let slot = turn.new_slot(&agent, password).await?;
        agent.create(slot).map(Response::Unlocked)
    })
    .await
}

fn nothing_there(agent: &Agent) -> Result<(), Failure> {
    match agent.open() {
        Err(failure) if failure.kind == Kind::NoVault => Ok(()),
        // A vault that can't be read is a vault.
        Err(failure) if !matches!(failure.kind, Kind::Damaged | Kind::Version) => Err(failure),
        _ => Err(errors::failure(&Error::VaultExists(agent.vault.clone()))),
    }
}

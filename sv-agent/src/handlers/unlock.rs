//! Derives the keys and holds them.

use crate::{derivations, errors, reply::Reply, state::Agent};
use std::{rc::Rc, time::Duration};
use sv_proto::{
    Kind, Response, Secret,
    message::{Failure, Key},
    span,
};

pub(super) async fn handle(
    agent: &Rc<Agent>,
    password: Secret,
    seconds: Option<u64>,
    reply: &Reply<'_>,
) -> Result<Response, Failure> {
    let wanted = seconds.map(Duration::from_secs);
    let most = agent.policy.most;
    if wanted.is_some_and(|wanted| wanted.is_zero() || wanted > most) {
        return Err(Failure::new(
            Kind::Usage,
            format!("unlocking is for 1s to {}", span::spell(most)),
        ));
    }
    if let Some(unlocked) = agent.already_unlocked(wanted) {
        return Ok(Response::Unlocked(unlocked));
    }
    agent.open()?;
    if password.is_empty() {
        return Err(Failure::new(
            Kind::Usage,
            "the vault is locked, and a password has 1 to 4096 bytes",
        ));
    }
    let mut turn = reply.waiting(agent.derivations.turn()).await?;
    if let Some(unlocked) = agent.already_unlocked(wanted) {
        return Ok(Response::Unlocked(unlocked));
    }
    let agent = Rc::clone(agent);
    derivations::to_the_end(async move {
        let key = turn.prove(&agent, password).await?;
        agent.unlock(key, wanted).map(Response::Unlocked)
    })
    .await
}

/// The same with any kind of key.
pub(super) async fn handle_with(
    _agent: &Rc<Agent>,
    _key: Key,
    _seconds: Option<u64>,
    _accept_rollback: bool,
    _reply: &Reply<'_>,
) -> Result<Response, Failure> {
    Err(errors::internal(&"not built yet"))
}

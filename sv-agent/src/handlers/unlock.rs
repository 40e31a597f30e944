//! Derives the keys and holds them.

use crate::{convert, derivations, reply::Reply, state::Agent};
use std::{rc::Rc, time::Duration};
use sv_proto::{
    Kind, Response, Secret,
    message::{Failure, Key, KeyKind},
    span,
};

pub(super) async fn handle(
    agent: &Rc<Agent>,
    password: Secret,
    seconds: Option<u64>,
    reply: &Reply<'_>,
) -> Result<Response, Failure> {
    let key = Key {
        kind: KeyKind::Password,
        secret: password,
    };
    handle_with(agent, key, seconds, false, reply).await
}

/// The same with any kind of key.
pub(super) async fn handle_with(
    agent: &Rc<Agent>,
    key: Key,
    seconds: Option<u64>,
    accept_rollback: bool,
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
        accept(agent, accept_rollback)?;
        return Ok(Response::Unlocked(unlocked));
    }
    agent.open()?;
    if key.secret.is_empty() {
        return Err(Failure::new(
            Kind::Usage,
            "the vault is locked, and a password has 1 to 4096 bytes",
        ));
    }
    let mut turn = reply.waiting(agent.derivations.turn()).await?;
    if let Some(unlocked) = agent.already_unlocked(wanted) {
        accept(agent, accept_rollback)?;
        return Ok(Response::Unlocked(unlocked));
    }
    let agent = Rc::clone(agent);
    derivations::to_the_end(async move {
        let kind = convert::key_kind(key.kind);
        let key = turn.prove_key(&agent, kind, key.secret).await?;
        let unlocked = agent.unlock(key, wanted)?;
        accept(&agent, accept_rollback)?;
        Ok(Response::Unlocked(unlocked))
    })
    .await
}

fn accept(agent: &Agent, accept_rollback: bool) -> Result<(), Failure> {
    if accept_rollback {
        agent.with(sv_vault_core::Vault::accept_rollback)?;
    }
    Ok(())
}

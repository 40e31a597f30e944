//! Another password for this node's slot.

use crate::{derivations, reply::Reply, state::Agent};
use std::rc::Rc;
use sv_proto::{Response, Secret, message::Failure};

pub(super) async fn handle(
    agent: &Rc<Agent>,
    old: Secret,
    new: Secret,
    reply: &Reply<'_>,
) -> Result<Response, Failure> {
    let ticket = agent.ticket()?;
    let mut turn = reply.waiting(agent.derivations.turn()).await?;
    agent.require_unlocked()?;
    let agent = Rc::clone(agent);
    derivations::to_the_end(async move {
        let key = turn.prove(&agent, old).await?;
        let slot = turn.new_slot(&agent, new).await?;
        agent.with_ticket(ticket, |vault| vault.change_password(&key, slot))?;
        tracing::info!("the password was changed");
        Ok(Response::Done)
    })
    .await
}

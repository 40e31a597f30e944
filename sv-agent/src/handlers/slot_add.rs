//! Another key for this node.

use super::slots;
use crate::{convert, derivations, reply::Reply, state::Agent};
use std::rc::Rc;
use sv_proto::{
    Response,
    message::{Failure, Key},
};

pub(super) async fn handle(
    agent: &Rc<Agent>,
    present: Key,
    new: Key,
    label: String,
    reply: &Reply<'_>,
) -> Result<Response, Failure> {
    let ticket = agent.ticket()?;
    let mut turn = reply.waiting(agent.derivations.turn()).await?;
    agent.require_unlocked()?;
    let agent = Rc::clone(agent);
    derivations::to_the_end(async move {
        let kind = convert::key_kind(present.kind);
        let present = turn.prove_key(&agent, kind, present.secret).await?;
        let new = turn.new_key(&agent, new).await?.labelled(&label);
        agent.with_ticket(ticket, |vault| vault.add_slot(&present, &new))?;
        tracing::info!("a slot was added");
        slots::handle(&agent)
    })
    .await
}

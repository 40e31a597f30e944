//! Takes a share set into force, which is a rotation.

use crate::{convert, errors, reply::Reply, rotation, state::Agent};
use std::rc::Rc;
use sv_proto::{Response, message::Failure};

pub(super) async fn handle(
    agent: &Rc<Agent>,
    set: &[u8; 16],
    partial: bool,
    reply: &mut Reply<'_>,
) -> Result<Response, Failure> {
    let id = *set;
    rotation::run(agent, move |vault| vault.deal_commit(&id, partial), reply).await?;
    tracing::info!("a share set is in force");
    let (vault, sets) = agent
        .with(|vault| Ok((vault.id(), vault.sets()?)))
        .map_err(|failure| Failure {
            message: format!("the share set is in force, but then: {}", failure.message),
            ..failure
        })?;
    let set = sets.into_iter().find(|known| known.set == id);
    let set = set.ok_or_else(|| errors::internal(&"the set is gone"))?;
    Ok(Response::Dealing(convert::dealing(vault, set)))
}

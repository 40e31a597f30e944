//! New keys for the vault.

use crate::{derivations, reply::Reply, rotation, state::Agent};
use std::rc::Rc;
use sv_proto::{
    Response, Secret,
    message::{Failure, Rotated},
};

pub(super) async fn handle(
    agent: &Rc<Agent>,
    passwords: Option<(Secret, Secret)>,
    reply: &mut Reply<'_>,
) -> Result<Response, Failure> {
    let password = match passwords {
        None => None,
        Some((old, new)) => {
            let mut turn = reply.waiting(agent.derivations.turn()).await?;
            agent.require_unlocked()?;
            let agent = Rc::clone(agent);
            let derive = async move {
                let key = turn.prove(&agent, old).await?;
                Ok((key, turn.new_slot(&agent, new).await?))
            };
            Some(derivations::to_the_end(derive).await?)
        }
    };
    let rotated = rotation::run(agent, |vault| vault.rotate_begin(password), reply).await?;
    Ok(Response::Rotated(Rotated {
        epoch: rotated.epoch,
        secrets: rotated.records,
        revisions: rotated.revisions,
    }))
}

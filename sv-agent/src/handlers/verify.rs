//! Checks everything, in steps, while others are served in between.

use crate::{errors, limits, reply::Reply, state::Agent};
use std::{rc::Rc, time::Instant};
use sv_proto::{
    Response,
    message::{Failure, Verified},
};
use tokio::task::yield_now;

pub(super) async fn handle(agent: &Rc<Agent>, reply: &mut Reply<'_>) -> Result<Response, Failure> {
    let ticket = agent.ticket()?;
    let mut state = agent.with_ticket(ticket, |vault| Ok(vault.verify()))?;
    let mut told = Instant::now();
    while !agent.with_ticket(ticket, |vault| {
        vault.verify_step(&mut state, limits::VERIFY_STEP)
    })? {
        if told.elapsed() >= limits::PROGRESS {
            told = Instant::now();
            let progress = Response::Progress {
                done: state.done,
                total: state.total,
            };
            if reply.part(progress).await.is_err() {
                // Nobody reads this.
                return Err(errors::internal(&"the client went away"));
            }
        }
        yield_now().await;
    }
    let mut problems = state.problems;
    if let Some(more) = problems
        .len()
        .checked_sub(limits::PROBLEMS)
        .filter(|n| *n > 0)
    {
        problems.truncate(limits::PROBLEMS);
        problems.push(format!("{more} more"));
    }
    if !problems.is_empty() {
        tracing::error!(problems = problems.len(), "the vault is damaged");
    }
    Ok(Response::Verified(Verified {
        secrets: state.secrets,
        revisions: state.revisions,
        problems,
    }))
}

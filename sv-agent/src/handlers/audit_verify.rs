//! Checks the audit log, in steps, while others are served in between.

use crate::{errors, limits, reply::Reply, state::Agent};
use std::{rc::Rc, time::Instant};
use sv_proto::{
    Response,
    message::{AuditVerified, Failure},
};
use tokio::task::yield_now;

pub(super) async fn handle(agent: &Rc<Agent>, reply: &mut Reply<'_>) -> Result<Response, Failure> {
    let ticket = agent.ticket()?;
    let mut state = agent.with_ticket(ticket, |vault| vault.audit_verify())?;
    let mut told = Instant::now();
    while !agent.with_ticket(ticket, |vault| {
        let (_, keys) = vault.audit_and_keys();
        state.step(&keys, limits::AUDIT_STEP)
    })? {
        if told.elapsed() >= limits::PROGRESS {
            told = Instant::now();
            let progress = Response::Progress {
                done: state.done,
                total: state.total,
            };
            if reply.part(progress).await.is_err() {
                return Err(errors::internal(&"the client went away"));
            }
        }
        yield_now().await;
    }
    if !state.problems.is_empty() {
        tracing::error!(problems = state.problems.len(), "the audit log is damaged");
    }
    Ok(Response::AuditVerified(AuditVerified {
        events: state.events,
        files: state.files,
        problems: state.problems,
    }))
}

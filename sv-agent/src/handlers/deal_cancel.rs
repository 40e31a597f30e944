//! Forgets a share set that is not in force.

use crate::state::Agent;
use std::rc::Rc;
use sv_proto::{Response, message::Failure};

pub(super) fn handle(agent: &Rc<Agent>, set: &[u8; 16]) -> Result<Response, Failure> {
    agent.with(|vault| vault.deal_cancel(set))?;
    Ok(Response::Done)
}

//! The state of the agent and the vault.

use crate::state::Agent;
use sv_proto::{Response, message::Failure};

pub(super) fn handle(agent: &Agent) -> Result<Response, Failure> {
    agent.status().map(Response::Status)
}

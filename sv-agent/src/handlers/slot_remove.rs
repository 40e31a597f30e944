//! One key less.

use super::slots;
use crate::state::Agent;
use std::rc::Rc;
use sv_proto::{Response, message::Failure};

pub(super) fn handle(agent: &Rc<Agent>, slot: &[u8; 16]) -> Result<Response, Failure> {
    agent.with(|vault| vault.remove_slot(slot))?;
    tracing::info!("a slot was removed");
    slots::handle(agent)
}

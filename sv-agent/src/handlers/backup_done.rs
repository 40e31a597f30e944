//! A copy of the vault is where it belongs.

use crate::state::Agent;
use std::rc::Rc;
use sv_proto::{Response, message::Failure};

pub(super) fn handle(
    agent: &Rc<Agent>,
    generation: u64,
    place: &str,
    now: i64,
) -> Result<Response, Failure> {
    agent.with(|vault| vault.note_backup(generation, place, now))?;
    Ok(Response::Done)
}

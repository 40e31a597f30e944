//! Proves that shares open the vault, and changes nothing but the note of when
//! they were last seen.

use crate::state::Agent;
use std::rc::Rc;
use sv_proto::{Response, Secret, message::Failure};

pub(super) fn handle(agent: &Rc<Agent>, shares: &[Secret], now: i64) -> Result<Response, Failure> {
    agent.open()?;
    let texts: Vec<&[u8]> = shares.iter().map(Secret::expose).collect();
    agent.with_either(
        |locked| locked.drill(&texts, &agent.memory).map(drop),
        |vault| {
            let indices = vault.drill(&texts)?;
            vault.shares_drilled(&indices, now)
        },
    )?;
    Ok(Response::Done)
}

//! A share that waits for its delivery.

use crate::state::Agent;
use std::rc::Rc;
use sv_proto::{Response, Secret, message::Failure};

pub(super) fn handle(agent: &Rc<Agent>, set: &[u8; 16], index: u8) -> Result<Response, Failure> {
    let text = agent.with(|vault| vault.share(set, index))?;
    Ok(Response::Value(Secret::new(text.as_bytes().to_vec())))
}

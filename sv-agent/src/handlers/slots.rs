//! This node's slots.

use crate::{convert, state::Agent};
use std::rc::Rc;
use sv_proto::{Response, message::Failure};

pub(super) fn handle(agent: &Rc<Agent>) -> Result<Response, Failure> {
    let slots = agent.with(sv_vault_core::Vault::slots)?;
    Ok(Response::Slots(
        slots.into_iter().map(convert::slot).collect(),
    ))
}

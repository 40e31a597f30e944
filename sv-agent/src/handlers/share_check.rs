//! Which share a text is.

use crate::{convert, state::Agent};
use std::rc::Rc;
use sv_proto::{Response, Secret, message::Failure};
use sv_vault_core::ShareFacts;

pub(super) fn handle(agent: &Rc<Agent>, share: &Secret) -> Result<Response, Failure> {
    agent.open()?;
    let opened = match sv_shares::release::is_released(share.expose()) {
        true => Some(agent.with_ceremony(|ceremony| ceremony.open(share))?),
        false => None,
    };
    let facts = facts(agent, opened.as_ref().unwrap_or(share))?;
    Ok(Response::Share(convert::share(facts)))
}

/// The facts about a plain share of the set in force.
pub(super) fn facts(agent: &Agent, share: &Secret) -> Result<ShareFacts, Failure> {
    agent.with_either(
        |locked| locked.check_share(share.expose()),
        |vault| vault.check_share(share.expose()),
    )
}

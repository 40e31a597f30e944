//! The share sets that this node knows.

use crate::{convert, state::Agent};
use std::rc::Rc;
use sv_proto::{Response, message::Failure};

pub(super) fn handle(agent: &Rc<Agent>) -> Result<Response, Failure> {
    let (vault, sets) = agent.with(|vault| Ok((vault.id(), vault.sets()?)))?;
    let dealings = sets.into_iter().map(|set| convert::dealing(vault, set));
    Ok(Response::Dealings(dealings.collect()))
}

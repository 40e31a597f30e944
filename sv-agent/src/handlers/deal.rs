//! A new recovery key, split.

use crate::{convert, state::Agent};
use std::rc::Rc;
use sv_proto::{Response, message::Failure};

pub(super) fn handle(
    agent: &Rc<Agent>,
    count: u8,
    threshold: u8,
    now: i64,
) -> Result<Response, Failure> {
    let (vault, set) = agent.with(|vault| Ok((vault.id(), vault.deal(count, threshold, now)?)))?;
    tracing::info!(count, threshold, "a share set was dealt");
    Ok(Response::Dealing(convert::dealing(vault, set)))
}

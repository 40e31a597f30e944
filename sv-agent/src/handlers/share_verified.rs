//! A share was seen where it belongs.

use crate::{convert, state::Agent};
use std::rc::Rc;
use sv_proto::{Response, Secret, message::Failure};

pub(super) fn handle(
    agent: &Rc<Agent>,
    share: &Secret,
    holder: Option<&str>,
    now: i64,
) -> Result<Response, Failure> {
    let share = share.expose();
    let (vault, set) =
        agent.with(|vault| Ok((vault.id(), vault.share_verified(share, holder, now)?)))?;
    Ok(Response::Dealing(convert::dealing(vault, set)))
}

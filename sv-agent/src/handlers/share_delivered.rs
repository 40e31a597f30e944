//! A share is where it belongs.

use crate::{convert, state::Agent};
use std::rc::Rc;
use sv_proto::{
    Response,
    message::{Failure, HolderKind},
};

pub(super) fn handle(
    agent: &Rc<Agent>,
    set: &[u8; 16],
    index: u8,
    kind: HolderKind,
    holder: String,
    now: i64,
) -> Result<Response, Failure> {
    let holder = (convert::holder_number(kind), holder);
    let (vault, set) =
        agent.with(|vault| Ok((vault.id(), vault.share_delivered(set, index, holder, now)?)))?;
    Ok(Response::Dealing(convert::dealing(vault, set)))
}

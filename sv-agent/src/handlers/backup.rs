//! Not yet.

use crate::{errors, reply::Reply, state::Agent};
use std::rc::Rc;
use sv_proto::{Response, message::Failure};

pub(super) async fn handle(
    _agent: &Rc<Agent>,
    _slots: bool,
    _reply: &mut Reply<'_>,
) -> Result<Response, Failure> {
    Err(errors::internal(&"not built yet"))
}

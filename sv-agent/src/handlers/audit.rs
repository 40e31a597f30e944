//! Not yet.

use crate::{errors, reply::Reply, state::Agent};
use std::rc::Rc;
use sv_proto::{Response, message::Failure};

pub(super) async fn handle(
    _agent: &Rc<Agent>,
    _after: Option<u64>,
    _last: Option<u64>,
    _since: Option<i64>,
    _name: Option<String>,
    _reply: &mut Reply<'_>,
) -> Result<Response, Failure> {
    Err(errors::internal(&"not built yet"))
}

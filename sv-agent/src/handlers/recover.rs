//! Not yet.

use crate::{errors, reply::Reply, state::Agent};
use std::rc::Rc;
use sv_proto::{Response, Secret, message::Failure};

pub(super) async fn handle(
    _agent: &Rc<Agent>,
    _shares: Vec<Secret>,
    _password: Secret,
    _reply: &mut Reply<'_>,
) -> Result<Response, Failure> {
    Err(errors::internal(&"not built yet"))
}

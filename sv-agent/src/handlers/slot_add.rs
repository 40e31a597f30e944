//! Not yet.

use crate::{errors, reply::Reply, state::Agent};
use std::rc::Rc;
use sv_proto::{
    Response,
    message::{Failure, Key},
};

pub(super) async fn handle(
    _agent: &Rc<Agent>,
    _present: Key,
    _new: Key,
    _label: String,
    _reply: &Reply<'_>,
) -> Result<Response, Failure> {
    Err(errors::internal(&"not built yet"))
}

//! Not yet.

use crate::{errors, state::Agent};
use std::rc::Rc;
use sv_proto::{Response, Secret, message::Failure};

pub(super) fn handle(
    _agent: &Rc<Agent>,
    _shares: &[Secret],
    _now: i64,
) -> Result<Response, Failure> {
    Err(errors::internal(&"not built yet"))
}

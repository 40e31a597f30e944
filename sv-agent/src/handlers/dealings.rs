//! Not yet.

use crate::{errors, state::Agent};
use std::rc::Rc;
use sv_proto::{Response, message::Failure};

pub(super) fn handle(_agent: &Rc<Agent>) -> Result<Response, Failure> {
    Err(errors::internal(&"not built yet"))
}

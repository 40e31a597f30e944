//! Not yet.

use crate::{errors, state::Agent};
use std::rc::Rc;
use sv_proto::{Response, Secret, message::Failure};

pub(super) fn start(_agent: &Rc<Agent>, _seconds: u64) -> Result<Response, Failure> {
    Err(errors::internal(&"not built yet"))
}

pub(super) fn submit(_agent: &Rc<Agent>, _share: &Secret) -> Result<Response, Failure> {
    Err(errors::internal(&"not built yet"))
}

pub(super) fn status(_agent: &Rc<Agent>) -> Result<Response, Failure> {
    Err(errors::internal(&"not built yet"))
}

pub(super) fn cancel(_agent: &Rc<Agent>) -> Result<Response, Failure> {
    Err(errors::internal(&"not built yet"))
}

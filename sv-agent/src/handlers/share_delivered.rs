//! Not yet.

use crate::{errors, state::Agent};
use std::rc::Rc;
use sv_proto::{
    Response,
    message::{Failure, HolderKind},
};

pub(super) fn handle(
    _agent: &Rc<Agent>,
    _set: &[u8; 16],
    _index: u8,
    _kind: HolderKind,
    _holder: String,
    _now: i64,
) -> Result<Response, Failure> {
    Err(errors::internal(&"not built yet"))
}

//! `sv revert`: a new revision with the content of an old one.

use super::{change, changed};
use crate::{context::Context, error::Result, fields};
use sv_proto::Request;

pub fn run(context: &Context, name: String, rev: u64) -> Result<()> {
    fields::check_name(&name)?;
    let request = Request::Revert {
        name: name.clone(),
        rev,
    };
    let new = change(context, request)?;
    changed(context, "reverted", &name, new)
}

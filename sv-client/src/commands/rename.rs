//! `sv rename`: another name, the same history.

use super::{change, changed};
use crate::{context::Context, error::Result, fields};
use sv_proto::Request;

pub fn run(context: &Context, old: String, new: String) -> Result<()> {
    fields::check_name(&old)?;
    fields::check_name(&new)?;
    let request = Request::Rename {
        old,
        new: new.clone(),
    };
    let rev = change(context, request)?;
    changed(context, "renamed to", &new, rev)
}

//! `sv shares`: not yet.

use crate::{
    context::Context,
    error::{Error, Result},
};

pub fn run(_context: &Context) -> Result<()> {
    Err(Error::Malformed("not built yet"))
}

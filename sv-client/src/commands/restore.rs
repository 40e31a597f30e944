//! `sv restore`: not yet.

use crate::{
    cli::backup::RestoreArgs,
    context::Context,
    error::{Error, Result},
};

pub fn run(_context: &Context, _args: RestoreArgs) -> Result<()> {
    Err(Error::Malformed("not built yet"))
}

//! `sv share`: not yet.

use crate::{
    cli::shares::ShareCommand,
    context::Context,
    error::{Error, Result},
};

pub fn run(_context: &Context, _args: ShareCommand) -> Result<()> {
    Err(Error::Malformed("not built yet"))
}

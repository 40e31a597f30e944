//! `sv collect`: not yet.

use crate::{
    cli::shares::CollectArgs,
    context::Context,
    error::{Error, Result},
};

pub fn run(_context: &Context, _args: CollectArgs) -> Result<()> {
    Err(Error::Malformed("not built yet"))
}

//! `sv distribute`: not yet.

use crate::{
    cli::shares::DistributeArgs,
    context::Context,
    error::{Error, Result},
};

pub fn run(_context: &Context, _args: DistributeArgs) -> Result<()> {
    Err(Error::Malformed("not built yet"))
}

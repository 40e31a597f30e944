//! `sv rotate`: not yet.

use crate::{
    cli::slots::RotateArgs,
    context::Context,
    error::{Error, Result},
};

pub fn run(_context: &Context, _args: RotateArgs) -> Result<()> {
    Err(Error::Malformed("not built yet"))
}

//! `sv key`: not yet.

use crate::{
    cli::key::KeyCommand,
    context::Context,
    error::{Error, Result},
};

pub fn run(_context: &Context, _args: KeyCommand) -> Result<()> {
    Err(Error::Malformed("not built yet"))
}

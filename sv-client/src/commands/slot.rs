//! `sv slot`: not yet.

use crate::{
    cli::slots::SlotCommand,
    context::Context,
    error::{Error, Result},
};

pub fn run(_context: &Context, _args: SlotCommand) -> Result<()> {
    Err(Error::Malformed("not built yet"))
}

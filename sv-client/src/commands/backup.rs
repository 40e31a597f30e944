//! `sv backup`: not yet.

use crate::{
    cli::backup::BackupArgs,
    context::Context,
    error::{Error, Result},
};

pub fn run(_context: &Context, _args: BackupArgs) -> Result<()> {
    Err(Error::Malformed("not built yet"))
}

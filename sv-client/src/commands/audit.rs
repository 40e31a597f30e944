//! `sv audit`: not yet.

use crate::{
    cli::audit::AuditArgs,
    context::Context,
    error::{Error, Result},
};

pub fn run(_context: &Context, _args: AuditArgs) -> Result<()> {
    Err(Error::Malformed("not built yet"))
}

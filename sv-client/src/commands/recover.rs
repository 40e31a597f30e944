//! `sv recover`: not yet.

use crate::{
    cli::shares::RecoverArgs,
    context::Context,
    error::{Error, Result},
};

pub fn run(_context: &Context, _args: RecoverArgs) -> Result<()> {
    Err(Error::Malformed("not built yet"))
}

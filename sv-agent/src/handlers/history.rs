//! The revisions of a secret.

use crate::convert;
use sv_proto::Response;
use sv_vault_core::{Result, Vault};

pub(super) fn handle(vault: &mut Vault, name: &str) -> Result<Response> {
    let revisions = vault.history(name)?;
    Ok(Response::Revisions(
        revisions.into_iter().map(convert::revision).collect(),
    ))
}

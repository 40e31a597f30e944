//! A new revision with the content of an old one.

use sv_proto::Response;
use sv_vault_core::{Result, Vault};

pub(super) fn handle(vault: &mut Vault, name: &str, rev: u64, now: i64) -> Result<Response> {
    let rev = vault.revert(name, rev, now)?;
    Ok(Response::Changed { rev })
}

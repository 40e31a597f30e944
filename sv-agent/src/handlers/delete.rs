//! A revision that says it is gone.

use sv_proto::Response;
use sv_vault_core::{Result, Vault};

pub(super) fn handle(vault: &mut Vault, name: &str, purge: bool, now: i64) -> Result<Response> {
    let rev = vault.delete(name, purge, now)?;
    Ok(Response::Changed { rev })
}

//! The value alone.

use sv_proto::Response;
use sv_vault_core::{Result, Vault};

pub(super) fn handle(vault: &mut Vault, name: &str, rev: Option<u64>) -> Result<Response> {
    let value = vault.get(name, rev)?;
    Ok(Response::Value(value.into()))
}

//! Another name; the history stays.

use sv_proto::Response;
use sv_vault_core::{Result, Vault};

pub(super) fn handle(vault: &mut Vault, old: &str, new: &str, now: i64) -> Result<Response> {
    let rev = vault.rename(old, new, now)?;
    Ok(Response::Changed { rev })
}

//! A new value, new fields, or both.

use sv_proto::{Response, Secret};
use sv_vault_core::{Change, Result, Vault};

pub(super) fn handle(
    vault: &mut Vault,
    name: &str,
    value: Option<&Secret>,
    change: &Change,
    if_rev: Option<u64>,
    now: i64,
) -> Result<Response> {
    let value = value.map(Secret::expose);
    let rev = vault.update(name, value, change, if_rev, now)?;
    Ok(Response::Changed { rev })
}

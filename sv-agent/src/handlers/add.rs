//! A new secret.

use sv_proto::{Response, Secret};
use sv_vault_core::{Fields, Result, Vault};

pub(super) fn handle(
    vault: &mut Vault,
    name: &str,
    value: &Secret,
    fields: &Fields,
    now: i64,
) -> Result<Response> {
    let rev = vault.add(name, value.expose(), fields, now)?;
    Ok(Response::Changed { rev })
}

//! The fields, with or without the value.

use crate::convert;
use sv_proto::Response;
use sv_vault_core::{Result, Vault};

pub(super) fn handle(
    vault: &mut Vault,
    name: &str,
    rev: Option<u64>,
    reveal: bool,
) -> Result<Response> {
    let (item, value) = if reveal {
        let (item, value) = vault.reveal(name, rev)?;
        (item, Some(value.into()))
    } else {
        (vault.show(name, rev)?, None)
    };
    Ok(Response::Item {
        item: convert::item(item),
        value,
    })
}

/// About what an answer with all of it takes.
pub(super) fn size(vault: &mut Vault, name: &str, rev: Option<u64>) -> Result<usize> {
    let item = vault.show(name, rev)?;
    let value = usize::try_from(item.size).unwrap_or(usize::MAX);
    Ok(value.saturating_add(item.fields.note.len()))
}

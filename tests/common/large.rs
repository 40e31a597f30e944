//! Makes vaults of any size, faster than through the agent.

use std::path::Path;
use sv_vault_core::{Fields, KdfParams, KeyMemory, NewSlot, Result, Vault};

/// Secrets in one transaction.
const BATCH: u32 = 20_000;

/// The name of the secret number `i`.
pub fn name(i: u32) -> String {
    format!("team-{:02}/service-{:04}/key-{i:07}", i % 37, i % 1009)
}

/// Its value: 300 bytes.
pub fn value(i: u32) -> Vec<u8> {
    let mut value = format!("value of {i:07} ").into_bytes();
    value.resize(300, b'.');
    value
}

/// A new vault at `path` with `count` secrets of 300 bytes.
pub fn generate(path: &Path, password: &str, count: u32) -> Result<()> {
    let memory = KeyMemory::new(false)?;
    let slot = NewSlot::derive(password.as_bytes(), KdfParams::default(), &memory)?;
    let mut vault = Vault::create(path, "generator", slot, &memory)?;
    let fields = Fields::default();
    let mut next = 0;
    while next < count {
        let end = count.min(next + BATCH);
        let secrets: Vec<_> = (next..end).map(|i| (name(i), value(i))).collect();
        let secrets = secrets
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_slice(), &fields));
        vault.add_many(secrets, 1_700_000_000_000 + i64::from(next))?;
        next = end;
    }
    drop(vault.lock());
    Ok(())
}

//! What this vault tells the audit log.

use super::Vault;
use crate::Result;

pub(super) struct Told;

impl Told {
    pub fn position(&self) -> (u64, [u8; 32]) {
        (0, [0; 32])
    }

    pub fn outbox(&self) -> (u64, Vec<u8>) {
        (0, Vec::new())
    }
}

impl Vault {
    pub(super) fn prepare_event(&mut self) -> Result<Option<Told>> {
        Ok(None)
    }

    pub(super) fn wrote(&mut self, _event: Option<Told>) -> Result<()> {
        Ok(())
    }

    pub(super) fn begin_audit(&mut self) -> Result<()> {
        Ok(())
    }
}

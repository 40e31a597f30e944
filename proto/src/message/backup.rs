//! Copies of the vault.

use bincode::{Decode, Encode};

/// A copy lies beside the vault, for the client to take away.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BackupMade {
    /// The name of the file in the vault's folder.
    pub file: String,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of the file.
    pub digest: [u8; 32],
    /// The vault's id.
    pub vault: [u8; 16],
    /// The generation of the vault that it holds.
    pub generation: u64,
    /// Secrets that are not deleted.
    pub secrets: u64,
}

/// What a check of a vault or backup found, without its keys.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct FileVerified {
    /// The vault's id.
    pub vault: [u8; 16],
    /// The generation.
    pub generation: u64,
    /// The number of its epoch.
    pub epoch: u64,
    /// Secrets that are not deleted.
    pub secrets: u64,
    /// Revisions that were checked.
    pub revisions: u64,
    /// Whether passwords open it (slots are in it).
    pub slots: bool,
    /// Whether shares open it.
    pub shares: bool,
    /// What is off, a line each; empty if nothing is.
    pub problems: Vec<String>,
}

/// What came out of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Restored {
    /// It became the vault, which is locked; otherwise it was added to the vault.
    pub created: bool,
    /// Secrets that the vault did not have.
    pub secrets: u64,
    /// Revisions that the vault did not have.
    pub revisions: u64,
    /// Secrets that now have more than one head: both sides changed them.
    pub conflicts: u64,
}

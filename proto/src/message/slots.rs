//! Slots, rotation, and what to look after.

use crate::Secret;
use bincode::{Decode, Encode};

/// What opens a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum KeyKind {
    /// A password; Argon2id makes a key of it.
    Password,
    /// The content of a key file, 32 to 4,096 bytes that nobody can guess.
    KeyFile,
    /// A systemd credential, likewise.
    Credential,
}

/// Something that opens a slot, or will.
#[derive(Debug, Encode, Decode)]
pub struct Key {
    /// What it is.
    pub kind: KeyKind,
    /// Its bytes.
    pub secret: Secret,
}

/// One of this node's slots.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Slot {
    /// Its id.
    pub id: [u8; 16],
    /// What opens it.
    pub kind: KeyKind,
    /// For people.
    pub label: String,
}

/// The outcome of [`Request::Rotate`](super::Request::Rotate).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Rotated {
    /// The number of the new epoch.
    pub epoch: u64,
    /// Secrets, deleted ones included.
    pub secrets: u64,
    /// Data keys that were wrapped anew.
    pub revisions: u64,
}

/// What a person should look after. Times are milliseconds since 1970 (UTC).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Health {
    /// Whether a share set is in force.
    pub shares: bool,
    /// When that set was dealt.
    pub shares_dealt: Option<i64>,
    /// When shares of it were last seen whole: at the latest delivery,
    /// verification or drill.
    pub shares_verified: Option<i64>,
    /// Shares of it that are not delivered yet.
    pub shares_waiting: u8,
    /// Whether a set is dealt and not yet in force.
    pub deal_pending: bool,
    /// The newest backup.
    pub backup: Option<i64>,
    /// The newest backup is older than the configuration wants.
    pub backup_old: bool,
    /// The vault went back to an earlier state; writes are refused.
    pub rolled_back: bool,
    /// The record of the vault's generation outside of the file is missing.
    pub generation_missing: bool,
    /// The audit log is shorter than the vault says.
    pub audit_short: bool,
    /// Events in the audit log.
    pub audit_events: u64,
}

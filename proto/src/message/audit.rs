//! The audit log.

use bincode::{Decode, Encode};

/// Who asked. What a process says of itself is marked as such in its name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Asker {
    /// The user.
    pub uid: u32,
    /// The process; 0 for the agent itself.
    pub pid: u32,
    /// When the process started, in clock ticks since boot: with it, `pid` is unique.
    pub started: u64,
    /// The systemd unit, from the control group; empty if there is none.
    pub unit: String,
    /// The name that the process gives itself: not verified.
    pub comm: String,
}

/// What became of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// Done.
    Ok,
    /// Refused or failed: the kind of the failure.
    Failed(crate::Kind),
}

/// One use of a secret or key. Never a value.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Event {
    /// Counted from 1, without gaps.
    pub seq: u64,
    /// Milliseconds since 1970 (UTC).
    pub time: i64,
    /// What was asked for: `get`, `unlock`, …
    pub action: String,
    /// The secret's name, or what else it was about; empty for none.
    pub name: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Who asked.
    pub asker: Asker,
    /// Written before the vault was unlocked for the first time after the
    /// agent's start: nothing but the file's permissions protects it.
    pub unauthenticated: bool,
}

/// What a check of the audit log found.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AuditVerified {
    /// Events that were checked.
    pub events: u64,
    /// Files that they are in.
    pub files: u64,
    /// What is off, a line each; empty if nothing is.
    pub problems: Vec<String>,
}

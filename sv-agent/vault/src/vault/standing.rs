//! Where this vault stands against what is recorded outside of it.

/// What a person should know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StandingInfo {
    /// The vault went back to an earlier state; writes are refused.
    pub rolled_back: bool,
    /// Nothing outside of the file tells its generation.
    pub generation_missing: bool,
    /// The audit log is shorter than the vault says.
    pub audit_short: bool,
    /// Events in the audit log.
    pub audit_events: u64,
}

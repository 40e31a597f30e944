//! The kinds of failure.

use bincode::{Decode, Encode};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What went wrong, for programs. The order is the wire format: new kinds
        /// are appended, none is removed or moved.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
        pub enum Kind { $($(#[$doc])* $name,)* }

        impl Kind {
            /// Every kind, in the order of the wire.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable word for it, as in the `kind` of `--json`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

kinds! {
    /// A fault of the agent itself.
    Internal = "internal",
    /// The request makes no sense: a bad name, field or value.
    Usage = "usage",
    /// The vault is locked.
    Locked = "locked",
    /// There is no vault.
    NoVault = "no_vault",
    /// No secret of that name.
    NoSecret = "no_secret",
    /// The secret has no such revision.
    NoRevision = "no_revision",
    /// A secret or a vault is there already.
    Exists = "exists",
    /// The password opens no slot.
    WrongPassword = "wrong_password",
    /// Another user asked, or a policy says no.
    Refused = "refused",
    /// The vault is damaged or was tampered with.
    Damaged = "damaged",
    /// The secret has moved on since the revision that was named.
    Conflict = "conflict",
    /// The disk is full, read-only, or failed.
    Storage = "storage",
    /// The request was not complete in time.
    Timeout = "timeout",
    /// The agent serves as many connections as it may.
    Busy = "busy",
    /// The vault, or the peer, is of a version that is not understood.
    Version = "version",
    /// The agent serves another vault than the one asked for.
    OtherVault = "other_vault",
    /// The message could not be read.
    Malformed = "malformed",
    /// Another agent serves this vault.
    VaultInUse = "vault_in_use",
    /// No memory for keys that can be kept out of swap.
    KeyMemory = "key_memory",
    /// No such share set, or no such share of it.
    NoShare = "no_share",
    /// The share is damaged: not even its own checksum fits.
    BadShare = "bad_share",
    /// The share is whole, and does not open this vault: of another vault, of
    /// a retired or unknown set, given twice, or there are too few.
    WrongShare = "wrong_share",
    /// The vault went back to an earlier state, and writes are refused.
    RolledBack = "rolled_back",
    /// No ceremony is under way.
    NoCeremony = "no_ceremony",
    /// No such slot.
    NoSlot = "no_slot",
}

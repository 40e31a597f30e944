//! Share sets and ceremonies.

use bincode::{Decode, Encode};

/// Whether a set recovers the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum SetState {
    /// Dealt, and not yet in force.
    Pending,
    /// In force.
    Active,
}

/// Where a share went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum HolderKind {
    /// A file.
    File,
    /// A file, encrypted to its holder.
    Recipient,
    /// A sheet of paper.
    Paper,
    /// A node of the mesh.
    Node,
    /// Someone read it from the terminal or standard output.
    Shown,
}

/// A share, without the share.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ShareState {
    /// 1 to the count.
    pub index: u8,
    /// Where it is, if it was delivered.
    pub holder: Option<(HolderKind, String)>,
    /// When it was delivered.
    pub delivered: Option<i64>,
    /// When it was last seen whole there.
    pub verified: Option<i64>,
}

/// A share set that this node dealt. Times are milliseconds since 1970 (UTC).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Dealing {
    /// The vault.
    pub vault: [u8; 16],
    /// The set.
    pub set: [u8; 16],
    /// In force or not yet.
    pub state: SetState,
    /// How many recover the vault.
    pub threshold: u8,
    /// The epoch in which it was dealt.
    pub epoch: u64,
    /// When; 0 if it is not known, because the vault was recovered since or
    /// another node dealt the set.
    pub dealt: i64,
    /// SHA-256 of the signed object that lists the hash of each share.
    pub digest: [u8; 32],
    /// One for each share, by index. Empty if another node dealt the set.
    pub shares: Vec<ShareState>,
    /// How many shares there are.
    pub count: u8,
}

/// Which share a text is. It is whole, and of the set in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct ShareInfo {
    /// The vault.
    pub vault: [u8; 16],
    /// The set.
    pub set: [u8; 16],
    /// 1 to the count.
    pub index: u8,
    /// How many recover the vault.
    pub threshold: u8,
    /// How many there are.
    pub count: u8,
}

/// A recovery to which several people contribute.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Ceremony {
    /// Its one-time public key, as text.
    pub key: String,
    /// How many shares are needed.
    pub threshold: u8,
    /// The indices of those at hand, sorted.
    pub indices: Vec<u8>,
    /// Seconds until it is forgotten.
    pub left: u64,
}

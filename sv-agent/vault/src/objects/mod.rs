//! The objects of FORMAT.md: bytes to fields and back, with every check that
//! needs no key, and the sealing of each.

pub mod body;
pub mod entry;
pub mod epoch;
pub mod journal;
pub mod local;
pub mod manifest;
pub mod revision;
pub mod share_set;
pub mod slot;
pub mod tree;

/// A vault's id.
pub type VaultId = [u8; 16];
/// A node's id.
pub type NodeId = [u8; 16];
/// A record's id.
pub type RecordId = [u8; 16];
/// A revision's id.
pub type RevisionId = [u8; 32];
/// An epoch's id.
pub type EpochId = [u8; 32];
/// The keyed hash of a name.
pub type NameTag = [u8; 32];

/// Object types, FORMAT.md §2.
pub mod kind {
    pub const REVISION: u8 = 1;
    pub const EPOCH: u8 = 2;
    pub const EPOCH_WRAP: u8 = 3;
    pub const SLOT: u8 = 5;
    pub const MANIFEST: u8 = 6;
    pub const SHARE_SET: u8 = 7;
    pub const LOCAL: u8 = 10;
    pub const AUDIT: u8 = 11;
    pub const JOURNAL: u8 = 12;
}

/// `node id`, FORMAT.md §2.
pub fn node_id(signing: &[u8; 32]) -> NodeId {
    first16(&crate::crypto::hash("sv1/id/node", &[signing]))
}

/// The first half of a hash.
pub fn first16(hash: &[u8; 32]) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&hash[..16]);
    out
}

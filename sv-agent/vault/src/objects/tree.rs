//! The tree over all records, FORMAT.md §6: pure arithmetic on hashes.

use super::{NameTag, RecordId};
use crate::{Result, codec::MALFORMED, crypto};

/// Levels of nodes above the buckets.
pub const LEVELS: u8 = 4;

/// Nothing below.
pub const EMPTY: [u8; 32] = [0; 32];

/// The children of a node.
pub type Children = [[u8; 32]; 16];

/// One node without anything below.
pub const NO_CHILDREN: Children = [EMPTY; 16];

/// The bucket of a name.
pub const fn bucket_of(tag: &NameTag) -> u16 {
    u16::from_be_bytes([tag[0], tag[1]])
}

/// On the way from the root to a bucket: the node's index at `level`, and
/// which of its children leads on.
pub const fn step(bucket: u16, level: u8) -> (u16, usize) {
    let below = bucket >> (4 * (LEVELS - 1 - level));
    (below >> 4, (below & 15) as usize)
}

/// A node's key in the store.
pub fn node_key(level: u8, index: u16) -> i64 {
    i64::from(level) * 65_536 + i64::from(index)
}

/// The hash of a node.
pub fn node_hash(level: u8, children: &Children) -> [u8; 32] {
    if *children == NO_CHILDREN {
        return EMPTY;
    }
    crypto::hash("sv1/tree", &[&[level], children.as_flattened()])
}

/// Reads a stored node.
pub fn parse_node(bytes: &[u8]) -> Result<Children> {
    let (children, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(MALFORMED);
    }
    children.try_into().map_err(|_| MALFORMED)
}

/// One record in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    pub tag: NameTag,
    pub record: RecordId,
    pub hash: [u8; 32],
}

const LEAF: usize = 32 + 16 + 32;

/// The leaves of one bucket, sorted by tag and record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bucket(Vec<Leaf>);

impl Bucket {
    /// Reads a stored bucket of number `number`.
    pub fn parse(number: u16, bytes: &[u8]) -> Result<Self> {
        let (leaves, rest) = bytes.as_chunks::<LEAF>();
        if !rest.is_empty() || leaves.is_empty() {
            return Err(MALFORMED);
        }
        let leaves: Vec<Leaf> = leaves.iter().map(leaf).collect::<Result<_>>()?;
        let here = leaves.iter().all(|l| bucket_of(&l.tag) == number);
        if !here || !leaves.is_sorted_by(|a, b| (a.tag, a.record) < (b.tag, b.record)) {
            return Err(MALFORMED);
        }
        Ok(Self(leaves))
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len() * LEAF);
        for leaf in &self.0 {
            out.extend_from_slice(&leaf.tag);
            out.extend_from_slice(&leaf.record);
            out.extend_from_slice(&leaf.hash);
        }
        out
    }

    /// Its hash.
    pub fn hash(&self) -> [u8; 32] {
        if self.0.is_empty() {
            return EMPTY;
        }
        crypto::hash("sv1/bucket", &[&self.encode()])
    }

    /// All leaves.
    pub fn leaves(&self) -> &[Leaf] {
        &self.0
    }

    /// The leaves of one name.
    pub fn of(&self, tag: &NameTag) -> &[Leaf] {
        let start = self.0.partition_point(|l| l.tag < *tag);
        let len = self.0[start..].partition_point(|l| l.tag == *tag);
        &self.0[start..start + len]
    }

    /// Puts a leaf in its place, over one of the same record if there is one.
    pub fn insert(&mut self, leaf: Leaf) {
        match self.find(&leaf.tag, &leaf.record) {
            Ok(at) => self.0[at] = leaf,
            Err(at) => self.0.insert(at, leaf),
        }
    }

    /// Takes a leaf out.
    pub fn remove(&mut self, tag: &NameTag, record: &RecordId) {
        if let Ok(at) = self.find(tag, record) {
            self.0.remove(at);
        }
    }

    fn find(&self, tag: &NameTag, record: &RecordId) -> std::result::Result<usize, usize> {
        self.0
            .binary_search_by_key(&(tag, record), |l| (&l.tag, &l.record))
    }
}

fn leaf(bytes: &[u8; LEAF]) -> Result<Leaf> {
    let mut r = crate::codec::Reader(bytes);
    Ok(Leaf {
        tag: r.array()?,
        record: r.array()?,
        hash: r.array()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_a_nibble_of_the_bucket_at_each_level() {
        let path: Vec<_> = (0..LEVELS).map(|l| step(0xabcd, l)).collect();
        assert_eq!(path, [(0, 0xa), (0xa, 0xb), (0xab, 0xc), (0xabc, 0xd)]);
    }
}

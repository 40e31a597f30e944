//! What is public of a set of shares, FORMAT.md §4.

use super::{NodeId, VaultId, epoch::Recovery, kind};
use crate::{
    Result, codec,
    codec::{MALFORMED, Reader, Write},
    crypto,
};

/// A set of shares: enough to tell each share from any other bytes, and no help
/// in making one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareSet {
    pub vault: VaultId,
    pub threshold: u8,
    /// The number of the epoch in which it was dealt.
    pub epoch: u64,
    pub recovery: Recovery,
    /// One for each share, by index.
    pub hashes: Vec<[u8; 32]>,
    pub signer: NodeId,
}

const LABEL: &str = "sv1/sig/share-set";

impl ShareSet {
    /// The signed object.
    pub fn seal(&self, seed: &[u8; 32]) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(256 + self.hashes.len() * 32);
        out.put(&codec::prefix(kind::SHARE_SET, 0));
        out.put(&self.vault);
        out.put(&self.recovery.set);
        out.put(&self.recovery.opening);
        out.put(&self.recovery.signing);
        out.put(&self.epoch.to_le_bytes());
        out.put(&[self.threshold]);
        out.put(&[u8::try_from(self.hashes.len()).map_err(|_| MALFORMED)?]);
        self.hashes.iter().for_each(|hash| out.put(hash));
        out.put(&self.signer);
        let signature = crypto::sign(seed, LABEL, &out);
        out.put(&signature);
        Ok(out)
    }

    /// Reads an object; `author` knows the signing keys of members.
    pub fn open<'a>(
        object: &[u8],
        author: impl FnOnce(&NodeId) -> Result<&'a [u8; 32]>,
    ) -> Result<Self> {
        let (signed, signature) = object.split_last_chunk::<64>().ok_or(MALFORMED)?;
        let mut r = Reader(signed);
        r.prefix(kind::SHARE_SET, 0)?;
        let vault = r.array()?;
        let recovery = Recovery {
            set: r.array()?,
            opening: r.array()?,
            signing: r.array()?,
        };
        let epoch = r.u64()?;
        let threshold = r.u8()?;
        let count = r.u8()?;
        let mut hashes = Vec::with_capacity(count.into());
        for _ in 0..count {
            hashes.push(r.array()?);
        }
        let signer = r.array()?;
        r.end()?;
        if threshold < 2 || threshold > count {
            return Err(MALFORMED);
        }
        crypto::verify(author(&signer)?, LABEL, signed, signature)?;
        Ok(Self {
            vault,
            threshold,
            epoch,
            recovery,
            hashes,
            signer,
        })
    }

    /// How many shares there are.
    pub fn count(&self) -> u8 {
        // The object has one byte for it.
        self.hashes.len() as u8
    }

    /// Whether `share` is the share number `index` of this set.
    pub fn holds(&self, index: u8, share: &[u8]) -> bool {
        let Some(at) = index.checked_sub(1) else {
            return false;
        };
        (self.hashes.get(usize::from(at)))
            .is_some_and(|hash| crypto::equal(hash, &share_hash(&self.recovery.set, index, share)))
    }
}

/// What stands for a share.
pub fn share_hash(set: &[u8; 16], index: u8, share: &[u8]) -> [u8; 32] {
    crypto::hash("sv1/share", &[set, &[index], share])
}

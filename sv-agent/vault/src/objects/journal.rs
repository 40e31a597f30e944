//! The journal key, FORMAT.md §4: what this node signs its audit log and its
//! generation file with. It is not derived from the node key, so that the log
//! outlives rotation and recovery.

use super::{EpochId, VaultId, epoch::EpochKey, first16, kind};
use crate::{
    Result, codec,
    codec::{MALFORMED, Reader, Write},
    crypto,
};

/// A journal key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    pub id: [u8; 16],
    /// Later ones have higher numbers.
    pub number: u64,
    pub public: [u8; 32],
    pub epoch: EpochId,
    wrap: [u8; 48],
}

/// The pair that chains begun while locked are sealed to.
pub fn opening(key: &[u8; 32]) -> Result<(crypto::PrivateKey, [u8; 32])> {
    let ikm = crypto::kdf::<32>(key, "sv1/journal/open", &[])?;
    let (private, public) = crypto::key_pair(ikm.as_slice());
    Ok((private, crypto::public_bytes(&public)))
}

impl Journal {
    /// Wraps `key` under an epoch.
    pub fn new(
        vault: &VaultId,
        number: u64,
        key: &[u8; 32],
        epoch: &EpochId,
        epoch_key: &EpochKey,
    ) -> Result<Self> {
        let (_, public) = opening(key)?;
        let mut journal = Self {
            id: journal_id(&public),
            number,
            public,
            epoch: *epoch,
            wrap: [0; 48],
        };
        let wrapping = epoch_key.journal_key(vault, &journal.id)?;
        journal.wrap = crypto::wrap(&wrapping, &journal.head(), key)?;
        Ok(journal)
    }

    fn head(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(144);
        out.put(&codec::prefix(kind::JOURNAL, 0));
        out.put(&self.id);
        out.put(&self.number.to_le_bytes());
        out.put(&self.public);
        out.put(&self.epoch);
        out
    }

    /// The object.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.head();
        out.put(&self.wrap);
        out
    }

    /// Reads an object.
    pub fn parse(object: &[u8]) -> Result<Self> {
        let mut r = Reader(object);
        r.prefix(kind::JOURNAL, 0)?;
        let journal = Self {
            id: r.array()?,
            number: r.u64()?,
            public: r.array()?,
            epoch: r.array()?,
            wrap: r.array()?,
        };
        r.end()?;
        if journal.id != journal_id(&journal.public) {
            return Err(MALFORMED);
        }
        Ok(journal)
    }

    /// The key.
    pub fn open(&self, vault: &VaultId, epoch_key: &EpochKey) -> Result<crypto::Key32> {
        let wrapping = epoch_key.journal_key(vault, &self.id)?;
        let key = crypto::unwrap(&wrapping, &self.head(), &self.wrap)?;
        // AES-GCM does not commit to its key.
        if crypto::equal(&opening(&key)?.1, &self.public) {
            Ok(key)
        } else {
            Err(MALFORMED)
        }
    }
}

fn journal_id(public: &[u8; 32]) -> [u8; 16] {
    first16(&crypto::hash("sv1/id/journal", &[public]))
}

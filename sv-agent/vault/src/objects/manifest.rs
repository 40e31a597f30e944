//! The signed root over everything, FORMAT.md §7.

use super::{EpochId, NodeId, VaultId, kind};
use crate::{
    Error, Result, codec,
    codec::{MALFORMED, Reader, Write},
    crypto,
};

/// The state of the whole vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub vault: VaultId,
    pub node: NodeId,
    pub generation: u64,
    pub lc: u64,
    pub objects: u64,
    pub live: u64,
    pub root: [u8; 32],
    pub epoch: EpochId,
    pub control: [u8; 32],
    pub slots: [u8; 32],
    /// The last event of the audit log when this was written.
    pub audit: (u64, [u8; 32]),
}

const LABEL: &str = "sv1/sig/manifest";

impl Manifest {
    /// The signed object.
    pub fn seal(&self, seed: &[u8; 32]) -> Vec<u8> {
        let mut out = Vec::with_capacity(320);
        out.put(&codec::prefix(kind::MANIFEST, 0));
        out.put(&self.vault);
        out.put(&self.node);
        for n in [self.generation, self.lc, self.objects, self.live] {
            out.put(&n.to_le_bytes());
        }
        out.put(&self.root);
        out.put(&self.epoch);
        out.put(&self.control);
        out.put(&self.slots);
        // Rotation state: a rotation is one transaction and leaves none.
        out.put(&[0]);
        out.put(&self.audit.0.to_le_bytes());
        out.put(&self.audit.1);
        let signature = crypto::sign(seed, LABEL, &out);
        out.put(&signature);
        out
    }

    /// Which node signed an object, by its own account.
    pub fn claimed_node(object: &[u8]) -> Result<NodeId> {
        let mut r = Reader(object);
        r.prefix(kind::MANIFEST, 0)?;
        r.array::<16>()?;
        r.array()
    }

    /// Reads an object; the signature is that of `signing`.
    pub fn open(object: &[u8], signing: &[u8; 32]) -> Result<Self> {
        let (signed, signature) = object.split_last_chunk::<64>().ok_or(MALFORMED)?;
        let mut r = Reader(signed);
        r.prefix(kind::MANIFEST, 0)?;
        let mut manifest = Self {
            vault: r.array()?,
            node: r.array()?,
            generation: r.u64()?,
            lc: r.u64()?,
            objects: r.u64()?,
            live: r.u64()?,
            root: r.array()?,
            epoch: r.array()?,
            control: r.array()?,
            slots: r.array()?,
            audit: (0, [0; 32]),
        };
        crypto::verify(signing, LABEL, signed, signature)?;
        if r.u8()? != 0 {
            return Err(Error::Version("rotation state"));
        }
        manifest.audit = (r.u64()?, r.array()?);
        r.end()?;
        Ok(manifest)
    }
}

/// `control digest` and `slots digest`.
pub fn digest<'a>(label: &str, objects: impl Iterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hashes: Vec<[u8; 32]> = objects.map(crypto::sha256).collect();
    hashes.sort_unstable();
    crypto::hash(label, &[hashes.as_flattened()])
}

//! Epochs and their wraps, FORMAT.md §4.

use super::{EpochId, NodeId, VaultId, first16, kind, node_id};
use crate::{
    Error, KeyMemory, Result, codec,
    codec::{MALFORMED, Reader, Write},
    crypto,
    crypto::PrivateKey,
    keymem::Key,
};

/// Who may sign epochs.
pub const ADMIN: u8 = 1;
/// Who may not.
pub const MEMBER: u8 = 2;

/// One member of the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub signing: [u8; 32],
    pub opening: [u8; 32],
    pub role: u8,
    pub name: String,
}

/// The recovery key's part in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    pub set: [u8; 16],
    pub opening: [u8; 32],
    pub signing: [u8; 32],
}

impl Recovery {
    /// As a recipient of wraps, and as a signer.
    pub fn id(&self) -> NodeId {
        node_id(&self.signing)
    }
}

/// Membership, and the commitment of one epoch key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// Zeros in the genesis epoch.
    pub vault: VaultId,
    pub number: u64,
    pub parents: Vec<EpochId>,
    pub commitment: [u8; 32],
    pub recovery: Option<Recovery>,
    pub members: Vec<Member>,
    pub revoked: Vec<NodeId>,
    pub signer: NodeId,
}

impl Epoch {
    fn encode(&self) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(256);
        out.put(&codec::prefix(kind::EPOCH, 0));
        out.put(&self.vault);
        out.put(&self.number.to_le_bytes());
        out.put(&[u8::try_from(self.parents.len()).map_err(|_| MALFORMED)?]);
        self.parents.iter().for_each(|id| out.put(id));
        out.put(&self.commitment);
        match &self.recovery {
            None => out.put(&[0]),
            Some(recovery) => {
                out.put(&[1]);
                out.put(&recovery.set);
                out.put(&recovery.opening);
                out.put(&recovery.signing);
            }
        }
        let members = u16::try_from(self.members.len()).map_err(|_| MALFORMED)?;
        out.put(&members.to_le_bytes());
        for member in &self.members {
            out.put(&member.signing);
            out.put(&member.opening);
            out.put(&[member.role]);
            out.lp8(member.name.as_bytes())?;
        }
        let revoked = u16::try_from(self.revoked.len()).map_err(|_| MALFORMED)?;
        out.put(&revoked.to_le_bytes());
        self.revoked.iter().for_each(|id| out.put(id));
        out.put(&self.signer);
        Ok(out)
    }

    /// The signed object, and its id.
    pub fn seal(&self, seed: &[u8; 32]) -> Result<(EpochId, Vec<u8>)> {
        let mut object = self.encode()?;
        let id = crypto::hash("sv1/id/epoch", &[&object]);
        object.put(&crypto::sign(seed, "sv1/sig/epoch", &id));
        Ok((id, object))
    }

    /// Reads an object and computes its id. Who may have signed it, its parents
    /// say: see `vault/chain.rs`.
    pub fn parse(object: &[u8]) -> Result<(EpochId, Self, Signature)> {
        let (signed, signature) = object.split_last_chunk::<64>().ok_or(MALFORMED)?;
        let mut r = Reader(signed);
        r.prefix(kind::EPOCH, 0)?;
        let vault = r.array()?;
        let number = r.u64()?;
        let parents = r.u8()?.into();
        let parents = r.sorted(parents)?;
        let commitment = r.array()?;
        let recovery = match r.u8()? {
            0 => None,
            1 => Some(Recovery {
                set: r.array()?,
                opening: r.array()?,
                signing: r.array()?,
            }),
            _ => return Err(MALFORMED),
        };
        let mut members: Vec<Member> = Vec::new();
        for _ in 0..r.u16()? {
            let member = Member {
                signing: r.array()?,
                opening: r.array()?,
                role: r.u8()?,
                name: r.str8()?.to_owned(),
            };
            let sorted = members.last().is_none_or(|m| m.signing < member.signing);
            if !sorted || !matches!(member.role, ADMIN | MEMBER) {
                return Err(MALFORMED);
            }
            members.push(member);
        }
        let revoked = r.u16()?.into();
        let revoked = r.sorted(revoked)?;
        let signer = r.array()?;
        r.end()?;
        let epoch = Self {
            vault,
            number,
            parents,
            commitment,
            recovery,
            members,
            revoked,
            signer,
        };
        let id = crypto::hash("sv1/id/epoch", &[signed]);
        Ok((id, epoch, Signature(*signature)))
    }

    /// The key that may sign the successors of this epoch as `signer`: an
    /// admin's, or the recovery key.
    pub fn signing_key(&self, signer: &NodeId) -> Option<&[u8; 32]> {
        let admins = self.members.iter().filter(|m| m.role == ADMIN);
        let keys = admins.map(|m| &m.signing);
        keys.chain(self.recovery.iter().map(|r| &r.signing))
            .find(|key| node_id(key) == *signer)
    }

    /// The member with that id.
    pub fn member(&self, node: &NodeId) -> Option<&Member> {
        self.members.iter().find(|m| node_id(&m.signing) == *node)
    }

    /// The id of the vault that the genesis epoch `object` founds.
    pub fn vault_id(object: &[u8]) -> Result<VaultId> {
        let (signed, _) = object.split_last_chunk::<64>().ok_or(MALFORMED)?;
        Ok(first16(&crypto::hash("sv1/id/vault", &[signed])))
    }

    /// Whether this epoch founds a vault.
    pub fn is_genesis(&self) -> bool {
        self.parents.is_empty() && self.number == 1 && self.vault == [0; 16]
    }
}

/// The signature of an epoch, not checked yet.
pub struct Signature([u8; 64]);

impl Signature {
    /// Whether it is that of `signing` on the epoch `id`.
    pub fn verify(&self, id: &EpochId, signing: &[u8; 32]) -> Result<()> {
        crypto::verify(signing, "sv1/sig/epoch", id, &self.0)
    }
}

/// An epoch key in use: its pseudo-random key, FORMAT.md §2.
pub struct EpochKey(Key);

impl EpochKey {
    /// From the epoch key itself, which is wiped by its owner.
    pub fn new(memory: &KeyMemory, key: &[u8; 32]) -> Result<Self> {
        let mut prk = crypto::extract(b"sv1/epoch", key);
        memory.store(&mut prk).map(Self)
    }

    /// What the epoch object must hold.
    pub fn commitment(&self, vault_field: &VaultId) -> Result<crypto::Key32> {
        crypto::expand(self.0.expose(), "sv1/epoch/commit", &[vault_field])
    }

    /// The key that wraps the DEK of one revision.
    pub fn wrap_key(&self, vault: &VaultId, revision: &[u8; 32]) -> Result<crypto::Key32> {
        crypto::expand(self.0.expose(), "sv1/epoch/wrap", &[vault, revision])
    }

    /// The key that wraps one journal key.
    pub fn journal_key(&self, vault: &VaultId, journal: &[u8; 16]) -> Result<crypto::Key32> {
        crypto::expand(self.0.expose(), "sv1/epoch/journal", &[vault, journal])
    }
}

const HPKE: &str = "sv1/hpke/epoch";

/// The control id of a wrap.
pub fn wrap_control_id(epoch: &EpochId, recipient: &NodeId) -> Vec<u8> {
    [epoch.as_slice(), recipient].concat()
}

/// Seals an epoch key to one member, or to the recovery key.
pub fn seal_wrap(
    hedge: &[u8; 32],
    epoch: &EpochId,
    recipient: &NodeId,
    opening: &[u8; 32],
    key: &[u8; 32],
) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(132);
    out.put(&codec::prefix(kind::EPOCH_WRAP, 0));
    out.put(epoch);
    out.put(recipient);
    let (enc, sealed) = crypto::hpke_seal(hedge, opening, HPKE, &out, key)?;
    out.put(&enc);
    out.put(&sealed);
    Ok(out)
}

/// Which epoch a wrap is of, and for whom, by its own account.
pub fn wrap_names(object: &[u8]) -> Result<(EpochId, NodeId)> {
    let mut r = Reader(object);
    r.prefix(kind::EPOCH_WRAP, 0)?;
    let names = (r.array()?, r.array()?);
    r.bytes(32 + 48)?;
    r.end()?;
    Ok(names)
}

/// Opens a wrap: which epoch, and its key.
pub fn open_wrap(
    object: &[u8],
    recipient: &NodeId,
    private: &PrivateKey,
) -> Result<(EpochId, crypto::Key32)> {
    let mut r = Reader(object);
    r.prefix(kind::EPOCH_WRAP, 0)?;
    let epoch = r.array()?;
    let to: NodeId = r.array()?;
    let aad = &object[..object.len() - r.0.len()];
    let enc = r.array()?;
    let sealed = r.array()?;
    r.end()?;
    if to != *recipient {
        return Err(Error::Damaged("a wrap is for another node"));
    }
    Ok((epoch, crypto::hpke_open(private, &enc, HPKE, aad, &sealed)?))
}

//! Slots: a password or another key to the node key, FORMAT.md §4.

use super::{NodeId, VaultId, kind};
use crate::{
    Error, KdfParams, Result, codec,
    codec::{MALFORMED, Reader, Write},
    crypto,
    crypto::PrivateKey,
};

/// What opens a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotKind {
    /// A password, through Argon2id.
    Password,
    /// A key file, through HKDF.
    KeyFile,
    /// A systemd credential, through HKDF.
    Credential,
}

impl SlotKind {
    const fn byte(self) -> u8 {
        match self {
            Self::Password => 1,
            Self::KeyFile => 2,
            Self::Credential => 3,
        }
    }
}

/// How a secret becomes a slot key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotKdf {
    /// For what people choose.
    Argon2id(KdfParams),
    /// For what nobody can guess.
    Hkdf,
}

/// Argon2id.
const ARGON2ID: u8 = 1;
/// HKDF-SHA256; version and parameters are zero.
const HKDF: u8 = 2;
/// Version 1.3 of it.
const ARGON2_VERSION: u8 = 0x13;
const HPKE: &str = "sv1/hpke/slot";

/// A slot as it is stored, form and bounds checked.
#[derive(Clone)]
pub struct Slot {
    pub vault: VaultId,
    pub node: NodeId,
    pub id: [u8; 16],
    pub kind: SlotKind,
    pub label: String,
    pub kdf: SlotKdf,
    pub salt: [u8; 32],
    pub public: [u8; 32],
    aad: Vec<u8>,
    enc: [u8; 32],
    sealed: [u8; 48],
}

impl Slot {
    /// Reads a slot. Parameters out of bounds are refused here, before
    /// anything is derived.
    pub fn parse(object: &[u8]) -> Result<Self> {
        let mut r = Reader(object);
        r.prefix(kind::SLOT, 0)?;
        let vault = r.array()?;
        let node = r.array()?;
        let id = r.array()?;
        let slot_kind = r.u8()?;
        let label = r.str8()?.to_owned();
        let (algorithm, version) = (r.u8()?, r.u8()?);
        let params = KdfParams {
            memory_kib: r.u32()?,
            passes: r.u32()?,
            lanes: r.u32()?,
        };
        let salt = r.array()?;
        let public = r.array()?;
        let aad = object[..object.len() - r.0.len()].to_vec();
        let enc = r.array()?;
        let sealed = r.array()?;
        r.end()?;
        let (slot_kind, kdf) = match (slot_kind, algorithm, version) {
            (1, ARGON2ID, ARGON2_VERSION) if params.in_bounds() => {
                (SlotKind::Password, SlotKdf::Argon2id(params))
            }
            (1, ARGON2ID, ARGON2_VERSION) => {
                return Err(Error::Damaged("key derivation parameters out of bounds"));
            }
            (2, HKDF, 0) => (SlotKind::KeyFile, SlotKdf::Hkdf),
            (3, HKDF, 0) => (SlotKind::Credential, SlotKdf::Hkdf),
            _ => return Err(Error::Version("slot kind")),
        };
        if kdf == SlotKdf::Hkdf && (params.memory_kib, params.passes, params.lanes) != (0, 0, 0) {
            return Err(MALFORMED);
        }
        Ok(Self {
            vault,
            node,
            id,
            kind: slot_kind,
            label,
            kdf,
            salt,
            public,
            aad,
            enc,
            sealed,
        })
    }

    /// The node key.
    pub fn open(&self, private: &PrivateKey) -> Result<crypto::Key32> {
        crypto::hpke_open(private, &self.enc, HPKE, &self.aad, &self.sealed)
    }
}

const NOTHING: KdfParams = KdfParams {
    memory_kib: 0,
    passes: 0,
    lanes: 0,
};

impl Slot {
    /// The same slot for another node key: nobody needs to know what opens it.
    pub fn renew(&self, hedge: &[u8; 32], node: &NodeId, node_key: &[u8; 32]) -> Result<Vec<u8>> {
        let new = NewSlot {
            vault: &self.vault,
            node,
            id: &self.id,
            kind: self.kind,
            label: &self.label,
            kdf: self.kdf,
            salt: &self.salt,
            public: &self.public,
        };
        seal(hedge, &new, node_key)
    }
}

/// The 32 bytes that a key file or credential gives.
pub fn from_key_file(content: &[u8], salt: &[u8; 32]) -> Result<crypto::Key32> {
    crypto::kdf(content, "sv1/slot/file", &[salt])
}

/// The key pair of a derived secret.
pub fn key_pair(secret: &[u8; 32], vault: &VaultId) -> (PrivateKey, [u8; 32]) {
    // 32 bytes are within HKDF's reach, so this cannot fail.
    let Ok(ikm) = crypto::kdf::<32>(secret, "sv1/slot", &[vault]) else {
        unreachable!("32 bytes are within HKDF's reach")
    };
    let (private, public) = crypto::key_pair(ikm.as_slice());
    (private, crypto::public_bytes(&public))
}

/// What a new slot says in the clear.
pub struct NewSlot<'a> {
    pub vault: &'a VaultId,
    pub node: &'a NodeId,
    pub id: &'a [u8; 16],
    pub kind: SlotKind,
    pub label: &'a str,
    pub kdf: SlotKdf,
    pub salt: &'a [u8; 32],
    pub public: &'a [u8; 32],
}

/// Seals the node key for the holder of the slot's private key.
pub fn seal(hedge: &[u8; 32], new: &NewSlot<'_>, node_key: &[u8; 32]) -> Result<Vec<u8>> {
    let (algorithm, version, params) = match new.kdf {
        SlotKdf::Argon2id(params) if params.in_bounds() => (ARGON2ID, ARGON2_VERSION, params),
        SlotKdf::Argon2id(_) => return Err(MALFORMED),
        SlotKdf::Hkdf => (HKDF, 0, NOTHING),
    };
    let mut out = Vec::with_capacity(256);
    out.put(&codec::prefix(kind::SLOT, 0));
    out.put(new.vault);
    out.put(new.node);
    out.put(new.id);
    out.put(&[new.kind.byte()]);
    out.lp8(new.label.as_bytes())?;
    out.put(&[algorithm, version]);
    out.put(&params.memory_kib.to_le_bytes());
    out.put(&params.passes.to_le_bytes());
    out.put(&params.lanes.to_le_bytes());
    out.put(new.salt);
    out.put(new.public);
    let (enc, sealed) = crypto::hpke_seal(hedge, new.public, HPKE, &out, node_key)?;
    out.put(&enc);
    out.put(&sealed);
    Ok(out)
}

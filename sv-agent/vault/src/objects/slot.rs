//! Slots: a password to the node key, FORMAT.md §4.

use super::{NodeId, VaultId, kind};
use crate::{
    Error, KdfParams, Result, codec,
    codec::{MALFORMED, Reader, Write},
    crypto,
    crypto::PrivateKey,
};

/// A password slot.
pub const PASSWORD: u8 = 1;
/// Argon2id.
const ARGON2ID: u8 = 1;
/// Version 1.3 of it.
const ARGON2_VERSION: u8 = 0x13;
const HPKE: &str = "sv1/hpke/slot";

/// A slot as it is stored, form and bounds checked.
#[derive(Clone)]
pub struct Slot {
    pub vault: VaultId,
    pub node: NodeId,
    pub id: [u8; 16],
    pub params: KdfParams,
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
        r.str8()?;
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
        if slot_kind != PASSWORD || algorithm != ARGON2ID || version != ARGON2_VERSION {
            return Err(Error::Version("slot kind"));
        }
        if !params.in_bounds() {
            return Err(Error::Damaged("key derivation parameters out of bounds"));
        }
        Ok(Self {
            vault,
            node,
            id,
            params,
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
    pub params: KdfParams,
    pub salt: &'a [u8; 32],
    pub public: &'a [u8; 32],
}

/// Seals the node key for the holder of the slot's private key.
pub fn seal(hedge: &[u8; 32], new: &NewSlot<'_>, node_key: &[u8; 32]) -> Result<Vec<u8>> {
    if !new.params.in_bounds() {
        return Err(MALFORMED);
    }
    let mut out = Vec::with_capacity(256);
    out.put(&codec::prefix(kind::SLOT, 0));
    out.put(new.vault);
    out.put(new.node);
    out.put(new.id);
    out.put(&[PASSWORD]);
    out.lp8(b"password")?;
    out.put(&[ARGON2ID, ARGON2_VERSION]);
    out.put(&new.params.memory_kib.to_le_bytes());
    out.put(&new.params.passes.to_le_bytes());
    out.put(&new.params.lanes.to_le_bytes());
    out.put(new.salt);
    out.put(new.public);
    let (enc, sealed) = crypto::hpke_seal(hedge, new.public, HPKE, &out, node_key)?;
    out.put(&enc);
    out.put(&sealed);
    Ok(out)
}

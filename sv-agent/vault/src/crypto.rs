//! The primitives of suite 1 under the labels of FORMAT.md, and nothing else.
//! None of them is ours.

use crate::{Error, Result, keymem::Key};
use aes_gcm::{
    Aes256Gcm, KeyInit, Tag,
    aead::{AeadInOut, Nonce},
};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use hpke::{
    Deserializable, OpModeR, OpModeS, Serializable,
    aead::{Aead, AesGcm256},
    kdf::HkdfSha256,
    kem::{Kem, X25519HkdfSha256},
    rand_core::{CryptoRng, TryCryptoRng, TryRng},
};
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A key on the stack or in a short-lived buffer.
pub type Key32 = Zeroizing<[u8; 32]>;

/// Bytes that an AES-256-GCM ciphertext has beyond its plaintext.
pub const TAG: usize = 16;

/// The public half of an HPKE key pair.
pub type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
/// The private half.
pub type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;

/// 32 bytes of the kernel's generator.
pub fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>> {
    let mut out = Zeroizing::new([0; N]);
    getrandom::fill(out.as_mut_slice()).map_err(|e| Error::System(e.to_string()))?;
    Ok(out)
}

/// SHA-256 of one string.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// `H(label, parts…)`.
pub fn hash(label: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(label);
    hash.update([0]);
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// HMAC-SHA256 over the concatenation of `parts`.
pub fn hmac(key: &[u8], parts: &[&[u8]]) -> Key32 {
    // HMAC takes keys of any length, so this cannot fail.
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key) else {
        unreachable!("HMAC takes keys of any length")
    };
    for part in parts {
        mac.update(part);
    }
    let mut out = Zeroizing::new([0; 32]);
    out.copy_from_slice(&mac.finalize().into_bytes());
    out
}

/// HKDF-SHA256, RFC 5869: extract and expand.
pub fn hkdf(salt: &[u8], key: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<()> {
    Hkdf::<Sha256>::new(Some(salt), key)
        .expand_multi_info(info, out)
        .map_err(|_| Error::Damaged("derived key too long"))
}

/// HKDF-SHA256's first half.
pub fn extract(salt: &[u8], key: &[u8]) -> Key32 {
    let (prk, _) = Hkdf::<Sha256>::extract(Some(salt), key);
    let mut out = Zeroizing::new([0; 32]);
    out.copy_from_slice(&prk);
    out
}

/// HKDF-SHA256's second half: `label ‖ 00 ‖ context…`.
pub fn expand(prk: &[u8; 32], label: &str, context: &[&[u8]]) -> Result<Key32> {
    let mut out = Zeroizing::new([0; 32]);
    let hkdf = Hkdf::<Sha256>::from_prk(prk).map_err(|_| Error::Damaged("short key"))?;
    hkdf.expand_multi_info(&info(label, context), out.as_mut_slice())
        .map_err(|_| Error::Damaged("derived key too long"))?;
    Ok(out)
}

fn info<'a>(label: &'a str, context: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let mut info = Vec::with_capacity(context.len() + 2);
    info.push(label.as_bytes());
    info.push(&[0]);
    info.extend_from_slice(context);
    info
}

/// `KDF(key, label, context…)`.
pub fn kdf<const N: usize>(
    key: &[u8],
    label: &str,
    context: &[&[u8]],
) -> Result<Zeroizing<[u8; N]>> {
    let mut out = Zeroizing::new([0; N]);
    hkdf(&[], key, &info(label, context), out.as_mut_slice())?;
    Ok(out)
}

/// AES-256-GCM in place; the tag is returned.
pub fn seal(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], text: &mut [u8]) -> Result<[u8; TAG]> {
    Aes256Gcm::new(key.into())
        .encrypt_inout_detached(&Nonce::<Aes256Gcm>::from(*nonce), aad, text.into())
        .map(Into::into)
        .map_err(|_| Error::BadValue)
}

/// AES-256-GCM in place. On failure `text` is not the plaintext.
pub fn open(
    key: &[u8; 32],
    nonce: &[u8; 12],
    aad: &[u8],
    text: &mut [u8],
    tag: &[u8; TAG],
) -> Result<()> {
    Aes256Gcm::new(key.into())
        .decrypt_inout_detached(
            &Nonce::<Aes256Gcm>::from(*nonce),
            aad,
            text.into(),
            &Tag::from(*tag),
        )
        .map_err(|_| Error::Damaged("a ciphertext does not authenticate"))
}

/// The one nonce: every key encrypts one message.
pub const NONCE: [u8; 12] = [0; 12];

/// Ciphertext and tag of `text`, which must be the only message of `key`.
pub fn seal_once(key: &[u8; 32], aad: &[u8], text: &[u8]) -> Result<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() + TAG));
    out.extend_from_slice(text);
    let tag = seal(key, &NONCE, aad, &mut out)?;
    out.extend_from_slice(&tag);
    Ok(std::mem::take(&mut *out))
}

/// The plaintext of [`seal_once`].
pub fn open_once(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let (text, tag) = sealed
        .split_last_chunk::<TAG>()
        .ok_or(Error::Damaged("a ciphertext is too short"))?;
    let mut text = Zeroizing::new(text.to_vec());
    open(key, &NONCE, aad, &mut text, tag)?;
    Ok(text)
}

/// A 32-byte key under another, 48 bytes.
pub fn wrap(key: &[u8; 32], aad: &[u8], inner: &[u8; 32]) -> Result<[u8; 48]> {
    let mut out = Zeroizing::new([0; 48]);
    out[..32].copy_from_slice(inner);
    let tag = seal(key, &NONCE, aad, &mut out[..32])?;
    out[32..].copy_from_slice(&tag);
    Ok(*out)
}

/// The inner key of [`wrap`].
pub fn unwrap(key: &[u8; 32], aad: &[u8], wrapped: &[u8; 48]) -> Result<Key32> {
    let mut out = Zeroizing::new([0; 32]);
    let mut tag = [0; TAG];
    out.copy_from_slice(&wrapped[..32]);
    tag.copy_from_slice(&wrapped[32..]);
    open(key, &NONCE, aad, out.as_mut_slice(), &tag)?;
    Ok(out)
}

/// Equal, in time that does not depend on where they differ.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// `sign(label, message)` with the Ed25519 seed `seed`.
pub fn sign(seed: &[u8; 32], label: &str, message: &[u8]) -> [u8; 64] {
    ed25519_sign(seed, &labelled(label, message))
}

fn ed25519_sign(seed: &[u8; 32], message: &[u8]) -> [u8; 64] {
    SigningKey::from_bytes(seed).sign(message).to_bytes()
}

/// The public key of an Ed25519 seed.
pub fn verifying_key(seed: &[u8; 32]) -> [u8; 32] {
    SigningKey::from_bytes(seed).verifying_key().to_bytes()
}

/// Checks a signature, strictly.
pub fn verify(public: &[u8; 32], label: &str, message: &[u8], signature: &[u8; 64]) -> Result<()> {
    ed25519_verify(public, &labelled(label, message), signature)
}

fn ed25519_verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<()> {
    let bad = |_| Error::Damaged("a signature is wrong");
    VerifyingKey::from_bytes(public)
        .map_err(bad)?
        .verify_strict(message, &(*signature).into())
        .map_err(bad)
}

fn labelled(label: &str, message: &[u8]) -> Vec<u8> {
    [label.as_bytes(), &[0], message].concat()
}

/// `DeriveKeyPair` of RFC 9180 §7.1.3.
pub fn key_pair(ikm: &[u8]) -> (PrivateKey, PublicKey) {
    X25519HkdfSha256::derive_keypair(ikm)
}

/// A public key's 32 bytes.
pub fn public_bytes(key: &PublicKey) -> [u8; 32] {
    key.to_bytes().into()
}

/// HPKE single-shot sealing in base mode. The ephemeral key is hedged with
/// `hedge`, see FORMAT.md §8. Returns enc and ciphertext.
pub fn hpke_seal(
    hedge: &[u8; 32],
    recipient: &[u8; 32],
    info: &str,
    aad: &[u8],
    secret: &[u8; 32],
) -> Result<([u8; 32], [u8; 48])> {
    let fresh = random::<32>()?;
    let seed = hmac(
        hedge,
        &[
            b"sv1/hedge/hpke\0",
            fresh.as_slice(),
            recipient,
            &sha256(aad),
        ],
    );
    let mut rng = Hedged { seed, block: 0 };
    let (enc, sealed) =
        hpke_seal_with::<AesGcm256>(&mut rng, recipient, info.as_bytes(), aad, secret)?;
    let sealed = sealed.try_into();
    Ok((enc, sealed.map_err(|_| Error::Damaged("HPKE failed"))?))
}

/// The same with a given generator and AEAD.
fn hpke_seal_with<A: Aead>(
    rng: &mut impl CryptoRng,
    recipient: &[u8; 32],
    info: &[u8],
    aad: &[u8],
    secret: &[u8],
) -> Result<([u8; 32], Vec<u8>)> {
    let failed = |_| Error::Damaged("HPKE failed");
    let recipient = PublicKey::from_bytes(recipient).map_err(failed)?;
    let (enc, sealed) = hpke::single_shot_seal_with_rng::<A, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &recipient,
        info,
        secret,
        aad,
        rng,
    )
    .map_err(failed)?;
    Ok((enc.to_bytes().into(), sealed))
}

/// HPKE single-shot opening in base mode.
pub fn hpke_open(
    private: &PrivateKey,
    enc: &[u8; 32],
    info: &str,
    aad: &[u8],
    sealed: &[u8; 48],
) -> Result<Key32> {
    let text = hpke_open_with::<AesGcm256>(private, enc, info.as_bytes(), aad, sealed)?;
    let mut out = Zeroizing::new([0; 32]);
    if text.len() != out.len() {
        return Err(Error::Damaged("a sealed key has another length"));
    }
    out.copy_from_slice(&text);
    Ok(out)
}

fn hpke_open_with<A: Aead>(
    private: &PrivateKey,
    enc: &[u8; 32],
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>> {
    let failed = |_| Error::Damaged("a sealed key does not open");
    let enc = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(enc).map_err(failed)?;
    hpke::single_shot_open::<A, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        private,
        &enc,
        info,
        sealed,
        aad,
    )
    .map(Zeroizing::new)
    .map_err(failed)
}

/// A generator that expands a hedged seed.
struct Hedged {
    seed: Key32,
    block: u32,
}

impl TryRng for Hedged {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> std::result::Result<u32, Infallible> {
        let mut out = [0; 4];
        self.try_fill_bytes(&mut out)?;
        Ok(u32::from_le_bytes(out))
    }

    fn try_next_u64(&mut self) -> std::result::Result<u64, Infallible> {
        let mut out = [0; 8];
        self.try_fill_bytes(&mut out)?;
        Ok(u64::from_le_bytes(out))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> std::result::Result<(), Infallible> {
        for part in out.chunks_mut(32) {
            let bytes = hmac(&*self.seed, &[&self.block.to_le_bytes()]);
            self.block += 1;
            part.copy_from_slice(&bytes[..part.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Hedged {}

/// `KDF(key, label)` moved into key memory.
pub fn derive_key(
    memory: &crate::KeyMemory,
    key: &[u8; 32],
    label: &str,
    context: &[&[u8]],
) -> Result<Key> {
    memory.store(&mut *kdf::<32>(key, label, context)?)
}

#[cfg(test)]
#[path = "crypto_vectors.rs"]
mod vectors;

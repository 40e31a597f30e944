//! Handing a share in from elsewhere: a recovery shows a one-time public key, and
//! a holder's share is sealed to it (HPKE of RFC 9180), so that only this recovery
//! reads it. `SHARES.md` §5.

use crate::{
    Error, Result, Share,
    envelope::check,
    parse::Parsed,
    random,
    text::{self, Likeness},
    words::WordShare,
};
use hpke::{
    Deserializable, OpModeR, OpModeS, Serializable,
    aead::AesGcm256,
    kdf::HkdfSha256,
    kem::{Kem, X25519HkdfSha256},
};
use std::fmt;
use zeroize::Zeroizing;

type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;
type EncappedKey = <X25519HkdfSha256 as Kem>::EncappedKey;

const VERSION: u8 = 1;
const INFO: &[u8] = b"sv1/hpke/release";
/// What is inside: an envelope, or what words hold.
const ENVELOPE: u8 = 1;
const WORDS: u8 = 2;
/// Randomness for one sealing: twice what an ephemeral key takes.
const RANDOM: usize = 64;

/// A recovery's one-time key pair. It is forgotten when this is dropped.
pub struct Ceremony {
    vault: [u8; 16],
    private: PrivateKey,
    public: [u8; 32],
}

impl Ceremony {
    /// A new one.
    pub fn new(vault: [u8; 16]) -> Result<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        random::fill(seed.as_mut_slice())?;
        Ok(Self::from_seed(vault, &seed))
    }

    /// The one that this random seed leads to, for somebody who keeps the seed in
    /// memory of its own.
    #[must_use]
    pub fn from_seed(vault: [u8; 16], seed: &[u8; 32]) -> Self {
        let (private, public) = X25519HkdfSha256::derive_keypair(seed);
        Self {
            vault,
            private,
            public: public.to_bytes().into(),
        }
    }

    /// The public key as text.
    #[must_use]
    pub fn key_text(&self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.vault);
        bytes.extend_from_slice(&self.public);
        String::clone(&text::encode(text::KEY, &bytes))
    }

    /// The share that a holder released for this recovery, as text.
    pub fn open(&self, line: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let line = text::compact(line).ok_or(Error::NotAShare)?;
        let bytes = match text::likeness(text::SEALED, &line) {
            Likeness::Same => text::decode(text::SEALED, &line)?,
            Likeness::Mistyped(at) => return Err(Error::Typo { position: Some(at) }),
            Likeness::CutShort => return Err(Error::Truncated),
            Likeness::Other => return Err(Error::NotAShare),
        };
        let (version, rest) = bytes.split_first().ok_or(Error::Truncated)?;
        if *version != VERSION {
            return Err(Error::Version(*version));
        }
        let (name, rest) = rest.split_first_chunk().ok_or(Error::Truncated)?;
        let (enc, sealed) = rest.split_first_chunk::<32>().ok_or(Error::Truncated)?;
        let aad = aad(&self.vault, &self.public);
        if *name != key_name(&aad) {
            return Err(Error::NotForThisCeremony);
        }
        let broken = |_| Error::Typo { position: None };
        let enc = EncappedKey::from_bytes(enc).map_err(broken)?;
        let inside = hpke::single_shot_open::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.private,
            &enc,
            INFO,
            sealed,
            &aad,
        );
        let inside = inside.map(Zeroizing::new).map_err(broken)?;
        let parsed = match inside.split_first() {
            Some((&ENVELOPE, bytes)) => Parsed::Share(Share::from_bytes(bytes)?),
            Some((&WORDS, bytes)) => Parsed::Words(WordShare::from_bytes(bytes)?),
            _ => return Err(Error::Version(VERSION)),
        };
        let text = parsed.to_line();
        Ok(Zeroizing::new(text.as_bytes().to_vec()))
    }
}

impl fmt::Debug for Ceremony {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ceremony").finish_non_exhaustive()
    }
}

/// Seals a share, as text, to the recovery with this key.
pub fn seal(share_text: &[u8], key_text: &str) -> Result<String> {
    let (vault, public) = key(key_text)?;
    let mut inside = Zeroizing::new(Vec::with_capacity(256));
    match Share::parse(share_text)? {
        Parsed::Share(share) if share.header().vault != vault => return Err(Error::OtherVault),
        Parsed::Words(words) if !words.is_of_vault(&vault) => return Err(Error::OtherVault),
        Parsed::Share(share) => {
            inside.push(ENVELOPE);
            inside.extend_from_slice(&share.to_bytes());
        }
        Parsed::Words(words) => {
            inside.push(WORDS);
            inside.extend_from_slice(&words.to_bytes());
        }
    }
    let aad = aad(&vault, &public);
    let public = PublicKey::from_bytes(&public).map_err(|_| Error::NotAKey)?;
    let mut pool = random::Pool::new(RANDOM)?;
    let sealed = hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &public,
        INFO,
        &inside,
        &aad,
        &mut pool,
    );
    // Only a key that is no key makes this fail.
    let (enc, sealed) = sealed.map_err(|_| Error::NotAKey)?;
    pool.sufficed()?;
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&key_name(&aad));
    bytes.extend_from_slice(&enc.to_bytes());
    bytes.extend_from_slice(&sealed);
    Ok(String::clone(&text::encode(text::SEALED, &bytes)))
}

/// Whether a text is meant as a released share.
#[must_use]
pub fn is_released(line: &[u8]) -> bool {
    let Some(line) = text::compact(line) else {
        return false;
    };
    matches!(
        text::likeness(text::SEALED, &line),
        Likeness::Same | Likeness::Mistyped(_)
    )
}

/// The vault that a recovery's key is for, if it is one.
pub fn vault_of(key_text: &str) -> Result<[u8; 16]> {
    key(key_text).map(|(vault, _)| vault)
}

fn key(key_text: &str) -> Result<([u8; 16], [u8; 32])> {
    let line = text::compact(key_text.as_bytes()).ok_or(Error::NotAKey)?;
    let bytes = match text::likeness(text::KEY, &line) {
        Likeness::Same => text::decode(text::KEY, &line).map_err(|error| match error {
            Error::Typo { position } => Error::KeyTypo { position },
            other => other,
        })?,
        Likeness::Mistyped(at) => return Err(Error::KeyTypo { position: Some(at) }),
        Likeness::CutShort | Likeness::Other => return Err(Error::NotAKey),
    };
    let (version, rest) = bytes.split_first().ok_or(Error::NotAKey)?;
    if *version != VERSION {
        return Err(Error::Version(*version));
    }
    let (vault, rest) = rest.split_first_chunk().ok_or(Error::NotAKey)?;
    let public = rest.try_into().map_err(|_| Error::NotAKey)?;
    Ok((*vault, public))
}

fn aad(vault: &[u8; 16], public: &[u8; 32]) -> Vec<u8> {
    [&[VERSION], vault.as_slice(), public].concat()
}

/// What tells one recovery's key from another's.
fn key_name(aad: &[u8]) -> [u8; 8] {
    check("sv1/share/release", aad)
}

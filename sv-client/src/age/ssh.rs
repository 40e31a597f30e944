//! Keys of the type `ssh-ed25519` as holders of shares, as age defines them: the
//! Edwards point becomes a Montgomery point, tweaked with the key itself.
//! Here rather than from the crate's feature `ssh`, which brings RSA along.

use ::age::{DecryptError, EncryptError};
use age_core::{
    format::{FILE_KEY_BYTES, FileKey, Stanza},
    primitives::{aead_decrypt, aead_encrypt, hkdf},
    secrecy::ExposeSecret,
};
use curve25519_dalek::{edwards::CompressedEdwardsY, montgomery::MontgomeryPoint};
use data_encoding::{BASE64, BASE64_NOPAD, Encoding};
use sha2::{Digest, Sha256, Sha512};
use std::collections::HashSet;
use zeroize::{Zeroize, Zeroizing};

const TYPE: &str = "ssh-ed25519";
const LABEL: &[u8] = b"age-encryption.org/v1/ssh-ed25519";
const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const END: &str = "-----END OPENSSH PRIVATE KEY-----";

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The key as it stands in `authorized_keys`, decoded.
    blob: Vec<u8>,
    point: MontgomeryPoint,
}

/// A private key.
pub struct Identity {
    blob: Vec<u8>,
    scalar: Zeroizing<[u8; 32]>,
}

/// The four bytes by which a holder finds what is meant for it.
fn tag(blob: &[u8]) -> String {
    BASE64_NOPAD.encode(&Sha256::digest(blob)[..4])
}

/// The key that wraps a file's key. `point` is the point that only the holder
/// and the sender can compute, before the tweak.
fn wrap_key(
    blob: &[u8],
    point: MontgomeryPoint,
    ephemeral: MontgomeryPoint,
    holder: MontgomeryPoint,
) -> Option<Zeroizing<[u8; 32]>> {
    let tweak = Zeroizing::new(hkdf(blob, LABEL, &[]));
    let mut shared = point.mul_clamped(*tweak);
    // A point of small order would give everybody the same key.
    if shared.as_bytes() == &[0; 32] {
        return None;
    }
    let mut salt = [0; 64];
    salt[..32].copy_from_slice(ephemeral.as_bytes());
    salt[32..].copy_from_slice(holder.as_bytes());
    let key = Zeroizing::new(hkdf(&salt, LABEL, shared.as_bytes()));
    shared.zeroize();
    Some(key)
}

impl Recipient {
    /// A line of `authorized_keys`, without options.
    pub fn parse(line: &str) -> Result<Self, &'static str> {
        let mut words = line.split_ascii_whitespace();
        if words.next() != Some(TYPE) {
            return Err("is not an ssh-ed25519 key");
        }
        let blob = decode(&BASE64, words.next().unwrap_or_default().as_bytes())
            .ok_or("is a damaged ssh-ed25519 key")?;
        Self::of_blob(blob.to_vec()).ok_or("is a damaged ssh-ed25519 key")
    }

    fn of_blob(blob: Vec<u8>) -> Option<Self> {
        let mut rest = &blob[..];
        if string(&mut rest)? != TYPE.as_bytes() {
            return None;
        }
        let key: [u8; 32] = string(&mut rest)?.try_into().ok()?;
        let point = CompressedEdwardsY(key).decompress()?;
        if !rest.is_empty() || point.is_small_order() {
            return None;
        }
        let point = point.to_montgomery();
        Some(Self { blob, point })
    }
}

impl ::age::Recipient for Recipient {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let failed = |what| EncryptError::Io(std::io::Error::other(what));
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *secret).map_err(|_| failed("no random bytes"))?;
        let ephemeral = MontgomeryPoint::mul_base_clamped(*secret);
        let mut point = self.point.mul_clamped(*secret);
        let key = wrap_key(&self.blob, point, ephemeral, self.point)
            .ok_or_else(|| failed("the key is of small order"))?;
        point.zeroize();
        let stanza = Stanza {
            tag: TYPE.to_owned(),
            args: vec![tag(&self.blob), BASE64_NOPAD.encode(ephemeral.as_bytes())],
            body: aead_encrypt(&key, file_key.expose_secret()),
        };
        Ok((vec![stanza], HashSet::new()))
    }
}

impl Identity {
    /// Whether `text` is a private key of OpenSSH or an older form of one.
    #[must_use]
    pub fn looks_like(text: &str) -> bool {
        let first = text.trim_start().lines().next().unwrap_or_default();
        first.starts_with("-----BEGIN") && first.contains("PRIVATE KEY")
    }

    /// A private key without a passphrase, as `ssh-keygen` writes it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let body = text
            .trim()
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.strip_suffix(END))
            .ok_or("is a private key of a kind that is not supported; ssh-ed25519 is")?;
        let mut joined = Zeroizing::new(Vec::with_capacity(body.len()));
        joined.extend(body.bytes().filter(|b| !b.is_ascii_whitespace()));
        let bytes = decode(&BASE64, &joined).ok_or(DAMAGED)?;
        Self::of_bytes(&bytes)
    }

    fn of_bytes(bytes: &[u8]) -> Result<Self, &'static str> {
        let mut rest = bytes.strip_prefix(b"openssh-key-v1\0").ok_or(DAMAGED)?;
        let cipher = string(&mut rest).ok_or(DAMAGED)?;
        let kdf = string(&mut rest).ok_or(DAMAGED)?;
        string(&mut rest).ok_or(DAMAGED)?;
        if cipher != b"none" || kdf != b"none" {
            return Err(
                "has a passphrase; take it off a copy with ssh-keygen -p, or decrypt with age",
            );
        }
        if number(&mut rest) != Some(1) {
            return Err(DAMAGED);
        }
        let blob = string(&mut rest).ok_or(DAMAGED)?.to_vec();
        let mut private = string(&mut rest).ok_or(DAMAGED)?;
        let check = number(&mut private).ok_or(DAMAGED)?;
        if number(&mut private) != Some(check) {
            return Err(DAMAGED);
        }
        if string(&mut private).ok_or(DAMAGED)? != TYPE.as_bytes() {
            return Err("is not an ssh-ed25519 key; RSA and others are not supported");
        }
        let public = string(&mut private).ok_or(DAMAGED)?;
        // The seed, then the public key again.
        let (seed, again) = string(&mut private)
            .and_then(|pair| pair.split_at_checked(32))
            .ok_or(DAMAGED)?;
        let recipient = Recipient::of_blob(blob).ok_or(DAMAGED)?;
        if again != public || !recipient.blob.ends_with(public) {
            return Err(DAMAGED);
        }
        let mut scalar = Zeroizing::new([0; 32]);
        let mut digest = Sha512::digest(seed);
        scalar.copy_from_slice(&digest[..32]);
        digest.as_mut_slice().zeroize();
        if MontgomeryPoint::mul_base_clamped(*scalar) != recipient.point {
            return Err(DAMAGED);
        }
        Ok(Self {
            blob: recipient.blob,
            scalar,
        })
    }
}

const DAMAGED: &str = "is a damaged private key";

impl ::age::Identity for Identity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        if stanza.tag != TYPE || stanza.args.first() != Some(&tag(&self.blob)) {
            return None;
        }
        Some(self.unwrap(stanza))
    }
}

impl Identity {
    fn unwrap(&self, stanza: &Stanza) -> Result<FileKey, DecryptError> {
        let [_, ephemeral] = &stanza.args[..] else {
            return Err(DecryptError::InvalidHeader);
        };
        let ephemeral = decode(&BASE64_NOPAD, ephemeral.as_bytes())
            .and_then(|bytes| bytes[..].try_into().ok())
            .map(MontgomeryPoint)
            .ok_or(DecryptError::InvalidHeader)?;
        let holder = MontgomeryPoint::mul_base_clamped(*self.scalar);
        let mut point = ephemeral.mul_clamped(*self.scalar);
        let key = wrap_key(&self.blob, point, ephemeral, holder);
        point.zeroize();
        let key = key.ok_or(DecryptError::InvalidHeader)?;
        let opened = aead_decrypt(&key, FILE_KEY_BYTES, &stanza.body)
            .map_err(|_| DecryptError::DecryptionFailed)?;
        let opened = Zeroizing::new(opened);
        Ok(FileKey::init_with_mut(|key| key.copy_from_slice(&opened)))
    }
}

fn decode(encoding: &Encoding, text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(vec![0; encoding.decode_len(text.len()).ok()?]);
    let length = encoding.decode_mut(text, &mut out).ok()?;
    out.truncate(length);
    Some(out)
}

/// A big-endian number of 32 bits.
fn number(rest: &mut &[u8]) -> Option<u32> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u32::from_be_bytes(*number))
}

/// A length, then as many bytes.
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(number(rest)?).ok()?;
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
}

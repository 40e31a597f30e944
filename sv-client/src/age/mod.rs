//! Shares encrypted to their holders in the format of age: `age1…` keys and
//! `ssh-ed25519` keys. Others, RSA among them, are refused.

mod ssh;

use crate::{
    error::{Error, Result},
    stream::Buffer,
};
use ::age::{
    DecryptError, Decryptor, Encryptor,
    armor::{ArmoredReader, ArmoredWriter, Format},
};
use std::io::{Read, Write};
use sv_proto::Kind;
use zeroize::Zeroizing;

const WANTED: &str = "give age1..., ssh-ed25519 ..., or a file with one of them a line";

/// Larger than any encrypted share.
const LARGEST: usize = 64 * 1024;

/// Someone to encrypt to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    key: Key,
    /// The key as text: what tells holders apart.
    pub label: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Native(::age::x25519::Recipient),
    Ssh(ssh::Recipient),
}

impl Holder {
    /// A key as `age-keygen` or `ssh-keygen` writes it. What it is not is told
    /// without repeating it: it may be a private key.
    pub fn parse(text: &str) -> std::result::Result<Self, &'static str> {
        let text = text.trim();
        let key = if text.starts_with("age1") {
            let key = text.parse().map_err(|_| "is not a whole age1 key")?;
            Key::Native(key)
        } else if text.starts_with("ssh-ed25519 ") {
            Key::Ssh(ssh::Recipient::parse(text)?)
        } else if text.starts_with("ssh-rsa ") {
            return Err("is an RSA key, which is not supported");
        } else if text.starts_with("AGE-SECRET-KEY-") || text.starts_with("AGE-PLUGIN-") {
            return Err("is a private key; its public one is wanted");
        } else {
            return Err("is not a key to encrypt to");
        };
        Ok(Self {
            key,
            label: text.to_owned(),
        })
    }

    /// Every key of a text with one a line; `#` begins a comment.
    pub fn parse_all(text: &str) -> std::result::Result<Vec<Self>, (usize, &'static str)> {
        let lines = text.lines().enumerate();
        let mut holders = Vec::new();
        for (i, line) in lines.filter(|(_, l)| !l.trim().is_empty()) {
            if !line.trim_start().starts_with('#') {
                holders.push(Self::parse(line).map_err(|why| (i + 1, why))?);
            }
        }
        Ok(holders)
    }

    /// Whether another one is the same key.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// `plaintext` for this holder alone, as lines of ASCII.
    pub fn encrypt(&self, plaintext: &[u8]) -> Result<Vec<u8>> {
        let recipient: &dyn ::age::Recipient = match &self.key {
            Key::Native(key) => key,
            Key::Ssh(key) => key,
        };
        let failed = |_| Error::agent(Kind::Internal, "encrypting to a holder failed");
        let encryptor = Encryptor::with_recipients(std::iter::once(recipient))
            .map_err(std::io::Error::other)
            .map_err(failed)?;
        let mut out = Vec::new();
        ArmoredWriter::wrap_output(&mut out, Format::AsciiArmor)
            .and_then(|armor| encryptor.wrap_output(armor))
            .and_then(|mut writer| {
                writer.write_all(plaintext)?;
                writer.finish()?.finish()
            })
            .map_err(failed)?;
        Ok(out)
    }
}

/// The hint for a recipient that makes no sense.
#[must_use]
pub const fn wanted() -> &'static str {
    WANTED
}

/// Whether this is a file of age's.
#[must_use]
pub fn is_encrypted(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii_start();
    bytes.starts_with(b"age-encryption.org/") || bytes.starts_with(b"-----BEGIN AGE ENCRYPTED FILE")
}

/// Private keys to try.
#[derive(Default)]
pub struct Identities(Vec<Box<dyn ::age::Identity>>);

impl Identities {
    /// None.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the keys of a file: lines of `age-keygen`, or one private key of
    /// OpenSSH's. The error says what the file is, without any of its content.
    pub fn add(&mut self, bytes: &[u8]) -> std::result::Result<(), &'static str> {
        if is_encrypted(bytes) {
            return Err("is encrypted itself; decrypt it with age first");
        }
        let text = std::str::from_utf8(bytes).map_err(|_| "is not a file of private keys")?;
        if ssh::Identity::looks_like(text) {
            self.0.push(Box::new(ssh::Identity::parse(text)?));
            return Ok(());
        }
        let before = self.0.len();
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.starts_with("AGE-PLUGIN-") {
                return Err("wants a plugin of age; decrypt the share with age instead");
            }
            let identity: ::age::x25519::Identity =
                line.parse().map_err(|_| "is not a file of private keys")?;
            self.0.push(Box::new(identity));
        }
        if self.0.len() == before {
            return Err("holds no private key");
        }
        Ok(())
    }

    /// What `bytes` hold.
    pub fn decrypt(&self, bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let bytes = bytes.trim_ascii_start();
        let decryptor = Decryptor::new(ArmoredReader::new(bytes)).map_err(told)?;
        let identities = self.0.iter().map(|identity| &**identity);
        let mut reader = decryptor.decrypt(identities).map_err(told)?;
        let mut out = Buffer::new();
        let mut piece = Zeroizing::new([0; 4096]);
        loop {
            match reader.read(&mut *piece) {
                Ok(0) => return Ok(out.into_inner()),
                Ok(n) if out.bytes().len() + n <= LARGEST => out.extend(&piece[..n]),
                Ok(_) | Err(_) => return Err(damaged()),
            }
        }
    }
}

fn damaged() -> Error {
    Error::agent(Kind::BadShare, "the encrypted file is damaged")
}

fn told(error: DecryptError) -> Error {
    match error {
        DecryptError::NoMatchingKeys | DecryptError::KeyDecryptionFailed => Error::agent(
            Kind::WrongShare,
            "it is encrypted to somebody else than --identity",
        )
        .hinted("name the holder's own private key with --identity FILE"),
        _ => damaged(),
    }
}

#[cfg(test)]
mod tests;

//! A share in its envelope, as bytes. `SHARES.md` §1 is the layout.

use crate::{
    Error, Result, limits,
    parse::{self, Parsed},
    text, words,
};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
/// Bytes before the share.
const HEADER: usize = 41;
/// Where the share's length is.
const LENGTH: usize = 40;
const CHECK: usize = 4;

/// What all shares of a set have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// The vault; zero for a key that is no vault's.
    pub vault: [u8; 16],
    /// The set.
    pub set: [u8; 16],
    /// How many shares give the key.
    pub threshold: u8,
    /// How many there are.
    pub count: u8,
    /// The number of the epoch that named the set.
    pub epoch: u32,
}

impl Header {
    /// Whether threshold and count go together.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        limits::THRESHOLD <= self.threshold && self.threshold <= self.count
    }
}

/// A share.
pub struct Share {
    header: Header,
    index: u8,
    secret: Zeroizing<Vec<u8>>,
}

impl Share {
    /// A share from its parts.
    pub fn new(header: Header, index: u8, secret: &[u8]) -> Result<Self> {
        if index == 0 {
            return Err(Error::IndexZero);
        }
        if !header.is_sound() || index > header.count || !limits::SHARE.contains(&secret.len()) {
            return Err(Error::BadHeader);
        }
        Ok(Self {
            header,
            index,
            secret: Zeroizing::new(secret.to_vec()),
        })
    }

    /// A share from text: a line, or words.
    pub fn parse(text: &[u8]) -> Result<Parsed> {
        parse::parse(text)
    }

    /// What it has in common with the others of its set.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Its number, from 1.
    #[must_use]
    pub const fn index(&self) -> u8 {
        self.index
    }

    /// The bytes of the share.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.secret
    }

    /// One line of text.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        text::encode(text::SHARE, &self.to_bytes())
    }

    /// Words for paper, separated by spaces.
    #[must_use]
    pub fn to_words(&self) -> Zeroizing<String> {
        words::encode(&words::WordShare::of(self))
    }

    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(HEADER + self.secret.len() + CHECK));
        out.push(VERSION);
        out.extend_from_slice(&self.header.vault);
        out.extend_from_slice(&self.header.set);
        out.extend_from_slice(&[self.index, self.header.threshold, self.header.count]);
        out.extend_from_slice(&self.header.epoch.to_le_bytes());
        // A share has at most `limits::SHARE` bytes.
        out.push(u8::try_from(self.secret.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(&self.secret);
        let check: [u8; CHECK] = check("sv1/share/line", &out);
        out.extend_from_slice(&check);
        out
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        match bytes.first() {
            Some(&VERSION) => {}
            Some(&other) => return Err(Error::Version(other)),
            None => return Err(Error::Truncated),
        }
        let Some((body, found)) = bytes.split_last_chunk::<CHECK>() else {
            return Err(Error::Truncated);
        };
        let mut rest = body.get(1..).ok_or(Error::Truncated)?;
        let vault = take(&mut rest)?;
        let set = take(&mut rest)?;
        let [index, threshold, count] = take(&mut rest)?;
        let epoch = u32::from_le_bytes(take(&mut rest)?);
        let [length] = take(&mut rest)?;
        if rest.len() < usize::from(length) {
            return Err(Error::Truncated);
        }
        if rest.len() > usize::from(length)
            || !bool::from(check::<CHECK>("sv1/share/line", body).ct_eq(found))
        {
            return Err(Error::Typo { position: None });
        }
        let header = Header {
            vault,
            set,
            threshold,
            count,
            epoch,
        };
        Self::new(header, index, rest)
    }

    /// How many bytes an envelope has that begins with these.
    pub(crate) fn expected(beginning: &[u8]) -> Option<usize> {
        let length = usize::from(*beginning.get(LENGTH)?);
        let known = beginning.first() == Some(&VERSION) && limits::SHARE.contains(&length);
        known.then_some(HEADER + length + CHECK)
    }

    /// How many bytes of an envelope tell how many it has.
    pub(crate) const TELLS: usize = HEADER;
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share")
            .field("header", &self.header)
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>().ok_or(Error::Truncated)?;
    *rest = left;
    Ok(*taken)
}

/// The first bytes of a hash under a label.
pub fn check<const N: usize>(label: &str, bytes: &[u8]) -> [u8; N] {
    let mut hash = Sha256::new();
    hash.update(label);
    hash.update([0]);
    hash.update(bytes);
    let hash: [u8; 32] = hash.finalize().into();
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(hash) {
        *to = from;
    }
    out
}

//! Shares without an envelope, as sv 2.x wrote them: `INDEX:BASE64`. Nothing in them
//! tells their set or the threshold, so most mistakes go unnoticed.

use crate::{Error, Header, Result, Share, limits, shamir};
use data_encoding::BASE64;
use std::fmt;
use zeroize::Zeroizing;

/// A share without an envelope.
pub struct BareShare {
    index: u8,
    secret: Zeroizing<Vec<u8>>,
}

impl BareShare {
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
}

impl fmt::Debug for BareShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BareShare")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

/// Whether a text is meant as such a share.
#[must_use]
pub fn looks_like(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    match text.iter().position(|b| *b == b':') {
        Some(at @ 1..=3) => text.iter().take(at).all(u8::is_ascii_digit),
        _ => false,
    }
}

/// A share from its text.
pub fn parse(text: &[u8]) -> Result<BareShare> {
    if !looks_like(text) || text.len() > limits::TEXT {
        return Err(Error::NotAShare);
    }
    let text = text.trim_ascii();
    let mut parts = text.splitn(2, |b| *b == b':');
    let index = parts.next().unwrap_or_default();
    let value = parts.next().unwrap_or_default();
    let number = std::str::from_utf8(index).ok().and_then(|i| i.parse().ok());
    let number = number.ok_or(Error::BadHeader)?;
    if number == 0 {
        return Err(Error::IndexZero);
    }
    let secret = BASE64.decode(value).map(Zeroizing::new);
    let secret = secret.map_err(|error| match error.kind {
        data_encoding::DecodeKind::Length => Error::Truncated,
        _ => Error::Typo {
            position: Some(index.len() + 1 + error.position + 1),
        },
    })?;
    if secret.len() < *limits::SHARE.start() {
        return Err(Error::Truncated);
    }
    if secret.len() > *limits::SHARE.end() {
        return Err(Error::Lengths);
    }
    Ok(BareShare {
        index: number,
        secret,
    })
}

/// Splits a key into shares that are to be written without their envelope.
pub fn split(key: &[u8], threshold: u8, count: u8) -> Result<Vec<Share>> {
    if !limits::KEY.contains(&key.len()) {
        return Err(Error::KeyLength);
    }
    let header = Header {
        vault: [0; 16],
        set: [0; 16],
        threshold,
        count,
        epoch: 0,
    };
    shamir::deal(key, &header)
}

/// The text of a share, without its envelope.
#[must_use]
pub fn format(share: &Share) -> Zeroizing<String> {
    let value = share.expose();
    let index = share.index().to_string();
    let mut out = Zeroizing::new(String::with_capacity(
        index.len() + 1 + BASE64.encode_len(value.len()),
    ));
    out.push_str(&index);
    out.push(':');
    BASE64.encode_append(value, &mut out);
    out
}

/// The secret. Without a threshold all shares count, and nobody can tell whether
/// they are enough: too few give a wrong secret.
pub fn combine(shares: &[BareShare], threshold: Option<u8>) -> Result<Zeroizing<Vec<u8>>> {
    let points: Vec<_> = shares.iter().map(|s| (s.index, s.expose())).collect();
    let need = match threshold {
        Some(threshold) if threshold < limits::THRESHOLD => return Err(Error::Counts),
        Some(threshold) => threshold,
        // Indices are different, so that there are at most 255.
        None => u8::try_from(points.len()).unwrap_or(u8::MAX),
    };
    shamir::interpolate(&points, need.max(limits::THRESHOLD))
}

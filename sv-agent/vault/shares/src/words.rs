//! A share as words of the list of BIP-39, for paper. `SHARES.md` §3.

use crate::{Error, Header, Result, Share, envelope::check, error::Suggestion, limits, text};
use std::{fmt, ops::RangeInclusive, sync::LazyLock};
use zeroize::Zeroizing;

/// `english.txt` of BIP-39, byte for byte.
static LIST: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    include_str!("english.txt")
        .split_ascii_whitespace()
        .collect()
});

/// Bits of a word.
const WORD: usize = 11;
/// Bits of the version.
const VERSION_BITS: usize = 3;
const VERSION: u16 = 1;
/// Bytes before the share: two of the vault, four of the set, index, threshold
/// and count.
const HEADER: usize = 9;
const CHECK: usize = 4;

/// A share from words. They hold the beginnings of the vault's and the set's id and
/// no epoch: enough to see that it is the wrong one.
pub struct WordShare {
    vault: [u8; 2],
    set: [u8; 4],
    index: u8,
    threshold: u8,
    count: u8,
    secret: Zeroizing<Vec<u8>>,
}

impl WordShare {
    pub(crate) fn of(share: &Share) -> Self {
        let header = share.header();
        let [v0, v1, ..] = header.vault;
        let [s0, s1, s2, s3, ..] = header.set;
        Self {
            vault: [v0, v1],
            set: [s0, s1, s2, s3],
            index: share.index(),
            threshold: header.threshold,
            count: header.count,
            secret: Zeroizing::new(share.expose().to_vec()),
        }
    }

    /// Its number, from 1.
    #[must_use]
    pub const fn index(&self) -> u8 {
        self.index
    }

    /// How many shares give the key.
    #[must_use]
    pub const fn threshold(&self) -> u8 {
        self.threshold
    }

    /// How many shares there are.
    #[must_use]
    pub const fn count(&self) -> u8 {
        self.count
    }

    /// Whether it can be of this vault.
    #[must_use]
    pub fn is_of_vault(&self, vault: &[u8; 16]) -> bool {
        vault.starts_with(&self.vault)
    }

    /// Whether it can be of this set.
    #[must_use]
    pub fn is_of_set(&self, set: &[u8; 16]) -> bool {
        set.starts_with(&self.set)
    }

    /// The share, if it can be one of this set.
    pub fn complete(self, header: &Header) -> Result<Share> {
        if !self.is_of_vault(&header.vault) {
            return Err(Error::OtherVault);
        }
        if !self.is_of_set(&header.set)
            || (self.threshold, self.count) != (header.threshold, header.count)
        {
            return Err(Error::OtherSet);
        }
        Share::new(*header, self.index, &self.secret)
    }

    /// Vault, set, index, threshold, count, share.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(HEADER + self.secret.len() + CHECK));
        out.extend_from_slice(&self.vault);
        out.extend_from_slice(&self.set);
        out.extend_from_slice(&[self.index, self.threshold, self.count]);
        out.extend_from_slice(&self.secret);
        out
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let &[
            v0,
            v1,
            s0,
            s1,
            s2,
            s3,
            index,
            threshold,
            count,
            ref secret @ ..,
        ] = bytes
        else {
            return Err(Error::Truncated);
        };
        if index == 0 {
            return Err(Error::IndexZero);
        }
        let sound = limits::THRESHOLD <= threshold && threshold <= count && index <= count;
        if !sound || !limits::SHARE.contains(&secret.len()) {
            return Err(Error::BadHeader);
        }
        Ok(Self {
            vault: [v0, v1],
            set: [s0, s1, s2, s3],
            index,
            threshold,
            count,
            secret: Zeroizing::new(secret.to_vec()),
        })
    }
}

impl fmt::Debug for WordShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WordShare")
            .field("index", &self.index)
            .field("threshold", &self.threshold)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

pub fn encode(share: &WordShare) -> Zeroizing<String> {
    let mut bytes = share.to_bytes();
    let sum = check::<CHECK>("sv1/share/words", &bytes);
    bytes.extend_from_slice(&sum);
    let mut words = Zeroizing::new(Vec::with_capacity(*limits::WORDS.end()));
    let (mut bits, mut held) = (u32::from(VERSION), VERSION_BITS);
    for byte in bytes.iter() {
        bits = (bits << 8) | u32::from(*byte);
        held += 8;
        if held >= WORD {
            held -= WORD;
            words.push((bits >> held) & 0x7ff);
            bits &= (1 << held) - 1;
        }
    }
    if held > 0 {
        words.push((bits << (WORD - held)) & 0x7ff);
    }
    // The longest word has eight letters.
    let mut out = Zeroizing::new(String::with_capacity(9 * words.len()));
    for word in words.iter() {
        if !out.is_empty() {
            out.push(' ');
        }
        // An index of eleven bits is always in the list of 2,048.
        out.push_str(LIST.get(*word as usize).copied().unwrap_or_default());
    }
    out
}

/// The words of a text: numbers before them, as on the sheet, and what stands
/// between them do not count.
fn tokens(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text::lines(text)
        .flat_map(|line| line.split(|b| !b.is_ascii_alphabetic() && !(0x80..=0xff).contains(b)))
        .filter(|token| !token.is_empty())
}

/// Whether a text looks more like words than like anything else.
pub fn looks_like(text: &[u8]) -> bool {
    if text.len() > limits::TEXT {
        return false;
    }
    let (mut known, mut all) = (0, 0);
    for token in tokens(text) {
        all += 1;
        known += usize::from(lookup(token).is_some());
    }
    known * 4 >= all * 3 && all >= limits::WORDS.start() / 2
}

/// Whether a line alone has the words of a share.
pub fn fills(line: &[u8]) -> bool {
    looks_like(line) && tokens(line).count() >= *limits::WORDS.start()
}

fn lookup(token: &[u8]) -> Option<u16> {
    let lower = Zeroizing::new(token.to_ascii_lowercase());
    let word = std::str::from_utf8(&lower).ok()?;
    let at = LIST.binary_search(&word).ok()?;
    u16::try_from(at).ok()
}

/// The word of the list that is nearest to what was typed.
fn nearest(token: &[u8]) -> Option<&'static str> {
    let typed = Zeroizing::new(String::from_utf8_lossy(token).to_lowercase());
    LIST.iter()
        .map(|word| (strsim::osa_distance(&typed, word), *word))
        .min_by_key(|(distance, word)| (*distance, word.get(..1) != typed.get(..1)))
        .filter(|(distance, _)| *distance <= limits::TYPO)
        .map(|(_, word)| word)
}

pub fn decode(text: &[u8]) -> Result<WordShare> {
    let mut words = Zeroizing::new(Vec::with_capacity(*limits::WORDS.end()));
    for (at, token) in tokens(text).enumerate() {
        if words.len() == *limits::WORDS.end() {
            return Err(Error::Typo { position: None });
        }
        match lookup(token) {
            Some(word) => words.push(word),
            None => {
                return Err(Error::Word {
                    position: at + 1,
                    suggestion: Suggestion(nearest(token)),
                });
            }
        }
    }
    if words.len() < *limits::WORDS.start() {
        return Err(Error::Truncated);
    }
    match payload(&words) {
        Some(bytes) => WordShare::from_bytes(&bytes),
        None => Err(match locate(&mut words) {
            Some(position) => Error::Word {
                position,
                suggestion: Suggestion(None),
            },
            None if words.len() < limits::VAULT_WORDS => Error::Truncated,
            None => Error::Typo { position: None },
        }),
    }
}

/// The bytes without their check, if that fits.
fn payload(words: &[u16]) -> Option<Zeroizing<Vec<u8>>> {
    let bits = words.len() * WORD;
    let mut bytes = Zeroizing::new(Vec::with_capacity(bits / 8));
    let mut words = words.iter();
    let first = words.next()?;
    if first >> (WORD - VERSION_BITS) != VERSION {
        return None;
    }
    let (mut buffer, mut held) = (u32::from(*first), WORD - VERSION_BITS);
    loop {
        while held >= 8 {
            held -= 8;
            bytes.push((buffer >> held) as u8);
            buffer &= (1 << held) - 1;
        }
        match words.next() {
            Some(word) => {
                buffer = (buffer << WORD) | u32::from(*word);
                held += WORD;
            }
            None => break,
        }
    }
    if buffer != 0 {
        return None;
    }
    // The last word may leave room for a byte that is not there.
    let fits = |length: usize| {
        let (body, sum) = bytes.get(..length)?.split_last_chunk::<CHECK>()?;
        let rest = bytes.get(length..)?;
        let fits = rest.iter().all(|b| *b == 0) && check("sv1/share/words", body) == *sum;
        fits.then_some(body.len())
    };
    let full = bytes.len();
    let candidates: RangeInclusive<usize> = full.saturating_sub(1)..=full;
    let spare = |length: usize| bits - VERSION_BITS - length * 8 < WORD;
    let length = candidates.rev().filter(|l| spare(*l)).find_map(fits)?;
    bytes.truncate(length);
    Some(bytes)
}

/// The one word that is wrong, if it is only one: of the 70,000 texts that differ in
/// one word, the check of 32 bits lets a wrong one pass once in 60,000 times.
fn locate(words: &mut [u16]) -> Option<usize> {
    for at in 0..words.len() {
        let kept = *words.get(at)?;
        for other in 0..1 << WORD {
            *words.get_mut(at)? = other;
            if payload(words).is_some() {
                *words.get_mut(at)? = kept;
                return Some(at + 1);
            }
        }
        *words.get_mut(at)? = kept;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_list_is_that_of_bip_39() {
        use sha2::{Digest, Sha256};
        let hash = Sha256::digest(include_bytes!("english.txt"));
        assert_eq!(
            data_encoding::HEXLOWER.encode(&hash),
            "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"
        );
        assert_eq!(LIST.len(), 2048);
        assert!(LIST.is_sorted());
        assert!(LIST.iter().all(|w| (3..=8).contains(&w.len())));
        let beginnings: HashSet<_> = LIST.iter().map(|w| &w[..w.len().min(4)]).collect();
        assert_eq!(beginnings.len(), 2048);
    }

    #[test]
    fn suggestions() {
        assert_eq!(nearest(b"abandn"), Some("abandon"));
        assert_eq!(nearest(b"ABOTU"), Some("about"));
        assert_eq!(nearest(b"zzzzzzz"), None);
    }
}

//! Every number that bounds something, with its reason.

use std::ops::RangeInclusive;

/// Bytes of a key that is split. Fewer than 16 would be guessable however they
/// are split; nothing symmetric has more than 64.
pub const KEY: RangeInclusive<usize> = 16..=64;

/// Bytes of blinding that a set of `sv key` shares beside the key, see `keys`.
pub const BLIND: usize = 16;

/// Bytes of one share: those of its key, and of the blinding where there is one.
pub const SHARE: RangeInclusive<usize> = *KEY.start()..=*KEY.end() + BLIND;

/// The smallest threshold. A "share" of 1 would be the key itself.
pub const THRESHOLD: u8 = 2;

/// Bytes of text that are looked at as one share: six times what the longest has
/// in words, so that any layout of them fits, and a wrong file does not.
pub const TEXT: usize = 4096;

/// Words of the smallest and of the largest share.
pub const WORDS: RangeInclusive<usize> = 22..=68;

/// Words of a share of 32 bytes, which those of a vault are.
pub const VAULT_WORDS: usize = 33;

/// How far a mistyped word may be from the one that is suggested; with three
/// changes a word of four letters is any other.
pub const TYPO: usize = 2;

/// Characters of a beginning that may be wrong before the text is called
/// something else than a share.
pub const PREFIX_TYPOS: usize = 2;

//! What a text holds: a line, words, or neither.

use crate::{
    Error, Result, Share,
    text::{self, Likeness},
    words::{self, WordShare},
};
use zeroize::Zeroizing;

/// A share as it was written down.
#[derive(Debug)]
pub enum Parsed {
    /// From a line: complete.
    Share(Share),
    /// From words: its set has to be known to complete it.
    Words(WordShare),
}

impl Parsed {
    /// Its number, from 1.
    #[must_use]
    pub const fn index(&self) -> u8 {
        match self {
            Self::Share(share) => share.index(),
            Self::Words(words) => words.index(),
        }
    }

    /// How many shares give the key.
    #[must_use]
    pub const fn threshold(&self) -> u8 {
        match self {
            Self::Share(share) => share.header().threshold,
            Self::Words(words) => words.threshold(),
        }
    }

    /// How many shares there are.
    #[must_use]
    pub const fn count(&self) -> u8 {
        match self {
            Self::Share(share) => share.header().count,
            Self::Words(words) => words.count(),
        }
    }

    /// The same as one line: text, or words.
    #[must_use]
    pub fn to_line(&self) -> Zeroizing<String> {
        match self {
            Self::Share(share) => share.to_text(),
            Self::Words(words) => words::encode(words),
        }
    }
}

pub fn parse(input: &[u8]) -> Result<Parsed> {
    let line = text::compact(input).ok_or(Error::NotAShare)?;
    match text::likeness(text::SHARE, &line) {
        Likeness::Same => share(&line).map(Parsed::Share),
        Likeness::CutShort => Err(Error::Truncated),
        _ if words::looks_like(input) => words::decode(input).map(Parsed::Words),
        Likeness::Mistyped(at) => Err(Error::Typo { position: Some(at) }),
        Likeness::Other => Err(Error::NotAShare),
    }
}

fn share(line: &[u8]) -> Result<Share> {
    let error = match text::decode(text::SHARE, line) {
        Ok(bytes) => return Share::from_bytes(&bytes),
        Err(error) => error,
    };
    if (error != Error::Typo { position: None }) {
        return Err(error);
    }
    let beginning = text::peek(text::SHARE, line, Share::TELLS);
    let expected = match beginning {
        None => return Err(Error::Truncated),
        Some(beginning) => Share::expected(&beginning),
    };
    match expected {
        Some(bytes) if line.len() < text::length(text::SHARE, bytes) => Err(Error::Truncated),
        _ => Err(error),
    }
}

/// The texts of several shares, as they follow each other in a file or on
/// standard input: a line ends where its checksum fits and begins with its prefix or
/// index, words fill a line or a paragraph each.
#[must_use]
pub fn pieces(input: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut start: Option<usize> = None;
    let mut at = 0;
    for line in input.split_inclusive(|b| *b == b'\n') {
        let trimmed = line.trim_ascii();
        let comment = trimmed.starts_with(b"#");
        let whole = start.is_some_and(|start| is_whole(input.get(start..at).unwrap_or_default()));
        let begins = whole || begins(trimmed);
        if trimmed.is_empty() || comment || begins {
            pieces.extend(start.take().and_then(|start| input.get(start..at)));
        }
        at += line.len();
        let goes_on = !trimmed.is_empty() && !comment;
        if goes_on && (begins || start.is_none()) {
            start = Some(at - line.len());
        }
    }
    pieces.extend(start.and_then(|start| input.get(start..)));
    pieces
}

/// Whether a line of a share has ended, so that what follows is something else.
fn is_whole(piece: &[u8]) -> bool {
    [text::SHARE, text::SEALED].iter().any(|prefix| {
        text::compact(piece).is_some_and(|line| {
            text::likeness(prefix, &line) == Likeness::Same && text::decode(prefix, &line).is_ok()
        })
    })
}

/// Whether a line is the first of a share, whatever comes before it.
fn begins(line: &[u8]) -> bool {
    let compact = line.get(..line.len().min(16)).unwrap_or_default();
    let prefixed = [text::SHARE, text::SEALED].iter().any(|prefix| {
        matches!(
            text::likeness(prefix, compact),
            Likeness::Same | Likeness::Mistyped(_)
        )
    });
    prefixed || crate::bare::looks_like(line) || words::fills(line)
}

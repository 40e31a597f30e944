//! What can be wrong with shares. No message holds anything of one.

use std::fmt;

/// What a step comes to.
pub type Result<T> = std::result::Result<T, Error>;

/// What is wrong. Its text is one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Neither a line of text nor words of a share.
    #[error("this is not a share")]
    NotAShare,
    /// A checksum does not fit.
    #[error("the share has a typing mistake{}", at(*.position))]
    Typo {
        /// The first wrong character, counted from 1 without spaces and line
        /// breaks, where the checksum tells.
        position: Option<usize>,
    },
    /// A word is wrong.
    #[error("word {position} of the share is mistyped")]
    Word {
        /// Which, from 1.
        position: usize,
        /// The word that was most likely meant.
        suggestion: Suggestion,
    },
    /// The end, or something in the middle, is missing.
    #[error("a part of the share is missing")]
    Truncated,
    /// Made by a later release.
    #[error("the share is of version {0}, which this release does not know")]
    Version(u8),
    /// No dealer makes a share with index 0: it would be the key.
    #[error("the share has the index 0, which no share can have")]
    IndexZero,
    /// Index, threshold and count can't be together.
    #[error("the share's index, threshold and count contradict each other")]
    BadHeader,
    /// Shares of different lengths.
    #[error("the shares have different lengths")]
    Lengths,
    /// More shares than needed, and they don't lie on one curve.
    #[error("the shares contradict each other: one of them is wrong")]
    Inconsistent,
    /// The result is not the key that was split.
    #[error("the shares do not give the key that was split")]
    WrongKey,
    /// The same share twice.
    #[error("share {index} is there twice")]
    Duplicate {
        /// Which.
        index: u8,
    },
    /// Shares of different sets.
    #[error("the shares are of different sets")]
    MixedSets,
    /// A share of another set than the one asked for.
    #[error("the share is of another set")]
    OtherSet,
    /// A share of another vault.
    #[error("the share is of another vault")]
    OtherVault,
    /// Not enough shares.
    #[error("{have} of {need} shares are there")]
    TooFew {
        /// How many there are.
        have: usize,
        /// How many there must be.
        need: usize,
    },
    /// A released share that another ceremony, or one that has ended, asked for.
    #[error("the share was released for another recovery")]
    NotForThisCeremony,
    /// Not the public key of a ceremony.
    #[error("this is not the key of a recovery")]
    NotAKey,
    /// A ceremony's key with a typing mistake.
    #[error("the key of the recovery has a typing mistake{}", at(*.position))]
    KeyTypo {
        /// As for [`Error::Typo`].
        position: Option<usize>,
    },
    /// The key to split has a length that is not allowed.
    #[error("a key to split has 16 to 64 bytes")]
    KeyLength,
    /// The threshold or the count to split for is not allowed.
    #[error("the threshold is 2 or more, and at most the number of shares")]
    Counts,
    /// No randomness.
    #[error("the system gives no random bytes")]
    Random,
}

impl Error {
    /// Whether the share itself is broken (exit 8), rather than whole but not
    /// the right one.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        match self {
            Self::NotAShare
            | Self::Typo { .. }
            | Self::Word { .. }
            | Self::Truncated
            | Self::IndexZero
            | Self::BadHeader
            | Self::Lengths
            | Self::Inconsistent => true,
            Self::Version(_)
            | Self::WrongKey
            | Self::Duplicate { .. }
            | Self::MixedSets
            | Self::OtherSet
            | Self::OtherVault
            | Self::TooFew { .. }
            | Self::NotForThisCeremony
            | Self::NotAKey
            | Self::KeyTypo { .. }
            | Self::KeyLength
            | Self::Counts
            | Self::Random => false,
        }
    }

    /// Whether the share is whole but does not fit (exit 6).
    #[must_use]
    pub const fn is_misfit(&self) -> bool {
        matches!(
            self,
            Self::WrongKey
                | Self::Duplicate { .. }
                | Self::MixedSets
                | Self::OtherSet
                | Self::OtherVault
                | Self::TooFew { .. }
                | Self::NotForThisCeremony
        )
    }

    /// The word that was most likely meant. It is a part of the share: show it
    /// only to the person who types.
    #[must_use]
    pub const fn suggestion(&self) -> Option<&'static str> {
        match self {
            Self::Word { suggestion, .. } => suggestion.0,
            _ => None,
        }
    }
}

fn at(position: Option<usize>) -> impl fmt::Display {
    struct At(Option<usize>);
    impl fmt::Display for At {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0 {
                Some(position) => write!(f, " at character {position}"),
                None => Ok(()),
            }
        }
    }
    At(position)
}

/// A word of the list, which is not shown by accident.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Suggestion(pub(crate) Option<&'static str>);

impl fmt::Debug for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "<word>" } else { "none" })
    }
}

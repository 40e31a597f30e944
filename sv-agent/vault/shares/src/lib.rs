//! Shares of a key: Shamir's scheme in an envelope that catches mistakes. Used by
//! the engine, which deals and recovers, and by the client, which reads and writes
//! the files and sheets of holders. `SHARES.md` beside this crate is the normative
//! text.
//!
//! | module      | holds                                                           |
//! |-------------|-----------------------------------------------------------------|
//! | [`limits`]  | every limit, with its reason                                    |
//! | `envelope`  | [`Share`] and [`Header`]: a share as bytes                      |
//! | `text`      | bytes as a line that finds and locates typing mistakes          |
//! | `words`     | [`WordShare`]: a share as words for paper                       |
//! | `parse`     | [`Parsed`], [`pieces`]: what a text holds                       |
//! | `shamir`    | [`deal`] and [`combine`], with every check before the scheme    |
//! | [`keys`]    | sets of shares of a key that is no vault's                      |
//! | [`bare`]    | shares without an envelope, as sv 2.x wrote them                |
//! | [`release`] | handing a share in from elsewhere                               |
//! | `random`    | random bytes, taken before they are needed                      |
//! | `error`     | [`Error`]: everything that can be wrong with a share            |
#![forbid(unsafe_code)]

pub mod bare;
mod envelope;
mod error;
pub mod keys;
pub mod limits;
mod parse;
mod random;
pub mod release;
mod shamir;
mod text;
mod words;

pub use envelope::{Header, Share};
pub use error::{Error, Result, Suggestion};
pub use parse::{Parsed, pieces};
pub use shamir::{combine, deal};
pub use words::WordShare;

//! The printable sheet of a share.

use crate::error::{Error, Result};
use zeroize::Zeroizing;

/// What a sheet is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A page for a browser.
    Html,
    /// A picture.
    Svg,
    /// A document.
    Pdf,
}

impl Format {
    /// What its files end with.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Svg => "svg",
            Self::Pdf => "pdf",
        }
    }
}

/// What a sheet says. The QR code is made of `line`.
pub struct Sheet<'a> {
    /// The name of the vault, as its owner knows it.
    pub vault_name: &'a str,
    /// The vault's id in hex.
    pub vault: &'a str,
    /// The set's id in hex.
    pub set: &'a str,
    /// The number of the share.
    pub index: u8,
    /// How many shares there are.
    pub count: u8,
    /// How many are needed.
    pub threshold: u8,
    /// The day it was made on, as text.
    pub date: &'a str,
    /// The share in words.
    pub words: &'a str,
    /// The share as a line of text.
    pub line: &'a str,
}

/// The sheet as a file.
pub fn sheet(format: Format, sheet: &Sheet) -> Result<Zeroizing<Vec<u8>>> {
    let _ = (format, sheet);
    Err(Error::Malformed("not built yet"))
}

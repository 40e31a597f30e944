//! The printable sheet of a share: one A4 page with the share in words, as a QR
//! code and as a line, and with what to do with it.
//!
//! | module   | holds                                              |
//! |----------|----------------------------------------------------|
//! | this one | [`Sheet`], [`Format`], [`sheet`]                   |
//! | `layout` | where everything is on the page                    |
//! | `code`   | the QR code                                        |
//! | `svg`    | the page as a picture, and that picture as a page for a browser |
//! | `pdf`    | the page as a document                             |

mod code;
mod layout;
mod pdf;
mod svg;

use crate::{error::Result, stream::Buffer};
use std::fmt;
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
    let code = code::Code::new(sheet.line)?;
    let page = layout::page(sheet, &code);
    let mut out = Out(Buffer::new());
    match format {
        Format::Html => svg::html(&page, &mut out),
        Format::Svg => svg::picture(&page, &mut out),
        Format::Pdf => pdf::document(&page, &mut out),
    }
    Ok(out.0.into_inner())
}

/// The file, in memory that is wiped when it grows.
struct Out(Buffer);

impl Out {
    fn text(&mut self, text: &str) {
        self.0.extend(text.as_bytes());
    }

    fn byte(&mut self, byte: u8) {
        self.0.extend(&[byte]);
    }

    fn format(&mut self, arguments: fmt::Arguments<'_>) {
        // Writing into memory does not fail.
        let _ = fmt::Write::write_fmt(self, arguments);
    }

    fn length(&self) -> usize {
        self.0.bytes().len()
    }
}

impl fmt::Write for Out {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "svshare1qyqqzqsrqszsvpcgpy9qkrqdpc86tfd95kj6tfd95kj6tfd95kj62qsrq5zqxqsp\
                        yqszzg3rysjjvfeg9y4zktpd9chnqvfjxv6r2d3h8qun5weu85lr7h8qc4yq3fzdmjqgflfh3tw";

    fn text(format: Format, vault_name: &str) -> Vec<u8> {
        let sheet = Sheet {
            vault_name,
            vault: "000102030405060708090a0b0c0d0e0f",
            set: "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5",
            index: 2,
            count: 5,
            threshold: 3,
            date: "2027-01-02",
            words: "cactus accuse coffee",
            line: LINE,
        };
        super::sheet(format, &sheet).unwrap().to_vec()
    }

    #[test]
    fn a_name_is_never_markup() {
        let name = "</text><script>alert(1)</script>&\"'\u{202e}\u{1b}[1m\u{fffe}(\\)";
        for format in [Format::Html, Format::Svg] {
            let page = String::from_utf8(text(format, name)).unwrap();
            assert!(!page.contains("<script"), "{format:?}");
            assert!(page.contains("&lt;/text&gt;&lt;script&gt;"), "{format:?}");
            for c in ['\u{202e}', '\u{1b}', '\u{fffe}'] {
                assert!(!page.contains(c), "{format:?} {c:?}");
            }
        }
        let page = text(Format::Pdf, name);
        let escaped = br"\(\\\)) Tj";
        assert!(page.windows(escaped.len()).any(|w| w == escaped));
    }

    #[test]
    fn nothing_is_fetched_and_nothing_runs() {
        for format in [Format::Html, Format::Svg, Format::Pdf] {
            let page = text(format, "home");
            let page = String::from_utf8_lossy(&page);
            for word in [
                "href", "src=", "url(", "@import", "<script", "/JS", "/URI", "/Action",
            ] {
                assert!(!page.contains(word), "{format:?}: {word}");
            }
            // The one address is the name of the language of pictures.
            let addresses = page.matches("://").count();
            assert_eq!(addresses, usize::from(format != Format::Pdf), "{format:?}");
        }
    }

    #[test]
    fn long_names_are_cut() {
        let name = "x".repeat(500);
        for format in [Format::Html, Format::Svg, Format::Pdf] {
            let page = text(format, &name);
            let longest = page.split(|b| *b != b'x').map(<[u8]>::len).max();
            assert!(longest.unwrap() <= 44, "{format:?}");
        }
    }
}

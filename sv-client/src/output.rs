//! Standard output and standard error. Nothing here is buffered behind the
//! caller's back: what was written is wiped by whoever owns it.

use crate::error::{Error, Result};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
};
use sv_proto::{config::Color, span};

/// Standard output without a buffer.
pub struct Stdout(io::Stdout);

impl Default for Stdout {
    fn default() -> Self {
        Self(io::stdout())
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write_to(&self.0, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One write that also gets through to a descriptor which another program
/// made non-blocking.
fn write_to(fd: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match nix::unistd::write(&fd, bytes) {
            Ok(n) => return Ok(n),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                let mut ready = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
                match poll(&mut ready, PollTimeout::NONE) {
                    Ok(_) | Err(Errno::EINTR) => {}
                    Err(e) => return Err(e.into()),
                }
            }
            Err(e) => return Err(e.into()),
        }
    }
}

/// Why standard output took no more.
pub fn broken(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Error::Pipe;
    }
    Error::Write {
        what: "standard output",
        error,
    }
}

/// Writes all of `bytes` to standard output.
pub fn stdout(bytes: &[u8]) -> Result<()> {
    Stdout::default().write_all(bytes).map_err(broken)
}

/// Writes to standard error. Where that fails there is no place left to say so.
pub fn stderr(bytes: &[u8]) {
    struct Stderr(io::Stderr);
    impl Write for Stderr {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            write_to(&self.0, bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let _ = Stderr(io::stderr()).write_all(bytes);
}

/// A line for the person at the terminal; programs don't get to see it.
pub fn note(text: &str) {
    if io::stderr().is_terminal() {
        warn(text);
    }
}

/// A line on standard error.
pub fn warn(text: &str) {
    stderr(format!("{}\n", escape(text)).as_bytes());
}

/// Whether standard output is a terminal.
#[must_use]
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether a character does something to a terminal other than to appear on
/// it: controls, bidirectional controls, separators of lines and paragraphs.
#[must_use]
pub fn garbles(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The text with every character that [`garbles`] written as an escape.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(garbles) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if garbles(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// [`escape`], but only where a terminal would see the text.
#[must_use]
pub fn shown(text: &str, terminal: bool) -> Cow<'_, str> {
    if terminal {
        escape(text)
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether a value can be put on a terminal as it is. Line breaks and tabs can.
#[must_use]
pub fn is_plain(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok_and(|text| {
        !text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\t'))
    })
}

/// Whether and how to colour.
#[derive(Debug, Clone, Copy)]
pub struct Style(bool);

impl Style {
    /// For standard output: `NO_COLOR` beats the configuration, and that beats
    /// whether it is a terminal.
    #[must_use]
    pub fn of_stdout(color: Color) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        let dumb = || std::env::var_os("TERM").is_some_and(|v| v == "dumb");
        Self(match color {
            _ if set("NO_COLOR") => false,
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_terminal() && !dumb(),
        })
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// For what is as it should be.
    #[must_use]
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// For what wants attention.
    #[must_use]
    pub fn alert(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// For labels and headings.
    #[must_use]
    pub fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }
}

/// `1 secret`, `2 secrets`.
#[must_use]
pub fn count(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {one}{plural}")
}

/// When a value ceases to be good, as a person reads it; empty for never.
#[must_use]
pub fn expiry(expires: i64, now: i64) -> String {
    match expires {
        0 => String::new(),
        t if t <= now => format!("{} expired", span::rfc3339(t)),
        t => span::rfc3339(t),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_directions_are_escaped() {
        assert_eq!(escape("plain ünïcödé 日本"), "plain ünïcödé 日本");
        assert_eq!(escape("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(escape("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(escape("\u{9b}"), "\\u{9b}");
        assert_eq!(shown("\u{2066}", false), "\u{2066}");
        for c in ['\u{61c}', '\u{200f}', '\u{2069}', '\u{2029}', '\u{7f}'] {
            assert!(garbles(c), "{c:?}");
        }
        assert!(!garbles('\u{200d}'), "emoji are joined by it");
    }

    #[test]
    fn plain_values() {
        assert!(is_plain(b"-----BEGIN\n\tx\n"));
        assert!(is_plain("pä$$".as_bytes()));
        assert!(is_plain(b""));
        for bad in [
            &b"a\0b"[..],
            b"\x1b[2J",
            b"a\rb",
            b"\xff",
            "\u{9b}".as_bytes(),
        ] {
            assert!(!is_plain(bad), "{bad:?}");
        }
    }

    #[test]
    fn expired_is_said() {
        assert_eq!(expiry(0, 5), "");
        assert_eq!(expiry(1000, 1000), "1970-01-01T00:00:01Z expired");
        assert_eq!(expiry(2000, 1000), "1970-01-01T00:00:02Z");
    }

    #[test]
    fn plurals() {
        assert_eq!(count(1, "secret"), "1 secret");
        assert_eq!(count(0, "secret"), "0 secrets");
    }
}

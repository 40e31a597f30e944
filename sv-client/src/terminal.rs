//! Prompts on the controlling terminal, hidden and visible. Whatever ends a
//! hidden prompt, the terminal is put back as it was.

use crate::{
    error::{Error, Result},
    output,
    stream::Buffer,
};
use nix::{
    errno::Errno,
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, SigmaskHow, Signal, raise},
        signalfd::{SfdFlags, SignalFd},
        termios::{
            FlushArg, LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcflush, tcgetattr,
            tcsetattr,
        },
    },
};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
};
use zeroize::Zeroizing;

/// The signals that end or stop a prompt.
const SIGNALS: [Signal; 5] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGTSTP,
];

/// The controlling terminal.
pub struct Terminal(File);

fn failed(error: impl Into<io::Error>) -> Error {
    Error::Terminal(output::escape(&error.into().to_string()).into_owned())
}

impl Terminal {
    /// The terminal that this program was started from, if there is one.
    #[must_use]
    pub fn open() -> Option<Self> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NOCTTY.bits())
            .open("/dev/tty")
            .ok()
            .map(Self)
    }

    /// A question that is answered yes or no; anything but yes is no.
    pub fn ask(&self, question: &str) -> Result<bool> {
        write!(&self.0, "{} [y/N] ", output::escape(question)).map_err(failed)?;
        let mut line = Vec::new();
        let mut byte = [0];
        while line.len() < 256 {
            match (&self.0).read(&mut byte) {
                Ok(0) => break,
                Ok(_) if byte == *b"\n" => break,
                Ok(_) => line.push(byte[0].to_ascii_lowercase()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(failed(e)),
            }
        }
        Ok(matches!(line.trim_ascii(), b"y" | b"yes"))
    }

    /// A line for the person who was just asked.
    pub fn say(&self, text: &str) -> Result<()> {
        writeln!(&self.0, "{}", output::escape(text)).map_err(failed)
    }

    /// A line that is not shown while it is typed: up to `max` + 1 bytes.
    pub fn hidden(&self, prompt: &str, max: usize) -> Result<Zeroizing<Vec<u8>>> {
        let prompt = format!("{}: ", output::escape(prompt));
        let signals = Signals::block()?;
        loop {
            let quiet = Quiet::enter(&self.0)?;
            (&self.0).write_all(prompt.as_bytes()).map_err(failed)?;
            let end = self.read_hidden(&signals, max)?;
            drop(quiet);
            (&self.0).write_all(b"\n").map_err(failed)?;
            match end {
                End::Line(line) => return Ok(line),
                End::Closed => return Err(Error::Interrupted),
                End::Signal(Signal::SIGTSTP) => raise(Signal::SIGSTOP).map_err(failed)?,
                End::Signal(Signal::SIGINT) => return Err(Error::Interrupted),
                End::Signal(signal) => {
                    drop(signals);
                    // Ends the program, unless the signal is ignored.
                    raise(signal).map_err(failed)?;
                    return Err(Error::Interrupted);
                }
            }
        }
    }

    /// Byte by byte: what was typed ahead stays for the next prompt.
    fn read_hidden(&self, signals: &Signals, max: usize) -> Result<End> {
        let mut line = Buffer::new();
        let mut byte = Zeroizing::new([0]);
        loop {
            if let Some(end) = next_byte(&self.0, signals, &mut byte)? {
                return Ok(end);
            }
            if !edit(&mut line, byte[0]) {
                if byte[0] == EOT {
                    return Ok(End::Closed);
                }
                return Ok(End::Line(line.into_inner()));
            }
            if line.bytes().len() > max {
                return Ok(End::Line(line.into_inner()));
            }
        }
    }
}

/// A screen of its own, which leaves nothing behind where the terminal scrolls
/// back to. Dropped, it is cleared, and the terminal is as it was before.
pub struct Screen {
    terminal: File,
    signals: Signals,
    before: Termios,
}

/// To the other screen, which is cleared; and back from it.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[2J\x1b[H";
const LEAVE: &[u8] = b"\x1b[2J\x1b[H\x1b[?1049l";
const CLEAR: &[u8] = b"\x1b[2J\x1b[H";

impl Terminal {
    /// Changes to a screen of its own.
    pub fn screen(&self) -> Result<Screen> {
        let terminal = self.0.try_clone().map_err(failed)?;
        let signals = Signals::block()?;
        let before = tcgetattr(&terminal).map_err(failed)?;
        let screen = Screen {
            terminal,
            signals,
            before,
        };
        screen.enter()?;
        Ok(screen)
    }
}

impl Screen {
    fn enter(&self) -> Result<()> {
        Quiet::set(&self.terminal, &self.before)?;
        (&self.terminal).write_all(ENTER).map_err(failed)
    }

    fn leave(&self) {
        // A terminal that is gone needs no restoring.
        let _ = (&self.terminal).write_all(LEAVE);
        let _ = tcsetattr(&self.terminal, SetArg::TCSAFLUSH, &self.before);
    }

    /// Shows `text`, which must not garble the terminal, until a key is pressed,
    /// and clears it. Keys that were pressed before it was seen don't count.
    pub fn page(&self, text: &str) -> Result<()> {
        loop {
            self.clear()?;
            tcflush(&self.terminal, FlushArg::TCIFLUSH).map_err(failed)?;
            (&self.terminal)
                .write_all(text.as_bytes())
                .map_err(failed)?;
            let end = self.key()?;
            self.clear()?;
            match end {
                End::Line(_) => return Ok(()),
                End::Closed | End::Signal(Signal::SIGINT) => return Err(Error::Interrupted),
                End::Signal(Signal::SIGTSTP) => {
                    self.leave();
                    raise(Signal::SIGSTOP).map_err(failed)?;
                    self.enter()?;
                }
                End::Signal(signal) => {
                    self.leave();
                    self.signals.unblock();
                    // Ends the program, unless the signal is ignored.
                    raise(signal).map_err(failed)?;
                    return Err(Error::Interrupted);
                }
            }
        }
    }

    fn clear(&self) -> Result<()> {
        (&self.terminal).write_all(CLEAR).map_err(failed)
    }

    fn key(&self) -> Result<End> {
        let mut byte = Zeroizing::new([0]);
        match next_byte(&self.terminal, &self.signals, &mut byte)? {
            Some(end) => Ok(end),
            None => Ok(End::Line(Zeroizing::default())),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.leave();
    }
}

/// How a hidden prompt came to its end.
enum End {
    Line(Zeroizing<Vec<u8>>),
    Closed,
    Signal(Signal),
}

/// The next byte that is typed, unless something ends the prompt.
fn next_byte(mut terminal: &File, signals: &Signals, byte: &mut [u8; 1]) -> Result<Option<End>> {
    loop {
        let mut ready = [
            PollFd::new(terminal.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.fd.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut ready, PollTimeout::NONE) {
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(e) => return Err(failed(e)),
        }
        if let Some(signal) = signals.next()? {
            return Ok(Some(End::Signal(signal)));
        }
        if !ready[0].any().unwrap_or(true) {
            continue;
        }
        let hung_up = ready[0]
            .revents()
            .is_none_or(|events| events.contains(PollFlags::POLLHUP));
        match terminal.read(byte) {
            Ok(0) if hung_up => return Ok(Some(End::Closed)),
            Ok(0) => {}
            Ok(_) => return Ok(None),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(failed(e)),
        }
    }
}

/// End of transmission: Ctrl-D.
const EOT: u8 = 4;

/// The little editing that makes sense without seeing anything. False when
/// the line is complete. Every other byte belongs to the line.
fn edit(line: &mut Buffer, byte: u8) -> bool {
    match byte {
        b'\n' | b'\r' => return false,
        EOT => return !line.bytes().is_empty(),
        // Backspace: the last character, all its bytes.
        0x08 | 0x7f => {
            let bytes = line.bytes();
            let is_continuation = |b: &&u8| **b & 0xc0 == 0x80;
            let tail = bytes.iter().rev().take(3).take_while(is_continuation);
            let length = bytes.len().saturating_sub(tail.count() + 1);
            line.truncate(length);
        }
        // Ctrl-U: everything.
        0x15 => line.truncate(0),
        _ => line.extend(&[byte]),
    }
    true
}

/// The terminal neither echoes nor collects lines, until dropped.
struct Quiet<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn enter(terminal: &'a File) -> Result<Quiet<'a>> {
        let before = tcgetattr(terminal).map_err(failed)?;
        Self::set(terminal, &before)?;
        Ok(Self { terminal, before })
    }

    fn set(terminal: &File, before: &Termios) -> Result<()> {
        let mut quiet = before.clone();
        // Collecting lines would cut them at 4,095 bytes without a word.
        quiet.local_flags &= !(LocalFlags::ECHO | LocalFlags::ECHONL | LocalFlags::ICANON);
        // Never wait in a read: a ^C flushes what `poll` saw, and its signal is
        // blocked, so that nothing would end the wait.
        quiet.control_chars[SpecialCharacterIndices::VMIN as usize] = 0;
        quiet.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        tcsetattr(terminal, SetArg::TCSANOW, &quiet).map_err(failed)
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _ = tcsetattr(self.terminal, SetArg::TCSANOW, &self.before);
    }
}

/// The signals that would end the program with the terminal still quiet come
/// through a descriptor instead, until dropped.
struct Signals {
    fd: SignalFd,
    before: SigSet,
}

impl Signals {
    fn block() -> Result<Self> {
        let set = SigSet::from_iter(SIGNALS);
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            .map_err(failed)?;
        let before = set
            .thread_swap_mask(SigmaskHow::SIG_BLOCK)
            .map_err(failed)?;
        Ok(Self { fd, before })
    }

    fn next(&self) -> Result<Option<Signal>> {
        let info = self.fd.read_signal().map_err(failed)?;
        Ok(info
            .and_then(|info| i32::try_from(info.ssi_signo).ok())
            .and_then(|number| Signal::try_from(number).ok()))
    }
}

impl Signals {
    fn unblock(&self) {
        // Restoring a mask that was in force a moment ago can't fail.
        let _ = self.before.thread_set_mask();
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.unblock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[u8]) -> Vec<u8> {
        let mut line = Buffer::new();
        for key in keys {
            if !edit(&mut line, *key) {
                break;
            }
        }
        line.bytes().to_vec()
    }

    #[test]
    fn every_byte_that_is_no_editing_key_counts() {
        assert_eq!(typed(b"a\tb\x1b[Ac\xff\nrest"), b"a\tb\x1b[Ac\xff");
        assert_eq!(typed(b"wrong\x15right\r"), b"right");
    }

    #[test]
    fn backspace_takes_a_whole_character() {
        assert_eq!(typed("aä\x7fb\n".as_bytes()), b"ab");
        assert_eq!(typed("日本\x08\n".as_bytes()), "日".as_bytes());
        assert_eq!(typed("😀\x7f\x7f\x7fx\n".as_bytes()), b"x");
        assert_eq!(typed(b"\x80\x80\x7f"), b"");
    }

    #[test]
    fn end_of_transmission_ends_only_an_empty_line() {
        let mut line = Buffer::new();
        assert!(!edit(&mut line, EOT));
        line.extend(b"x");
        assert!(edit(&mut line, EOT));
        assert_eq!(line.bytes(), b"x");
    }
}

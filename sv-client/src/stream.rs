//! Reading descriptors into memory that is wiped, without a buffer that would
//! keep a copy or take more than was asked for.

use nix::{
    errno::Errno,
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{MsgFlags, recv},
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal, Read, Seek, SeekFrom},
    os::{
        fd::{AsFd, RawFd},
        unix::fs::OpenOptionsExt,
    },
    path::Path,
};
use zeroize::Zeroizing;

/// Bytes that are wiped, those too that were moved away from while growing.
#[derive(Default)]
pub struct Buffer(Zeroizing<Vec<u8>>);

impl Buffer {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(4096)))
    }

    /// Appends some bytes.
    pub fn extend(&mut self, bytes: &[u8]) {
        let wanted = self.0.len() + bytes.len();
        if wanted > self.0.capacity() {
            let room = wanted.max(2 * self.0.capacity());
            let mut larger = Zeroizing::new(Vec::with_capacity(room));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
    }

    /// What there is.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Keeps the first `length` bytes.
    pub fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }

    /// Gives the bytes away.
    #[must_use]
    pub fn into_inner(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

/// Something to read from.
pub enum Stream {
    /// Descriptor 0.
    Stdin,
    /// A file, or a pipe or file that a descriptor stands for.
    File(File),
    /// A socket that was inherited: it can't be opened once more, but it can be
    /// received from.
    Socket(RawFd),
}

impl Stream {
    /// What an inherited descriptor stands for. To be called before the program
    /// opens anything itself, so that a number names what the caller meant.
    pub fn descriptor(fd: RawFd) -> io::Result<Self> {
        if fd == 0 {
            return Ok(Self::Stdin);
        }
        // The caller's descriptor is not ours to own, and its offset stays where
        // it is: the same file or pipe is opened once more.
        let link = format!("/proc/self/fd/{fd}");
        let target = fs::read_link(&link).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => io::Error::other("it is not open"),
            _ => e,
        })?;
        if target
            .as_os_str()
            .as_encoded_bytes()
            .starts_with(b"socket:")
        {
            return Ok(Self::Socket(fd));
        }
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}"))?;
        let number = |key: &str, radix| {
            info.lines()
                .find_map(|l| l.strip_prefix(key))
                .and_then(|n| u64::from_str_radix(n.trim(), radix).ok())
        };
        let mode = number("flags:", 8).unwrap_or(0) & 3;
        if mode == 1 {
            return Err(io::Error::other("it is not open for reading"));
        }
        // Not blocking: a named pipe whose writer has gone still holds data.
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
            .open(&link)?;
        if file.metadata()?.is_file() {
            file.seek(SeekFrom::Start(number("pos:", 10).unwrap_or(0)))?;
        }
        Ok(Self::File(file))
    }

    /// A file by its name.
    pub fn path(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NOCTTY.bits())
            .open(path)?;
        Ok(Self::File(file))
    }

    /// Whether a person types it.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Stdin => io::stdin().is_terminal(),
            Self::File(file) => file.is_terminal(),
            Self::Socket(_) => false,
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            let result = match self {
                Self::Stdin => nix::unistd::read(io::stdin(), bytes).map_err(io::Error::from),
                Self::File(file) => file.read(bytes),
                Self::Socket(fd) => recv(*fd, bytes, MsgFlags::empty()).map_err(io::Error::from),
            };
            match result {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.wait()?,
                other => return other,
            }
        }
    }

    fn wait(&self) -> io::Result<()> {
        let until_readable = |fd: &dyn AsFd| {
            let mut ready = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
            match poll(&mut ready, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => Ok(()),
                Err(e) => Err(e.into()),
            }
        };
        match self {
            Self::Stdin => until_readable(&io::stdin()),
            Self::File(file) => until_readable(file),
            // No borrowed descriptor can be made of a number; a short sleep
            // serves the rare socket that was set not to block.
            Self::Socket(_) => {
                std::thread::sleep(std::time::Duration::from_millis(5));
                Ok(())
            }
        }
    }

    /// One line without its newline, read byte by byte: what follows stays for
    /// the next reader. `None` at the end; stops after `max` + 1 bytes.
    pub fn line(&mut self, max: usize) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let mut line = Buffer::new();
        let mut byte = Zeroizing::new([0]);
        loop {
            if self.read(&mut *byte)? == 0 {
                if line.bytes().is_empty() {
                    return Ok(None);
                }
                break;
            }
            if *byte == *b"\n" {
                break;
            }
            line.extend(&*byte);
            if line.bytes().len() > max {
                break;
            }
        }
        Ok(Some(line.into_inner()))
    }

    /// Everything, but no more than `max` bytes.
    pub fn all(&mut self, max: usize) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut all = Buffer::new();
        let mut piece = Zeroizing::new([0; 16 * 1024]);
        while all.bytes().len() < max {
            let room = piece.len().min(max - all.bytes().len());
            match self.read(&mut piece[..room])? {
                0 => break,
                n => all.extend(&piece[..n]),
            }
        }
        Ok(all.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::Write,
        os::{fd::AsRawFd, unix::net::UnixStream},
    };

    #[test]
    fn a_pipe_a_file_and_a_socket() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"one\ntwo\nrest").unwrap();
        let mut stream = Stream::descriptor(reader.as_raw_fd()).unwrap();
        assert_eq!(**stream.line(10).unwrap().unwrap(), *b"one");
        // Another reader of the same pipe gets what follows.
        let mut again = Stream::descriptor(reader.as_raw_fd()).unwrap();
        assert_eq!(**again.line(10).unwrap().unwrap(), *b"two");
        drop(writer);
        assert_eq!(**stream.all(100).unwrap(), *b"rest");
        assert!(stream.line(10).unwrap().is_none());

        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"skipped\nvalue").unwrap();
        file.seek(SeekFrom::Start(8)).unwrap();
        let mut stream = Stream::descriptor(file.as_raw_fd()).unwrap();
        assert_eq!(**stream.all(100).unwrap(), *b"value");

        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"line\nmore").unwrap();
        drop(theirs);
        let mut stream = Stream::descriptor(ours.as_raw_fd()).unwrap();
        assert_eq!(**stream.line(10).unwrap().unwrap(), *b"line");
        assert_eq!(**stream.all(100).unwrap(), *b"more");
    }

    #[test]
    fn what_can_not_be_read_is_said_and_never_waited_for() {
        let (_reader, writer) = io::pipe().unwrap();
        let error = Stream::descriptor(writer.as_raw_fd()).err().unwrap();
        assert_eq!(error.to_string(), "it is not open for reading");
        let error = Stream::descriptor(9999).err().unwrap();
        assert_eq!(error.to_string(), "it is not open");
    }

    #[test]
    fn no_more_than_asked_for() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(&[b'x'; 5000]).unwrap();
        let mut stream = Stream::descriptor(reader.as_raw_fd()).unwrap();
        assert_eq!(stream.line(16).unwrap().unwrap().len(), 17);
        assert_eq!(stream.all(100).unwrap().len(), 100);
    }

    #[test]
    fn a_growing_buffer_keeps_its_content() {
        let mut buffer = Buffer::new();
        let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        for piece in bytes.chunks(777) {
            buffer.extend(piece);
        }
        assert_eq!(buffer.bytes(), bytes);
        buffer.truncate(3);
        assert_eq!(**buffer.into_inner(), *b"\0\x01\x02");
    }
}

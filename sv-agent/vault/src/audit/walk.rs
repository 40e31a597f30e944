//! Record by record through a file, past whatever is damaged.

use super::record::{self, Record};
use crate::{Result, limits};
use std::{fs::File, os::unix::fs::FileExt};

/// What comes next in a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A record, which may have been changed.
    Record(Record),
    /// Bytes that are none. More may follow at once.
    Bad {
        at: u64,
    },
    End,
}

/// How much is read at once.
const PIECE: usize = 128 * 1024;

/// Bytes that are searched for the next record in one step.
const SEARCH: usize = 64 * 1024;

/// A place in a file.
pub struct Walk {
    file: File,
    at: u64,
    end: u64,
    buffer: Vec<u8>,
    /// Where the buffer begins in the file.
    start: u64,
}

impl Walk {
    pub fn new(file: File, at: u64, end: u64) -> Self {
        Self {
            file,
            at,
            end,
            buffer: Vec::new(),
            start: at,
        }
    }

    /// Where the next record begins.
    pub const fn at(&self) -> u64 {
        self.at
    }

    /// The bytes from the present place on, at least `want` if the file has them.
    fn ahead(&mut self, want: usize) -> Result<&[u8]> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let want = want.min(left);
        let mut used = usize::try_from(self.at - self.start).unwrap_or(usize::MAX);
        if used.saturating_add(want) > self.buffer.len() {
            let size = left.min(want.max(PIECE));
            self.buffer.resize(size, 0);
            let mut filled = 0;
            while filled < size {
                match self
                    .file
                    .read_at(&mut self.buffer[filled..], self.at + filled as u64)
                {
                    // It was cut meanwhile.
                    Ok(0) => break,
                    Ok(n) => filled += n,
                    Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(e.into()),
                }
            }
            self.buffer.truncate(filled);
            self.start = self.at;
            used = 0;
            if filled == 0 {
                self.end = self.at;
            }
        }
        Ok(self.buffer.get(used..).unwrap_or_default())
    }

    /// The next record, and goes on behind it.
    pub fn next(&mut self) -> Result<Found> {
        if self.at >= self.end {
            return Ok(Found::End);
        }
        let at = self.at;
        let bytes = self.ahead(limits::AUDIT_RECORD)?;
        if bytes.is_empty() {
            return Ok(Found::End);
        }
        if let Some((record, length)) = record::parse(bytes) {
            self.at += length as u64;
            return Ok(Found::Record(record));
        }
        self.skip()?;
        Ok(Found::Bad { at })
    }

    /// Goes on to what might be the next record.
    fn skip(&mut self) -> Result<()> {
        let bytes = self.ahead(SEARCH + limits::AUDIT_RECORD)?;
        let mut from = 1;
        let step = loop {
            match record::candidate(bytes, from) {
                Some(at) if at < SEARCH => match record::parse(&bytes[at..]) {
                    // Damage may look like a record; a whole one can't be chance.
                    Some((record, _)) if record.whole => break at,
                    _ => from = at + 1,
                },
                _ => break bytes.len().min(SEARCH),
            }
        };
        self.at += step as u64;
        Ok(())
    }
}

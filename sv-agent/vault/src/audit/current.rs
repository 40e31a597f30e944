//! The file that is written to.

use super::files::{self, End, Files, Tail};
use crate::{Error, Result, limits};
use nix::fcntl::{FallocateFlags, fallocate};
use std::{
    fs::File,
    io,
    os::unix::fs::{FileExt, MetadataExt},
};

/// An open log file. Nobody else writes to it: the vault's lock says so.
pub struct Current {
    file: File,
    identity: (u64, u64),
    len: u64,
    /// Disk is taken up to here.
    taken: u64,
    /// What lies before this is on the disk.
    synced: u64,
    /// A write or sync failed; what lies behind `synced` has to be written again.
    failed: bool,
}

impl Current {
    /// Opens the present file, if there is one, cuts what was torn, and tells
    /// its last record.
    pub fn open(files: &Files) -> Result<Option<(Self, Option<End>)>> {
        let Some(file) = files.write()? else {
            return Ok(None);
        };
        let tail = files::tail(&file)?;
        if tail.torn > 0 {
            if !files::may_cut(&file, &tail)? {
                // It stays as it is, for `verify` to tell.
                files.roll()?;
                return Self::open(files);
            }
            file.set_len(tail.len)?;
        }
        let Tail { end, len, .. } = tail;
        Ok(Some((Self::of(file, len)?, end)))
    }

    /// Makes a new one.
    pub fn create(files: &Files) -> Result<Self> {
        Self::of(files.create()?, 0)
    }

    fn of(file: File, len: u64) -> Result<Self> {
        let meta = file.metadata()?;
        Ok(Self {
            identity: (meta.dev(), meta.ino()),
            file,
            len,
            taken: 0,
            synced: 0,
            failed: false,
        })
    }

    /// Whether it is what stands under its name, as long as it was left.
    pub fn is(&self, seen: (u64, u64, u64)) -> bool {
        (self.identity.0, self.identity.1, self.len) == seen
    }

    /// Device and inode.
    pub const fn identity(&self) -> (u64, u64) {
        self.identity
    }

    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Appends: all of it or nothing.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.reserve();
        let written = self.file.write_all_at(bytes, self.len);
        if let Err(e) = written {
            // A piece may have been written. If it can't be cut off, its length
            // shows, and the file is opened again before the next event.
            if self.file.metadata()?.len() != self.len {
                self.file.set_len(self.len)?;
                self.taken = 0;
            }
            return Err(e.into());
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Takes disk ahead, so that a full one does not stop reads at once.
    fn reserve(&mut self) {
        if self.taken.saturating_sub(self.len) >= limits::AUDIT_AHEAD / 2 {
            return;
        }
        let (Ok(at), Ok(size)) = (i64::try_from(self.len), i64::try_from(limits::AUDIT_AHEAD))
        else {
            return;
        };
        // A file system that can't, or a full one, says so when it is written to.
        if fallocate(&self.file, FallocateFlags::FALLOC_FL_KEEP_SIZE, at, size).is_ok() {
            self.taken = self.len + limits::AUDIT_AHEAD;
        }
    }

    /// The same file, for waiting elsewhere until it is on the disk.
    pub fn duplicate(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// What lies before `len` is on the disk.
    pub fn mark_synced(&mut self, len: u64) {
        self.synced = self.synced.max(len.min(self.len));
    }

    /// The kernel forgets what it could not write: a later sync would succeed
    /// without it.
    pub const fn mark_failed(&mut self) {
        self.failed = true;
    }

    /// Whether a sync has failed and was not made good.
    pub const fn has_failed(&self) -> bool {
        self.failed
    }

    /// Waits until all of it is on the disk, written once more if need be.
    pub fn sync(&mut self) -> Result<()> {
        if self.failed {
            self.write_again()?;
        }
        if let Err(e) = self.file.sync_data() {
            self.failed = true;
            return Err(e.into());
        }
        self.failed = false;
        self.synced = self.len;
        Ok(())
    }

    fn write_again(&self) -> Result<()> {
        let mut at = self.synced;
        let mut buffer = vec![0; 64 * 1024];
        while at < self.len {
            let want = usize::try_from(self.len - at).map_or(buffer.len(), |n| n.min(buffer.len()));
            let piece = &mut buffer[..want];
            self.file.read_exact_at(piece, at)?;
            self.file.write_all_at(piece, at)?;
            at += want as u64;
        }
        Ok(())
    }

    /// Puts it behind the full ones.
    pub fn roll(mut self, files: &Files) -> std::result::Result<(), (Self, Error)> {
        match self.sync().and_then(|()| files.roll()) {
            Ok(()) => Ok(()),
            Err(e) => Err((self, e)),
        }
    }
}

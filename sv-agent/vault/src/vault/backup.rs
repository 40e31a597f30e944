//! A copy of the vault in one file, made while others read and write. It holds
//! the state of the moment at which it was complete, and is checked as any
//! stranger would check it before anyone gets it.

use super::{Vault, check::Check, keys};
use crate::{
    Error, Result, beside,
    beside::{Beside, Purpose},
    objects::{kind, manifest::Manifest},
};
use rusqlite::{Connection, OpenFlags, params};
use sha2::{Digest, Sha256};
use std::{fs, io, os::unix::fs::FileExt, path::PathBuf};

/// A copy under way. Its file goes with it, unless it was finished.
pub struct Backup {
    stage: Stage,
    file: Option<Beside>,
    path: PathBuf,
    slots: bool,
    pages: (u64, u64),
    manifest: Option<Manifest>,
}

enum Stage {
    Copying,
    Checking(Box<Check>),
    Hashing { digest: Sha256, at: u64 },
    Done([u8; 32]),
}

/// A finished copy, beside the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its name in the vault's folder.
    pub file: String,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of it.
    pub digest: [u8; 32],
    /// The generation of the vault that it holds.
    pub generation: u64,
    /// Secrets that are not deleted.
    pub secrets: u64,
}

/// How far a step got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupStep {
    /// There is more to do.
    More,
    /// Nothing was done: a long transaction is under way.
    Waiting,
    /// That was all.
    Done,
}

/// What is read at once to compute the digest.
const PIECE: usize = 256 * 1024;

impl Vault {
    /// Begins a copy, with the slots or without: then only shares open it.
    pub fn backup_begin(&mut self, slots: bool) -> Result<Backup> {
        self.ready()?;
        if !slots && self.epochs.current.recovery.is_none() {
            return Err(Error::NoShare(
                "nothing could open a copy without slots: there are no shares",
            ));
        }
        let file = beside::create(self.store.place(), Purpose::Backup)?;
        let path = file.path.clone();
        // From here on dropping it removes the file.
        let backup = Backup {
            stage: Stage::Copying,
            file: Some(file),
            slots,
            pages: (0, 0),
            manifest: None,
            path,
        };
        let to = connect(&backup.path)?;
        // Whatever stops it, the file is thrown away.
        to.pragma_update(None, "journal_mode", "OFF")?;
        to.pragma_update(None, "synchronous", "OFF")?;
        self.store.begin_copy(to)?;
        Ok(backup)
    }

    /// Copies `pages` more, or checks about `records` more of the copy.
    pub fn backup_step(
        &mut self,
        backup: &mut Backup,
        pages: i32,
        records: usize,
    ) -> Result<BackupStep> {
        match &mut backup.stage {
            Stage::Copying => {
                self.ready()?;
                let Some(copied) = self.store.step_copy(pages)? else {
                    return Err(Error::Storage("the copy was given up".into()));
                };
                backup.pages = (copied.done, copied.total);
                if copied.complete {
                    // Nothing was written in between: this is the state that
                    // the copy holds.
                    backup.manifest = Some(self.manifest.clone());
                    self.finish(backup)?;
                    let check = Check::open(&backup.path)?;
                    backup.stage = Stage::Checking(Box::new(check));
                }
                return Ok(if copied.waiting {
                    BackupStep::Waiting
                } else {
                    BackupStep::More
                });
            }
            Stage::Checking(check) => {
                if check.step(records)? {
                    check.require_sound()?;
                    backup.stage = Stage::Hashing {
                        digest: Sha256::new(),
                        at: 0,
                    };
                }
            }
            Stage::Hashing { .. } => backup.hash()?,
            Stage::Done(_) => return Ok(BackupStep::Done),
        }
        Ok(match backup.stage {
            Stage::Done(_) => BackupStep::Done,
            _ => BackupStep::More,
        })
    }

    /// Gives up a copy that nobody steps any more.
    pub fn backup_abort(&mut self) {
        self.store.end_copy();
    }

    /// Makes the copy a file of its own: no journal, and nothing that is this
    /// agent's alone. Not synced: whoever takes it away writes it once more.
    fn finish(&self, backup: &Backup) -> Result<()> {
        let mut copy = connect(&backup.path)?;
        // It came as a copy of a database with a write-ahead log.
        copy.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        let mode: String =
            copy.pragma_update_and_check(None, "journal_mode", "MEMORY", |row| row.get(0))?;
        if mode != "memory" {
            return Err(Error::Storage("the copy keeps a journal".into()));
        }
        copy.pragma_update(None, "secure_delete", true)?;
        copy.pragma_update(None, "synchronous", "OFF")?;
        let tx = copy.transaction()?;
        let drop = |kind: u8| tx.execute("DELETE FROM control WHERE type = ?1", params![kind]);
        drop(kind::AUDIT)?;
        if !backup.slots {
            drop(kind::SLOT)?;
            let manifest = Manifest {
                slots: keys::slots_digest_of(std::iter::empty()),
                ..self.manifest.clone()
            };
            let sealed = manifest.seal(self.keys.signing.expose());
            tx.execute("UPDATE manifest SET object = ?1", params![sealed])?;
        }
        tx.commit()?;
        Ok(copy.close().map_err(|(_, e)| e)?)
    }
}

const GONE: Error = Error::Damaged("the copy is not there any more");

fn connect(path: &std::path::Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Ok(Connection::open_with_flags(path, flags)?)
}

impl Backup {
    /// How far it is, of how much: pages first, then the check.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        const HALF: u64 = 65_536;
        let (done, total) = self.pages;
        let copied = (done * HALF).checked_div(total).unwrap_or(0);
        let checked = match &self.stage {
            Stage::Copying => 0,
            Stage::Checking(check) => check.progress().0,
            Stage::Hashing { .. } | Stage::Done(_) => HALF,
        };
        (copied + checked, 2 * HALF)
    }

    fn hash(&mut self) -> Result<()> {
        let Stage::Hashing { digest, at } = &mut self.stage else {
            return Ok(());
        };
        let file = self.file.as_ref().ok_or(GONE)?;
        let mut piece = vec![0; PIECE];
        let n = loop {
            match file.file.read_at(&mut piece, *at) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if n == 0 {
            self.stage = Stage::Done(std::mem::take(digest).finalize().into());
        } else {
            digest.update(&piece[..n]);
            *at += n as u64;
        }
        Ok(())
    }

    /// Lets the file be, for the client to take away.
    pub fn finish(mut self) -> Result<Made> {
        let (Stage::Done(digest), Some(manifest)) = (&self.stage, &self.manifest) else {
            return Err(Error::Storage("the copy is not complete".into()));
        };
        let file = self.file.as_ref().ok_or(GONE)?;
        let made = Made {
            file: file.name.clone(),
            size: file.file.metadata()?.len(),
            digest: *digest,
            generation: manifest.generation,
            secrets: manifest.live,
        };
        self.file = None;
        Ok(made)
    }
}

impl Drop for Backup {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // What can't be removed now, the next agent removes.
            let _ = fs::remove_file(&self.path);
        }
    }
}

//! New vault files, and files that become the vault.

use super::{SCHEMA, Store, Writer, unknown};
use crate::{Error, Result, limits, place::Place};
use rusqlite::{Connection, OpenFlags};
use std::{
    fs::{self, File},
    path::Path,
};

impl Store {
    /// Makes a new vault at `path`, filled by `fill`, and opens it.
    pub fn create(
        path: &Path,
        note: &str,
        fill: impl FnOnce(&Writer<'_>) -> Result<()>,
    ) -> Result<Self> {
        let place = Place::new(path, true)?;
        let lock = place.lock(note)?.ok_or(Error::ReadOnly)?;
        let file = place.file();
        if fs::symlink_metadata(&file).is_ok() {
            return Err(Error::VaultExists(place.shown));
        }
        // Left over from an init that was cut short; the lock says nobody uses it.
        let fresh = place.beside(".new");
        remove(&fresh)?;
        remove(&place.beside(".new-journal"))?;
        let made = Self::write_new(&fresh, fill).and_then(|()| {
            // A link, unlike a rename, never replaces what is there.
            fs::hard_link(&fresh, &file).map_err(|e| match e.kind() {
                std::io::ErrorKind::AlreadyExists => Error::VaultExists(place.shown.clone()),
                _ => e.into(),
            })
        });
        remove(&fresh)?;
        made?;
        settle(&place)?;
        Self::open_locked(place, Some(lock))
    }

    /// Makes `staged`, which must be the file of `identity`, the vault at
    /// `path`. After an error there is none.
    pub fn adopt(path: &Path, note: &str, staged: &Path, identity: (u64, u64)) -> Result<()> {
        let place = Place::new(path, true)?;
        let _lock = place.lock(note)?.ok_or(Error::ReadOnly)?;
        let file = place.file();
        if fs::symlink_metadata(&file).is_ok() {
            return Err(Error::VaultExists(place.shown));
        }
        // SQLite would replay it into a file that it does not belong to.
        let wal = place.beside("-wal");
        if fs::symlink_metadata(&wal).is_ok_and(|m| m.len() > 0) {
            return Err(Error::Insecure(format!(
                "{} holds the newest changes of a vault that was moved away: move it along",
                wal.display()
            )));
        }
        for end in ["-wal", "-shm", "-journal"] {
            remove(&place.beside(end))?;
        }
        File::open(staged)?.sync_all()?;
        // A link, unlike a rename, never replaces what is there.
        fs::hard_link(staged, &file).map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => Error::VaultExists(place.shown.clone()),
            _ => e.into(),
        })?;
        if place.identity()? != identity {
            remove(&file)?;
            return Err(Error::Damaged("the file was replaced while it was checked"));
        }
        settle(&place)?;
        // It is done. Whoever put the other name there takes away what is left.
        let _ = remove(staged);
        Ok(())
    }

    fn write_new(fresh: &Path, fill: impl FnOnce(&Writer<'_>) -> Result<()>) -> Result<()> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NOFOLLOW
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // SQLite's own mode would follow the umask.
        drop(
            std::os::unix::fs::OpenOptionsExt::mode(
                fs::OpenOptions::new().write(true).create_new(true),
                0o600,
            )
            .open(fresh)?,
        );
        let mut db = Connection::open_with_flags(fresh, flags)?;
        db.pragma_update(None, "page_size", limits::PAGE as i64)?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "temp_store", "MEMORY")?;
        db.pragma_update(None, "application_id", limits::APPLICATION_ID)?;
        db.pragma_update(None, "user_version", limits::VERSION)?;
        let tx = db.transaction()?;
        tx.execute_batch(SCHEMA)?;
        fill(&Writer { db: &tx })?;
        tx.commit()?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.close().map_err(|(_, e)| e)?;
        Ok(File::open(fresh)?.sync_all()?)
    }
}

/// Makes the name of a new vault durable. If that fails, the name goes: a sync
/// that has failed once proves nothing when it is tried again.
fn settle(place: &Place) -> Result<()> {
    place.sync_dir().map_err(|e| match remove(&place.file()) {
        Ok(()) => e,
        Err(_) => unknown(e),
    })
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e.into()),
        _ => Ok(()),
    }
}

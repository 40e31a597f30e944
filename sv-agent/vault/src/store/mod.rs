//! SQLite, as FORMAT.md §1 and §9 want it. Knows tables and rows, not what
//! they mean: every row that comes out of here is untrusted.
//!
//! | module | holds                                                    |
//! |--------|----------------------------------------------------------|
//! | `make` | new files, and files that become the vault               |
//! | `long` | transactions and copies that span several calls          |
//! | `read` | rows                                                     |
//! | `write`| [`Writer`]: what one transaction changes                 |

mod long;
mod make;
mod read;
mod write;

pub use write::Writer;

use crate::{
    Error, Result, beside, limits,
    objects::{NameTag, RecordId},
    online::Db,
    place::Place,
};
use nix::fcntl::Flock;
use rusqlite::{Connection, OpenFlags, config::DbConfig, limits::Limit};
use std::{
    fs::{self, File},
    os::unix::ffi::OsStrExt,
    path::Path,
};

const SCHEMA: &str = "\
CREATE TABLE revisions (seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, object BLOB NOT NULL) STRICT;
CREATE TABLE records (tag BLOB NOT NULL, record BLOB NOT NULL, entry BLOB NOT NULL, PRIMARY KEY (tag, record)) STRICT, WITHOUT ROWID;
CREATE TABLE nodes (id INTEGER PRIMARY KEY, hashes BLOB NOT NULL) STRICT;
CREATE TABLE buckets (id INTEGER PRIMARY KEY, leaves BLOB NOT NULL) STRICT;
CREATE TABLE control (type INTEGER NOT NULL, id BLOB NOT NULL, object BLOB NOT NULL, PRIMARY KEY (type, id)) STRICT, WITHOUT ROWID;
CREATE TABLE manifest (id INTEGER PRIMARY KEY, object BLOB NOT NULL) STRICT;
";

/// A control object: its id and bytes.
pub type Control = (Vec<u8>, Vec<u8>);

/// A record's row: tag, record, entry.
pub type Row = (NameTag, RecordId, Vec<u8>);

/// An open vault file./// An open vault file.
pub struct Store {
    place: Place,
    identity: (u64, u64),
    /// Dropped before `lock`, so that nobody else opens a file still in use.
    db: Option<Db>,
    /// The WAL holds pages that must not outlive their deletion.
    truncate_pending: bool,
    read_only: bool,
    /// A transaction that spans several calls is open.
    long: bool,
    _lock: Option<Flock<File>>,
}

impl Store {
    /// Opens the vault at `path` and holds its lock.
    pub fn open(path: &Path, note: &str) -> Result<Self> {
        let place = Place::new(path, false)?;
        place.identity()?;
        let lock = place.lock(note)?;
        Self::open_locked(place, lock)
    }

    /// Opens a file that is no agent's vault, to read it. Nobody may change it
    /// meanwhile; it may be removed.
    pub fn open_copy(path: &Path) -> Result<Self> {
        let place = Place::new(path, false)?;
        let identity = place.identity()?;
        let mut store = Self {
            identity,
            place,
            db: None,
            truncate_pending: false,
            read_only: true,
            long: false,
            _lock: None,
        };
        store.connect()?;
        // SQLite fills up a last page that is cut short.
        if fs::metadata(store.place.file())?.len() % limits::PAGE != 0 {
            return Err(Error::Damaged("a part of the file is missing"));
        }
        Ok(store)
    }

    fn open_locked(place: Place, lock: Option<Flock<File>>) -> Result<Self> {
        let identity = place.identity()?;
        let read_only = lock.is_none() || place.is_read_only();
        let mut store = Self {
            place,
            identity,
            db: None,
            truncate_pending: !read_only,
            read_only,
            long: false,
            _lock: lock,
        };
        store.connect()?;
        if !store.read_only {
            // What can't be removed keeps nobody from the vault, and is tried
            // again at the next opening.
            let _ = beside::clean(&store.place);
        }
        Ok(store)
    }

    /// Opens the database. Nothing in it is believed: not even its schema.
    fn connect(&mut self) -> Result<()> {
        self.db = None;
        self.long = false;
        let file = self.place.file();
        let base = OpenFlags::SQLITE_OPEN_NOFOLLOW | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = if self.read_only {
            let wal = fs::symlink_metadata(self.place.beside("-wal"));
            if wal.is_ok_and(|m| m.len() > 0) {
                return Err(Error::Storage(
                    "the disk is read-only, and the vault's journal has to be replayed first"
                        .into(),
                ));
            }
            Connection::open_with_flags(
                immutable_uri(&file),
                base | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
            )?
        } else {
            Connection::open_with_flags(&file, base | OpenFlags::SQLITE_OPEN_READ_WRITE)?
        };
        // Before anything that reads the file, so that WAL works without shared memory.
        db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        db.set_limit(Limit::SQLITE_LIMIT_LENGTH, limits::ROW)?;
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        db.set_prepared_statement_cache_capacity(32);
        db.pragma_update(None, "trusted_schema", false)?;
        db.pragma_update(None, "cell_size_check", true)?;
        db.pragma_update(None, "mmap_size", 0)?;
        db.pragma_update(None, "temp_store", "MEMORY")?;
        db.pragma_update(None, "cache_size", -limits::PAGE_CACHE)?;

        let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        if pragma("application_id")? != i64::from(limits::APPLICATION_ID) {
            return Err(Error::Damaged("the file is not a vault"));
        }
        match pragma("user_version")? {
            v if v == i64::from(limits::VERSION) => {}
            v if v > i64::from(limits::VERSION) => return Err(Error::Version("format version")),
            _ => return Err(Error::Damaged("the file has no format version")),
        }
        check_schema(&db)?;
        if !self.read_only {
            db.pragma_update(None, "synchronous", "FULL")?;
            db.pragma_update(None, "secure_delete", true)?;
            let mode: String =
                db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
            if mode != "wal" {
                return Err(Error::Storage("the database refuses its journal".into()));
            }
        }
        self.db = Some(Db::new(db));
        match self.truncate() {
            // A full disk must not keep anyone from reading.
            Err(Error::Full) => Ok(()),
            result => result,
        }
    }

    fn db(&self) -> Result<&Connection> {
        self.db
            .as_deref()
            .ok_or_else(|| Error::Storage("the vault could not be opened again".into()))
    }

    /// The vault file must still be the one that was opened: otherwise writes
    /// would go to a file that nobody finds again.
    pub fn check_file(&self) -> Result<()> {
        if self.place.still(self.identity) {
            Ok(())
        } else {
            Err(Error::Gone(self.place.shown.clone()))
        }
    }

    /// Whether nothing can be written.
    pub const fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Whether the database has to be opened again before it is used.
    pub fn is_broken(&self) -> bool {
        self.db.is_none()
    }

    /// Opens the database again after an error, replaying its WAL.
    pub fn reconnect(&mut self) -> Result<()> {
        self.check_file()?;
        self.read_only = self.place.is_read_only();
        self.truncate_pending = !self.read_only;
        self.connect()
    }

    /// Runs `change` in one transaction that is on the disk when this returns.
    /// With `erase`, the WAL is truncated too, since it keeps what was replaced.
    pub fn write<T>(
        &mut self,
        erase: bool,
        change: impl FnOnce(&Writer<'_>) -> Result<T>,
    ) -> Result<T> {
        if self.read_only || self.place.is_read_only() {
            return Err(Error::ReadOnly);
        }
        if self.long {
            return Err(Error::Rotating);
        }
        self.check_file()?;
        let db = self
            .db
            .as_mut()
            .ok_or_else(|| Error::Storage("the vault could not be opened again".into()))?;
        let result = (|| {
            let tx = db.transaction()?;
            let value = change(&Writer { db: &tx })?;
            tx.commit().map_err(|e| unknown(e.into()))?;
            Ok(value)
        })();
        match result {
            Ok(value) => {
                self.truncate_pending |= erase;
                self.erase();
                Ok(value)
            }
            Err(e) => {
                // What an input or output error left in memory and in the WAL
                // is not to be trusted: start again from the disk.
                if matches!(e, Error::Storage(_)) {
                    self.db = None;
                }
                Err(e)
            }
        }
    }

    /// Which file was opened.
    pub const fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// Where the vault is.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Whether a transaction of [`Store::begin`] is open.
    pub const fn is_long(&self) -> bool {
        self.long
    }

    /// Moves the WAL into the database and empties it.
    pub fn truncate(&mut self) -> Result<()> {
        if self.read_only || self.long || !self.truncate_pending {
            return Ok(());
        }
        let moved = self
            .db()?
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                row.get::<_, i64>(0)
            });
        match moved {
            Ok(0) => {
                self.truncate_pending = false;
                Ok(())
            }
            Ok(_) => Err(Error::Storage("the journal is busy".into())),
            Err(e) => {
                let e = Error::from(e);
                if matches!(e, Error::Storage(_)) {
                    self.db = None;
                }
                Err(e)
            }
        }
    }

    /// [`Store::truncate`] for callers whose change is durable already: what
    /// fails stays pending, for the next write, lock or unlock, and a database
    /// that failed is opened again before its next use.
    pub fn erase(&mut self) {
        if self.truncate().is_err() {
            debug_assert!(self.truncate_pending);
        }
    }

    /// Truncates the WAL the next time it can be.
    pub fn erase_later(&mut self) {
        self.truncate_pending = !self.read_only;
    }
}

/// A commit that failed while it went to the disk may be there all the same
/// when the disk is read again.
fn unknown(e: Error) -> Error {
    match e {
        Error::Storage(e) => Error::Storage(format!("{e}; whether it was written is not known")),
        e => e,
    }
}

/// A trigger or view in a doctored file would run with our rights.
fn check_schema(db: &Connection) -> Result<()> {
    let mut query =
        db.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid LIMIT 64")?;
    let found: Vec<String> = query
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let expected = SCHEMA.lines().map(|line| line.trim_end_matches(';'));
    if found.iter().map(String::as_str).eq(expected) {
        Ok(())
    } else {
        Err(Error::Damaged("the file's tables are not a vault's"))
    }
}

/// A read-only disk holds no journal and no locks, which SQLite must be told.
fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri + "?immutable=1"
}

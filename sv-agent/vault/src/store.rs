//! SQLite, as FORMAT.md §1 and §9 want it. Knows tables and rows, not what
//! they mean: every row that comes out of here is untrusted.

use crate::{
    Error, Result,
    audit::Prepared,
    beside, limits,
    objects::{NameTag, RecordId, RevisionId, kind},
    online::{Copied, Db},
    place::Place,
};
use nix::fcntl::Flock;
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, config::DbConfig, limits::Limit,
    params,
};
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

/// Only ever inside a transaction that takes it out again.
const STAGED: &str = "CREATE TABLE staged (tag BLOB NOT NULL, record BLOB NOT NULL, entry BLOB NOT NULL, PRIMARY KEY (tag, record)) STRICT, WITHOUT ROWID;";

/// Above the ids of the buckets in use.
const STAGED_BUCKETS: i64 = 65_536;

// The same schema on both sides lets SQLite copy `staged` as it is.
const UNSTAGE: &str = "\
DELETE FROM records;
INSERT INTO records SELECT * FROM staged;
DROP TABLE staged;
DELETE FROM buckets WHERE id < 65536;
UPDATE buckets SET id = id - 65536;
DELETE FROM nodes;
";

/// A control object: its id and bytes.
pub type Control = (Vec<u8>, Vec<u8>);

/// A record's row: tag, record, entry.
pub type Row = (NameTag, RecordId, Vec<u8>);

/// An open vault file.
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
        let mut store = Self {
            identity: place.identity()?,
            place,
            db: None,
            truncate_pending: false,
            read_only: true,
            long: false,
            _lock: None,
        };
        store.connect()?;
        Ok(store)
    }

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
    /// `path`, and opens it.
    pub fn adopt(path: &Path, note: &str, staged: &Path, identity: (u64, u64)) -> Result<Self> {
        let place = Place::new(path, true)?;
        let lock = place.lock(note)?.ok_or(Error::ReadOnly)?;
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
        remove(staged)?;
        Self::open_locked(place, Some(lock))
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
        db.pragma_update(None, "page_size", 4096)?;
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

    /// Begins a transaction that spans several calls, with an empty table
    /// `staged` like `records`. Reads go on and see what was there before;
    /// other writes are refused until it ends.
    pub fn begin(&mut self) -> Result<()> {
        if self.read_only || self.place.is_read_only() {
            return Err(Error::ReadOnly);
        }
        if self.long {
            return Err(Error::Rotating);
        }
        self.check_file()?;
        self.db()?.execute_batch("BEGIN IMMEDIATE")?;
        self.long = true;
        self.step(|tx| Ok(tx.db.execute_batch(STAGED)?))
    }

    /// Works in the transaction of [`Store::begin`]. An error ends it, and
    /// nothing of it remains.
    pub fn step<T>(&mut self, work: impl FnOnce(&Writer<'_>) -> Result<T>) -> Result<T> {
        if !self.long {
            return Err(Error::Storage("the disk failed in between".into()));
        }
        let result = self.db().and_then(|db| work(&Writer { db }));
        if let Err(e) = &result {
            let storage = matches!(e, Error::Storage(_));
            self.abort();
            if storage {
                self.db = None;
            }
        }
        result
    }

    /// Commits what [`Store::begin`] began: on the disk when this returns.
    pub fn commit(&mut self) -> Result<()> {
        self.step(|tx| tx.db.execute_batch("COMMIT").map_err(|e| unknown(e.into())))?;
        self.long = false;
        self.truncate_pending = true;
        self.erase();
        Ok(())
    }

    /// Ends the transaction of [`Store::begin`], if one is open, without a change.
    pub fn abort(&mut self) {
        if !std::mem::take(&mut self.long) {
            return;
        }
        let Some(db) = &self.db else { return };
        // After some errors SQLite has rolled back by itself.
        if !db.is_autocommit() && db.execute_batch("ROLLBACK").is_err() {
            // Closing the database rolls back as well.
            self.db = None;
        }
    }

    /// Begins to copy the database into `to`; see [`Db::begin_copy`].
    pub fn begin_copy(&mut self, to: Connection) -> Result<()> {
        self.check_file()?;
        match &mut self.db {
            Some(db) => db.begin_copy(to),
            None => Err(Error::Storage("the vault could not be opened again".into())),
        }
    }

    /// Copies some more pages; `None` if the copy was given up meanwhile.
    pub fn step_copy(&mut self, pages: i32) -> Result<Option<Copied>> {
        self.check_file()?;
        match &mut self.db {
            Some(db) => db.step_copy(pages),
            None => Ok(None),
        }
    }

    /// Gives a copy up, if one is under way.
    pub fn end_copy(&mut self) {
        if let Some(db) = &mut self.db {
            db.end_copy();
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

    /// The manifest.
    pub fn manifest(&self) -> Result<Vec<u8>> {
        self.blob("SELECT object FROM manifest WHERE id = 1", [])?
            .ok_or(Error::Damaged("the manifest is missing"))
    }

    /// All control objects of a type, by id.
    pub fn control(&self, kind: u8) -> Result<Vec<Control>> {
        let mut query = self
            .db()?
            .prepare_cached("SELECT id, object FROM control WHERE type = ?1 LIMIT ?2")?;
        let limit = i64::try_from(limits::CONTROL + 1).unwrap_or(i64::MAX);
        let rows = query.query_map(params![kind, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let rows: Vec<Control> = rows.collect::<rusqlite::Result<_>>()?;
        if rows.len() > limits::CONTROL {
            return Err(Error::Damaged("too many control objects"));
        }
        Ok(rows)
    }

    /// One control object.
    pub fn control_object(&self, kind: u8, id: &[u8]) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT object FROM control WHERE type = ?1 AND id = ?2";
        self.blob(sql, params![kind, id])
    }

    /// A revision's object.
    pub fn revision(&self, id: &RevisionId) -> Result<Option<Vec<u8>>> {
        self.blob("SELECT object FROM revisions WHERE id = ?1", [id])
    }

    /// A record's row.
    pub fn entry(&self, tag: &NameTag, record: &RecordId) -> Result<Option<Vec<u8>>> {
        self.blob(
            "SELECT entry FROM records WHERE tag = ?1 AND record = ?2",
            params![tag, record],
        )
    }

    /// Every record's row in a bucket, sorted by tag and record: at most `limit`.
    pub fn entries(&self, bucket: u16, limit: usize) -> Result<Vec<Row>> {
        let sql = "SELECT tag, record, entry FROM records \
                   WHERE tag >= ?1 AND tag < ?2 ORDER BY tag, record LIMIT ?3";
        rows(self.db()?, sql, bucket, limit)
    }

    /// A node of the tree.
    pub fn node(&self, id: i64) -> Result<Option<Vec<u8>>> {
        self.blob("SELECT hashes FROM nodes WHERE id = ?1", [id])
    }

    /// A bucket of the tree.
    pub fn bucket(&self, id: u16) -> Result<Option<Vec<u8>>> {
        self.blob("SELECT leaves FROM buckets WHERE id = ?1", [id])
    }

    fn blob(&self, sql: &str, params: impl rusqlite::Params) -> Result<Option<Vec<u8>>> {
        let mut query = self.db()?.prepare_cached(sql)?;
        Ok(query.query_row(params, |row| row.get(0)).optional()?)
    }

    /// How many nodes, buckets, control objects and manifests are stored.
    pub fn index_counts(&self) -> Result<[u64; 4]> {
        let sql = "SELECT (SELECT count(*) FROM nodes), (SELECT count(*) FROM buckets), \
                   (SELECT count(*) FROM control), (SELECT count(*) FROM manifest)";
        let mut query = self.db()?.prepare_cached(sql)?;
        let count = |row: &rusqlite::Row<'_>, at| row.get(at).map(i64::unsigned_abs);
        Ok(query.query_row([], |row| {
            Ok([
                count(row, 0)?,
                count(row, 1)?,
                count(row, 2)?,
                count(row, 3)?,
            ])
        })?)
    }

    /// How many revisions and records are stored.
    pub fn row_counts(&self) -> Result<(u64, u64)> {
        let sql = "SELECT (SELECT count(*) FROM revisions), (SELECT count(*) FROM records)";
        let mut query = self.db()?.prepare_cached(sql)?;
        let (revisions, records): (i64, i64) =
            query.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((revisions.unsigned_abs(), records.unsigned_abs()))
    }
}

/// One transaction's writes.
pub struct Writer<'a> {
    db: &'a Connection,
}

impl Writer<'_> {
    fn run(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize> {
        Ok(self.db.prepare_cached(sql)?.execute(params)?)
    }

    /// Sets a row of `staged`.
    pub fn stage(&self, tag: &NameTag, record: &RecordId, entry: &[u8]) -> Result<()> {
        let sql = "INSERT INTO staged VALUES (?1, ?2, ?3)";
        self.run(sql, params![tag, record, entry]).map(drop)
    }

    /// The rows of `staged` in a bucket.
    pub fn staged(&self, bucket: u16) -> Result<Vec<Row>> {
        let sql = "SELECT tag, record, entry FROM staged \
                   WHERE tag >= ?1 AND tag < ?2 ORDER BY tag, record LIMIT ?3";
        rows(self.db, sql, bucket, usize::MAX)
    }

    /// Sets a bucket of the tree over `staged`.
    pub fn stage_bucket(&self, id: u16, leaves: &[u8]) -> Result<()> {
        let sql = "INSERT INTO buckets VALUES (?1, ?2)";
        let id = i64::from(id) + STAGED_BUCKETS;
        self.run(sql, params![id, leaves]).map(drop)
    }

    /// Puts `staged` and its buckets in the place of records and buckets, and
    /// takes the nodes out.
    pub fn unstage(&self) -> Result<()> {
        Ok(self.db.execute_batch(UNSTAGE)?)
    }

    /// Puts `staged` over the rows of the same records.
    pub fn merge_staged(&self) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO records SELECT * FROM staged; DROP TABLE staged;";
        Ok(self.db.execute_batch(sql)?)
    }

    /// Takes outbox events out, up to `seq`, see FORMAT.md.
    pub fn drop_events(&self, seq: u64) -> Result<()> {
        let sql = "DELETE FROM control WHERE type = ?1 AND id <= ?2";
        self.run(sql, params![kind::AUDIT, seq.to_be_bytes()])
            .map(drop)
    }

    /// Puts an event into the outbox.
    pub fn event(&self, event: &Prepared) -> Result<()> {
        if event.bytes().is_empty() {
            return Ok(());
        }
        let (seq, _) = event.position();
        self.replace_control(kind::AUDIT, &seq.to_be_bytes(), event.bytes())
    }

    /// Sets a control object, whether there is one or not.
    pub fn replace_control(&self, kind: u8, id: &[u8], object: &[u8]) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO control VALUES (?1, ?2, ?3)";
        self.run(sql, params![kind, id, object]).map(drop)
    }

    /// Sets the manifest.
    pub fn manifest(&self, object: &[u8]) -> Result<()> {
        self.run("INSERT OR REPLACE INTO manifest VALUES (1, ?1)", [object])
            .map(drop)
    }

    /// Adds a control object.
    pub fn control(&self, kind: u8, id: &[u8], object: &[u8]) -> Result<()> {
        let sql = "INSERT INTO control VALUES (?1, ?2, ?3)";
        self.run(sql, params![kind, id, object]).map(drop)
    }

    /// Takes a control object out.
    pub fn drop_control(&self, kind: u8, id: &[u8]) -> Result<()> {
        let sql = "DELETE FROM control WHERE type = ?1 AND id = ?2";
        self.run(sql, params![kind, id]).map(drop)
    }

    /// Adds a revision.
    pub fn revision(&self, id: &RevisionId, object: &[u8]) -> Result<()> {
        let sql = "INSERT INTO revisions (id, object) VALUES (?1, ?2)";
        self.run(sql, params![id, object]).map(drop)
    }

    /// Takes a revision out.
    pub fn drop_revision(&self, id: &RevisionId) -> Result<()> {
        match self.run("DELETE FROM revisions WHERE id = ?1", [id])? {
            1 => Ok(()),
            _ => Err(Error::Damaged("a revision is missing")),
        }
    }

    /// Sets a record's row.
    pub fn entry(&self, tag: &NameTag, record: &RecordId, entry: &[u8]) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO records VALUES (?1, ?2, ?3)";
        self.run(sql, params![tag, record, entry]).map(drop)
    }

    /// Takes a record's row out.
    pub fn drop_entry(&self, tag: &NameTag, record: &RecordId) -> Result<()> {
        let sql = "DELETE FROM records WHERE tag = ?1 AND record = ?2";
        self.run(sql, params![tag, record]).map(drop)
    }

    /// Sets a node, or takes it out.
    pub fn node(&self, id: i64, hashes: Option<&[u8]>) -> Result<()> {
        match hashes {
            Some(hashes) => self.run(
                "INSERT OR REPLACE INTO nodes VALUES (?1, ?2)",
                params![id, hashes],
            ),
            None => self.run("DELETE FROM nodes WHERE id = ?1", [id]),
        }
        .map(drop)
    }

    /// Sets a bucket, or takes it out.
    pub fn bucket(&self, id: u16, leaves: Option<&[u8]>) -> Result<()> {
        match leaves {
            Some(leaves) => self.run(
                "INSERT OR REPLACE INTO buckets VALUES (?1, ?2)",
                params![id, leaves],
            ),
            None => self.run("DELETE FROM buckets WHERE id = ?1", [id]),
        }
        .map(drop)
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

/// A commit that failed while it went to the disk may be there all the same
/// when the disk is read again.
fn unknown(e: Error) -> Error {
    match e {
        Error::Storage(e) => Error::Storage(format!("{e}; whether it was written is not known")),
        e => e,
    }
}

/// A tag's first two bytes number its bucket, so a bucket is a range.
fn rows(db: &Connection, sql: &str, bucket: u16, limit: usize) -> Result<Vec<Row>> {
    let mut end = [0xff_u8; 33];
    if let Some(next) = bucket.checked_add(1) {
        end = [0; 33];
        end[..2].copy_from_slice(&next.to_be_bytes());
    }
    // A shorter string sorts before every tag that it begins.
    let end = if end[32] == 0 { &end[..2] } else { &end[..] };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut query = db.prepare_cached(sql)?;
    let rows = query.query_map(params![bucket.to_be_bytes(), end, limit], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
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

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e.into()),
        _ => Ok(()),
    }
}

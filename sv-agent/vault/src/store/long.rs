//! Transactions that span several calls, and copies that are made while the
//! database is in use.

use super::{Store, Writer, unknown};
use crate::{Error, Result, online::Copied};
use rusqlite::Connection;

/// Only ever inside a transaction that takes it out again.
const STAGED: &str = "CREATE TABLE staged (tag BLOB NOT NULL, record BLOB NOT NULL, entry BLOB NOT NULL, PRIMARY KEY (tag, record)) STRICT, WITHOUT ROWID;";

impl Store {
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
}

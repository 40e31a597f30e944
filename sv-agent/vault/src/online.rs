//! The open database, and a copy of it that is being made. The copy ends with
//! the connection: SQLite does not close a database while one is under way.

use crate::{Result, sys::OnlineBackup};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::ops::Deref;

/// A connection that can be copied from, step by step.
pub struct Db {
    /// Dropped before `connection`.
    copy: Option<OnlineBackup>,
    connection: Connection,
}

/// How far a copy is.
pub struct Copied {
    /// All pages are there, as of now.
    pub complete: bool,
    /// Nothing was copied: a transaction is open.
    pub waiting: bool,
    /// Pages that are copied.
    pub done: u64,
    /// All of them.
    pub total: u64,
}

impl Db {
    /// Nothing is being copied.
    pub const fn new(connection: Connection) -> Self {
        Self {
            copy: None,
            connection,
        }
    }

    /// Begins a copy into `to`, in place of one that was left.
    pub fn begin_copy(&mut self, to: Connection) -> Result<()> {
        self.copy = None;
        self.copy = Some(OnlineBackup::new(&self.connection, to)?);
        Ok(())
    }

    /// Copies some more pages; `None` if no copy is under way. One that is
    /// complete, or failed, ends here.
    pub fn step_copy(&mut self, pages: i32) -> Result<Option<Copied>> {
        let Some(copy) = &mut self.copy else {
            return Ok(None);
        };
        let stepped = copy.step(pages);
        let (done, total) = copy.progress();
        if matches!(stepped, Err(_) | Ok(Some(true))) {
            self.copy = None;
        }
        let stepped = stepped?;
        Ok(Some(Copied {
            complete: stepped == Some(true),
            waiting: stepped.is_none(),
            done,
            total,
        }))
    }

    /// A transaction that may write.
    pub fn transaction(&mut self) -> Result<Transaction<'_>> {
        let write = TransactionBehavior::Immediate;
        Ok(self.connection.transaction_with_behavior(write)?)
    }

    /// Ends a copy, if one is under way.
    pub fn end_copy(&mut self) {
        self.copy = None;
    }
}

impl Deref for Db {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

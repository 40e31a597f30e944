//! What one transaction changes.

use super::{Row, read::rows};
use crate::{
    Error, Result,
    audit::Prepared,
    objects::{NameTag, RecordId, RevisionId, kind},
};
use rusqlite::{Connection, params};

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

/// One transaction's writes.
pub struct Writer<'a> {
    pub(super) db: &'a Connection,
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

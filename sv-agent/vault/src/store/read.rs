//! Rows, as they lie there.

use super::{Control, Row, Store};
use crate::{
    Error, Result, limits,
    objects::{NameTag, RecordId, RevisionId},
};
use rusqlite::{Connection, OptionalExtension, params};

impl Store {
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

/// A tag's first two bytes number its bucket, so a bucket is a range.
pub(super) fn rows(db: &Connection, sql: &str, bucket: u16, limit: usize) -> Result<Vec<Row>> {
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

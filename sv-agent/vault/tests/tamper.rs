//! A vault file changed behind the engine's back: an error, or the untouched
//! answer; never a wrong value.

use rusqlite::{Connection, params};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use sv_vault_core::{
    Change, Error, ErrorKind, Fields, KdfParams, KeyMemory, Locked, NewSlot, Result, SlotKind,
    Vault,
};
use tempfile::TempDir;

const SECRETS: [(&str, &[u8]); 3] = [("a", b"value-a"), ("b", b"value-b"), ("c", b"value-c")];

struct Bench {
    dir: TempDir,
    memory: KeyMemory,
    original: Vec<u8>,
}

impl Bench {
    /// A vault with three secrets, one of them with a history, and a deleted one.
    fn new() -> Result<Self> {
        let dir = TempDir::new().expect("a temporary folder");
        let memory = KeyMemory::new(false)?;
        let path = dir.path().join("vault.sv");
        let slot = NewSlot::derive(b"password", KdfParams::default(), &memory)?;
        let mut vault = Vault::create(&path, "test", slot, &memory)?;
        vault.add("a", b"old-a", &Fields::default(), 1)?;
        vault.update("a", Some(b"value-a"), &Change::default(), None, 2)?;
        vault.add("b", b"value-b", &Fields::default(), 3)?;
        vault.add("c", b"value-c", &Fields::default(), 4)?;
        vault.add("gone", b"value-gone", &Fields::default(), 5)?;
        vault.delete("gone", false, 6)?;
        drop(vault.lock());
        let original = std::fs::read(&path)?;
        Ok(Self {
            dir,
            memory,
            original,
        })
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("vault.sv")
    }

    /// A fresh copy of the vault, changed by SQL.
    fn changed(&self, change: impl FnOnce(&Connection)) -> PathBuf {
        let path = self.path();
        for end in ["sv", "sv-wal", "sv-journal"] {
            let _ = std::fs::remove_file(path.with_extension(end));
        }
        std::fs::write(&path, &self.original).expect("a copy");
        let db = Connection::open(&path).expect("SQLite");
        change(&db);
        db.execute_batch(
            "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode=DELETE; PRAGMA journal_mode=WAL;",
        )
        .expect("a checkpoint");
        drop(db);
        path
    }

    fn unlock(&self, path: &Path) -> Result<Vault> {
        let mut locked = Locked::open(path, "test")?;
        let key = locked
            .challenge()?
            .derive(SlotKind::Password, b"password", &self.memory)?;
        locked.unlock(key, &self.memory).map_err(|(_, e)| e)
    }

    /// Everything that the vault answers is right or an error, and a
    /// verification finds what is off. Returns whether anything was refused.
    fn is_refused(&self, path: &Path, what: &str) -> bool {
        let mut vault = match self.unlock(path) {
            Ok(vault) => vault,
            Err(e) => {
                let kind = e.kind();
                let known = [
                    ErrorKind::Damaged,
                    ErrorKind::Version,
                    ErrorKind::WrongPassword,
                ];
                assert!(known.contains(&kind), "{what}: {e}");
                return true;
            }
        };
        let mut refused = false;
        for (name, value) in SECRETS {
            match vault.get(name, None) {
                Ok(got) => assert_eq!(&*got, value, "{what}: {name}"),
                Err(e) => {
                    assert!(
                        matches!(e.kind(), ErrorKind::Damaged | ErrorKind::Version),
                        "{what}: {e}"
                    );
                    refused = true;
                }
            }
        }
        match vault.get("gone", None) {
            Err(Error::NoSecret) => {}
            Err(e) => {
                assert!(
                    matches!(e.kind(), ErrorKind::Damaged | ErrorKind::Version),
                    "{what}: {e}"
                );
                refused = true;
            }
            Ok(_) => panic!("{what}: a deleted secret is back"),
        }
        let mut state = vault.verify();
        while !vault.verify_step(&mut state, 100).expect("readable") {}
        assert!(
            !refused || !state.problems.is_empty(),
            "{what}: verify saw nothing"
        );
        !state.problems.is_empty()
    }
}

/// Table, key column, blob column.
const BLOBS: [(&str, &str); 6] = [
    ("control", "object"),
    ("manifest", "object"),
    ("revisions", "object"),
    ("records", "entry"),
    ("nodes", "hashes"),
    ("buckets", "leaves"),
];

fn blobs(db: &Connection, table: &str, column: &str) -> Vec<Vec<u8>> {
    let mut query = db
        .prepare(&format!("SELECT {column} FROM {table}"))
        .expect("a query");
    let rows = query.query_map([], |row| row.get(0)).expect("rows");
    rows.collect::<rusqlite::Result<_>>().expect("blobs")
}

#[test]
fn an_untouched_copy_is_fine() -> Result<()> {
    let bench = Bench::new()?;
    let path = bench.changed(|_| {});
    assert!(!bench.is_refused(&path, "untouched"));
    Ok(())
}

#[test]
fn flipped_bits_are_found() -> Result<()> {
    let bench = Bench::new()?;
    let path = bench.changed(|_| {});
    let db = Connection::open(&path).expect("SQLite");
    let all: Vec<_> = BLOBS
        .into_iter()
        .flat_map(|(t, c)| blobs(&db, t, c).into_iter().map(move |b| (t, c, b)))
        .collect();
    drop(db);
    assert!(all.len() > 20);
    for (table, column, blob) in all {
        for part in 0..5 {
            let at = (blob.len() - 1) * part / 4;
            let mut bad = blob.clone();
            bad[at] ^= 1 << (at % 8);
            let sql = format!("UPDATE {table} SET {column} = ?1 WHERE {column} = ?2");
            let path = bench.changed(|db| {
                assert_eq!(db.execute(&sql, params![bad, blob]).expect("an update"), 1);
            });
            let what = format!("{table}, byte {at} of {}", blob.len());
            assert!(bench.is_refused(&path, &what), "{what}: accepted");
        }
    }
    Ok(())
}

#[test]
fn removed_rows_are_found() -> Result<()> {
    let bench = Bench::new()?;
    for (table, column) in BLOBS {
        let path = bench.changed(|_| {});
        let db = Connection::open(&path).expect("SQLite");
        let all = blobs(&db, table, column);
        drop(db);
        for blob in all {
            let sql = format!("DELETE FROM {table} WHERE {column} = ?1");
            let path = bench.changed(|db| {
                assert_eq!(db.execute(&sql, [&blob]).expect("a delete"), 1);
            });
            assert!(
                bench.is_refused(&path, table),
                "{table}: a missing row is accepted"
            );
        }
    }
    Ok(())
}

#[test]
fn swapped_and_added_rows_are_found() -> Result<()> {
    let bench = Bench::new()?;
    let refused = |what: &str, sql: &str| {
        let path = bench.changed(|db| db.execute_batch(sql).expect(what));
        assert!(bench.is_refused(&path, what), "{what}: accepted");
    };
    refused(
        "two entries swapped",
        "UPDATE records SET entry = (SELECT entry FROM records r WHERE r.tag <> records.tag LIMIT 1)
         WHERE tag = (SELECT min(tag) FROM records)",
    );
    refused(
        "two revisions swapped",
        "UPDATE revisions SET object = (SELECT object FROM revisions WHERE seq = 3) WHERE seq = 2",
    );
    refused(
        "an old revision put back",
        "INSERT INTO revisions (id, object) SELECT zeroblob(32), object FROM revisions WHERE seq = 1",
    );
    refused(
        "a record of a name that is not there",
        "INSERT INTO records SELECT zeroblob(32), record, entry FROM records LIMIT 1",
    );
    refused(
        "another slot",
        "INSERT INTO control SELECT type, zeroblob(16), object FROM control WHERE type = 5",
    );
    refused(
        "another wrap",
        "INSERT INTO control SELECT type, zeroblob(48), object FROM control WHERE type = 3",
    );
    refused(
        "a trigger",
        "CREATE TRIGGER t AFTER INSERT ON revisions BEGIN DELETE FROM records; END",
    );
    refused("a view", "CREATE VIEW v AS SELECT 1");
    refused("a table", "CREATE TABLE t (x)");
    refused("a newer format", "PRAGMA user_version = 2");
    refused("no format", "PRAGMA user_version = 0");
    refused("another application", "PRAGMA application_id = 1");
    Ok(())
}

#[test]
fn a_replayed_state_is_found() -> Result<()> {
    let bench = Bench::new()?;
    let path = bench.changed(|_| {});
    let db = Connection::open(&path).expect("SQLite");
    let old = |table, column| blobs(&db, table, column);
    let (manifest, records) = (old("manifest", "object"), old("records", "entry"));
    drop(db);
    let mut vault = bench.unlock(&path)?;
    vault.update("a", Some(b"newer-a"), &Change::default(), None, 9)?;
    drop(vault.lock());
    let newer = std::fs::read(&path)?;
    let replay = |change: &dyn Fn(&Connection)| -> Result<Result<Vec<u8>>> {
        std::fs::write(&path, &newer)?;
        let db = Connection::open(&path).expect("SQLite");
        change(&db);
        drop(db);
        Ok(match bench.unlock(&path) {
            Ok(mut vault) => vault.get("a", None).map(|v| v.to_vec()),
            Err(e) => Err(e),
        })
    };
    assert_eq!(replay(&|_| {})??, b"newer-a");
    let answer = replay(&|db| {
        db.execute("UPDATE manifest SET object = ?1", [&manifest[0]])
            .expect("an update");
    })?;
    assert!(matches!(answer, Err(Error::Damaged(_))), "an old manifest");
    let answer = replay(&|db| {
        for entry in &records {
            // The record's row of before, in the place of the present one.
            db.execute(
                "UPDATE records SET entry = ?1 WHERE substr(entry, 3, 32) IN (SELECT id FROM revisions)
                 AND length(entry) > length(?1) AND record = (SELECT record FROM records
                 ORDER BY length(entry) DESC LIMIT 1)",
                [entry],
            )
            .expect("an update");
        }
    })?;
    assert!(matches!(answer, Err(Error::Damaged(_))), "an old entry");
    Ok(())
}

#[test]
fn derivation_parameters_out_of_bounds_take_neither_time_nor_memory() -> Result<()> {
    let bench = Bench::new()?;
    let path = bench.changed(|_| {});
    let db = Connection::open(&path).expect("SQLite");
    let slot: Vec<u8> = db
        .query_row("SELECT object FROM control WHERE type = 5", [], |row| {
            row.get(0)
        })
        .expect("a slot");
    drop(db);
    // FORMAT.md §4: P, vault, node, slot, kind, label, kdf, version, then the parameters.
    let at = 4 + 3 * 16 + 1 + (1 + "password".len()) + 2;
    let mut expected = 65_536_u32.to_le_bytes().to_vec();
    expected.extend(3_u32.to_le_bytes());
    expected.extend(4_u32.to_le_bytes());
    assert_eq!(
        slot[at..at + 12],
        expected,
        "the parameters are where FORMAT.md says"
    );
    for (field, value) in [
        (0, u32::MAX),
        (1, u32::MAX),
        (2, 255),
        (0, 8),
        (1, 0),
        (2, 0),
    ] {
        let mut bad = slot.clone();
        bad[at + 4 * field..][..4].copy_from_slice(&value.to_le_bytes());
        let path = bench.changed(|db| {
            db.execute("UPDATE control SET object = ?1 WHERE type = 5", [&bad])
                .expect("an update");
        });
        let mut locked = Locked::open(&path, "test")?;
        let before = Instant::now();
        let refused = locked.challenge().map(|_| ()).expect_err("out of bounds");
        assert!(before.elapsed() < Duration::from_millis(10));
        assert!(refused.to_string().contains("out of bounds"), "{refused}");
    }
    // Within bounds another cost gives another key, which opens nothing.
    let mut cheaper = slot.clone();
    cheaper[at + 4..at + 8].copy_from_slice(&4_u32.to_le_bytes());
    let path = bench.changed(|db| {
        db.execute("UPDATE control SET object = ?1 WHERE type = 5", [&cheaper])
            .expect("an update");
    });
    assert!(matches!(bench.unlock(&path), Err(Error::WrongPassword)));
    Ok(())
}

#[test]
fn what_is_no_vault_is_refused() -> Result<()> {
    let bench = Bench::new()?;
    let path = bench.path();
    let open = |bytes: &[u8]| {
        let _ = std::fs::remove_file(path.with_extension("sv-wal"));
        std::fs::write(&path, bytes).expect("a file");
        bench.unlock(&path).map(|_| ()).expect_err("no vault")
    };
    let whole = &bench.original;
    for bytes in [
        &[] as &[u8],
        b"garbage",
        &[0; 4096],
        &whole[..100],
        &whole[..whole.len() / 2],
    ] {
        let refused = open(bytes);
        assert_eq!(refused.kind(), ErrorKind::Damaged, "{refused}");
    }
    for at in 0..100 {
        let mut bad = whole.clone();
        bad[at] ^= 0x55;
        std::fs::write(&path, &bad).expect("a file");
        bench.is_refused(&path, &format!("byte {at} of the header"));
    }
    Ok(())
}

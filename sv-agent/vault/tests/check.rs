//! What of a copy can be checked without a key: everything that was changed in it.

mod bench;

use bench::{Bench, add, check, update, with_shares};
use rusqlite::{Connection, params};
use std::{fs, path::Path};
use sv_vault_core::ErrorKind;

/// Takes a copy of `original`, changes it by SQL and says what a check finds.
fn tampered(bench: &Bench, original: &Path, change: impl FnOnce(&Connection)) -> bool {
    let path = bench.path("tampered.sv");
    fs::copy(original, &path).expect("a copy");
    let db = Connection::open(&path).expect("SQLite");
    change(&db);
    db.execute_batch("PRAGMA journal_mode=DELETE")
        .expect("one file");
    drop(db);
    match check(&path) {
        Ok(report) => !report.problems.is_empty(),
        Err(e) => {
            let kind = e.kind();
            assert!(
                matches!(kind, ErrorKind::Damaged | ErrorKind::Version),
                "{e}"
            );
            true
        }
    }
}

#[test]
fn every_tampering_is_found_without_a_key() {
    let bench = Bench::new();
    let mut vault = bench.create("vault.sv");
    for n in 0..5 {
        add(&mut vault, &format!("n{n}"), "one");
        update(&mut vault, &format!("n{n}"), "two");
    }
    vault.delete("n4", false, 3).expect("deleted");
    with_shares(&mut vault);
    update(&mut vault, "n0", "after the new epoch");
    let earlier = bench.backup(&mut vault, "earlier.sv");
    update(&mut vault, "n1", "three");
    let copy = bench.backup(&mut vault, "copy.sv");
    let changed = |change: &dyn Fn(&Connection)| tampered(&bench, &copy, change);
    assert!(!changed(&|_| ()), "an untouched one is sound");

    // Each row gone, doubled under another key, or changed in any of its bytes.
    for (table, blob) in [
        ("revisions", "object"),
        ("records", "entry"),
        ("nodes", "hashes"),
        ("buckets", "leaves"),
        ("control", "object"),
        ("manifest", "object"),
    ] {
        let db = Connection::open(&copy).expect("SQLite");
        let key = match table {
            "records" => "hex(tag) || hex(record)",
            "control" => "type || hex(id)",
            "revisions" => "seq",
            _ => "id",
        };
        let sql = format!(
            "SELECT {key}, length({blob}), {} FROM {table}",
            if table == "control" { "type" } else { "0" }
        );
        let mut query = db.prepare(&sql).expect("a query");
        let rows: Vec<(rusqlite::types::Value, i64, i64)> = query
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
            .expect("rows")
            .collect::<rusqlite::Result<_>>()
            .expect("rows");
        assert!(!rows.is_empty(), "{table}");
        drop(query);
        drop(db);
        let gone = format!("DELETE FROM {table} WHERE {key} = ?1");
        // A byte changed: SQLite joins blobs as text, so by hand.
        let read = format!("SELECT {blob} FROM {table} WHERE {key} = ?1");
        let write = format!("UPDATE {table} SET {blob} = ?2 WHERE {key} = ?1");
        for (row, length, kind) in &rows {
            assert!(
                changed(&|db| {
                    assert_eq!(db.execute(&gone, params![row]).expect("gone"), 1);
                }),
                "{table} {row:?} gone"
            );
            let step = usize::try_from(length / 6).expect("small").max(1);
            for at in (0..usize::try_from(*length).expect("small")).step_by(step) {
                assert!(
                    changed(&|db| {
                        let mut bytes: Vec<u8> = db
                            .query_row(&read, params![row], |r| r.get(0))
                            .expect("a row");
                        bytes[at] ^= 0x40;
                        db.execute(&write, params![row, bytes]).expect("changed");
                    }),
                    "{table} {row:?} type {kind} byte {at}"
                );
            }
            assert!(
                changed(&|db| {
                    let mut bytes: Vec<u8> = db
                        .query_row(&read, params![row], |r| r.get(0))
                        .expect("a row");
                    bytes.pop();
                    db.execute(&write, params![row, bytes]).expect("changed");
                }),
                "{table} {row:?} cut"
            );
        }
    }
    // More than there should be.
    let extra = [
        "INSERT INTO revisions (id, object) VALUES (x'00', x'00')",
        "INSERT INTO records SELECT zeroblob(32), record, entry FROM records LIMIT 1",
        "INSERT INTO nodes VALUES (70001, zeroblob(512))",
        "INSERT INTO buckets SELECT 65537, leaves FROM buckets LIMIT 1",
        "INSERT INTO control VALUES (99, x'00', x'00')",
        "INSERT INTO control SELECT type, x'00', object FROM control WHERE type = 2 LIMIT 1",
        "INSERT INTO manifest SELECT 2, object FROM manifest",
        "CREATE TABLE more (x)",
        "CREATE VIEW more AS SELECT 1",
        "CREATE TRIGGER more AFTER INSERT ON nodes BEGIN DELETE FROM nodes; END",
        "PRAGMA user_version = 2",
        "PRAGMA application_id = 1",
    ];
    for sql in extra {
        assert!(changed(&|db| db.execute_batch(sql).expect(sql)), "{sql}");
    }
    // Parts of an earlier copy in this one.
    for table in [
        "records",
        "revisions",
        "nodes",
        "buckets",
        "control",
        "manifest",
    ] {
        let found = changed(&|db| {
            let from = earlier.display().to_string();
            db.execute("ATTACH ?1 AS earlier", params![from])
                .expect("attached");
            let sql =
                format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM earlier.{table};");
            db.execute_batch(&sql).expect("replaced");
        });
        // Control objects did not change in between.
        assert_eq!(found, table != "control", "{table} of an earlier copy");
    }
}

#[test]
fn a_piece_of_a_copy_is_no_copy() {
    let bench = Bench::new();
    let mut vault = bench.create("vault.sv");
    for n in 0..30 {
        add(&mut vault, &format!("n{n}"), &"x".repeat(2000));
    }
    let copy = bench.backup(&mut vault, "copy.sv");
    let whole = fs::read(&copy).expect("the copy");
    let path = bench.path("piece.sv");
    let refused = |bytes: &[u8], what: &str| {
        fs::write(&path, bytes).expect("a file");
        match check(&path) {
            Ok(report) => assert!(!report.problems.is_empty(), "{what}"),
            Err(e) => assert_eq!(e.kind(), ErrorKind::Damaged, "{what}: {e}"),
        }
    };
    for part in 0..40 {
        let length = whole.len() * part / 40;
        refused(&whole[..length], &format!("cut to {length}"));
    }
    for short in [1, 7, 4095] {
        refused(&whole[..whole.len() - short], "the last bytes");
    }
    refused(b"garbage", "garbage");
    refused(&vec![0; 100_000], "zeros");
    let mut half = whole.clone();
    let middle = whole.len() / 2;
    half[middle..].fill(0);
    refused(&half, "zeros in its second half");
}

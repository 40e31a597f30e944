//! What is in a record, and who can make one.

use super::*;
use crate::audit::chain;

#[test]
fn events_come_back_as_they_were_written() {
    let log = Log::new();
    let mut audit = log.unlocked();
    assert!(
        !log.path().exists(),
        "nothing is made before the first event"
    );
    assert_eq!(audit.position(), (0, [0; 32]));
    for i in 0..10 {
        write(&mut audit, &format!("name/{i}"));
        assert_eq!(audit.position().0, i + 1);
    }
    let mode = fs::metadata(log.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let events = read(&mut audit, &log, all());
    assert_eq!(events.len(), 10);
    for (i, found) in events.iter().enumerate() {
        let wanted = event(&format!("name/{i}"));
        assert_eq!(found.seq, i as u64 + 1);
        assert_eq!(found.time, wanted.time);
        assert_eq!(found.action, wanted.action);
        assert_eq!(found.name, wanted.name);
        assert_eq!(found.outcome, wanted.outcome);
        assert_eq!(found.asker, wanted.asker);
        assert!(!found.unauthenticated);
    }
    let position = audit.position();
    assert_eq!(problems(&mut audit, &log, position), [""; 0]);
    drop(audit);
    // Another agent goes on.
    let mut audit = log.unlocked();
    assert_eq!(audit.position(), position);
    write(&mut audit, "later");
    assert_eq!(audit.position().0, 11);
    assert_eq!(log.problems(audit.position()), [""; 0]);
    let kinds: Vec<u8> = records(&log.bytes()).iter().map(|r| r.2).collect();
    assert_eq!(kinds.iter().filter(|k| **k == record::BEGUN).count(), 2);
}

#[test]
fn nothing_readable_is_in_the_file() {
    let log = Log::new();
    let mut audit = log.unlocked();
    write(&mut audit, "a-secret-name");
    let bytes = log.bytes();
    for word in ["a-secret-name", "app.service", "get", "ok\0"] {
        assert!(
            !bytes.windows(word.len()).any(|w| w == word.as_bytes()),
            "{word}"
        );
    }
    // Names of different lengths look alike.
    write(&mut audit, "b");
    let lengths: Vec<usize> = records(&log.bytes()).iter().map(|r| r.1 - r.0).collect();
    assert_eq!(lengths[1], lengths[2]);
}

#[test]
fn before_the_first_unlock_events_are_marked() {
    let log = Log::new();
    let mut audit = log.unlocked();
    write(&mut audit, "1");
    drop(audit);
    let mut audit = log.locked();
    write(&mut audit, "2");
    write(&mut audit, "3");
    audit.begin(&log.memory, &log.id, &log.journal()).unwrap();
    write(&mut audit, "4");
    audit.lock();
    write(&mut audit, "5");
    let known = audit.position();
    assert_eq!(log.problems(known), [""; 0]);
    let events = log.events(all());
    assert_eq!(names(&events), ["1", "2", "3", "4", "5"]);
    let marked: Vec<bool> = events.iter().map(|e| e.unauthenticated).collect();
    assert_eq!(marked, [false, true, true, false, false]);
    // What was adopted can't be changed any more.
    let bytes = log.bytes();
    let all_records = records(&bytes);
    let kinds: Vec<u8> = all_records.iter().map(|r| r.2).collect();
    assert_eq!(kinds, [1, 0, 2, 0, 0, 1, 0, 0]);
    // Somebody puts other events in their place, made as a locked agent makes them.
    fs::write(log.path(), &bytes[..all_records[2].0]).unwrap();
    let mut forger = log.locked();
    write(&mut forger, "x");
    write(&mut forger, "y");
    let mut forged = log.bytes();
    forged.extend_from_slice(&bytes[all_records[5].0..]);
    fs::write(log.path(), forged).unwrap();
    let found = log.problems(known);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("does not follow"), "{found:?}");
}

#[test]
fn a_forged_segment_is_marked_and_hides_nothing() {
    let log = Log::new();
    let mut audit = log.unlocked();
    for i in 1..=2 {
        write(&mut audit, &i.to_string());
    }
    let before = log.bytes();
    for i in 3..=4 {
        write(&mut audit, &i.to_string());
    }
    let known = audit.position();
    let whole = log.bytes();
    drop(audit);
    // In the middle: the events behind it still count, and it is found.
    fs::write(log.path(), &before).unwrap();
    let mut forger = log.locked();
    write(&mut forger, "forged");
    let mut forged = log.bytes();
    forged.extend_from_slice(&whole[before.len()..]);
    fs::write(log.path(), &forged).unwrap();
    let events = log.events(all());
    let seen: Vec<(&str, bool)> = events
        .iter()
        .map(|e| (e.name.as_str(), e.unauthenticated))
        .collect();
    assert_eq!(
        seen,
        [
            ("1", false),
            ("2", false),
            ("forged", true),
            ("3", false),
            ("4", false)
        ]
    );
    assert!(!log.problems(known).is_empty());
    // Nobody without the journal key begins a chain that counts as authentic.
    let stranger = Log {
        key: [1; 32],
        memory: log.memory.clone(),
        place: log.place.clone(),
        id: log.id,
        _dir: tempfile::tempdir().unwrap(),
    };
    fs::write(log.path(), &whole).unwrap();
    write(&mut stranger.unlocked(), "stranger");
    let found = log.problems((0, [0; 32]));
    assert!(found[0].ends_with("was changed"), "{found:?}");
    assert!(!names(&log.events(all())).contains(&"stranger"));
}

#[test]
fn the_key_that_lock_leaves_makes_no_earlier_event() {
    let log = Log::new();
    let mut audit = log.unlocked();
    for i in 1..=3 {
        write(&mut audit, &i.to_string());
    }
    audit.lock();
    let held = *audit.chain.as_ref().unwrap().expose();
    let bytes = log.bytes();
    for (start, end, kind) in records(&bytes) {
        if kind != record::EVENT {
            continue;
        }
        // Event `seq` with the key that is left, whatever it is called.
        let (record, _) = record::parse(&bytes[start..end]).unwrap();
        let mut made = Vec::new();
        let plain = event("forged").encode().unwrap();
        let prev = [0; 32];
        chain::seal(&mut made, &held, record.seq, &prev, &plain).unwrap();
        let mut forged = bytes.clone();
        forged.splice(start..end, made);
        fs::write(log.path(), forged).unwrap();
        assert!(
            !log.problems((0, [0; 32])).is_empty(),
            "event {}",
            record.seq
        );
        assert!(!names(&log.events(all())).contains(&"forged"));
    }
}

#[test]
fn a_transaction_that_failed_leaves_no_gap() {
    let log = Log::new();
    let mut audit = log.unlocked();
    write(&mut audit, "1");
    let dropped = audit.prepare_durable(event("lost")).unwrap();
    let lost = dropped.bytes().to_vec();
    drop(dropped);
    write(&mut audit, "2");
    assert_eq!(log.problems(audit.position()), [""; 0]);
    assert_eq!(names(&log.events(all())), ["1", "2"]);
    // Both were made with one key of the chain, but with different keys of their own.
    let stored = log.bytes();
    let (start, end, _) = *records(&stored).last().unwrap();
    let (one, _) = record::parse(&lost).unwrap();
    let (two, _) = record::parse(&stored[start..end]).unwrap();
    assert_eq!(one.seq, two.seq);
    let (a, b) = (
        event("lost").encode().unwrap(),
        event("2").encode().unwrap(),
    );
    let same = (0..a.len()).filter(|i| one.body[16 + i] ^ two.body[16 + i] == a[*i] ^ b[*i]);
    assert!(same.count() < a.len() / 4, "the key stream is not the same");
}

#[test]
fn an_event_prepared_before_a_rotation_counts() {
    let log = Log::new();
    let mut audit = log.unlocked();
    write(&mut audit, "1");
    let prepared = audit.prepare_durable(event("rotate")).unwrap();
    let (id, mut key) = ([8; 16], [3; 32]);
    let new = log.memory.store(&mut key).unwrap();
    audit.begin(&log.memory, &id, &new).unwrap();
    audit.committed(prepared);
    write(&mut audit, "3");
    let journals = |wanted: &[u8; 16]| {
        let mut key = if *wanted == id { [3; 32] } else { log.key };
        log.memory.store(&mut key).ok()
    };
    let mut state = audit.verify(audit.position()).unwrap();
    while !state.step(&journals, 2).unwrap() {}
    assert_eq!(state.problems, [""; 0]);
    assert_eq!((state.events, state.files), (3, 1));
    // Without the old key, its part can't be checked, and the rest can.
    let only_new =
        |wanted: &[u8; 16]| (*wanted == id).then(|| log.memory.store(&mut [3; 32]).unwrap());
    let mut state = audit.verify(audit.position()).unwrap();
    while !state.step(&only_new, 2).unwrap() {}
    assert_eq!(
        state.problems,
        [
            "v.sv.audit: the beginning at byte 0 is not of this vault",
            "events 1 to 2 could not be checked"
        ]
    );
}

#[test]
fn the_longest_event_fits() {
    let log = Log::new();
    let mut audit = log.unlocked();
    let mut long = event(&format!("{}\0{}", "a".repeat(1024), "b".repeat(1024)));
    long.outcome = "o".repeat(255);
    long.asker.unit = "u".repeat(255);
    long.asker.comm = "c".repeat(255);
    let prepared = audit.prepare(long).unwrap();
    audit.append(prepared).unwrap();
    assert_eq!(log.problems(audit.position()), [""; 0]);
    assert_eq!(log.events(all()).len(), 1);
}

/// A changed format is a changed vector.
#[test]
fn the_bytes_of_a_record() {
    let mut out = Vec::new();
    let begun = chain::first(&[1; 32], &[2; 32]).unwrap();
    let mac = chain::begin(
        &mut out,
        record::BEGUN,
        &begun,
        (&[3; 16], &[2; 32]),
        0,
        &[0; 32],
    );
    let plain = event("name").encode().unwrap();
    let key = chain::next(&begun);
    chain::seal(&mut out, &key, 1, &mac, &plain).unwrap();
    assert_eq!(plain.len(), 64);
    assert_eq!(records(&out), [(0, 141, 1), (141, 298, 0)]);
    let hash = data_encoding::HEXLOWER.encode(&crypto::sha256(&out));
    assert_eq!(
        hash,
        "927d3d8daf1ff16a01d3b4a163fd4b29765b5a43f9e5eba9fd620a15df8914f4"
    );
}

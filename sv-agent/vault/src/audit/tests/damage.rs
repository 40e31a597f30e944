//! What was removed, changed, reordered, cut or torn.

use super::*;

#[test]
fn every_changed_byte_is_found() {
    let log = Log::new();
    let mut audit = log.unlocked();
    for i in 0..3 {
        write(&mut audit, &i.to_string());
    }
    drop(audit);
    let mut audit = log.unlocked();
    write(&mut audit, "3");
    write(&mut audit, "4");
    let known = audit.position();
    drop(audit);
    let good = log.bytes();
    assert_eq!(log.problems(known), [""; 0]);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        fs::write(log.path(), &bad).unwrap();
        let found = log.problems(known);
        assert!(!found.is_empty(), "byte {at}");
        assert!(found.len() <= 4, "byte {at}: {found:?}");
    }
    fs::write(log.path(), &good).unwrap();
    assert_eq!(log.problems(known), [""; 0]);
}

#[test]
fn each_manipulation_is_named() {
    let log = Log::new();
    let mut audit = log.unlocked();
    for i in 1..=6 {
        write(&mut audit, &i.to_string());
    }
    let known = audit.position();
    drop(audit);
    let good = log.bytes();
    // The beginning is the first one.
    let at: Vec<&[u8]> = records(&good).iter().map(|r| &good[r.0..r.1]).collect();
    let with = |pieces: &[&[u8]]| {
        fs::write(log.path(), pieces.concat()).unwrap();
        log.problems(known)
    };
    assert_eq!(with(&at), [""; 0]);
    assert_eq!(
        with(&[at[0], at[1], at[2], at[4], at[5], at[6]]),
        ["event 3 is missing"]
    );
    assert_eq!(
        with(&[at[0], at[1], at[5], at[6]]),
        ["events 2 to 4 are missing"]
    );
    assert_eq!(
        with(&[at[0], at[1], at[3], at[2], at[4], at[5], at[6]]),
        ["event 2 is missing", "event 2 stands in the wrong place"]
    );
    assert_eq!(
        with(&[at[0], at[1], at[2], at[2], at[3], at[4], at[5], at[6]]),
        ["event 2 stands there twice"]
    );
    assert_eq!(
        with(&[at[0], at[1], at[2], at[3], at[4]]),
        ["events 5 to 6 are missing at the end: the vault knows of them"]
    );
    assert_eq!(
        with(&at[1..]),
        [
            "v.sv.audit: its beginning is missing",
            "events 1 to 6 could not be checked"
        ]
    );
    let mut changed = at[3].to_vec();
    changed[40] ^= 1;
    assert_eq!(
        with(&[at[0], at[1], at[2], &changed, at[4], at[5], at[6]]),
        ["event 3 was changed"]
    );
    // The same, by somebody who makes the check fit.
    let (mut record, _) = record::parse(at[3]).unwrap();
    record.body[20] ^= 1;
    let mut changed = Vec::new();
    record::encode(
        &mut changed,
        record.kind,
        record.seq,
        &record.mac,
        &record.body,
    );
    assert_eq!(
        with(&[at[0], at[1], at[2], &changed, at[4], at[5], at[6]]),
        ["event 3 was changed"]
    );
    // Another mac, and another number.
    let (mut record, _) = record::parse(at[3]).unwrap();
    record.mac[0] ^= 1;
    let mut changed = Vec::new();
    record::encode(
        &mut changed,
        record.kind,
        record.seq,
        &record.mac,
        &record.body,
    );
    assert_eq!(
        with(&[at[0], at[1], at[2], &changed, at[4], at[5], at[6]]),
        ["event 3 does not fit what stands before it"]
    );
    let mut changed = Vec::new();
    let (record, _) = record::parse(at[3]).unwrap();
    record::encode(&mut changed, record.kind, 5, &record.mac, &record.body);
    assert_eq!(
        with(&[at[0], at[1], at[2], &changed, at[4], at[5], at[6]]),
        ["event 3 was changed"]
    );
    let junk = [0x5a; 333];
    assert_eq!(
        with(&[at[0], at[1], &junk, at[2], at[3], at[4], at[5], at[6]]).len(),
        1
    );
    fs::remove_file(log.path()).unwrap();
    assert_eq!(
        log.problems(known),
        ["events 1 to 6 are missing at the end: the vault knows of them"]
    );
}

#[test]
fn damage_hides_only_itself_from_a_reader() {
    let log = Log::new();
    let mut audit = log.unlocked();
    for i in 1..=6 {
        write(&mut audit, &i.to_string());
    }
    let good = log.bytes();
    let third = records(&good)[3];
    let mut bad = good.clone();
    bad[third.0..third.0 + 60].fill(0xa5);
    fs::write(log.path(), bad).unwrap();
    let mut audit = log.unlocked();
    let mut reader = audit.read(all()).unwrap();
    let part = reader.step(&log.journals(), 100, 1 << 20).unwrap();
    assert!(part.done);
    assert_eq!(names(&part.events), ["1", "2", "4", "5", "6"]);
    assert_eq!(reader.unreadable(), 1);
}

#[test]
fn a_torn_tail_is_cut_at_every_byte() {
    let log = Log::new();
    let mut audit = log.unlocked();
    for i in 1..=3 {
        write(&mut audit, &i.to_string());
    }
    let good = log.bytes();
    let (start, end, _) = *records(&good).last().unwrap();
    for cut in start..end {
        for zeros in [0, 300, 20_000] {
            if zeros > 0 && good[cut..end].iter().all(|b| *b == 0) {
                // Nothing is missing.
                continue;
            }
            let mut torn = good[..cut].to_vec();
            torn.resize(cut + zeros, 0);
            fs::write(log.path(), &torn).unwrap();
            let mut audit = log.unlocked();
            assert_eq!(audit.position().0, 2, "cut at {cut}, {zeros} zeros");
            assert_eq!(log.bytes().len(), start);
            write(&mut audit, "again");
            let known = audit.position();
            assert_eq!(known.0, 3);
            assert_eq!(log.problems(known), [""; 0]);
            let events = log.events(all());
            assert_eq!(names(&events), ["1", "2", "again"]);
        }
    }
    // The very first record.
    fs::write(log.path(), &good[..50]).unwrap();
    let mut audit = log.unlocked();
    assert_eq!(audit.position().0, 0);
    write(&mut audit, "first");
    assert_eq!(log.problems((0, [0; 32])), [""; 0]);
}

#[test]
fn what_is_not_a_torn_record_is_kept() {
    let log = Log::new();
    let mut audit = log.unlocked();
    write(&mut audit, "1");
    let mut bytes = log.bytes();
    bytes.extend_from_slice(&[0xee; 100_000]);
    fs::write(log.path(), &bytes).unwrap();
    let mut audit = log.unlocked();
    write(&mut audit, "2");
    let full = Files::new(&log.place).path(Some(1));
    assert_eq!(fs::read(full).unwrap(), bytes);
    assert_eq!(names(&log.events(all())), ["1", "2"]);
    let found = log.problems(audit.position());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("is no record"), "{found:?}");
}

#[test]
fn a_log_that_is_shorter_than_the_manifest_says_so_and_goes_on() {
    let log = Log::new();
    let mut audit = log.unlocked();
    for i in 1..=5 {
        write(&mut audit, &i.to_string());
    }
    let known = audit.position();
    drop(audit);
    let bytes = log.bytes();
    fs::write(log.path(), &bytes[..records(&bytes)[4].0]).unwrap();
    let mut audit = Audit::open(&log.place, false).unwrap();
    audit.expect(known);
    assert!(audit.short());
    audit.begin(&log.memory, &log.id, &log.journal()).unwrap();
    assert_eq!(audit.position(), known);
    write(&mut audit, "6");
    assert_eq!(audit.position().0, 6);
    // For good, whatever the manifest says later.
    assert_eq!(
        log.problems(audit.position()),
        ["events 4 to 5 are missing"]
    );
    // An end that is another one.
    let mut audit = Audit::open(&log.place, false).unwrap();
    audit.expect((6, [1; 32]));
    assert!(audit.short());
    let mut audit = log.unlocked();
    assert_eq!(
        problems(&mut audit, &log, (6, [1; 32]))[1],
        "event 6 is not the one that the vault knows"
    );
}

#[test]
fn a_file_that_somebody_takes_away_is_noticed_at_the_next_event() {
    let log = Log::new();
    for change in 0..4 {
        let _ = fs::remove_file(log.path());
        let mut audit = log.unlocked();
        let first = audit.position().0;
        write(&mut audit, "a");
        write(&mut audit, "b");
        let bytes = log.bytes();
        let moved = log.place.beside(".moved");
        match change {
            0 => fs::remove_file(log.path()).unwrap(),
            1 => fs::rename(log.path(), &moved).unwrap(),
            2 => fs::write(log.path(), &bytes[..records(&bytes)[2].0]).unwrap(),
            _ => {
                fs::rename(log.path(), &moved).unwrap();
                fs::write(log.path(), &bytes[..records(&bytes)[1].0]).unwrap();
            }
        }
        if change == 3 {
            audit.lock();
        }
        write(&mut audit, "c");
        assert_eq!(audit.position().0, first + 3, "the numbers go on");
        let known = audit.position();
        let events = log.events(all());
        assert_eq!(events.last().unwrap().name, "c", "change {change}");
        // Without the journal key it can only be marked.
        assert_eq!(events.last().unwrap().unauthenticated, change == 3);
        let found = log.problems(known);
        assert!(
            found.iter().any(|p| p.contains("missing")),
            "{change}: {found:?}"
        );
    }
}

#[test]
fn a_tail_that_others_wrote_is_cut_while_running() {
    let log = Log::new();
    let mut audit = log.unlocked();
    write(&mut audit, "1");
    let file = fs::OpenOptions::new().write(true).open(log.path()).unwrap();
    let len = file.metadata().unwrap().len();
    file.write_all_at(b"garbage", len).unwrap();
    write(&mut audit, "2");
    assert_eq!(log.problems(audit.position()), [""; 0]);
    assert_eq!(names(&log.events(all())), ["1", "2"]);
}

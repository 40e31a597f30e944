//! Files: rolling, crashes, the disk.

use super::*;

#[test]
fn files_are_rolled_by_size_and_the_chain_goes_on() {
    let log = Log::new();
    let mut audit = log.unlocked();
    audit.limit_files(2000);
    let mut positions = Vec::new();
    for i in 1..=60 {
        write(&mut audit, &format!("n{i}"));
        positions.push(audit.position());
    }
    let files = Files::new(&log.place);
    let full = files.full().unwrap();
    assert!(full.len() >= 4, "{full:?}");
    assert_eq!(full, (1..=full.len() as u64).collect::<Vec<_>>());
    for number in full.iter().map(|n| Some(*n)).chain([None]) {
        let bytes = fs::read(files.path(number)).unwrap();
        assert_eq!(records(&bytes)[0].2, record::BEGUN, "{number:?}");
    }
    let known = audit.position();
    assert_eq!(problems(&mut audit, &log, known), [""; 0]);
    let events = read(&mut audit, &log, all());
    assert_eq!(events.len(), 60);
    // The newest, wherever files end.
    for last in 1..=60_usize {
        let query = AuditQuery {
            last: Some(last as u64),
            ..all()
        };
        let events = read(&mut audit, &log, query);
        assert_eq!(events.len(), last);
        assert_eq!(events[last - 1].seq, 60);
        assert_eq!(events[0].name, format!("n{}", 61 - last));
        let query = AuditQuery {
            after: Some(60 - last as u64),
            ..all()
        };
        assert_eq!(read(&mut audit, &log, query), events);
    }
    // While locked nothing is rolled.
    audit.lock();
    for _ in 0..30 {
        write(&mut audit, "locked");
    }
    assert_eq!(files.full().unwrap().len(), full.len());
    let known = audit.position();
    assert_eq!(log.problems(known), [""; 0]);
    assert!(log.events(all()).iter().all(|e| !e.unauthenticated));
    // A missing file, a missing first file, and two that changed places.
    let second = files.path(Some(2));
    let content = fs::read(&second).unwrap();
    fs::remove_file(&second).unwrap();
    let found = log.problems(known);
    assert_eq!(found[0], "v.sv.audit.000002: the file is missing");
    assert!(found[1].starts_with("events ") && found[1].ends_with(" are missing"));
    assert_eq!(found.len(), 2, "{found:?}");
    fs::write(&second, &content).unwrap();
    assert_eq!(log.problems(known), [""; 0]);
    let first = files.path(Some(1));
    let other = fs::read(&first).unwrap();
    fs::remove_file(&first).unwrap();
    let found = log.problems(known);
    assert_eq!(found[0], "v.sv.audit.000001: the file is missing");
    assert_eq!(found.len(), 2, "{found:?}");
    fs::write(&first, &content).unwrap();
    fs::write(&second, &other).unwrap();
    assert!(log.problems(known).len() >= 2);
}

#[test]
fn a_roll_that_a_crash_cut_short_is_no_loss() {
    let log = Log::new();
    let mut audit = log.unlocked();
    write(&mut audit, "1");
    let known = audit.position();
    drop(audit);
    Files::new(&log.place).roll().unwrap();
    let mut audit = log.unlocked();
    assert_eq!(audit.position(), known);
    write(&mut audit, "2");
    assert_eq!(log.problems(audit.position()), [""; 0]);
    // And with a new file that is still empty.
    drop(audit);
    Files::new(&log.place).roll().unwrap();
    fs::write(log.path(), b"").unwrap();
    let mut audit = log.unlocked();
    assert_eq!(audit.position().0, 2);
    write(&mut audit, "3");
    assert_eq!(log.problems(audit.position()), [""; 0]);
    assert_eq!(names(&log.events(all())), ["1", "2", "3"]);
}

#[test]
fn a_crash_between_transaction_and_append_loses_nothing() {
    let log = Log::new();
    let mut audit = log.unlocked();
    write(&mut audit, "1");
    let prepared = audit.prepare_durable(event("2")).unwrap();
    let manifest = prepared.position();
    let outbox = vec![(manifest.0, prepared.bytes().to_vec())];
    drop((audit, prepared));
    for _ in 0..2 {
        // Twice: the row is still there when the file has the event already.
        let mut audit = Audit::open(&log.place, false).unwrap();
        audit.replay(&outbox).unwrap();
        assert_eq!(audit.position(), manifest);
        audit.expect(manifest);
        assert!(!audit.short());
    }
    let mut audit = log.unlocked();
    write(&mut audit, "3");
    assert_eq!(log.problems(manifest), [""; 0]);
    assert_eq!(names(&log.events(all())), ["1", "2", "3"]);
    // The chain is not known after a replay in the middle of a session either.
    let prepared = audit.prepare_durable(event("4")).unwrap();
    let row = (prepared.position().0, prepared.bytes().to_vec());
    drop(prepared);
    audit.replay(&[row]).unwrap();
    write(&mut audit, "5");
    assert_eq!(log.problems(audit.position()), [""; 0]);
    assert_eq!(log.events(all()).len(), 5);
    // Rows that are none change nothing.
    let junk = [(9, vec![1, 2, 3]), (u64::MAX, Vec::new())];
    audit.replay(&junk).unwrap();
    assert_eq!(audit.position().0, 5);
}

#[test]
fn what_a_transaction_vouches_for_waits_for_the_file() {
    let log = Log::new();
    let mut audit = log.unlocked();
    let prepared = audit.prepare_durable(event("1")).unwrap();
    // No file can be made.
    fs::create_dir(log.path()).unwrap();
    audit.committed(prepared);
    assert_eq!(audit.position().0, 1);
    assert_eq!(audit.synced(), 0);
    assert!(audit.prepare(event("2")).is_err(), "a read has to fail");
    fs::remove_dir(log.path()).unwrap();
    write(&mut audit, "2");
    assert_eq!(log.problems(audit.position()), [""; 0]);
    assert_eq!(names(&log.events(all())), ["1", "2"]);
}

#[test]
fn links_and_pipes_are_refused() {
    let log = Log::new();
    symlink("/etc/passwd", log.path()).unwrap();
    assert!(matches!(
        Audit::open(&log.place, false),
        Err(Error::Insecure(_))
    ));
    fs::remove_file(log.path()).unwrap();
    nix::unistd::mkfifo(&log.path(), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    assert!(Audit::open(&log.place, false).is_err());
}

#[test]
fn a_wide_mode_is_narrowed() {
    let log = Log::new();
    write(&mut log.unlocked(), "1");
    fs::set_permissions(log.path(), fs::Permissions::from_mode(0o644)).unwrap();
    drop(log.unlocked());
    let mode = fs::metadata(log.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_new_vault_has_a_log_of_its_own() {
    let log = Log::new();
    write(&mut log.unlocked(), "1");
    Files::new(&log.place).roll().unwrap();
    write(&mut log.unlocked(), "2");
    for _ in 0..2 {
        let audit = Audit::create(&log.place).unwrap();
        assert_eq!(audit.position().0, 0);
        write(&mut log.unlocked(), "of the new one");
    }
    assert!(log.place.beside(".audit-old1").exists());
    assert!(log.place.beside(".audit-old1.000001").exists());
    assert!(log.place.beside(".audit-old2").exists());
    assert_eq!(names(&log.events(all())), ["of the new one"]);
}

#[test]
fn nothing_is_written_where_nothing_can_be() {
    let log = Log::new();
    let mut audit = Audit::open(&log.place, true).unwrap();
    audit.begin(&log.memory, &log.id, &log.journal()).unwrap();
    write(&mut audit, "1");
    assert!(!log.path().exists());
    assert_eq!(audit.position().0, 0);
    assert!(audit.sync_file().unwrap().is_none());
    // A vault whose journal key nobody knows yet.
    let mut audit = Audit::open(&log.place, false).unwrap();
    write(&mut audit, "1");
    assert!(!log.path().exists());
}

#[test]
fn synced_is_what_was_synced() {
    let log = Log::new();
    let mut audit = log.unlocked();
    assert!(audit.sync_file().unwrap().is_none());
    write(&mut audit, "1");
    let file = audit.sync_file().unwrap().unwrap();
    write(&mut audit, "2");
    file.sync_data().unwrap();
    audit.mark_synced(1);
    assert_eq!(audit.synced(), 1);
    // A transaction brings loose events to the disk before it vouches for more.
    let prepared = audit.prepare_durable(event("3")).unwrap();
    assert_eq!(audit.synced(), 2);
    audit.committed(prepared);
    assert_eq!(audit.synced(), 2);
    let prepared = audit.prepare_durable(event("4")).unwrap();
    assert_eq!(audit.synced(), 2, "the outbox has event 3");
    audit.committed(prepared);
    // A sync that fails is made good by writing again.
    let file = audit.sync_file().unwrap().unwrap();
    drop(file);
    audit.sync_failed();
    audit.mark_synced(4);
    assert_eq!(audit.synced(), 2);
    write(&mut audit, "5");
    assert_eq!(audit.synced(), 4, "the next event waited for it");
    assert!(audit.sync_file().unwrap().is_some());
    audit.sync().unwrap();
    assert_eq!(audit.synced(), 5);
    assert_eq!(log.problems(audit.position()), [""; 0]);
}

#[test]
fn disk_is_taken_ahead() {
    use std::os::unix::fs::MetadataExt;
    let log = Log::new();
    let mut audit = log.unlocked();
    write(&mut audit, "1");
    let meta = fs::metadata(log.path()).unwrap();
    assert!(meta.len() < 1000, "the length is that of the records");
    assert!(meta.blocks() * 512 >= limits::AUDIT_AHEAD);
}

#[test]
fn a_vault_that_came_without_its_log_begins_one() {
    let log = Log::new();
    let mut audit = log.unlocked();
    for i in 1..=3 {
        write(&mut audit, &i.to_string());
    }
    let known = audit.prepare_durable(event("4")).unwrap();
    let (manifest, outbox) = (known.position(), vec![(4, known.bytes().to_vec())]);
    drop((audit, known));
    for locked_first in [false, true] {
        // On another machine, with a copy of the vault.
        fs::remove_file(log.path()).unwrap();
        let mut audit = log.locked();
        audit.replay(&outbox).unwrap();
        assert_eq!(audit.position().0, 0, "nobody could check that event");
        if locked_first {
            write(&mut audit, "restore");
        }
        audit.arrive(manifest);
        assert!(!audit.short());
        audit.begin(&log.memory, &log.id, &log.journal()).unwrap();
        write(&mut audit, "5");
        assert_eq!(audit.position().0, 5);
        assert_eq!(log.problems(manifest), [""; 0], "{locked_first}");
        assert_eq!(log.problems(audit.position()), [""; 0]);
        // Only where nothing was there before.
        drop(audit);
        let mut audit = Audit::open(&log.place, false).unwrap();
        audit.arrive((9, [1; 32]));
        assert!(audit.short());
        audit.begin(&log.memory, &log.id, &log.journal()).unwrap();
        write(&mut audit, "10");
        assert_eq!(log.problems(manifest), ["events 6 to 9 are missing"]);
    }
}

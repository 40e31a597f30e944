//! Copies of a vault: made while it is written to, whole, and gone when given up.

mod bench;

use bench::{Bench, add, check, finish, get, sound, update, with_shares};
use rusqlite::Connection;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, SystemTime},
};
use sv_vault_core::{
    BackupStep, Check, CopyKey, Error, ErrorKind, KdfParams, Locked, Merged, NewSlot,
};

#[test]
fn a_copy_is_a_vault_and_carries_what_is_written_meanwhile() {
    let bench = Bench::new();
    let mut vault = bench.create("vault.sv");
    for n in 0..300 {
        add(&mut vault, &format!("n{n}"), &"x".repeat(900));
    }
    let mut backup = vault.backup_begin(true).expect("a backup");
    let mut n = 0;
    let mut copied = 0;
    while vault.backup_step(&mut backup, 1, 50).expect("a step") != BackupStep::Done {
        let (done, total) = backup.progress();
        assert!(done <= total);
        copied = copied.max(done);
        // While pages are copied, before and behind the place that it is at.
        if n < 60 && done < total / 2 {
            update(&mut vault, &format!("n{}", n * 5), &format!("new {n}"));
            add(&mut vault, &format!("m{n}"), "m");
            n += 1;
        }
    }
    assert_eq!(n, 60);
    let made = backup.finish().expect("complete");
    assert_eq!(made.secrets, 360);
    let file = bench.path(&made.file);
    let meta = fs::metadata(&file).expect("the file");
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    assert_eq!(meta.len(), made.size);
    // One file: what SQLite needs beside it is not there.
    let beside: Vec<String> = bench.files();
    let beside = beside.iter().filter(|f| f.contains(".backup-")).count();
    assert_eq!(beside, 1);

    let report = check(&file).expect("a vault");
    assert_eq!(report.problems, [""; 0]);
    assert_eq!((report.secrets, report.generation), (360, made.generation));
    assert!(report.slots && !report.shares);
    assert_eq!(report.vault, vault.id());

    drop(vault.lock());
    let copy = bench.path("copy.sv");
    fs::rename(&file, &copy).expect("moved");
    let mut copy = bench.unlock("copy.sv", b"password").expect("it opens");
    for i in 0..60 {
        assert_eq!(
            get(&mut copy, &format!("n{}", i * 5)),
            Some(format!("new {i}"))
        );
        assert_eq!(get(&mut copy, &format!("m{i}")).as_deref(), Some("m"));
    }
    sound(&mut copy);
    add(&mut copy, "writable", "yes");
}

#[test]
fn a_copy_that_was_given_up_leaves_nothing() {
    let bench = Bench::new();
    let mut vault = bench.create("vault.sv");
    for n in 0..50 {
        add(&mut vault, &format!("n{n}"), &"x".repeat(3000));
    }
    let left = |bench: &Bench| bench.files().iter().any(|f| f.contains(".backup-"));

    let mut backup = vault.backup_begin(true).expect("a backup");
    vault.backup_step(&mut backup, 2, 1).expect("a step");
    assert!(left(&bench));
    drop(backup);
    assert!(!left(&bench));
    // Its end of the copy is still open; the next one takes its place.
    update(&mut vault, "n3", "still writable");
    let mut backup = vault.backup_begin(true).expect("a backup");
    vault.backup_step(&mut backup, 2, 1).expect("a step");
    vault.backup_abort();
    assert!(vault.backup_step(&mut backup, 2, 1).is_err());
    drop(backup);
    assert!(!left(&bench));

    // A lock gives it up as well.
    let mut backup = vault.backup_begin(true).expect("a backup");
    vault.backup_step(&mut backup, 2, 1).expect("a step");
    drop(vault.lock());
    let mut vault = bench.unlock("vault.sv", b"password").expect("it opens");
    assert!(vault.backup_step(&mut backup, 2, 1).is_err());
    assert!(backup.finish().is_err());
    assert!(!left(&bench));
    sound(&mut vault);
}

#[test]
fn leftovers_go_when_a_vault_is_opened_and_others_stay() {
    let bench = Bench::new();
    drop(bench.create("vault.sv").lock());
    let random = "0123456789abcdef";
    let leftovers = [
        format!("vault.sv.backup-{random}"),
        format!("vault.sv.backup-{random}-journal"),
        format!("vault.sv.restore-{random}"),
    ];
    let others = [
        "vault.sv.backup-mine".to_owned(),
        format!("other.sv.backup-{random}"),
        format!("vault.sv.backup-{}", random.to_uppercase()),
    ];
    let aged = |file: &fs::File| {
        let then = SystemTime::now() - Duration::from_secs(3600);
        file.set_modified(then).expect("a time");
    };
    for name in leftovers.iter().chain(&others) {
        aged(&fs::File::create(bench.path(name)).expect("a file"));
    }
    // Put there just now, for the agent that is starting.
    let fresh = bench.path("vault.sv.restore-00000000ffffffff");
    fs::write(&fresh, b"x").expect("a file");
    // Somebody still needs this one.
    let held = bench.path("vault.sv.restore-fedcba9876543210");
    let file = fs::File::create(&held).expect("a file");
    file.lock_shared().expect("held");
    aged(&file);
    drop(
        bench
            .unlock("vault.sv", b"password")
            .expect("it opens")
            .lock(),
    );
    for name in &leftovers {
        assert!(!bench.path(name).exists(), "{name}");
    }
    for name in &others {
        assert!(bench.path(name).exists(), "{name}");
    }
    assert!(held.exists() && fresh.exists());
    drop(file);
    drop(
        bench
            .unlock("vault.sv", b"password")
            .expect("it opens")
            .lock(),
    );
    assert!(!held.exists());
}

#[test]
fn without_slots_only_shares_open_it() {
    let bench = Bench::new();
    let mut vault = bench.create("vault.sv");
    add(&mut vault, "a", "a1");
    let refused = vault
        .backup_begin(false)
        .err()
        .expect("nobody could open it");
    assert_eq!(refused.kind(), ErrorKind::NoShare);
    let shares = with_shares(&mut vault);
    add(&mut vault, "b", "b1");
    let made = finish(&mut vault, false);
    let copy = bench.path("copy.sv");
    fs::rename(bench.path(&made.file), &copy).expect("moved");
    let report = check(&copy).expect("a vault");
    assert_eq!(report.problems, [""; 0]);
    assert!(!report.slots && report.shares);
    // No trace of a slot: not of its salt either.
    let slots = |path: &Path| {
        let db = Connection::open(path).expect("SQLite");
        let mut query = db
            .prepare("SELECT object FROM control WHERE type = 5")
            .expect("a query");
        let rows = query
            .query_map([], |row| row.get::<_, Vec<u8>>(0))
            .expect("rows");
        rows.collect::<rusqlite::Result<Vec<_>>>().expect("rows")
    };
    assert_eq!(slots(&copy), [[0_u8; 0]; 0]);
    drop(vault.lock());
    let bytes = fs::read(&copy).expect("the copy");
    for slot in slots(&bench.path("vault.sv")) {
        let tail = &slot[slot.len() - 40..];
        assert!(!bytes.windows(40).any(|w| w == tail), "a slot's ciphertext");
    }

    // It opens with shares, as a vault and as a copy.
    let mut vault = bench.unlock("vault.sv", b"password").expect("it opens");
    vault.delete("b", false, 3).expect("deleted");
    let mut rotation = vault.rotate_begin(None).expect("a rotation");
    while !vault.rotate_step(&mut rotation, 100).expect("a step") {}
    vault.rotate_commit(rotation).expect("committed");
    let texts: Vec<&[u8]> = shares.iter().map(|s| s.as_bytes()).collect();
    let few = CopyKey::Shares(texts[..1].to_vec());
    let refused = bench.merge(&mut vault, &copy, &few).expect_err("too few");
    assert_eq!(refused.kind(), ErrorKind::WrongShare);
    let open = CopyKey::Shares(texts[1..].to_vec());
    assert_eq!(
        bench.merge(&mut vault, &copy, &open).expect("merged"),
        Merged::default()
    );
    drop(vault.lock());
    let locked = Locked::open(&copy, "test").expect("a vault");
    let slot = NewSlot::derive(b"new", KdfParams::default(), &bench.memory).expect("a slot");
    let recovered = locked.recover(&texts[..2], slot, None, 5, &bench.memory, &mut |_, _| ());
    let mut recovered = recovered.map_err(|(_, e)| e).expect("recovered");
    assert_eq!(get(&mut recovered, "b").as_deref(), Some("b1"));
    sound(&mut recovered);
    // What was recovered elsewhere comes home.
    add(&mut recovered, "abroad", "written there");
    let home = bench.backup(&mut recovered, "home.sv");
    drop(recovered.lock());
    let mut vault = bench.unlock("vault.sv", b"password").expect("it opens");
    let open = CopyKey::Shares(texts);
    let merged = bench.merge(&mut vault, &home, &open).expect("merged");
    assert_eq!((merged.secrets, merged.conflicts), (1, 0));
    assert_eq!(get(&mut vault, "abroad").as_deref(), Some("written there"));
    sound(&mut vault);
}

#[test]
fn a_file_becomes_the_vault_where_there_is_none() {
    let bench = Bench::new();
    let mut vault = bench.create("vault.sv");
    add(&mut vault, "a", "a1");
    let copy = bench.backup(&mut vault, "copy.sv");
    drop(vault.lock());
    let place = bench.path("new/vault.sv");
    let name = "vault.sv.restore-0123456789abcdef";
    let stage = |bench: &Bench| {
        fs::create_dir_all(bench.path("new")).expect("a folder");
        let folder = fs::Permissions::from_mode(0o700);
        fs::set_permissions(bench.path("new"), folder).expect("a mode");
        fs::copy(&copy, bench.path("new").join(name)).expect("staged");
    };
    stage(&bench);
    let sound = |name: &str| {
        let mut check = Check::staged(&place, name, true)?;
        while !check.step(10)? {}
        Ok::<_, Error>(check)
    };
    // A name that is none of these files' leads nowhere.
    for bad in [
        "vault.sv",
        "../copy.sv",
        "vault.sv.restore-",
        "vault.sv.restore-0123456789ABCDEF",
    ] {
        assert_eq!(sound(bad).err().expect(bad).kind(), ErrorKind::Usage);
    }
    let other = "vault.sv.restore-ffffffffffffffff";
    assert_eq!(
        sound(other).err().expect("missing").kind(),
        ErrorKind::NoVault
    );

    // The newest changes of a vault that was moved away are not replayed into it.
    let wal = bench.path("new/vault.sv-wal");
    fs::write(&wal, b"journal").expect("a file");
    let refused = sound(name).expect("sound").settle(&place, "test");
    assert_eq!(refused.expect_err("a journal").kind(), ErrorKind::Insecure);
    assert!(!place.exists() && wal.exists());
    fs::remove_file(&wal).expect("removed");

    sound(name)
        .expect("sound")
        .settle(&place, "test")
        .expect("settled");
    assert!(!bench.path("new").join(name).exists());
    let mode = fs::metadata(&place)
        .expect("the vault")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut restored = bench.unlock("new/vault.sv", b"password").expect("it opens");
    assert_eq!(get(&mut restored, "a").as_deref(), Some("a1"));
    drop(restored.lock());
    stage(&bench);
    let refused = sound(name).expect("sound").settle(&place, "test");
    assert_eq!(refused.expect_err("a vault").kind(), ErrorKind::Exists);
}

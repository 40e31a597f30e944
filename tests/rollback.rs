//! A vault file that was put back from a copy while no agent ran is a valid
//! older state. The note of its generation outside of the file tells.

mod common;

use common::{Home, PASSWORD, files};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
};

/// The note of the vault's generation.
fn note(home: &Home) -> PathBuf {
    let found: Vec<PathBuf> = files(&home.root.join("state"))
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| path.extension().is_some_and(|e| e == "gen"))
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().expect("one")
}

/// The vault as one file.
fn copy(home: &Home) -> Vec<u8> {
    home.sv("agent stop").ok();
    fs::read(&home.vault).expect("the vault")
}

fn put_back(home: &Home, bytes: &[u8]) {
    home.sv("agent stop").ok();
    fs::write(&home.vault, bytes).expect("put back");
}

fn warns(home: &Home, word: &str) -> bool {
    let status = home.status();
    let warnings = status["warnings"].as_array().expect("a list");
    warnings.iter().any(|w| w == word)
}

/// Unlocking says so, reading works, nothing can be written, and nothing is.
#[track_caller]
fn is_refused(home: &Home) {
    home.sv("agent stop").ok();
    let done = home.sv("unlock --password-stdin").line(PASSWORD).run();
    assert_eq!(done.code(), 0, "{}", done.err);
    assert!(done.err.contains("earlier state"), "{}", done.err);
    assert!(done.err.contains("--accept-rollback"), "{}", done.err);
    assert!(warns(home, "rolled_back"));
    assert!(home.sv("list").text().starts_with("a\n"));
    home.get("a");
    home.sv("verify").ok();
    let vault = fs::read(&home.vault).expect("the vault");
    let old_note = fs::read(note(home)).ok();
    for command in [
        "add b",
        "update a",
        "delete a --yes",
        "rename a c",
        "revert a --rev 1",
    ] {
        let said = home.sv(command).input(b"x").fails(9);
        assert!(said.contains("--accept-rollback"), "{said}");
    }
    let lines = format!("{PASSWORD}\nnew\n");
    let passwd = home.sv("passwd --password-stdin").input(lines.as_bytes());
    passwd.fails(9);
    let error = home.sv("update a --json").input(b"x").run();
    assert_eq!(error.code(), 9);
    let error: serde_json::Value = serde_json::from_str(&error.err).expect("JSON");
    assert_eq!(error["kind"], "rolled_back");
    // A lock, too, leaves the file and the note as they are.
    home.sv("lock").ok();
    assert!(fs::read(&home.vault).expect("the vault") == vault);
    assert_eq!(fs::read(note(home)).ok(), old_note);
}

fn accept(home: &Home) {
    let unlock = home.sv("unlock --accept-rollback --password-stdin");
    let done = unlock.line(PASSWORD).run();
    assert_eq!((done.code(), done.err.as_str()), (0, ""));
    assert!(!warns(home, "rolled_back"));
    home.sv("update a").input(b"accepted").ok();
    home.sv("agent stop").ok();
    home.unlock();
    assert!(!warns(home, "rolled_back"));
    assert_eq!(home.get("a"), b"accepted");
    home.sv("verify").ok();
}

#[test]
fn an_older_vault() {
    let home = Home::with_vault();
    home.add("a", b"1");
    let old = copy(&home);
    home.unlock();
    home.sv("update a").input(b"2").ok();
    home.sv("update a").input(b"3").ok();
    let new = copy(&home);
    put_back(&home, &old);
    is_refused(&home);
    // The newest one again: nothing was wrong.
    put_back(&home, &new);
    home.unlock();
    assert!(!warns(&home, "rolled_back"));
    assert_eq!(home.get("a"), b"3");
    home.add("b", b"writable");

    put_back(&home, &old);
    is_refused(&home);
    // A copy from before would otherwise go unnoticed from now on.
    accept(&home);
}

#[test]
fn locking_alone_does_not_hide_it() {
    let home = Home::with_vault();
    home.add("a", b"1");
    let old = copy(&home);
    home.unlock();
    for n in 0..3 {
        home.sv("update a").input(n.to_string().as_bytes()).ok();
    }
    put_back(&home, &old);
    for _ in 0..5 {
        home.unlock();
        assert!(warns(&home, "rolled_back"));
        home.sv("lock").ok();
    }
    is_refused(&home);
}

#[test]
fn another_state_of_the_same_age() {
    let home = Home::with_vault();
    home.add("a", b"1");
    let base = copy(&home);
    let base_note = fs::read(note(&home)).expect("the note");
    // The same number of writes from the same beginning, twice.
    home.unlock();
    home.sv("update a").input(b"one").ok();
    let one = copy(&home);
    let newest = fs::read(note(&home)).expect("the note");
    put_back(&home, &base);
    fs::write(note(&home), &base_note).expect("put back");
    home.unlock();
    home.sv("update a").input(b"two").ok();
    home.sv("agent stop").ok();
    assert_ne!(fs::read(note(&home)).expect("the note"), newest);
    put_back(&home, &one);
    is_refused(&home);
    assert_eq!(
        {
            home.unlock();
            home.get("a")
        },
        b"one"
    );
    home.sv("lock").ok();
    accept(&home);
}

#[test]
fn a_note_that_is_missing() {
    let home = Home::with_vault();
    home.add("a", b"1");
    assert!(!warns(&home, "generation_missing"));
    home.sv("agent stop").ok();
    fs::remove_file(note(&home)).expect("removed");
    home.unlock();
    assert!(warns(&home, "generation_missing"));
    assert!(!warns(&home, "rolled_back"));
    // Writing goes on, and makes it anew.
    home.sv("update a").input(b"2").ok();
    assert!(!warns(&home, "generation_missing"));
    let meta = fs::metadata(note(&home)).expect("the note");
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    // The folder as well, and while the vault is open.
    fs::remove_dir_all(home.root.join("state/sv")).expect("removed");
    home.sv("update a").input(b"3").ok();
    let folder = fs::metadata(home.root.join("state/sv")).expect("the folder");
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
    home.sv("agent stop").ok();
    home.unlock();
    assert!(!warns(&home, "generation_missing"));
}

#[test]
fn a_note_that_is_not_ours() {
    let home = Home::with_vault();
    home.add("a", b"1");
    home.sv("agent stop").ok();
    let good = fs::read(note(&home)).expect("the note");
    let other = Home::with_vault();
    other.add("a", b"1");
    other.sv("agent stop").ok();
    let foreign = fs::read(note(&other)).expect("the note");
    for garbage in [&b"garbage"[..], &[0; 96], b"", &foreign, &good[..95]] {
        fs::write(note(&home), garbage).expect("written");
        is_refused(&home);
    }
    fs::write(note(&home), &good).expect("written");
    home.unlock();
    assert!(!warns(&home, "rolled_back"));
    home.sv("agent stop").ok();
    fs::write(note(&home), b"garbage").expect("written");
    is_refused(&home);
    accept(&home);
}

#[test]
fn a_folder_that_is_not_ours() {
    let home = Home::with_vault();
    home.add("a", b"1");
    home.sv("agent stop").ok();
    let folder = home.root.join("state/sv");
    let away = home.root.join("away");
    fs::rename(&folder, &away).expect("moved");
    symlink(&away, &folder).expect("a link");
    let refused = |home: &Home| {
        home.unlock();
        assert!(warns(home, "rolled_back"));
        assert_eq!(home.get("a"), b"1");
        home.sv("update a").input(b"x").fails(9);
        home.sv("agent stop").ok();
    };
    refused(&home);
    // Who says that it is meant can write, and is told that nothing is noted.
    let unlock = home.sv("unlock --accept-rollback --password-stdin");
    unlock.line(PASSWORD).ok();
    home.sv("update a").input(b"1").ok();
    assert!(warns(&home, "generation_missing"));
    home.sv("agent stop").ok();
    fs::remove_file(&folder).expect("removed");
    fs::rename(&away, &folder).expect("moved");

    // Others could have put anything there.
    for (mode, owner) in [(0o777, 0), (0o770, 0), (0o700, 65534)] {
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).expect("a mode");
        std::os::unix::fs::chown(&folder, Some(owner), Some(owner)).expect("an owner");
        refused(&home);
    }
    std::os::unix::fs::chown(&folder, Some(0), Some(0)).expect("an owner");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("a mode");
    std::os::unix::fs::chown(note(&home), Some(65534), None).expect("an owner");
    refused(&home);
    std::os::unix::fs::chown(note(&home), Some(0), None).expect("an owner");
    home.unlock();
    assert!(!warns(&home, "rolled_back"));
}

/// Without a place for it nothing is refused.
#[test]
fn no_place_for_a_note() {
    let home = Home::with_vault();
    home.add("a", b"1");
    home.sv("agent stop").ok();
    fs::remove_dir_all(home.root.join("state")).expect("removed");
    fs::write(home.root.join("state"), b"a file").expect("written");
    home.unlock();
    home.sv("update a").input(b"2").ok();
    assert!(warns(&home, "generation_missing"));
    assert!(!warns(&home, "rolled_back"));
}

/// A crash between a commit and its note is no alarm, and neither is a
/// rotation.
#[test]
fn what_is_no_alarm() {
    let home = Home::with_vault();
    home.add("a", b"0");
    for n in 0..20 {
        home.sv("update a").input(n.to_string().as_bytes()).ok();
        home.kill_agent();
        home.unlock();
        assert!(!warns(&home, "rolled_back"));
    }
    let earlier = fs::read(note(&home)).expect("the note");
    home.sv("update a").input(b"x").ok();
    home.sv("rotate").ok();
    home.sv("update a").input(b"y").ok();
    home.sv("agent stop").ok();
    // As after a loss of power: the note is older, and of the key before.
    fs::write(note(&home), &earlier).expect("written");
    home.unlock();
    assert!(!warns(&home, "rolled_back"));
    home.sv("update a").input(b"z").ok();
    let old = copy(&home);
    home.unlock();
    home.sv("rotate").ok();
    put_back(&home, &old);
    home.unlock();
    assert!(
        warns(&home, "rolled_back"),
        "a rotation can be put back, too"
    );
}

/// Restoring brings the newest state back without an alarm afterwards.
#[test]
fn a_restore_settles_it() {
    let home = Home::with_vault();
    home.add("a", b"1");
    let old = copy(&home);
    home.unlock();
    home.sv("update a").input(b"2").ok();
    home.add("b", b"b");
    home.sv("backup newest.sv").ok();
    put_back(&home, &old);
    is_refused(&home);
    home.unlock();
    home.sv("restore newest.sv").fails(9);
    home.sv("lock").ok();
    let unlock = home.sv("unlock --accept-rollback --password-stdin");
    unlock.line(PASSWORD).ok();
    home.sv("restore newest.sv").ok();
    assert_eq!(home.get("a"), b"2");
    assert_eq!(home.get("b"), b"b");
    home.sv("agent stop").ok();
    home.unlock();
    assert!(!warns(&home, "rolled_back"));
    // What is older than either is told from it.
    put_back(&home, &old);
    home.unlock();
    assert!(warns(&home, "rolled_back"));
}

//! Copies of a vault: made while it is written to, checked without keys,
//! merged back without losing either side.

use rusqlite::{Connection, params};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use sv_vault_core::{
    Backup, BackupStep, Change, Check, CopyKey, Error, ErrorKind, Fields, FileReport, Filter,
    KdfParams, KeyMemory, Locked, Made, Merged, NewSlot, Result, SlotKind, Vault,
};
use tempfile::TempDir;

/// Where vaults and copies are.
struct Bench {
    dir: TempDir,
    memory: KeyMemory,
}

impl Bench {
    fn new() -> Self {
        Self {
            dir: TempDir::new().expect("a temporary folder"),
            memory: KeyMemory::new(false).expect("key memory"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn create(&self, name: &str) -> Vault {
        let slot = NewSlot::derive(b"password", KdfParams::default(), &self.memory);
        Vault::create(
            &self.path(name),
            "test",
            slot.expect("a slot"),
            &self.memory,
        )
        .expect("a vault")
    }

    fn unlock(&self, name: &str, password: &[u8]) -> Result<Vault> {
        let mut locked = Locked::open(&self.path(name), "test")?;
        let key = locked
            .challenge()?
            .derive(SlotKind::Password, password, &self.memory)?;
        locked.unlock(key, &self.memory).map_err(|(_, e)| e)
    }

    /// A finished copy, moved to `to`.
    fn backup(&self, vault: &mut Vault, to: &str) -> PathBuf {
        let made = finish(vault, true);
        let to = self.path(to);
        fs::rename(self.path(&made.file), &to).expect("moved");
        to
    }

    /// Merges the file `from` into `vault`.
    fn merge(&self, vault: &mut Vault, from: &Path, key: &CopyKey<'_>) -> Result<Merged> {
        let mut check = Check::open(from)?;
        while !check.step(10)? {}
        let mut merge = vault.merge_begin(check, key)?;
        while !vault.merge_step(&mut merge, 3)? {}
        vault.merge_commit(merge, 1000)
    }

    fn merge_freely(&self, vault: &mut Vault, from: &Path) -> Merged {
        let merged = self.merge(vault, from, &CopyKey::None).expect("a merge");
        sound(vault);
        merged
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).expect("a folder");
        let mut names: Vec<String> = entries
            .map(|e| {
                e.expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("text")
            })
            .collect();
        names.sort();
        names
    }
}

fn run(vault: &mut Vault, backup: &mut Backup) -> Result<()> {
    while vault.backup_step(backup, 1, 10)? != BackupStep::Done {}
    Ok(())
}

fn finish(vault: &mut Vault, slots: bool) -> Made {
    let mut backup = vault.backup_begin(slots).expect("a backup");
    run(vault, &mut backup).expect("it is made");
    backup.finish().expect("it is complete")
}

fn check(path: &Path) -> Result<FileReport> {
    let mut check = Check::open(path)?;
    while !check.step(10)? {}
    Ok(check.report().clone())
}

/// A full verification finds nothing.
#[track_caller]
fn sound(vault: &mut Vault) {
    let mut state = vault.verify();
    while !vault.verify_step(&mut state, 100).expect("readable") {}
    assert_eq!(state.problems, [""; 0]);
}

fn add(vault: &mut Vault, name: &str, value: &str) {
    let done = vault.add(name, value.as_bytes(), &Fields::default(), 1);
    done.expect("added");
}

fn update(vault: &mut Vault, name: &str, value: &str) {
    let done = vault.update(name, Some(value.as_bytes()), &Change::default(), None, 2);
    done.expect("updated");
}

fn get(vault: &mut Vault, name: &str) -> Option<String> {
    match vault.get(name, None) {
        Ok(value) => Some(String::from_utf8(value.to_vec()).expect("text")),
        Err(Error::NoSecret) => None,
        Err(e) => panic!("{name}: {e}"),
    }
}

fn names(vault: &mut Vault) -> Vec<String> {
    while !vault.load_names(100).expect("names") {}
    let all = Filter::List {
        prefix: String::new(),
        category: None,
        tags: Vec::new(),
    };
    let (items, _) = vault.list(&all, None, usize::MAX).expect("a list");
    items.into_iter().map(|item| item.name).collect()
}

fn heads(vault: &mut Vault, name: &str) -> usize {
    let history = vault.history(name).expect("a history");
    history.iter().filter(|r| r.head).count()
}

/// Puts the vault file back to what it was at `copy`.
fn put_back(bench: &Bench, vault: Vault, name: &str, copy: &Path) -> Vault {
    drop(vault.lock());
    fs::copy(copy, bench.path(name)).expect("put back");
    bench.unlock(name, b"password").expect("it opens")
}

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
    for name in leftovers.iter().chain(&others) {
        fs::write(bench.path(name), b"x").expect("a file");
    }
    // Somebody still needs this one.
    let held = bench.path("vault.sv.restore-fedcba9876543210");
    let file = fs::File::create(&held).expect("a file");
    file.lock_shared().expect("held");
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
    assert!(held.exists());
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
fn what_is_missing_comes_back_and_nothing_else_changes() {
    let bench = Bench::new();
    let mut vault = bench.create("vault.sv");
    add(&mut vault, "a", "a1");
    add(&mut vault, "b", "b1");
    add(&mut vault, "gone", "g1");
    let early = bench.backup(&mut vault, "early.sv");
    update(&mut vault, "a", "a2");
    vault.delete("gone", false, 3).expect("deleted");
    vault.rename("b", "c", 3).expect("renamed");
    add(&mut vault, "d", "d1");
    let late = bench.backup(&mut vault, "late.sv");

    // An older copy has nothing new.
    let before = vault.counts();
    let merged = bench.merge_freely(&mut vault, &early);
    assert_eq!(merged, Merged::default());
    assert_eq!(vault.counts(), before);

    // The vault went back; the newer copy brings everything.
    let mut vault = put_back(&bench, vault, "vault.sv", &early);
    assert_eq!(names(&mut vault), ["a", "b", "gone"]);
    let merged = bench.merge_freely(&mut vault, &late);
    assert_eq!((merged.secrets, merged.conflicts), (1, 0));
    assert_eq!(merged.revisions, 4);
    assert_eq!(names(&mut vault), ["a", "c", "d"]);
    assert_eq!(get(&mut vault, "a").as_deref(), Some("a2"));
    assert_eq!(get(&mut vault, "c").as_deref(), Some("b1"));
    assert_eq!(vault.history("a").expect("a history").len(), 2);
    // What was deleted can be brought back, with its history.
    vault.revert("gone", 1, 4).expect("reverted");
    assert_eq!(get(&mut vault, "gone").as_deref(), Some("g1"));
    let merged = bench.merge_freely(&mut vault, &late);
    assert_eq!(merged, Merged::default(), "twice adds nothing");
    update(&mut vault, "d", "d2");
    drop(vault.lock());
    let mut vault = bench.unlock("vault.sv", b"password").expect("it opens");
    assert_eq!(get(&mut vault, "d").as_deref(), Some("d2"));
    sound(&mut vault);
}

#[test]
fn both_sides_changed() {
    let bench = Bench::new();
    let mut vault = bench.create("vault.sv");
    for name in ["both", "mine", "theirs", "deleted", "purged"] {
        add(&mut vault, name, "base");
    }
    let base = bench.backup(&mut vault, "base.sv");
    // One side …
    update(&mut vault, "both", "theirs 1");
    update(&mut vault, "both", "theirs 2");
    update(&mut vault, "theirs", "theirs");
    update(&mut vault, "deleted", "kept alive");
    update(&mut vault, "purged", "one more");
    let theirs = bench.backup(&mut vault, "theirs.sv");
    // … and the other, from the same beginning.
    let mut vault = put_back(&bench, vault, "vault.sv", &base);
    update(&mut vault, "both", "mine");
    update(&mut vault, "mine", "mine");
    vault.delete("deleted", false, 3).expect("deleted");
    vault.delete("purged", true, 3).expect("purged");

    let merged = bench.merge_freely(&mut vault, &theirs);
    assert_eq!(merged.secrets, 0);
    assert_eq!(merged.conflicts, 3, "both, deleted, purged");
    assert_eq!(heads(&mut vault, "both"), 2);
    assert_eq!(get(&mut vault, "mine").as_deref(), Some("mine"));
    assert_eq!(get(&mut vault, "theirs").as_deref(), Some("theirs"));
    // The purge drops what it superseded, and no more.
    let history = vault.history("purged").expect("a history");
    assert_eq!(history.len(), 2);
    assert!(history.iter().all(|r| r.head));
    // The value of neither side is lost.
    let history = vault.history("both").expect("a history");
    let mut values: Vec<_> = history.iter().filter(|r| r.head).map(|r| r.rev).collect();
    values.sort_unstable();
    assert_eq!(values, [2, 3]);
    let read = |vault: &mut Vault, rev| {
        String::from_utf8(vault.get("both", Some(rev)).expect("a value").to_vec()).expect("text")
    };
    assert_eq!(read(&mut vault, 3), "theirs 2");
    assert_eq!(bench.merge_freely(&mut vault, &theirs), Merged::default());
    // The next write settles it.
    update(&mut vault, "both", "settled");
    assert_eq!(heads(&mut vault, "both"), 1);
    sound(&mut vault);
    assert_eq!(bench.merge_freely(&mut vault, &theirs), Merged::default());
    assert_eq!(bench.merge_freely(&mut vault, &base), Merged::default());
}

/// Whichever way two states are merged, the same revisions are there.
#[test]
fn merging_both_ways_gives_the_same() {
    let bench = Bench::new();
    let mut vault = bench.create("vault.sv");
    for n in 0..12 {
        add(&mut vault, &format!("n{n}"), "base");
    }
    let base = bench.backup(&mut vault, "base.sv");
    let mut sides = Vec::new();
    for side in 0..2_u32 {
        vault = put_back(&bench, vault, "vault.sv", &base);
        for n in 0..12_u32 {
            let name = format!("n{n}");
            match (n + side) % 4 {
                0 => update(&mut vault, &name, &format!("side {side}")),
                1 => {
                    for i in 0..(5 + 8 * side) {
                        update(&mut vault, &name, &format!("{side} {i}"));
                    }
                }
                2 => drop(vault.delete(&name, n % 3 == 0, 5).expect("deleted")),
                _ => {}
            }
        }
        add(&mut vault, &format!("only {side}"), "x");
        let name = format!("side{side}.sv");
        sides.push(bench.backup(&mut vault, &name));
    }
    let mut results = Vec::new();
    for (first, second) in [(0, 1), (1, 0)] {
        vault = put_back(&bench, vault, "vault.sv", &sides[first]);
        bench.merge_freely(&mut vault, &sides[second]);
        let mut all = BTreeMap::new();
        for n in 0..12 {
            let history = vault.history(&format!("n{n}")).expect("a history");
            let ids: Vec<_> = history.iter().map(|r| (r.id, r.head)).collect();
            all.insert(n, ids);
        }
        results.push((all, names(&mut vault), vault.counts()));
    }
    assert_eq!(results[0], results[1]);
}

#[test]
fn names_stay_with_whom_they_were() {
    let bench = Bench::new();
    let mut vault = bench.create("vault.sv");
    add(&mut vault, "x", "x");
    add(&mut vault, "y", "y");
    let base = bench.backup(&mut vault, "base.sv");
    // The same name for two secrets, and two that change places.
    add(&mut vault, "new", "theirs");
    vault.rename("x", "tmp", 2).expect("renamed");
    vault.rename("y", "x", 2).expect("renamed");
    vault.rename("tmp", "y", 2).expect("renamed");
    let theirs = bench.backup(&mut vault, "theirs.sv");
    let mut vault = put_back(&bench, vault, "vault.sv", &base);
    add(&mut vault, "new", "mine");

    let merged = bench.merge_freely(&mut vault, &theirs);
    assert_eq!((merged.secrets, merged.conflicts), (1, 1));
    assert_eq!(get(&mut vault, "new").as_deref(), Some("mine"));
    assert_eq!(get(&mut vault, "x").as_deref(), Some("y"));
    assert_eq!(get(&mut vault, "y").as_deref(), Some("x"));
    let names = names(&mut vault);
    let moved: Vec<_> = names
        .iter()
        .filter(|n| n.starts_with("new.restored-"))
        .collect();
    assert_eq!((names.len(), moved.len()), (4, 1));
    assert_eq!(get(&mut vault, moved[0]).as_deref(), Some("theirs"));
    assert_eq!(bench.merge_freely(&mut vault, &theirs), Merged::default());
}

#[test]
fn a_long_history_keeps_to_its_length() {
    let bench = Bench::new();
    let mut vault = bench.create("vault.sv");
    add(&mut vault, "a", "0");
    for n in 1..8 {
        update(&mut vault, "a", &n.to_string());
    }
    let early = bench.backup(&mut vault, "early.sv");
    for n in 8..40 {
        update(&mut vault, "a", &n.to_string());
    }
    let late = bench.backup(&mut vault, "late.sv");
    let revs = |vault: &mut Vault| {
        let history = vault.history("a").expect("a history");
        history.iter().map(|r| r.rev).collect::<Vec<_>>()
    };
    let kept = revs(&mut vault);
    assert_eq!(bench.merge_freely(&mut vault, &early), Merged::default());
    assert_eq!(revs(&mut vault), kept);
    let mut vault = put_back(&bench, vault, "vault.sv", &early);
    let merged = bench.merge_freely(&mut vault, &late);
    assert_eq!(merged.conflicts, 0);
    assert_eq!(revs(&mut vault), kept);
    assert_eq!(get(&mut vault, "a").as_deref(), Some("39"));
}

#[test]
fn keys_that_were_renewed() {
    let bench = Bench::new();
    let mut vault = bench.create("vault.sv");
    add(&mut vault, "a", "a1");
    add(&mut vault, "lost", "found");
    let old = bench.backup(&mut vault, "old.sv");
    vault.delete("lost", true, 2).expect("purged");
    let rotate = |vault: &mut Vault| {
        let mut rotation = vault.rotate_begin(None).expect("a rotation");
        while !vault.rotate_step(&mut rotation, 100).expect("a step") {}
        vault.rotate_commit(rotation).expect("committed");
    };
    rotate(&mut vault);
    update(&mut vault, "a", "a2");
    let new = bench.backup(&mut vault, "new.sv");

    let before = vault.counts();
    let refused = bench.merge(&mut vault, &old, &CopyKey::None);
    assert_eq!(
        refused.expect_err("locked").kind(),
        ErrorKind::WrongPassword
    );
    let key = |path: &Path, password: &[u8]| {
        let check = Check::open(path).expect("a vault");
        let challenge = check.challenge().expect("slots");
        challenge.derive(SlotKind::Password, password, &bench.memory)
    };
    assert!(key(&old, b"other").is_err());
    let open = CopyKey::Slot(key(&old, b"password").expect("the password"));
    assert_eq!(
        bench.merge(&mut vault, &old, &open).expect("merged"),
        Merged::default(),
        "all of it is known or purged"
    );
    assert_eq!(vault.counts(), before);

    // A vault that never saw the new keys does not take what is under them.
    let mut vault = put_back(&bench, vault, "vault.sv", &old);
    let refused = bench.merge(&mut vault, &new, &CopyKey::None);
    assert_eq!(refused.expect_err("later").kind(), ErrorKind::Conflict);
    // The other way round works.
    add(&mut vault, "between", "kept");
    let side = bench.backup(&mut vault, "side.sv");
    let mut vault = put_back(&bench, vault, "vault.sv", &new);
    let open = CopyKey::Slot(key(&side, b"password").expect("the password"));
    let merged = bench.merge(&mut vault, &side, &open).expect("merged");
    assert_eq!((merged.secrets, merged.revisions), (1, 1));
    sound(&mut vault);
    assert_eq!(get(&mut vault, "between").as_deref(), Some("kept"));
    assert_eq!(get(&mut vault, "a").as_deref(), Some("a2"));
    assert_eq!(get(&mut vault, "lost"), None);

    // Both sides renewed their keys.
    let mut vault = put_back(&bench, vault, "vault.sv", &side);
    rotate(&mut vault);
    update(&mut vault, "a", "a3");
    update(&mut vault, "between", "changed");
    let other = bench.backup(&mut vault, "other.sv");
    let mut vault = put_back(&bench, vault, "vault.sv", &new);
    let open = CopyKey::Slot(key(&other, b"password").expect("the password"));
    let merged = bench.merge(&mut vault, &other, &open).expect("merged");
    assert_eq!((merged.secrets, merged.conflicts), (1, 1));
    assert_eq!(get(&mut vault, "between").as_deref(), Some("changed"));
    sound(&mut vault);
    drop(vault.lock());
    let mut vault = bench.unlock("vault.sv", b"password").expect("it opens");
    sound(&mut vault);
    rotate(&mut vault);
    assert_eq!(get(&mut vault, "between").as_deref(), Some("changed"));
    sound(&mut vault);
    let last = bench.backup(&mut vault, "last.sv");
    assert_eq!(check(&last).expect("a vault").problems, [""; 0]);
}

/// A vault with a set of shares in force, and the shares.
fn with_shares(vault: &mut Vault) -> Vec<String> {
    let set = vault.deal(3, 2, 1).expect("dealt").set;
    let shares: Vec<String> = (1..=3)
        .map(|index| vault.share(&set, index).expect("a share").to_string())
        .collect();
    for index in 1..=3 {
        vault
            .share_delivered(&set, index, (1, "here".to_owned()), 2)
            .expect("delivered");
    }
    let mut rotation = vault.deal_commit(&set, false).expect("a rotation");
    while !vault.rotate_step(&mut rotation, 100).expect("a step") {}
    vault.rotate_commit(rotation).expect("committed");
    shares
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
    let recovered = locked.recover(&texts[..2], slot, 5, &bench.memory, &mut |_, _| ());
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
fn another_vault_is_never_mixed_in() {
    let bench = Bench::new();
    let mut other = bench.create("other.sv");
    add(&mut other, "a", "other");
    let copy = bench.backup(&mut other, "copy.sv");
    drop(other.lock());
    let mut vault = bench.create("vault.sv");
    let refused = bench.merge(&mut vault, &copy, &CopyKey::None);
    assert_eq!(refused.expect_err("another").kind(), ErrorKind::Exists);
    assert_eq!(names(&mut vault), [""; 0]);
    add(&mut vault, "still", "writable");
}

#[test]
fn a_merge_that_stops_changes_nothing() {
    let bench = Bench::new();
    let mut vault = bench.create("vault.sv");
    for n in 0..40 {
        add(&mut vault, &format!("n{n}"), "x");
    }
    let early = bench.backup(&mut vault, "early.sv");
    for n in 0..40 {
        update(&mut vault, &format!("n{n}"), "y");
    }
    let late = bench.backup(&mut vault, "late.sv");
    let mut vault = put_back(&bench, vault, "vault.sv", &early);
    let begin = |vault: &mut Vault| {
        let mut check = Check::open(&late).expect("a vault");
        while !check.step(10).expect("a step") {}
        vault.merge_begin(check, &CopyKey::None).expect("a merge")
    };
    for steps in [0, 1, 1100, 1105, 1110] {
        let mut merge = begin(&mut vault);
        for _ in 0..steps {
            if vault.merge_step(&mut merge, 1).expect("a step") {
                break;
            }
        }
        // Readers see what was there before, writers are told to wait.
        assert_eq!(get(&mut vault, "n7").as_deref(), Some("x"));
        let refused = vault.add("b", b"x", &Fields::default(), 1);
        assert_eq!(refused.expect_err("busy").kind(), ErrorKind::Busy);
        vault.merge_abort();
        drop(merge);
        assert_eq!(get(&mut vault, "n7").as_deref(), Some("x"));
        sound(&mut vault);
    }
    // One that is not complete is not taken for complete.
    let merge = begin(&mut vault);
    assert!(vault.merge_commit(merge, 5).is_err());
    sound(&mut vault);
    // A lock in between ends it as well.
    let mut merge = begin(&mut vault);
    vault.merge_step(&mut merge, 20).expect("a step");
    drop(vault.lock());
    let mut vault = bench.unlock("vault.sv", b"password").expect("it opens");
    assert!(vault.merge_step(&mut merge, 20).is_err());
    sound(&mut vault);
    let mut check = Check::open(&late).expect("a vault");
    assert!(!check.step(1).expect("a step"));
    let refused = vault.merge_begin(check, &CopyKey::None).err();
    assert_eq!(refused.expect("unchecked").kind(), ErrorKind::Damaged);
    bench.merge_freely(&mut vault, &late);
    assert_eq!(get(&mut vault, "n7").as_deref(), Some("y"));
}

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
            let step = usize::try_from(length / 12).expect("small").max(1);
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
    refused(&whole[..whole.len() - 1], "the last byte");
    refused(b"garbage", "garbage");
    refused(&vec![0; 100_000], "zeros");
    let mut half = whole.clone();
    let middle = whole.len() / 2;
    half[middle..].fill(0);
    refused(&half, "zeros in its second half");
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

//! A copy merged back: neither side's revisions are lost, and nothing comes twice.

mod bench;

use bench::{Bench, add, check, get, heads, names, put_back, sound, update};
use std::{collections::BTreeMap, fs, path::Path};
use sv_vault_core::{Check, CopyKey, ErrorKind, Fields, Merged, SlotKind, Vault};

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

/// Many secrets into a vault that has none of them, within bounded memory.
#[test]
fn many_secrets() {
    const MANY: u32 = 10_000;
    let bench = Bench::new();
    let mut vault = bench.create("vault.sv");
    add(&mut vault, "a", "a");
    let early = bench.backup(&mut vault, "early.sv");
    let fields = Fields::default();
    let secrets: Vec<_> = (0..MANY)
        .map(|i| (format!("team/{}/{i}", i % 97), vec![b'x'; 300]))
        .collect();
    let secrets = secrets
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_slice(), &fields));
    vault.add_many(secrets, 1).expect("added");
    let late = bench.backup(&mut vault, "late.sv");
    let mut vault = put_back(&bench, vault, "vault.sv", &early);
    let merged = bench.merge_freely(&mut vault, &late);
    assert_eq!(merged.secrets, u64::from(MANY));
    assert_eq!(vault.counts().secrets, u64::from(MANY) + 1);
    assert_eq!(get(&mut vault, "team/3/3"), Some("x".repeat(300)));
    let status = fs::read_to_string("/proc/self/status").expect("our own");
    let peak: u64 = (status.lines())
        .find_map(|l| {
            l.strip_prefix("VmHWM:")?
                .trim()
                .strip_suffix(" kB")?
                .parse()
                .ok()
        })
        .expect("a peak");
    // One derivation takes 64 MiB, and two page caches 16 MiB each.
    assert!(peak < 192 * 1024, "{peak} kB");
}

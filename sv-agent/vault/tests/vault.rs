//! The engine through its public face: what is written is read back, history
//! and names behave, and a reopened vault is the same vault.

use std::path::PathBuf;
use sv_vault_core::{
    Change, Error, Fields, Filter, KdfParams, KeyMemory, Locked, NewSlot, Result, SlotKind, Vault,
};
use tempfile::TempDir;

struct Bench {
    _dir: TempDir,
    path: PathBuf,
    memory: KeyMemory,
}

impl Bench {
    fn new() -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        Self {
            path: dir.path().join("vault.sv"),
            _dir: dir,
            memory: KeyMemory::new(false).expect("key memory"),
        }
    }

    fn create(&self) -> Result<Vault> {
        let slot = NewSlot::derive(b"password", KdfParams::default(), &self.memory)?;
        Vault::create(&self.path, "test", slot, &self.memory)
    }

    fn unlock(&self, password: &[u8]) -> Result<Vault> {
        let mut locked = Locked::open(&self.path, "test")?;
        let key = locked
            .challenge()?
            .derive(SlotKind::Password, password, &self.memory)?;
        locked.unlock(key, &self.memory).map_err(|(_, e)| e)
    }
}

fn fields(category: &str, tags: &[&str], note: &str) -> Fields {
    Fields {
        category: category.into(),
        tags: tags.iter().map(|t| (*t).into()).collect(),
        note: note.into(),
        expires: 0,
    }
}

fn names(vault: &mut Vault, filter: &Filter) -> Result<Vec<String>> {
    while !vault.load_names(10)? {}
    let (items, more) = vault.list(filter, None, usize::MAX)?;
    assert_eq!(more, None);
    Ok(items.into_iter().map(|i| i.name).collect())
}

fn all() -> Filter {
    Filter::List {
        prefix: String::new(),
        category: None,
        tags: Vec::new(),
    }
}

fn verify(vault: &mut Vault) -> Result<Vec<String>> {
    let mut state = vault.verify();
    while !vault.verify_step(&mut state, 50)? {}
    if state.problems.is_empty() {
        assert_eq!(state.secrets, vault.counts().secrets);
        assert_eq!(state.revisions, vault.counts().revisions);
    }
    Ok(state.problems)
}

#[test]
fn values_of_every_kind_come_back_after_reopening() -> Result<()> {
    let bench = Bench::new();
    let values: Vec<Vec<u8>> = vec![
        b"plain".to_vec(),
        Vec::new(),
        vec![0; 3],
        "ünïcødé 🔑".into(),
        vec![0xff; 300],
        (0..1_048_576_u32).map(|i| (i % 251) as u8).collect(),
    ];
    let mut vault = bench.create()?;
    for (i, value) in values.iter().enumerate() {
        assert_eq!(
            vault.add(&format!("kind/{i}"), value, &Fields::default(), 5)?,
            1
        );
    }
    let id = vault.id();
    drop(vault.lock());
    let mut vault = bench.unlock(b"password")?;
    assert_eq!(vault.id(), id);
    for (i, value) in values.iter().enumerate() {
        assert_eq!(&*vault.get(&format!("kind/{i}"), None)?, value);
    }
    assert_eq!(vault.counts().secrets, 6);
    assert_eq!(verify(&mut vault)?, [""; 0]);
    assert!(matches!(
        vault.add("too-large", &vec![0; 1_048_577], &Fields::default(), 5),
        Err(Error::BadValue)
    ));
    Ok(())
}

#[test]
fn a_secrets_life() -> Result<()> {
    let bench = Bench::new();
    let mut vault = bench.create()?;
    let made = fields("api", &["b", "a", "b"], "first");
    assert_eq!(vault.add("service/key", b"one", &made, 1000)?, 1);
    assert!(matches!(
        vault.add("service/key", b"x", &made, 1),
        Err(Error::Exists)
    ));
    assert!(matches!(vault.get("service", None), Err(Error::NoSecret)));

    let change = Change {
        note: Some("second".into()),
        ..Change::default()
    };
    assert_eq!(
        vault.update("service/key", None, &change, Some(1), 2000)?,
        2
    );
    assert_eq!(&*vault.get("service/key", None)?, b"one");
    assert!(matches!(
        vault.update("service/key", Some(b"x"), &change, Some(1), 3),
        Err(Error::Conflict { current: 2 })
    ));
    assert_eq!(
        vault.update(
            "service/key",
            Some(b"three"),
            &Change::default(),
            None,
            3000
        )?,
        3
    );
    let item = vault.show("service/key", None)?;
    assert_eq!(
        (item.rev, item.created, item.updated, item.size),
        (3, 1000, 3000, 5)
    );
    assert_eq!(item.fields, fields("api", &["a", "b"], "second"));
    assert_eq!(&*vault.get("service/key", Some(1))?, b"one");
    assert!(matches!(
        vault.get("service/key", Some(9)),
        Err(Error::NoRevision)
    ));

    assert_eq!(vault.rename("service/key", "service/new", 4000)?, 4);
    assert!(matches!(
        vault.get("service/key", None),
        Err(Error::NoSecret)
    ));
    let history = vault.history("service/new")?;
    assert_eq!(
        history.iter().map(|r| r.rev).collect::<Vec<_>>(),
        [4, 3, 2, 1]
    );
    assert_eq!(
        history.iter().map(|r| r.head).collect::<Vec<_>>(),
        [true, false, false, false]
    );
    assert_eq!(history[3].name, "service/key");

    assert_eq!(vault.delete("service/new", false, 5000)?, 5);
    assert!(matches!(
        vault.get("service/new", None),
        Err(Error::NoSecret)
    ));
    assert!(matches!(
        vault.delete("service/new", false, 5),
        Err(Error::NoSecret)
    ));
    assert_eq!(vault.counts().secrets, 0);
    assert_eq!(&*vault.get("service/new", Some(3))?, b"three");
    assert!(vault.history("service/new")?[0].deleted);
    assert_eq!(vault.revert("service/new", 1, 6000)?, 6);
    assert_eq!(&*vault.get("service/new", None)?, b"one");
    assert_eq!(vault.show("service/new", None)?.fields.note, "first");

    // A secret that is added after a delete is a new record.
    vault.delete("service/new", false, 7000)?;
    assert_eq!(
        vault.add("service/new", b"fresh", &Fields::default(), 8000)?,
        1
    );
    assert_eq!(vault.history("service/new")?.len(), 1);
    vault.delete("service/new", true, 9000)?;
    assert_eq!(vault.history("service/new")?.len(), 1);
    assert_eq!(verify(&mut vault)?, [""; 0]);
    drop(vault.lock());
    let mut vault = bench.unlock(b"password")?;
    assert_eq!(verify(&mut vault)?, [""; 0]);
    Ok(())
}

#[test]
fn ten_superseded_revisions_are_kept() -> Result<()> {
    let bench = Bench::new();
    let mut vault = bench.create()?;
    vault.add("n", b"1", &Fields::default(), 0)?;
    for i in 2..=80_u64 {
        let value = i.to_string();
        assert_eq!(
            vault.update("n", Some(value.as_bytes()), &Change::default(), None, 0)?,
            i
        );
    }
    let revs: Vec<u64> = vault.history("n")?.iter().map(|r| r.rev).collect();
    assert_eq!(revs, (70..=80).rev().collect::<Vec<_>>());
    assert_eq!(&*vault.get("n", Some(70))?, b"70");
    assert!(matches!(vault.get("n", Some(69)), Err(Error::NoRevision)));
    assert_eq!(vault.counts().revisions, 11);
    assert_eq!(verify(&mut vault)?, [""; 0]);
    Ok(())
}

#[test]
fn lists_and_searches() -> Result<()> {
    let bench = Bench::new();
    let mut vault = bench.create()?;
    for (name, made) in [
        ("prod/db", fields("db", &["red", "blue"], "Main Database")),
        ("prod/api", fields("api", &["red"], "")),
        ("production", fields("", &[], "")),
        ("test/ÄPI", fields("api", &[], "umlaut")),
    ] {
        vault.add(name, b"canary-value", &made, 0)?;
    }
    assert_eq!(
        names(&mut vault, &all())?,
        ["prod/api", "prod/db", "production", "test/ÄPI"]
    );
    let list = |prefix: &str, category: Option<&str>, tags: &[&str]| Filter::List {
        prefix: prefix.into(),
        category: category.map(Into::into),
        tags: tags.iter().map(|t| (*t).into()).collect(),
    };
    assert_eq!(
        names(&mut vault, &list("prod/", None, &[]))?,
        ["prod/api", "prod/db"]
    );
    assert_eq!(
        names(&mut vault, &list("", Some("api"), &[]))?,
        ["prod/api", "test/ÄPI"]
    );
    assert_eq!(
        names(&mut vault, &list("", None, &["red", "blue"]))?,
        ["prod/db"]
    );
    let search = |words: &[&str]| Filter::Search {
        words: words.iter().map(|w| (*w).into()).collect(),
    };
    assert_eq!(
        names(&mut vault, &search(&["DATABASE", "main"]))?,
        ["prod/db"]
    );
    assert_eq!(names(&mut vault, &search(&["äpi"]))?, ["test/ÄPI"]);
    assert_eq!(names(&mut vault, &search(&["canary"]))?, [""; 0]);

    // Names that are in memory follow every write.
    vault.rename("production", "zed", 0)?;
    vault.delete("prod/db", false, 0)?;
    vault.add("aaa", b"", &Fields::default(), 0)?;
    assert_eq!(
        names(&mut vault, &all())?,
        ["aaa", "prod/api", "test/ÄPI", "zed"]
    );

    let (first, more) = vault.list(&all(), None, 1)?;
    assert!(more.as_deref() == Some("aaa") && first.len() == 1);
    let (rest, more) = vault.list(&all(), Some("aaa"), usize::MAX)?;
    assert!(more.is_none() && rest.len() == 3);
    Ok(())
}

#[test]
fn many_at_once_are_all_or_none() -> Result<()> {
    let bench = Bench::new();
    let mut vault = bench.create()?;
    let none = Fields::default();
    let names: Vec<String> = (0..500).map(|i| format!("many/{i:03}")).collect();
    let secrets = || names.iter().map(|n| (n.as_str(), n.as_bytes(), &none));
    assert_eq!(vault.add_many(secrets(), 0)?, 500);
    assert!(matches!(vault.add_many(secrets(), 0), Err(Error::Exists)));
    let twice = [("x", b"".as_slice(), &none), ("x", b"".as_slice(), &none)];
    assert!(matches!(vault.add_many(twice, 0), Err(Error::Exists)));
    assert_eq!(vault.counts().secrets, 500);
    for name in &names {
        assert_eq!(&*vault.get(name, None)?, name.as_bytes());
    }
    assert_eq!(verify(&mut vault)?, [""; 0]);
    Ok(())
}

#[test]
fn passwords() -> Result<()> {
    let bench = Bench::new();
    let mut vault = bench.create()?;
    vault.add("kept", b"value", &Fields::default(), 0)?;
    let old = vault
        .challenge()?
        .derive(SlotKind::Password, b"password", &bench.memory)?;
    let new = NewSlot::derive(b"\x00new\xff", KdfParams::default(), &bench.memory)?;
    vault.change_password(&old, new)?;
    assert_eq!(&*vault.get("kept", None)?, b"value");
    drop(vault.lock());
    assert!(matches!(
        bench.unlock(b"password"),
        Err(Error::WrongPassword)
    ));
    let mut vault = bench.unlock(b"\x00new\xff")?;
    assert!(
        !bench.path.with_extension("sv-shm").exists(),
        "no shared memory"
    );
    assert_eq!(&*vault.get("kept", None)?, b"value");
    assert_eq!(verify(&mut vault)?, [""; 0]);
    Ok(())
}

#[test]
fn a_place_is_refused_with_its_reason() -> Result<()> {
    let bench = Bench::new();
    assert!(matches!(
        Locked::open(&bench.path, ""),
        Err(Error::NoVault(_))
    ));
    let vault = bench.create()?;
    assert!(matches!(
        Locked::open(&bench.path, ""),
        Err(Error::InUse { note }) if note == "test"
    ));
    drop(vault);
    assert!(matches!(bench.create(), Err(Error::VaultExists(_))));

    let dir = bench.path.parent().expect("a folder");
    std::os::unix::fs::symlink(&bench.path, dir.join("link.sv"))?;
    assert!(matches!(
        Locked::open(&dir.join("link.sv"), ""),
        Err(Error::Insecure(_))
    ));
    std::os::unix::fs::symlink("elsewhere", dir.join("other.sv.lock"))?;
    std::fs::copy(&bench.path, dir.join("other.sv"))?;
    assert!(matches!(
        Locked::open(&dir.join("other.sv"), ""),
        Err(Error::Insecure(_))
    ));
    Ok(())
}

#[test]
fn a_file_that_vanished_gets_no_writes() -> Result<()> {
    let bench = Bench::new();
    let mut vault = bench.create()?;
    vault.add("a", b"1", &Fields::default(), 0)?;
    let aside = bench.path.with_extension("aside");
    std::fs::rename(&bench.path, &aside)?;
    assert!(matches!(
        vault.add("b", b"2", &Fields::default(), 0),
        Err(Error::Gone(_))
    ));
    assert!(matches!(vault.get("a", None), Err(Error::Gone(_))));
    std::fs::rename(&aside, &bench.path)?;
    assert_eq!(&*vault.get("a", None)?, b"1");
    assert!(matches!(vault.get("b", None), Err(Error::NoSecret)));
    Ok(())
}

#[test]
fn bad_names_and_fields() -> Result<()> {
    let bench = Bench::new();
    let mut vault = bench.create()?;
    let none = Fields::default();
    let long = "x".repeat(1025);
    for name in [
        "", "/a", "a/", "a//b", "a/./b", "..", "a\nb", "a\u{7f}", &long,
    ] {
        assert!(
            matches!(vault.add(name, b"v", &none, 0), Err(Error::BadName(_))),
            "{name:?}"
        );
    }
    assert_eq!(vault.add(&"x".repeat(1024), b"v", &none, 0)?, 1);
    let many: Vec<String> = (0..33).map(|i| i.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for bad in [
        fields(&"c".repeat(65), &[], ""),
        fields("a\nb", &[], ""),
        fields("", &[""], ""),
        fields("", &[&"t".repeat(65)], ""),
        fields("", &many, ""),
        fields("", &[], &"n".repeat(16 * 1024 + 1)),
    ] {
        assert!(matches!(
            vault.add("bad", b"v", &bad, 0),
            Err(Error::BadField(_))
        ));
    }
    // Everything at its limit at once still fits an object.
    let full: Vec<String> = (0..32).map(|i| format!("{i:064}")).collect();
    let full: Vec<&str> = full.iter().map(String::as_str).collect();
    let full = fields(&"c".repeat(64), &full, &"n".repeat(16 * 1024));
    vault.add("full", &vec![7; 1_048_576], &full, 0)?;
    assert_eq!(vault.get("full", None)?.len(), 1_048_576);
    Ok(())
}

//! Rotation, shares, recovery and slots, at the engine's public face.

use std::{fs, path::PathBuf};
use sv_vault_core::{
    Change, Error, ErrorKind, Fields, KdfParams, KeyMemory, Locked, NewSlot, Result, Rotation,
    SlotKind, Vault,
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

    fn slot(&self, password: &[u8]) -> NewSlot {
        NewSlot::derive(password, KdfParams::default(), &self.memory).expect("a slot")
    }

    fn create(&self) -> Result<Vault> {
        Vault::create(&self.path, "test", self.slot(b"password"), &self.memory)
    }

    fn open(&self) -> Result<Locked> {
        Locked::open(&self.path, "test")
    }

    fn unlock(&self, kind: SlotKind, secret: &[u8]) -> Result<Vault> {
        let mut locked = self.open()?;
        let key = locked.challenge()?.derive(kind, secret, &self.memory)?;
        locked.unlock(key, &self.memory).map_err(|(_, e)| e)
    }
}

/// Secrets with a history, a deleted one, a renamed one.
fn fill(vault: &mut Vault, count: usize) -> Result<()> {
    for n in 0..count {
        let name = format!("folder/secret-{n}");
        vault.add(
            &name,
            format!("value {n}").as_bytes(),
            &Fields::default(),
            1,
        )?;
        for rev in 0..n % 4 {
            let value = format!("value {n} again {rev}");
            vault.update(&name, Some(value.as_bytes()), &Change::default(), None, 2)?;
        }
    }
    vault.add("gone", b"gone", &Fields::default(), 1)?;
    vault.delete("gone", false, 3)?;
    vault.add("old name", b"renamed", &Fields::default(), 1)?;
    vault.rename("old name", "new name", 4)?;
    Ok(())
}

fn check(vault: &mut Vault, count: usize) -> Result<()> {
    for n in 0..count {
        let name = format!("folder/secret-{n}");
        let newest = match n % 4 {
            0 => format!("value {n}"),
            revs => format!("value {n} again {}", revs - 1),
        };
        assert_eq!(vault.get(&name, None)?.as_slice(), newest.as_bytes());
        assert_eq!(vault.history(&name)?.len(), 1 + n % 4);
        let first = vault.get(&name, Some(1))?;
        assert_eq!(first.as_slice(), format!("value {n}").as_bytes());
    }
    assert!(matches!(vault.get("gone", None), Err(Error::NoSecret)));
    assert_eq!(vault.history("gone")?.len(), 2);
    assert_eq!(vault.get("new name", None)?.as_slice(), b"renamed");
    let mut state = vault.verify();
    while !vault.verify_step(&mut state, 50)? {}
    assert_eq!(state.problems, Vec::<String>::new());
    assert_eq!(state.secrets, vault.counts().secrets);
    Ok(())
}

fn finish(vault: &mut Vault, mut rotation: Rotation) -> Result<u64> {
    while !vault.rotate_step(&mut rotation, 7)? {}
    Ok(vault.rotate_commit(rotation)?.epoch)
}

fn rotate(vault: &mut Vault) -> Result<u64> {
    let rotation = vault.rotate_begin(None)?;
    finish(vault, rotation)
}

/// Deals a set, delivers every share, commits; gives the texts.
fn deal(vault: &mut Vault, count: u8, threshold: u8) -> Result<Vec<String>> {
    let set = vault.deal(count, threshold, 5)?.set;
    let mut texts = Vec::new();
    for index in 1..=count {
        texts.push(vault.share(&set, index)?.to_string());
        vault.share_delivered(&set, index, (1, format!("holder {index}")), 6)?;
    }
    let rotation = vault.deal_commit(&set, false)?;
    finish(vault, rotation)?;
    Ok(texts)
}

fn bytes(texts: &[String]) -> Vec<&[u8]> {
    texts.iter().map(String::as_bytes).collect()
}

#[test]
fn rotation_keeps_everything_but_the_keys() -> Result<()> {
    let bench = Bench::new();
    let mut vault = bench.create()?;
    fill(&mut vault, 60)?;
    let before = fs::read(&bench.path)?;
    assert_eq!(rotate(&mut vault)?, 2);
    check(&mut vault, 60)?;
    assert_eq!(vault.counts().epoch, 2);
    vault.add("later", b"later", &Fields::default(), 9)?;
    assert_eq!(rotate(&mut vault)?, 3);
    drop(vault);
    // Of the keys before only the fact remains that there were such epochs.
    let db = rusqlite::Connection::open(&bench.path).expect("the file");
    let count = |kind: u8| -> i64 {
        let sql = "SELECT count(*) FROM control WHERE type = ?1";
        db.query_row(sql, [kind], |row| row.get(0))
            .expect("a number")
    };
    let (epochs, wraps, slots, journals) = (count(2), count(3), count(5), count(12));
    assert_eq!((epochs, wraps, slots, journals), (3, 1, 1, 3));
    drop(db);
    let mut vault = bench.unlock(SlotKind::Password, b"password")?;
    check(&mut vault, 60)?;
    assert_eq!(vault.get("later", None)?.as_slice(), b"later");
    assert_ne!(fs::read(&bench.path)?, before);
    Ok(())
}

#[test]
fn readers_see_the_old_state_until_a_rotation_commits() -> Result<()> {
    let bench = Bench::new();
    let mut vault = bench.create()?;
    fill(&mut vault, 30)?;
    let mut rotation = vault.rotate_begin(None)?;
    let mut steps = 0;
    loop {
        assert_eq!(vault.get("new name", None)?.as_slice(), b"renamed");
        let refused = vault.add("x", b"x", &Fields::default(), 1);
        assert!(matches!(refused, Err(Error::Rotating)), "{refused:?}");
        if vault.rotate_step(&mut rotation, 1)? {
            break;
        }
        steps += 1;
    }
    assert!(steps > 30);
    vault.rotate_abort();
    drop(rotation);
    check(&mut vault, 30)?;
    assert_eq!(vault.counts().epoch, 1);
    vault.add("x", b"x", &Fields::default(), 1)?;
    // Locking in the middle gives it up as well.
    let mut rotation = vault.rotate_begin(None)?;
    vault.rotate_step(&mut rotation, 40)?;
    let mut locked = vault.lock();
    drop(rotation);
    let password = SlotKind::Password;
    let key = locked
        .challenge()?
        .derive(password, b"password", &bench.memory)?;
    let mut vault = locked.unlock(key, &bench.memory).map_err(|(_, e)| e)?;
    assert_eq!(vault.counts().epoch, 1);
    vault.add("y", b"y", &Fields::default(), 1)?;
    check(&mut vault, 30)
}

#[test]
fn a_rotation_can_change_the_password() -> Result<()> {
    let bench = Bench::new();
    let mut vault = bench.create()?;
    fill(&mut vault, 5)?;
    let old = vault
        .challenge()?
        .derive(SlotKind::Password, b"password", &bench.memory)?;
    let rotation = vault.rotate_begin(Some((old, bench.slot(b"new password"))))?;
    finish(&mut vault, rotation)?;
    assert_eq!(vault.slots()?.len(), 1);
    drop(vault);
    let refused = bench.unlock(SlotKind::Password, b"password").err();
    assert!(matches!(refused, Some(Error::WrongPassword)));
    check(&mut bench.unlock(SlotKind::Password, b"new password")?, 5)
}

#[test]
fn every_slot_opens_the_rotated_vault() -> Result<()> {
    let bench = Bench::new();
    let mut vault = bench.create()?;
    let file = [7; 32];
    let present = |vault: &mut Vault| {
        vault
            .challenge()?
            .derive(SlotKind::Password, b"password", &bench.memory)
    };
    let proof = present(&mut vault)?;
    let new = NewSlot::from_file(SlotKind::KeyFile, &file, &bench.memory)?;
    vault.add_slot(&proof, &new.labelled("server"))?;
    let new = NewSlot::from_file(SlotKind::Credential, &[8; 64], &bench.memory)?;
    vault.add_slot(&proof, &new)?;
    let labels: Vec<String> = vault.slots()?.into_iter().map(|s| s.label).collect();
    assert_eq!(labels.len(), 3);
    assert!(labels.contains(&"server".to_owned()));
    rotate(&mut vault)?;
    drop(vault);
    drop(bench.unlock(SlotKind::KeyFile, &file)?);
    drop(bench.unlock(SlotKind::Credential, &[8; 64])?);
    let wrong = bench.unlock(SlotKind::KeyFile, &[9; 32]).err();
    assert!(matches!(wrong, Some(Error::WrongKey)));
    // The kind is a part of it.
    assert!(bench.unlock(SlotKind::Credential, &file).is_err());
    let mut vault = bench.unlock(SlotKind::Password, b"password")?;
    for slot in vault.slots()?.iter().skip(1) {
        vault.remove_slot(&slot.id)?;
    }
    let last = vault.slots()?[0].id;
    let kept = vault.remove_slot(&last).err();
    assert_eq!(kept.map(|e| e.kind()), Some(ErrorKind::Usage));
    let unknown = vault.remove_slot(&[1; 16]).err();
    assert!(matches!(unknown, Some(Error::NoSuchSlot)));
    deal(&mut vault, 3, 2)?;
    let last = vault.slots()?[0].id;
    vault.remove_slot(&last)?;
    drop(vault);
    assert!(matches!(
        bench.open()?.challenge().err(),
        Some(Error::NoSlot)
    ));
    Ok(())
}

#[test]
fn shares_recover_the_vault_and_survive_rotation() -> Result<()> {
    let bench = Bench::new();
    let mut vault = bench.create()?;
    fill(&mut vault, 20)?;
    let texts = deal(&mut vault, 5, 3)?;
    assert_eq!(vault.counts().epoch, 2);
    rotate(&mut vault)?;
    assert_eq!(vault.drill(&bytes(&texts[1..4]))?, [2, 3, 4]);
    drop(vault);
    let locked = bench.open()?;
    let mut told = 0;
    let mut vault = locked
        .recover(
            &bytes(&texts[2..]),
            bench.slot(b"after"),
            None,
            7,
            &bench.memory,
            &mut |_, _| told += 1,
        )
        .map_err(|(_, e)| e)?;
    check(&mut vault, 20)?;
    assert_eq!(vault.counts().epoch, 4);
    assert_eq!(vault.slots()?.len(), 1);
    drop(vault);
    assert!(bench.unlock(SlotKind::Password, b"password").is_err());
    let mut vault = bench.unlock(SlotKind::Password, b"after")?;
    check(&mut vault, 20)?;
    // The shares stay good, and were seen.
    let sets = vault.sets()?;
    assert_eq!(sets.len(), 1);
    assert!(sets[0].active);
    assert_eq!(sets[0].shares[2].verified, 7);
    assert_eq!(sets[0].shares[0].verified, 0);
    assert_eq!(vault.drill(&bytes(&texts[..3]))?, [1, 2, 3]);
    vault.add("after", b"x", &Fields::default(), 8)?;
    Ok(())
}

#[test]
fn a_new_set_retires_the_old_one_when_it_is_committed() -> Result<()> {
    let bench = Bench::new();
    let mut vault = bench.create()?;
    fill(&mut vault, 3)?;
    let first = deal(&mut vault, 3, 2)?;
    let set = vault.deal(4, 3, 10)?.set;
    assert_eq!(vault.sets()?.len(), 2);
    let twice = vault.deal(4, 3, 10).err();
    assert_eq!(twice.map(|e| e.kind()), Some(ErrorKind::Exists));
    let second: Vec<String> = (1..=4)
        .map(|index| Ok(vault.share(&set, index)?.to_string()))
        .collect::<Result<_>>()?;
    // Not yet in force, and the first still is.
    assert_eq!(vault.drill(&bytes(&first[..2]))?, [1, 2]);
    let early = vault.drill(&bytes(&second)).err();
    assert_eq!(early.map(|e| e.kind()), Some(ErrorKind::WrongShare));
    for index in 1..=2 {
        vault.share_delivered(&set, index, (4, "node".into()), 11)?;
        assert!(vault.share(&set, index).is_err());
    }
    assert!(vault.deal_commit(&set, false).is_err());
    assert!(vault.deal_commit(&set, true).is_err());
    vault.share_delivered(&set, 3, (4, "node".into()), 11)?;
    let rotation = vault.deal_commit(&set, true)?;
    finish(&mut vault, rotation)?;
    let retired = vault.drill(&bytes(&first)).err();
    assert!(retired.is_some_and(|e| e.to_string().contains("retired")));
    assert_eq!(vault.drill(&bytes(&second[1..]))?, [2, 3, 4]);
    // The fourth still waits, also after a rotation.
    rotate(&mut vault)?;
    assert_eq!(vault.share(&set, 4)?.to_string(), second[3]);
    vault.share_delivered(&set, 4, (2, "someone".into()), 12)?;
    check(&mut vault, 3)?;
    // A pending set can be given up.
    let set = vault.deal(2, 2, 13)?.set;
    vault.deal_cancel(&set)?;
    assert_eq!(vault.sets()?.len(), 1);
    Ok(())
}

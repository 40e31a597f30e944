//! Vaults, copies and what is in them, for the tests of both.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    fs,
    path::{Path, PathBuf},
};
use sv_vault_core::{
    Backup, BackupStep, Change, Check, CopyKey, Error, Fields, FileReport, Filter, KdfParams,
    KeyMemory, Locked, Made, Merged, NewSlot, Result, SlotKind, Vault,
};
use tempfile::TempDir;

/// Where vaults and copies are.
pub struct Bench {
    pub dir: TempDir,
    pub memory: KeyMemory,
}

impl Bench {
    pub fn new() -> Self {
        Self {
            dir: TempDir::new().expect("a temporary folder"),
            memory: KeyMemory::new(false).expect("key memory"),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn create(&self, name: &str) -> Vault {
        let slot = NewSlot::derive(b"password", KdfParams::default(), &self.memory);
        Vault::create(
            &self.path(name),
            "test",
            slot.expect("a slot"),
            &self.memory,
        )
        .expect("a vault")
    }

    pub fn unlock(&self, name: &str, password: &[u8]) -> Result<Vault> {
        let mut locked = Locked::open(&self.path(name), "test")?;
        let key = locked
            .challenge()?
            .derive(SlotKind::Password, password, &self.memory)?;
        locked.unlock(key, &self.memory).map_err(|(_, e)| e)
    }

    /// A finished copy, moved to `to`.
    pub fn backup(&self, vault: &mut Vault, to: &str) -> PathBuf {
        let made = finish(vault, true);
        let to = self.path(to);
        fs::rename(self.path(&made.file), &to).expect("moved");
        to
    }

    /// Merges the file `from` into `vault`.
    pub fn merge(&self, vault: &mut Vault, from: &Path, key: &CopyKey<'_>) -> Result<Merged> {
        let mut check = Check::open(from)?;
        while !check.step(10)? {}
        let mut merge = vault.merge_begin(check, key)?;
        while !vault.merge_step(&mut merge, 3)? {}
        vault.merge_commit(merge, 1000)
    }

    pub fn merge_freely(&self, vault: &mut Vault, from: &Path) -> Merged {
        let merged = self.merge(vault, from, &CopyKey::None).expect("a merge");
        sound(vault);
        merged
    }

    pub fn files(&self) -> Vec<String> {
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

pub fn run(vault: &mut Vault, backup: &mut Backup) -> Result<()> {
    while vault.backup_step(backup, 1, 10)? != BackupStep::Done {}
    Ok(())
}

pub fn finish(vault: &mut Vault, slots: bool) -> Made {
    let mut backup = vault.backup_begin(slots).expect("a backup");
    run(vault, &mut backup).expect("it is made");
    backup.finish().expect("it is complete")
}

pub fn check(path: &Path) -> Result<FileReport> {
    let mut check = Check::open(path)?;
    while !check.step(10)? {}
    Ok(check.report().clone())
}

/// A full verification finds nothing.
#[track_caller]
pub fn sound(vault: &mut Vault) {
    let mut state = vault.verify();
    while !vault.verify_step(&mut state, 100).expect("readable") {}
    assert_eq!(state.problems, [""; 0]);
}

pub fn add(vault: &mut Vault, name: &str, value: &str) {
    let done = vault.add(name, value.as_bytes(), &Fields::default(), 1);
    done.expect("added");
}

pub fn update(vault: &mut Vault, name: &str, value: &str) {
    let done = vault.update(name, Some(value.as_bytes()), &Change::default(), None, 2);
    done.expect("updated");
}

pub fn get(vault: &mut Vault, name: &str) -> Option<String> {
    match vault.get(name, None) {
        Ok(value) => Some(String::from_utf8(value.to_vec()).expect("text")),
        Err(Error::NoSecret) => None,
        Err(e) => panic!("{name}: {e}"),
    }
}

pub fn names(vault: &mut Vault) -> Vec<String> {
    while !vault.load_names(100).expect("names") {}
    let all = Filter::List {
        prefix: String::new(),
        category: None,
        tags: Vec::new(),
    };
    let (items, _) = vault.list(&all, None, usize::MAX).expect("a list");
    items.into_iter().map(|item| item.name).collect()
}

pub fn heads(vault: &mut Vault, name: &str) -> usize {
    let history = vault.history(name).expect("a history");
    history.iter().filter(|r| r.head).count()
}

/// Puts the vault file back to what it was at `copy`.
pub fn put_back(bench: &Bench, vault: Vault, name: &str, copy: &Path) -> Vault {
    drop(vault.lock());
    fs::copy(copy, bench.path(name)).expect("put back");
    bench.unlock(name, b"password").expect("it opens")
}

/// A vault with a set of shares in force, and the shares.
pub fn with_shares(vault: &mut Vault) -> Vec<String> {
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

//! The journal keys: the one in use, and those that earlier parts of the audit
//! log were written with. FORMAT.md §4.

use super::{Vault, control::Changes, keys::Epochs};
use crate::{
    Error, KeyMemory, Result, crypto,
    keymem::Key,
    objects::{EpochId, VaultId, epoch::EpochKey, journal, kind},
    store::Store,
};

/// The journal key in use.
pub(crate) struct Journal {
    pub id: [u8; 16],
    pub number: u64,
    pub key: Key,
}

impl Journal {
    /// A new key, wrapped under an epoch: the key and its object.
    pub fn new(
        memory: &KeyMemory,
        vault: &VaultId,
        number: u64,
        epoch: &EpochId,
        epoch_key: &EpochKey,
    ) -> Result<(Self, Vec<u8>)> {
        let mut key = crypto::random::<32>()?;
        let object = journal::Journal::new(vault, number, &key, epoch, epoch_key)?;
        let journal = Self {
            id: object.id,
            number,
            key: memory.store(&mut key)?,
        };
        Ok((journal, object.encode()))
    }
}

/// The highest number of a stored journal key, or 0.
pub(super) fn highest(store: &Store) -> Result<u64> {
    let mut highest = 0;
    for (_, object) in store.control(kind::JOURNAL)? {
        highest = highest.max(journal::Journal::parse(&object)?.number);
    }
    Ok(highest)
}

impl Vault {
    /// Opens the newest journal key, and makes one for a vault that has none.
    pub(super) fn open_journal(&mut self) -> Result<()> {
        let all = self.store.control(kind::JOURNAL)?;
        let mut newest: Option<journal::Journal> = None;
        for (id, object) in &all {
            let found = journal::Journal::parse(object)?;
            if found.id.as_slice() != id.as_slice() {
                return Err(Error::Damaged("a journal key is in another's place"));
            }
            if newest.as_ref().is_none_or(|n| n.number < found.number) {
                newest = Some(found);
            }
        }
        let vault = self.manifest.vault;
        if let Some(newest) = newest {
            let mut key = newest.open(&vault, self.epochs.key(&newest.epoch)?)?;
            self.journal = Some(Journal {
                id: newest.id,
                number: newest.number,
                key: self.memory.store(&mut key)?,
            });
            return Ok(());
        }
        if self.store.is_read_only() {
            return Ok(());
        }
        let head = self.epochs.head;
        let epoch_key = self.epochs.key(&head)?;
        let (journal, object) = Journal::new(&self.memory, &vault, 1, &head, epoch_key)?;
        let mut changes = Changes::default();
        changes.set(kind::JOURNAL, &journal.id, object);
        self.change_control(&changes, false)?;
        self.journal = Some(journal);
        Ok(())
    }

    /// A journal key by its id, for reading what was written with it.
    pub(super) fn journal_key(&self, id: &[u8; 16]) -> Result<Option<Key>> {
        by_id(
            &self.store,
            &self.epochs,
            &self.manifest.vault,
            &self.memory,
            id,
        )
    }
}

/// A journal key by its id.
pub(super) fn by_id(
    store: &Store,
    epochs: &Epochs,
    vault: &VaultId,
    memory: &KeyMemory,
    id: &[u8; 16],
) -> Result<Option<Key>> {
    let Some(object) = store.control_object(kind::JOURNAL, id)? else {
        return Ok(None);
    };
    let found = journal::Journal::parse(&object)?;
    let mut key = found.open(vault, epochs.key(&found.epoch)?)?;
    memory.store(&mut key).map(Some)
}

/// The newest journal key's id and public half, which need no key.
pub(super) fn public(store: &Store) -> Result<Option<([u8; 16], [u8; 32])>> {
    let mut newest: Option<journal::Journal> = None;
    for (_, object) in store.control(kind::JOURNAL)? {
        let found = journal::Journal::parse(&object)?;
        if newest.as_ref().is_none_or(|n| n.number < found.number) {
            newest = Some(found);
        }
    }
    Ok(newest.map(|journal| (journal.id, journal.public)))
}

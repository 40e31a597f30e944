//! A vault: [`Locked`] (an open file, no keys) and [`Vault`] (with its keys).
//!
//! | module   | holds                                              |
//! |----------|----------------------------------------------------|
//! | `slots`  | passwords to keys                                  |
//! | `keys`   | the node's keys, the epochs in use                 |
//! | `chain`  | all epochs, and who may sign what                  |
//! | `control`| control objects: changing them, this node's notes  |
//! | `journal`| the keys of the audit log                          |
//! | `rekey`  | new keys for everything, in one transaction        |
//! | `rotate` | that, by the owner of the keys                     |
//! | `recover`| that, by the holders of shares                     |
//! | `deal`   | share sets                                         |
//! | `path`   | the tree: proving what is there and what is not    |
//! | `view`   | records without a node's keys                      |
//! | `read`   | get, show, history                                 |
//! | `write`  | add, update, delete, rename, revert                |
//! | `names`  | list and search                                    |
//! | `verify` | everything against everything                      |
//! | `check`  | the same of a file, without its keys               |
//! | `backup` | a copy while others read and write                 |
//! | `merge`  | what a copy knows, into the vault                  |
//! | `union`  | which revisions of both stay                       |
//! | `events` | what is told to the log, and noted outside         |
//! | `standing`| where the vault stands against that               |
//! | `apart`  | names that two secrets would have                  |

mod apart;
pub mod backup;
mod chain;
pub mod check;
mod control;
pub mod deal;
mod events;
mod journal;
mod keys;
pub mod merge;
mod names;
mod path;
mod read;
pub mod recover;
mod rekey;
pub mod rotate;
pub mod slots;
pub mod standing;
mod union;
pub mod verify;
mod view;
mod write;

use crate::{
    Counts, Error, KeyMemory, Result,
    audit::{Audit, NewEvent, Prepared},
    objects::{VaultId, kind, manifest::Manifest},
    store::{Store, Writer},
    sys,
};
use chain::Chain;
use events::Noted;
use journal::Journal;
use keys::{Epochs, NodeKeys};
use names::Names;
use path::Tree;
use rekey::After;
use slots::{Challenge, NewSlot, SlotKey};
use std::path::Path;

/// An open vault file whose lock is held, without any key.
pub struct Locked {
    store: Store,
    id: VaultId,
    audit: Audit,
    noted: Option<Noted>,
}

/// An unlocked vault.
pub struct Vault {
    store: Store,
    memory: KeyMemory,
    keys: NodeKeys,
    epochs: Epochs,
    /// None only on a disk that can't be written.
    journal: Option<Journal>,
    manifest: Manifest,
    tree: Tree,
    names: Option<Names>,
    /// After a rotation whose commit failed: the keys that it would have
    /// brought, until the disk tells.
    unsure: Option<Box<After>>,
    /// The same after a merge.
    unsure_merge: Option<Box<merge::Outcome>>,
    audit: Audit,
    /// What the next transaction tells the log.
    expected: Option<NewEvent>,
    noted: Option<Noted>,
}

impl Locked {
    /// Opens the vault at `path` and takes its lock; `note` tells others who
    /// holds it.
    pub fn open(path: &Path, note: &str) -> Result<Self> {
        Self::from_store(Store::open(path, note)?)
    }

    fn from_store(store: Store) -> Result<Self> {
        let id = Chain::read(&store)?.vault;
        let audit = events::open_audit(&store)?;
        Ok(Self {
            store,
            id,
            audit,
            noted: None,
        })
    }

    /// The vault's id.
    #[must_use]
    pub const fn id(&self) -> [u8; 16] {
        self.id
    }

    /// What a password is tried against. Opens the file again first, if an
    /// error of the disk closed it.
    pub fn challenge(&mut self) -> Result<Challenge> {
        if self.store.is_broken() {
            self.store.reconnect()?;
        }
        Challenge::read(&self.store)
    }

    /// [`Error::Gone`] if the file vanished or was replaced.
    pub fn check_file(&self) -> Result<()> {
        self.store.check_file()
    }

    /// Opens slot, node key, manifest and epochs, each checked against the
    /// next. Costs the same at ten secrets as at a million.
    // The Err is large because it gives the open file back.
    #[allow(clippy::result_large_err)]
    pub fn unlock(
        mut self,
        key: SlotKey,
        memory: &KeyMemory,
    ) -> std::result::Result<Vault, (Self, Error)> {
        let opened = self.open_keys(&key, memory);
        sys::scrub_stack();
        self.store.erase();
        match opened {
            Ok((keys, epochs, manifest)) => Vault::begin(self, memory, keys, epochs, manifest),
            Err(e) => Err((self, e)),
        }
    }

    fn open_keys(
        &mut self,
        key: &SlotKey,
        memory: &KeyMemory,
    ) -> Result<(NodeKeys, Epochs, Manifest)> {
        self.store.check_file()?;
        let challenge = self.challenge()?;
        let (mut node_key, slot) = challenge.open(key)?;
        let keys = NodeKeys::derive(memory, &mut node_key)?;
        if slot.vault != self.id || slot.node != keys.node {
            return Err(Error::Damaged("a slot is of another vault"));
        }
        let manifest = read_manifest(&self.store, &keys, &self.id)?;
        let epochs = Epochs::open(memory, &keys, &self.store, &manifest)?;
        Ok((keys, epochs, manifest))
    }
}

/// The stored manifest, signed by this node for this vault, and the slots that
/// it speaks for.
fn read_manifest(store: &Store, keys: &NodeKeys, vault: &VaultId) -> Result<Manifest> {
    let manifest = Manifest::open(&store.manifest()?, &keys.signing_public)?;
    if manifest.vault != *vault || manifest.node != keys.node {
        return Err(Error::Damaged("the manifest is of another vault"));
    }
    if keys::slots_digest(store)? != manifest.slots {
        return Err(Error::Damaged("the slots are not those of the manifest"));
    }
    Ok(manifest)
}

impl Vault {
    /// Makes a vault at `path` with one slot, and opens it.
    pub fn create(path: &Path, note: &str, slot: NewSlot, memory: &KeyMemory) -> Result<Self> {
        let result = Self::found(path, note, &slot, memory);
        sys::scrub_stack();
        result
    }

    fn found(path: &Path, note: &str, slot: &NewSlot, memory: &KeyMemory) -> Result<Self> {
        let mut node_key = crate::crypto::random::<32>()?;
        let keys = NodeKeys::derive(memory, &mut node_key)?;
        let (id, epochs, mut objects) = Epochs::found(memory, &keys)?;
        let hedge = keys.hedge.expose();
        let (journal, object) =
            Journal::new(memory, &id, 1, &epochs.head, epochs.key(&epochs.head)?)?;
        objects.push((kind::JOURNAL, (journal.id.to_vec(), object)));
        let (slot_id, slot) = slot.seal(hedge, &id, &keys.node, keys.node_key.expose())?;
        let manifest = Manifest {
            vault: id,
            node: keys.node,
            generation: 1,
            lc: 0,
            objects: 0,
            live: 0,
            root: crate::objects::tree::EMPTY,
            epoch: epochs.head,
            control: keys::control_digest_of(objects.iter().map(|(_, (_, o))| o.as_slice())),
            slots: keys::slots_digest_of([slot.as_slice()].into_iter()),
            audit: (0, [0; 32]),
        };
        let store = Store::create(path, note, |tx| {
            for (kind, (id, object)) in &objects {
                tx.control(*kind, id, object)?;
            }
            tx.control(kind::SLOT, &slot_id, &slot)?;
            tx.manifest(&manifest.seal(keys.signing.expose()))
        })?;
        let mut audit = Audit::create(store.place())?;
        audit.begin(memory, &journal.id, &journal.key)?;
        Ok(Self {
            store,
            memory: memory.clone(),
            keys,
            epochs,
            journal: Some(journal),
            tree: Tree::new(manifest.root),
            manifest,
            names: None,
            unsure: None,
            unsure_merge: None,
            audit,
            expected: None,
            noted: None,
        })
    }

    /// The journal key, the log, and the generation seen before.
    fn start(&mut self) -> Result<()> {
        self.open_journal()?;
        self.check_generation()?;
        match self.arrived() {
            true => self.audit.arrive(self.manifest.audit),
            false => self.audit.expect(self.manifest.audit),
        }
        self.begin_audit()
    }

    /// With all keys at hand.
    #[allow(clippy::result_large_err)]
    fn begin(
        locked: Locked,
        memory: &KeyMemory,
        keys: NodeKeys,
        epochs: Epochs,
        manifest: Manifest,
    ) -> std::result::Result<Self, (Locked, Error)> {
        let Locked {
            store,
            audit,
            noted,
            ..
        } = locked;
        let mut vault = Self {
            store,
            memory: memory.clone(),
            keys,
            epochs,
            journal: None,
            tree: Tree::new(manifest.root),
            manifest,
            names: None,
            unsure: None,
            unsure_merge: None,
            audit,
            expected: None,
            noted,
        };
        match vault.start() {
            Ok(()) => Ok(vault),
            Err(e) => Err((vault.lock(), e)),
        }
    }

    /// Wipes the keys and everything decrypted, and empties the WAL as far as
    /// the disk lets it.
    #[must_use]
    pub fn lock(mut self) -> Locked {
        self.store.abort();
        self.store.end_copy();
        self.anchor_audit();
        let Self {
            mut store,
            keys,
            epochs,
            journal,
            manifest,
            names,
            mut audit,
            noted,
            ..
        } = self;
        drop((keys, epochs, journal, names));
        audit.lock();
        sys::scrub_stack();
        store.erase_later();
        store.erase();
        Locked {
            store,
            id: manifest.vault,
            audit,
            noted,
        }
    }

    /// The vault's id.
    #[must_use]
    pub const fn id(&self) -> [u8; 16] {
        self.manifest.vault
    }

    /// [`Error::Gone`] if the file vanished or was replaced.
    pub fn check_file(&self) -> Result<()> {
        self.store.check_file()
    }

    /// How much there is.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        Counts {
            secrets: self.manifest.live,
            revisions: self.manifest.objects,
            epoch: self.epochs.current.number,
        }
    }

    /// Before a write: [`Vault::ready`], and nothing speaks against it.
    fn writable(&mut self) -> Result<()> {
        self.ready()?;
        if self.store.is_long() {
            return Err(Error::Rotating);
        }
        self.allows_writes()
    }

    /// One transaction: `change`, and the manifest over what it leaves. Nothing
    /// in memory moves before it is on the disk.
    fn transact(
        &mut self,
        manifest: Manifest,
        erase: bool,
        change: impl FnOnce(&Writer<'_>) -> Result<()>,
    ) -> Result<()> {
        self.allows_writes()?;
        let event = self.prepare_event()?;
        let manifest = Manifest {
            generation: self.manifest.generation + 1,
            audit: event.as_ref().map_or(manifest.audit, Prepared::position),
            ..manifest
        };
        let signed = manifest.seal(self.keys.signing.expose());
        let synced = self.audit.synced();
        self.store.write(erase, |tx| {
            change(tx)?;
            if let Some(event) = &event {
                tx.drop_events(synced)?;
                tx.event(event)?;
            }
            tx.manifest(&signed)
        })?;
        self.manifest = manifest;
        self.wrote(event);
        Ok(())
    }

    /// Before every operation: the file is still ours, and after an error of
    /// the disk it is opened again and must hold what this node last wrote, or
    /// the transaction whose outcome was unknown.
    fn ready(&mut self) -> Result<()> {
        self.store.check_file()?;
        if !self.store.is_broken() {
            return Ok(());
        }
        self.store.reconnect()?;
        if let Some(after) = self.unsure.take() {
            let stored = Manifest::open(&self.store.manifest()?, &after.keys.signing_public);
            if stored.is_ok_and(|stored| stored == after.manifest) {
                self.adopt(*after)?;
                return self.replay_events();
            }
        }
        let manifest = read_manifest(&self.store, &self.keys, &self.manifest.vault)?;
        if let Some(merged) = self.unsure_merge.take()
            && merged.manifest == manifest
        {
            self.epochs.know(merged.authors);
            self.manifest = merged.manifest;
        }
        let (old, new) = (self.manifest.generation, manifest.generation);
        if new < old || new > old + 1 || (new == old && manifest != self.manifest) {
            return Err(Error::Damaged("the vault went back to an earlier state"));
        }
        self.tree = Tree::new(manifest.root);
        self.names = None;
        self.manifest = manifest;
        self.replay_events()
    }
}

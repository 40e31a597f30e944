//! A vault: [`Locked`] (an open file, no keys) and [`Vault`] (with its keys).
//!
//! | module   | holds                                              |
//! |----------|----------------------------------------------------|
//! | `slots`  | passwords to keys                                  |
//! | `keys`   | the node's keys, the epochs                        |
//! | `path`   | the tree: proving what is there and what is not    |
//! | `read`   | get, show, history                                 |
//! | `write`  | add, update, delete, rename, revert                |
//! | `names`  | list and search                                    |
//! | `verify` | everything against everything                      |

mod keys;
mod names;
mod path;
mod read;
pub mod slots;
pub mod verify;
mod write;

use crate::{
    Counts, Error, KeyMemory, Result,
    objects::{VaultId, epoch::Epoch, kind, manifest::Manifest},
    store::Store,
    sys,
};
use keys::{Epochs, NodeKeys};
use names::Names;
use path::Tree;
use slots::{Challenge, NewSlot, SlotKey};
use std::path::Path;

/// An open vault file whose lock is held, without any key.
pub struct Locked {
    store: Store,
    id: VaultId,
}

/// An unlocked vault.
pub struct Vault {
    store: Store,
    keys: NodeKeys,
    epochs: Epochs,
    manifest: Manifest,
    tree: Tree,
    names: Option<Names>,
}

impl Locked {
    /// Opens the vault at `path` and takes its lock; `note` tells others who
    /// holds it.
    pub fn open(path: &Path, note: &str) -> Result<Self> {
        Self::from_store(Store::open(path, note)?)
    }

    fn from_store(store: Store) -> Result<Self> {
        let mut id = None;
        for (_, object) in store.control(kind::EPOCH)? {
            if Epoch::parse(&object)?.1.is_genesis()
                && id.replace(Epoch::vault_id(&object)?).is_some()
            {
                return Err(Error::Damaged("the vault has two beginnings"));
            }
        }
        let id = id.ok_or(Error::Damaged("the vault has no first epoch"))?;
        Ok(Self { store, id })
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
            Ok((keys, epochs, manifest)) => Ok(Vault {
                store: self.store,
                keys,
                epochs,
                tree: Tree::new(manifest.root),
                manifest,
                names: None,
            }),
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
        let (id, epochs, founding) = Epochs::found(memory, &keys)?;
        let hedge = keys.hedge.expose();
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
            control: founding.digest(),
            slots: keys::slots_digest_of([slot.as_slice()].into_iter()),
        };
        let store = Store::create(path, note, |tx| {
            tx.control(kind::EPOCH, &epochs.head, &founding.epoch)?;
            tx.control(kind::EPOCH_WRAP, &founding.wrap_id, &founding.wrap)?;
            tx.control(kind::SLOT, &slot_id, &slot)?;
            tx.manifest(&manifest.seal(keys.signing.expose()))
        })?;
        Ok(Self {
            store,
            keys,
            epochs,
            tree: Tree::new(manifest.root),
            manifest,
            names: None,
        })
    }

    /// Wipes the keys and everything decrypted, and empties the WAL as far as
    /// the disk lets it.
    #[must_use]
    pub fn lock(self) -> Locked {
        let Self {
            mut store,
            keys,
            epochs,
            manifest,
            names,
            ..
        } = self;
        drop((keys, epochs, names));
        sys::scrub_stack();
        store.erase_later();
        store.erase();
        Locked {
            store,
            id: manifest.vault,
        }
    }

    /// The vault's id.
    #[must_use]
    pub const fn id(&self) -> [u8; 16] {
        self.manifest.vault
    }

    /// What a password is tried against.
    pub fn challenge(&mut self) -> Result<Challenge> {
        self.ready()?;
        Challenge::read(&self.store)
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
            epoch: self.epochs.number,
        }
    }

    /// Replaces the slot that `old` opened by `new`. Nothing else changes, and
    /// whoever has a copy of the file from before opens it with the old password.
    pub fn change_password(&mut self, old: SlotKey, new: NewSlot) -> Result<()> {
        let result = self.replace_slot(&old, &new);
        sys::scrub_stack();
        result
    }

    fn replace_slot(&mut self, old: &SlotKey, new: &NewSlot) -> Result<()> {
        self.ready()?;
        // The old password must still open its slot.
        self.challenge()?.open(old)?;
        let (id, object) = new.seal(
            self.keys.hedge.expose(),
            &self.manifest.vault,
            &self.keys.node,
            self.keys.node_key.expose(),
        )?;
        let mut slots = self.store.control(kind::SLOT)?;
        slots.retain(|(id, _)| id.as_slice() != old.slot());
        let others = slots.iter().map(|(_, object)| object.as_slice());
        let manifest = Manifest {
            generation: self.manifest.generation + 1,
            slots: keys::slots_digest_of(others.chain([object.as_slice()])),
            ..self.manifest.clone()
        };
        let sealed = manifest.seal(self.keys.signing.expose());
        self.store.write(true, |tx| {
            tx.drop_control(kind::SLOT, old.slot())?;
            tx.control(kind::SLOT, &id, &object)?;
            tx.manifest(&sealed)
        })?;
        self.manifest = manifest;
        // Until the WAL is empty, the old slot is still on the disk.
        self.store.truncate().map_err(|e| {
            Error::Storage(format!(
                "the password is changed, but its old slot is not erased yet: {e}"
            ))
        })
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
        let manifest = read_manifest(&self.store, &self.keys, &self.manifest.vault)?;
        let (old, new) = (self.manifest.generation, manifest.generation);
        if new < old || new > old + 1 || (new == old && manifest != self.manifest) {
            return Err(Error::Damaged("the vault went back to an earlier state"));
        }
        self.tree = Tree::new(manifest.root);
        self.names = None;
        self.manifest = manifest;
        Ok(())
    }
}

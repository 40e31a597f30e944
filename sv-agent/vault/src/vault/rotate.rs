//! Rotation: new keys for the vault, by whoever has it unlocked.

use super::{
    Vault,
    control::Changes,
    keys::{NodeKeys, Succession},
    rekey::{After, Before, Drop, Finish, Rekey, Slots},
    slots::{NewSlot, SlotKey},
};
use crate::{
    Error, Result, crypto,
    objects::{epoch::Recovery, local::Local},
    sys,
};

/// A rotation under way. Until [`Vault::rotate_commit`] nothing has changed.
pub struct Rotation {
    rekey: Rekey,
    slots: Slots,
    /// What a committed deal changes besides.
    pub(super) deal: Option<(Changes, Local)>,
}

/// What a rotation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotated {
    /// The number of the new epoch.
    pub epoch: u64,
    /// Records, deleted ones included.
    pub records: u64,
    /// Data keys that were wrapped anew.
    pub revisions: u64,
}

impl Rotation {
    /// Steps done, and steps in all.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        self.rekey.progress()
    }
}

impl Vault {
    /// Begins a rotation: a new node key, a new epoch key. With `password` the
    /// slot that the old one opens gets the new one.
    pub fn rotate_begin(&mut self, password: Option<(SlotKey, NewSlot)>) -> Result<Rotation> {
        let slots = match password {
            None => Slots::default(),
            Some((old, new)) => {
                let challenge = self.challenge()?;
                challenge.open(&old)?;
                let new = match challenge.info(&old) {
                    Some(slot) => new.labelled(&slot.label),
                    None => new,
                };
                Slots {
                    drop: Drop::One(*old.slot()),
                    new: Some(new),
                }
            }
        };
        let recovery = self.epochs.current.recovery;
        self.rekey(recovery, slots)
    }

    /// The same, and `recovery` in the new epoch.
    pub(super) fn rekey(&mut self, recovery: Option<Recovery>, slots: Slots) -> Result<Rotation> {
        let result = self.begin_rekey(recovery, slots);
        sys::scrub_stack();
        result
    }

    fn begin_rekey(&mut self, recovery: Option<Recovery>, slots: Slots) -> Result<Rotation> {
        self.writable()?;
        let hedge = self.keys.hedge.expose();
        let fresh = crypto::random::<32>()?;
        let mut node_key = crypto::hmac(hedge, &[b"sv1/hedge/node\0", fresh.as_slice()]);
        let keys = NodeKeys::derive(&self.memory, &mut node_key)?;
        let current = &self.epochs.current;
        let ours = current
            .member(&self.keys.node)
            .ok_or(Error::Damaged("this node is no member of its vault"))?;
        let mut members = current.members.clone();
        members.retain(|m| m.signing != self.keys.signing_public);
        members.push(keys.member(ours.role, ours.name.clone())?);
        let succession = Succession {
            vault: self.manifest.vault,
            number: current.number + 1,
            parents: vec![self.epochs.head],
            members,
            recovery,
        };
        let seed = self.keys.signing.expose();
        let next = succession.seal(&self.memory, hedge, self.keys.node, seed)?;
        let number = self
            .journal
            .as_ref()
            .map_or(1, |journal| journal.number + 1);
        let vault = self.manifest.vault;
        let rekey = Rekey::begin(&self.memory, &mut self.store, keys, next, &vault, number)?;
        Ok(Rotation {
            rekey,
            slots,
            deal: None,
        })
    }

    /// Renews about `step` more records, and says whether that was all.
    pub fn rotate_step(&mut self, rotation: &mut Rotation, step: usize) -> Result<bool> {
        self.store.check_file()?;
        rotation.rekey.step(&mut self.before(), step)
    }

    /// Takes the new keys into force.
    pub fn rotate_commit(&mut self, rotation: Rotation) -> Result<Rotated> {
        let result = self.commit_rekey(rotation);
        self.store.abort();
        sys::scrub_stack();
        result
    }

    fn commit_rekey(&mut self, rotation: Rotation) -> Result<Rotated> {
        let rotated = Rotated {
            epoch: rotation.rekey.next.epoch.number,
            records: rotation.rekey.records,
            revisions: rotation.rekey.revisions,
        };
        let (changes, local) = match rotation.deal {
            Some(deal) => deal,
            None => (Changes::default(), self.local()?),
        };
        let event = self.prepare_event()?;
        let finish = Finish {
            changes,
            local,
            slots: rotation.slots,
            audit: event.as_ref().map_or(self.manifest.audit, |e| e.position()),
            event: event.as_ref().map(|e| (e.position().0, e.bytes().to_vec())),
        };
        match rotation.rekey.commit(&mut self.before(), finish) {
            Ok(after) => {
                // The event was made with the old journal key.
                if let Some(event) = event {
                    self.audit.committed(event);
                }
                self.adopt(after)?;
                self.note_generation();
                Ok(rotated)
            }
            Err((unsure, e)) => {
                self.unsure = unsure;
                Err(e)
            }
        }
    }

    /// Gives a rotation up: nothing has changed.
    pub fn rotate_abort(&mut self) {
        self.store.abort();
    }

    const fn before(&mut self) -> Before<'_> {
        Before {
            store: &mut self.store,
            tree: &mut self.tree,
            epochs: &self.epochs,
            manifest: &self.manifest,
            keys: Some(&self.keys),
        }
    }

    /// Goes on with the new keys.
    pub(super) fn adopt(&mut self, after: After) -> Result<()> {
        self.keys = after.keys;
        self.epochs.succeed(after.next);
        self.journal = Some(after.journal);
        self.manifest = after.manifest;
        self.tree = after.tree;
        self.names = None;
        self.begin_audit()
    }
}

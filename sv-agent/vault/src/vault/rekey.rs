//! New keys for everything: a new node key, a new epoch, every data key wrapped
//! anew. Nothing but wraps, metadata and places changes; ids, signatures and
//! bodies stay.
//!
//! It is one transaction, FORMAT.md §9: whatever stops it leaves the vault as it
//! was. New rows go to a table of their own, so that the old ones can be read
//! until it commits.

use super::{
    control::Changes,
    journal::Journal,
    keys::{self, Epochs, NodeKeys, Successor},
    path::{self, Tree},
    slots,
    view::View,
};
use crate::{
    Error, KeyMemory, Result,
    objects::{
        EpochId,
        entry::{Entry, Kept},
        epoch::EpochKey,
        journal as stored, kind,
        local::Local,
        manifest::Manifest,
        tree::{Bucket, EMPTY, Leaf},
    },
    store::{Store, Writer},
    sys,
};

/// What the new keys are for.
pub(super) struct Rekey {
    pub keys: NodeKeys,
    pub next: Successor,
    journal: Journal,
    journal_object: Vec<u8>,
    /// The next bucket of the old tree, then of the new one.
    old: u32,
    new: u32,
    hashes: Vec<[u8; 32]>,
    /// Records and revisions so far.
    pub records: u64,
    pub revisions: u64,
}

/// The vault as it is, while it gets new keys.
pub(super) struct Before<'a> {
    pub store: &'a mut Store,
    pub tree: &'a mut Tree,
    pub epochs: &'a Epochs,
    pub manifest: &'a Manifest,
    /// Without them metadata is made from the revisions.
    pub keys: Option<&'a NodeKeys>,
}

/// The vault as it is afterwards.
pub(super) struct After {
    pub keys: NodeKeys,
    pub next: Successor,
    pub journal: Journal,
    pub manifest: Manifest,
    pub tree: Tree,
}

const BUCKETS: u32 = 65_536;

impl Before<'_> {
    fn view(&self) -> View<'_> {
        View {
            store: self.store,
            epochs: self.epochs,
            manifest: self.manifest,
        }
    }

    fn entries(&mut self, number: u16) -> Result<Vec<Entry>> {
        let bucket = self.tree.bucket(self.store, number)?;
        let view = self.view();
        (bucket.leaves().iter())
            .map(|leaf| view.entry(leaf.tag, leaf.record, &leaf.hash))
            .collect()
    }

    /// A record's row under the new keys, and its former one's revisions.
    fn renew(
        &self,
        old: &Entry,
        keys: &NodeKeys,
        epoch: &EpochId,
        key: &EpochKey,
    ) -> Result<Entry> {
        let vault = &self.manifest.vault;
        let view = self.view();
        let head = view.chosen_head(old)?;
        let metadata = match self.keys {
            Some(keys) => old.open_metadata(&keys.metadata(vault), &head)?,
            None => view.metadata(old, &head)?,
        };
        let mut kept = Vec::with_capacity(old.kept.len());
        for one in &old.kept {
            let dek = self.epochs.unwrap(vault, &one.id, &one.epoch, &one.wrap)?;
            kept.push(Kept {
                id: one.id,
                head: one.head,
                epoch: *epoch,
                wrap: keys::wrap(key, epoch, vault, &one.id, &dek)?,
            });
        }
        let tag = keys.tag(vault, &metadata.name);
        Ok(Entry {
            metadata: metadata.seal(&keys.metadata(vault), &tag, &old.record, &head)?,
            tag,
            record: old.record,
            kept,
        })
    }
}

impl Rekey {
    /// Begins the transaction.
    pub fn begin(
        memory: &KeyMemory,
        store: &mut Store,
        keys: NodeKeys,
        next: Successor,
        vault: &[u8; 16],
        number: u64,
    ) -> Result<Self> {
        let (journal, journal_object) = Journal::new(memory, vault, number, &next.id, &next.key)?;
        store.begin()?;
        Ok(Self {
            keys,
            next,
            journal,
            journal_object,
            old: 0,
            new: 0,
            hashes: Vec::new(),
            records: 0,
            revisions: 0,
        })
    }

    /// How far it is, of how much.
    pub fn progress(&self) -> (u64, u64) {
        (u64::from(self.old + self.new), u64::from(2 * BUCKETS))
    }

    /// Renews about `step` more records, and says whether that was all.
    pub fn step(&mut self, before: &mut Before<'_>, step: usize) -> Result<bool> {
        let result = self.advance(before, step);
        sys::scrub_stack();
        if result.is_err() {
            before.store.abort();
        }
        result
    }

    fn advance(&mut self, before: &mut Before<'_>, step: usize) -> Result<bool> {
        let mut left = step;
        while left > 0 {
            if let Ok(number) = u16::try_from(self.old) {
                let entries = before.entries(number)?;
                left = left.saturating_sub(entries.len() + usize::from(number % 64 == 0));
                let mut rows = Vec::with_capacity(entries.len());
                for old in entries {
                    let new = before.renew(&old, &self.keys, &self.next.id, &self.next.key)?;
                    self.records += 1;
                    self.revisions += new.kept.len() as u64;
                    rows.push((new.tag, new.record, new.encode()?));
                }
                before.store.step(|tx| {
                    rows.iter()
                        .try_for_each(|(tag, record, entry)| tx.stage(tag, record, entry))
                })?;
                self.old += 1;
            } else if let Ok(number) = u16::try_from(self.new) {
                let bucket = before.store.step(|tx| stage_bucket(tx, number))?;
                left =
                    left.saturating_sub(bucket.leaves().len() / 8 + usize::from(number % 64 == 0));
                let empty = bucket.leaves().is_empty();
                self.hashes.push(if empty { EMPTY } else { bucket.hash() });
                self.new += 1;
            } else {
                return Ok(true);
            }
        }
        Ok(self.new == BUCKETS)
    }

    /// Puts everything in its place and commits. After an error nothing has
    /// changed, unless the new state comes with it: then only the disk can tell.
    pub fn commit(
        self,
        before: &mut Before<'_>,
        finish: Finish,
    ) -> std::result::Result<After, (Option<Box<After>>, Error)> {
        let event = finish.event.clone();
        let (after, tree, changes) = match self.stage(before, finish) {
            Ok(staged) => staged,
            Err(e) => {
                before.store.abort();
                return Err((None, e));
            }
        };
        let signed = after.manifest.seal(after.keys.signing.expose());
        let written = before.store.step(|tx| {
            tx.unstage()?;
            tree.write(tx)?;
            changes.write(tx)?;
            if let Some((seq, event)) = event.as_ref().filter(|(_, event)| !event.is_empty()) {
                tx.replace_control(kind::AUDIT, &seq.to_be_bytes(), event)?;
            }
            tx.manifest(&signed)
        });
        if let Err(e) = written {
            return Err((None, e));
        }
        match before.store.commit() {
            Ok(()) => Ok(after),
            Err(e) => Err((Some(Box::new(after)), e)),
        }
    }

    fn stage(self, before: &Before<'_>, finish: Finish) -> Result<(After, path::Whole, Changes)> {
        let Finish {
            mut changes,
            local,
            slots,
            audit,
            ..
        } = finish;
        let manifest = before.manifest;
        let vault = manifest.vault;
        let tree = path::Whole::new(&self.hashes)?;
        // The old epoch's wraps, and what was encrypted under the old keys.
        for (id, _) in before.store.control(kind::EPOCH_WRAP)? {
            changes.remove(kind::EPOCH_WRAP, &id);
        }
        for (id, _) in before.store.control(kind::LOCAL)? {
            changes.remove(kind::LOCAL, &id);
        }
        for (kind, (id, object)) in self.next.objects.iter().cloned() {
            changes.set(kind, &id, object);
        }
        let keys = &self.keys;
        let object = local.seal(&vault, &keys.node, keys.node_key.expose())?;
        changes.set(kind::LOCAL, &keys.node, object);
        for (id, object) in before.store.control(kind::JOURNAL)? {
            let old = stored::Journal::parse(&object)?;
            let key = old.open(&vault, before.epochs.key(&old.epoch)?)?;
            let next = &self.next;
            let new = stored::Journal::new(&vault, old.number, &key, &next.id, &next.key)?;
            changes.set(kind::JOURNAL, &id, new.encode());
        }
        changes.set(kind::JOURNAL, &self.journal.id, self.journal_object);
        let hedge = keys.hedge.expose();
        for slot in slots::read(before.store)? {
            if slots.drops(&slot.id) {
                changes.remove(kind::SLOT, &slot.id);
            } else {
                let object = slot.renew(hedge, &keys.node, keys.node_key.expose())?;
                changes.set(kind::SLOT, &slot.id, object);
            }
        }
        if let Some(new) = slots.new {
            let (id, object) = new.seal(hedge, &vault, &keys.node, keys.node_key.expose())?;
            changes.set(kind::SLOT, &id, object);
        }
        let manifest = changes.digested(
            before.store,
            Manifest {
                node: keys.node,
                generation: manifest.generation + 1,
                root: tree.root(),
                epoch: self.next.id,
                audit,
                ..manifest.clone()
            },
        )?;
        let after = After {
            tree: Tree::new(manifest.root),
            keys: self.keys,
            next: self.next,
            journal: self.journal,
            manifest,
        };
        Ok((after, tree, changes))
    }
}

/// What else a rekeying changes.
#[derive(Default)]
pub(super) struct Finish {
    pub changes: Changes,
    /// This node's notes, as they go on.
    pub local: Local,
    pub slots: Slots,
    /// The last event of the audit log, this one included.
    pub audit: (u64, [u8; 32]),
    /// The event for the outbox.
    pub event: Option<(u64, Vec<u8>)>,
}

/// Which slots stay, and one that comes.
#[derive(Default)]
pub(super) struct Slots {
    pub drop: Drop,
    pub new: Option<slots::NewSlot>,
}

/// Which slots go.
#[derive(Default)]
pub(super) enum Drop {
    /// None.
    #[default]
    None,
    /// The one that was opened to prove the password.
    One([u8; 16]),
    /// All: nobody knows what opens them.
    All,
}

impl Slots {
    fn drops(&self, id: &[u8; 16]) -> bool {
        match &self.drop {
            Drop::None => false,
            Drop::One(one) => one == id,
            Drop::All => true,
        }
    }
}

/// The bucket of the staged rows, which is put beside those in use.
fn stage_bucket(tx: &Writer<'_>, number: u16) -> Result<Bucket> {
    let mut bucket = Bucket::default();
    for (tag, record, row) in tx.staged(number)? {
        let hash = Entry::parse(tag, record, &row)?.leaf()?;
        bucket.insert(Leaf { tag, record, hash });
    }
    if !bucket.leaves().is_empty() {
        tx.stage_bucket(number, &bucket.encode())?;
    }
    Ok(bucket)
}

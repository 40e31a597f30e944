//! What a copy of the vault knows, into the vault: for each record the
//! revisions of both, and of these what FORMAT.md §3 keeps. Ids decide, not
//! names. It is one transaction: all of it or nothing.

use super::{
    Vault,
    check::Check,
    control::Changes,
    keys::{Epochs, NodeKeys},
    recover,
    slots::SlotKey,
    union::{Rev, selected},
    write::Batch,
};
use crate::{
    Error, Result,
    audit::Prepared,
    objects::{
        NameTag, NodeId, RecordId, RevisionId,
        body::Op,
        entry::{Entry, Kept, Metadata},
        kind,
        manifest::Manifest,
        revision::Revision,
        tree::Leaf,
    },
    sys,
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What opens a copy whose keys the vault no longer has.
pub enum CopyKey<'a> {
    /// None is needed: the copy is of the epoch in force.
    None,
    /// One of its slots.
    Slot(SlotKey),
    /// Its shares.
    Shares(Vec<&'a [u8]>),
}

/// A merge under way. Until [`Vault::merge_commit`] nothing has changed.
pub struct Merge {
    pub(super) source: Check,
    /// The copy's keys, where they are not the vault's.
    keys: Option<Epochs>,
    /// The next bucket: of the vault, then of the copy.
    ours: u32,
    theirs: u32,
    /// The vault's records by id.
    index: Vec<(RecordId, Leaf)>,
    pub(super) batch: Batch,
    pub(super) changed: HashMap<RecordId, Changed>,
    seen: HashSet<RecordId>,
    pub(super) merged: Merged,
}

/// What a merge did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Merged {
    /// Secrets that the vault did not have.
    pub secrets: u64,
    /// Revisions that the vault did not have.
    pub revisions: u64,
    /// Secrets that both sides changed, or gave the same name.
    pub conflicts: u64,
}

/// Where a record that was changed is now.
pub(super) struct Changed {
    pub tag: NameTag,
    pub live: bool,
    /// It was live under that name before.
    pub stayed: bool,
}

/// The outcome of a commit that only the disk knows.
pub(super) struct Outcome {
    pub manifest: Manifest,
    pub authors: HashMap<NodeId, [u8; 32]>,
}

const BUCKETS: u32 = 65_536;

impl Merge {
    /// How far it is, of how much.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        let quarter = self.ours / 4;
        (
            (quarter + self.theirs).into(),
            (BUCKETS + BUCKETS / 4).into(),
        )
    }
}

impl Vault {
    /// Whether the copy is of this vault, and needs a key of its own.
    pub fn merge_needs_key(&self, copy: &Check) -> Result<bool> {
        if copy.chain.vault != self.manifest.vault {
            return Err(Error::OtherVault);
        }
        if copy.chain.descends(&copy.manifest.epoch, &self.epochs.head) {
            return Err(Error::LaterEpoch);
        }
        Ok(!self.epochs.has(&copy.manifest.epoch))
    }

    /// Begins to merge a copy that was checked.
    pub fn merge_begin(&mut self, copy: Check, key: &CopyKey<'_>) -> Result<Merge> {
        let result = self.begin_merge(copy, key);
        sys::scrub_stack();
        result
    }

    fn begin_merge(&mut self, copy: Check, key: &CopyKey<'_>) -> Result<Merge> {
        self.writable()?;
        copy.require_sound()?;
        let keys = if self.merge_needs_key(&copy)? {
            Some(self.open_copy(&copy, key)?)
        } else {
            None
        };
        self.store.begin()?;
        Ok(Merge {
            source: copy,
            keys,
            ours: 0,
            theirs: 0,
            index: Vec::new(),
            batch: Batch::new(&self.manifest),
            changed: HashMap::new(),
            seen: HashSet::new(),
            merged: Merged::default(),
        })
    }

    fn open_copy(&self, copy: &Check, key: &CopyKey<'_>) -> Result<Epochs> {
        let memory = &self.memory;
        match key {
            CopyKey::None => Err(Error::NeedsKey),
            CopyKey::Shares(texts) => recover::shared(&copy.store, memory, texts),
            CopyKey::Slot(key) => {
                let challenge = copy.challenge()?;
                let (mut node_key, slot) = challenge.open(key)?;
                let keys = NodeKeys::derive(memory, &mut node_key)?;
                let manifest = &copy.manifest;
                if slot.vault != manifest.vault || keys.node != manifest.node {
                    return Err(Error::Damaged("a slot is of another vault"));
                }
                Epochs::open(memory, &keys, &copy.store, manifest)
            }
        }
    }

    /// Merges about `step` more records, and says whether that was all.
    pub fn merge_step(&mut self, merge: &mut Merge, step: usize) -> Result<bool> {
        let result = self.advance_merge(merge, step);
        sys::scrub_stack();
        if result.is_err() {
            self.store.abort();
        }
        result
    }

    fn advance_merge(&mut self, merge: &mut Merge, step: usize) -> Result<bool> {
        self.going_on(merge)?;
        let mut left = step;
        while left > 0 {
            if let Ok(number) = u16::try_from(merge.ours) {
                let bucket = self.tree.bucket(&self.store, number)?;
                let leaves = bucket.leaves().iter();
                merge.index.extend(leaves.map(|leaf| (leaf.record, *leaf)));
                left = left.saturating_sub(usize::from(number % 64 == 0));
                merge.ours += 1;
                if merge.ours == BUCKETS {
                    merge.index.sort_unstable_by_key(|(record, _)| *record);
                }
            } else if let Ok(number) = u16::try_from(merge.theirs) {
                let bucket = merge.source.tree.bucket(&merge.source.store, number)?;
                for leaf in bucket.leaves() {
                    self.merge_record(merge, leaf)?;
                    left = left.saturating_sub(1);
                }
                left = left.saturating_sub(usize::from(number % 64 == 0));
                merge.theirs += 1;
            } else {
                return Ok(true);
            }
        }
        Ok(merge.theirs == BUCKETS)
    }

    /// The transaction is still the one that the merge began.
    fn going_on(&self, merge: &Merge) -> Result<()> {
        self.store.check_file()?;
        if self.store.is_long() && merge.batch.manifest.generation == self.manifest.generation {
            Ok(())
        } else {
            Err(Error::Storage("the merge was given up".into()))
        }
    }

    fn merge_record(&mut self, merge: &mut Merge, leaf: &Leaf) -> Result<()> {
        if !merge.seen.insert(leaf.record) {
            return Err(Error::Damaged("a record is there twice"));
        }
        let theirs = merge.source.entry(leaf)?;
        let at = merge.index.binary_search_by_key(&leaf.record, |(r, _)| *r);
        let ours = match at {
            Ok(at) => {
                let leaf = merge.index[at].1;
                Some(self.view().entry(leaf.tag, leaf.record, &leaf.hash)?)
            }
            Err(_) => None,
        };
        let revs = self.union(merge, ours.as_ref(), &theirs)?;
        let stays = selected(&revs)?;
        let is_new = |rev: &Rev| rev.ours.is_none();
        if !stays.iter().any(|(at, _)| is_new(&revs[*at])) {
            return Ok(());
        }
        let before = match ours {
            Some(entry) => Some(self.open_entry(entry)?),
            None => None,
        };
        let (entry, metadata) = self.merged_entry(merge, &theirs, &revs, &stays)?;

        let heads = stays.iter().filter(|(_, head)| *head).count();
        merge.merged.conflicts += u64::from(heads > 1);
        let live = metadata.op == Op::Put;
        if before.is_none() {
            merge.merged.secrets += u64::from(live);
        }
        let added = stays.iter().filter(|(at, _)| is_new(&revs[*at])).count();
        merge.merged.revisions += added as u64;
        let manifest = &mut merge.batch.manifest;
        manifest.objects += added as u64;
        let was_live = before.as_ref().is_some_and(|f| f.metadata.op == Op::Put);
        manifest.live = manifest.live + u64::from(live) - u64::from(was_live);

        let row = entry.encode()?;
        self.store
            .step(|tx| tx.stage(&entry.tag, &entry.record, &row))?;
        self.place(&mut merge.batch, before.as_ref(), &entry)?;
        let stayed = was_live && before.is_some_and(|f| f.entry.tag == entry.tag);
        let now = Changed {
            tag: entry.tag,
            live,
            stayed,
        };
        merge.changed.insert(entry.record, now);
        Ok(())
    }

    /// The revisions of a record on both sides.
    fn union(&self, merge: &Merge, ours: Option<&Entry>, theirs: &Entry) -> Result<Vec<Rev>> {
        let mut revs: BTreeMap<RevisionId, Rev> = BTreeMap::new();
        for kept in ours.iter().flat_map(|entry| &entry.kept) {
            let object = self.view().object(&kept.id)?;
            let rev = Rev {
                id: kept.id,
                header: Revision::parse(&object, &kept.id)?.header,
                ours: Some(kept.clone()),
                theirs: None,
            };
            revs.insert(kept.id, rev);
        }
        for kept in &theirs.kept {
            if let Some(rev) = revs.get_mut(&kept.id) {
                rev.theirs = Some(kept.clone());
                continue;
            }
            let object = their_object(merge, &kept.id)?;
            let header = Revision::parse(&object, &kept.id)?.header;
            if header.vault != self.manifest.vault || header.record != theirs.record {
                return Err(Error::Damaged("a revision is of another record"));
            }
            let rev = Rev {
                id: kept.id,
                header,
                ours: None,
                theirs: Some(kept.clone()),
            };
            revs.insert(kept.id, rev);
        }
        Ok(revs.into_values().collect())
    }

    /// The row of what stays. Revisions that are new are stored; each is opened
    /// first, and its key wrapped under the epoch in force.
    fn merged_entry(
        &mut self,
        merge: &Merge,
        theirs: &Entry,
        revs: &[Rev],
        stays: &[(usize, bool)],
    ) -> Result<(Entry, Metadata)> {
        let vault = self.manifest.vault;
        let chosen = stays
            .iter()
            .filter(|(_, head)| *head)
            .map(|(at, _)| &revs[*at])
            .max_by_key(|rev| (rev.header.lc, rev.id))
            .ok_or(Error::Damaged("a record has no head"))?
            .id;
        let mut entry = Entry {
            tag: [0; 32],
            record: theirs.record,
            kept: Vec::with_capacity(stays.len()),
            metadata: Vec::new(),
        };
        for (at, head) in stays {
            let rev = &revs[*at];
            let one = match (&rev.ours, &rev.theirs) {
                (Some(ours), _) => Kept {
                    head: *head,
                    ..ours.clone()
                },
                (None, Some(theirs)) => self.take_revision(merge, theirs, *head)?,
                (None, None) => return Err(Error::Damaged("a revision is missing")),
            };
            entry.kept.push(one);
        }
        let metadata = self.view().metadata(&entry, &chosen)?;
        entry.tag = self.keys.tag(&vault, &metadata.name);
        let keys = self.keys.metadata(&vault);
        entry.metadata = metadata.seal(&keys, &entry.tag, &entry.record, &chosen)?;
        Ok((entry, metadata))
    }

    fn take_revision(&mut self, merge: &Merge, kept: &Kept, head: bool) -> Result<Kept> {
        let vault = self.manifest.vault;
        let object = their_object(merge, &kept.id)?;
        let epochs = match &merge.keys {
            Some(keys) if keys.has(&kept.epoch) => keys,
            _ => &self.epochs,
        };
        let dek = epochs.unwrap(&vault, &kept.id, &kept.epoch, &kept.wrap)?;
        Revision::parse(&object, &kept.id)?.open(&dek)?;
        let wrap = self.epochs.wrap(&vault, &kept.id, &dek)?;
        self.store.step(|tx| tx.revision(&kept.id, &object))?;
        Ok(Kept {
            id: kept.id,
            head,
            epoch: self.epochs.head,
            wrap,
        })
    }

    /// Takes what was merged into force.
    pub fn merge_commit(&mut self, merge: Merge, now: i64) -> Result<Merged> {
        let result = self.commit_merge(merge, now);
        self.store.abort();
        sys::scrub_stack();
        result
    }

    fn commit_merge(&mut self, mut merge: Merge, now: i64) -> Result<Merged> {
        self.going_on(&merge)?;
        if merge.theirs < BUCKETS {
            return Err(Error::Storage("the merge is not complete".into()));
        }
        if merge.merged.revisions == 0 {
            return Ok(merge.merged);
        }
        self.part_names(&mut merge, now)?;
        let Merge {
            source,
            mut batch,
            merged,
            ..
        } = merge;
        let mut changes = Changes::default();
        for (id, object) in source.store.control(kind::EPOCH)? {
            if self.store.control_object(kind::EPOCH, &id)?.is_none() {
                changes.set(kind::EPOCH, &id, object);
            }
        }
        let event = self.prepare_event()?;
        let staged = self.tree.stage(std::mem::take(&mut batch.buckets))?;
        let theirs = &source.manifest;
        let manifest = Manifest {
            generation: self.manifest.generation.max(theirs.generation) + 1,
            lc: batch.manifest.lc.max(theirs.lc),
            root: staged.root,
            audit: (event.as_ref()).map_or(self.manifest.audit, Prepared::position),
            ..batch.manifest.clone()
        };
        let manifest = changes.digested(&self.store, manifest)?;
        let signed = manifest.seal(self.keys.signing.expose());
        let synced = self.audit.synced();
        self.store.step(|tx| {
            tx.merge_staged()?;
            batch.write(tx)?;
            staged.write(tx)?;
            changes.write(tx)?;
            if let Some(event) = &event {
                tx.drop_events(synced)?;
                tx.event(event)?;
            }
            tx.manifest(&signed)
        })?;
        let authors = source.chain.into_authors();
        let outcome = Outcome { manifest, authors };
        if let Err(e) = self.store.commit() {
            self.unsure_merge = Some(Box::new(outcome));
            return Err(e);
        }
        self.tree.apply(staged);
        self.names = None;
        self.manifest = outcome.manifest;
        self.epochs.know(outcome.authors);
        self.wrote(event);
        Ok(merged)
    }

    /// Gives a merge up: nothing has changed.
    pub fn merge_abort(&mut self) {
        self.store.abort();
    }
}

fn their_object(merge: &Merge, id: &RevisionId) -> Result<Vec<u8>> {
    merge
        .source
        .store
        .revision(id)?
        .ok_or(Error::Damaged("a revision is missing"))
}

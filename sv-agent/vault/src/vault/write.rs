//! Writing secrets: every change is a new revision, and one transaction.

use super::{Vault, path, read::Found, view::kept};
use crate::{
    Change, Error, Fields, Result, crypto,
    item::check_name,
    limits,
    objects::{
        NameTag, RecordId, RevisionId,
        body::{Content, Op},
        entry::{Entry, Kept, Metadata},
        manifest::Manifest,
        revision,
        revision::{Header, Revision},
        tree::{Bucket, Leaf},
    },
    store::Writer,
    sys,
};
use std::collections::{BTreeMap, HashSet, btree_map::Entry as Slot};

/// What a new revision says, before it has its place in the history.
pub(super) struct Draft<'a> {
    pub op: Op,
    pub purge: bool,
    pub name: &'a str,
    pub fields: &'a Fields,
    pub value: &'a [u8],
    pub now: i64,
}

/// The writes of one transaction.
pub(super) struct Batch {
    /// As it will be, apart from generation and root.
    pub manifest: Manifest,
    pub buckets: BTreeMap<u16, Bucket>,
    revisions: Vec<(RevisionId, Vec<u8>)>,
    pub dropped: Vec<RevisionId>,
    entries: Vec<(NameTag, RecordId, Vec<u8>)>,
    pub moved: Vec<(NameTag, RecordId)>,
    /// Former names, and what is known now.
    names: Vec<(Option<String>, Metadata)>,
    erase: bool,
}

impl Batch {
    pub fn new(manifest: &Manifest) -> Self {
        Self {
            manifest: manifest.clone(),
            buckets: BTreeMap::new(),
            revisions: Vec::new(),
            dropped: Vec::new(),
            entries: Vec::new(),
            moved: Vec::new(),
            names: Vec::new(),
            erase: false,
        }
    }

    /// Writes the rows.
    pub fn write(&self, tx: &Writer<'_>) -> Result<()> {
        for (id, object) in &self.revisions {
            tx.revision(id, object)?;
        }
        for id in &self.dropped {
            tx.drop_revision(id)?;
        }
        for (tag, record) in &self.moved {
            tx.drop_entry(tag, record)?;
        }
        for (tag, record, row) in &self.entries {
            tx.entry(tag, record, row)?;
        }
        Ok(())
    }
}

/// One superseded revision, for deciding what is kept.
struct Past {
    order: (u64, u64, RevisionId),
    kept: Kept,
}

impl Vault {
    /// A new secret. Returns the number of its first revision.
    pub fn add(&mut self, name: &str, value: &[u8], fields: &Fields, now: i64) -> Result<u64> {
        self.scrubbed(|vault| {
            vault.ready()?;
            check_name(name)?;
            let fields = fields.clone().checked()?;
            if vault.exists(name)? {
                return Err(Error::Exists);
            }
            vault.commit(
                None,
                &Draft {
                    op: Op::Put,
                    purge: false,
                    name,
                    fields: &fields,
                    value,
                    now,
                },
            )
        })
    }

    /// A new value, new fields, or both.
    pub fn update(
        &mut self,
        name: &str,
        value: Option<&[u8]>,
        change: &Change,
        if_rev: Option<u64>,
        now: i64,
    ) -> Result<u64> {
        self.scrubbed(|vault| {
            let found = vault.live(name)?;
            let current = found.metadata.generation;
            if if_rev.is_some_and(|rev| rev != current) {
                return Err(Error::Conflict { current });
            }
            let fields = found.metadata.fields.changed(change).checked()?;
            let opened = match value {
                Some(_) => None,
                None => Some(
                    vault
                        .view()
                        .open_kept(&found.entry, kept(&found.entry, &found.head)?)?,
                ),
            };
            let value = match (&opened, value) {
                (_, Some(value)) => value,
                (Some(opened), None) => opened.body.value(),
                (None, None) => return Err(Error::NoRevision),
            };
            vault.commit(
                Some(&found),
                &Draft {
                    op: Op::Put,
                    purge: false,
                    name,
                    fields: &fields,
                    value,
                    now,
                },
            )
        })
    }

    /// A revision that says the secret is gone. With `purge` its history goes
    /// as well.
    pub fn delete(&mut self, name: &str, purge: bool, now: i64) -> Result<u64> {
        self.scrubbed(|vault| {
            let found = vault.live(name)?;
            vault.commit(
                Some(&found),
                &Draft {
                    op: Op::Delete,
                    purge,
                    name,
                    fields: &Fields::default(),
                    value: &[],
                    now,
                },
            )
        })
    }

    /// Another name for the same record.
    pub fn rename(&mut self, old: &str, new: &str, now: i64) -> Result<u64> {
        self.scrubbed(|vault| {
            let found = vault.live(old)?;
            check_name(new)?;
            if old == new || vault.exists(new)? {
                return Err(Error::Exists);
            }
            let opened = vault
                .view()
                .open_kept(&found.entry, kept(&found.entry, &found.head)?)?;
            vault.commit(
                Some(&found),
                &Draft {
                    op: Op::Put,
                    purge: false,
                    name: new,
                    fields: &found.metadata.fields,
                    value: opened.body.value(),
                    now,
                },
            )
        })
    }

    /// A new revision with value and fields of revision `rev`. Brings a
    /// deleted secret back.
    pub fn revert(&mut self, name: &str, rev: u64, now: i64) -> Result<u64> {
        self.scrubbed(|vault| {
            let found = vault.newest(name)?;
            let opened = vault.view().open_rev(&found.entry, rev)?;
            if opened.body.op == Op::Delete {
                return Err(Error::NoRevision);
            }
            vault.commit(
                Some(&found),
                &Draft {
                    op: Op::Put,
                    purge: false,
                    name,
                    fields: &opened.body.fields,
                    value: opened.body.value(),
                    now,
                },
            )
        })
    }

    fn scrubbed<T>(&mut self, change: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let result = change(self);
        sys::scrub_stack();
        result
    }

    fn exists(&mut self, name: &str) -> Result<bool> {
        let all = self.find(name)?;
        Ok(all.iter().any(|found| found.metadata.op == Op::Put))
    }

    /// Writes `draft` in a transaction of its own.
    fn commit(&mut self, found: Option<&Found>, draft: &Draft<'_>) -> Result<u64> {
        let mut batch = Batch::new(&self.manifest);
        let generation = self.prepare(&mut batch, found, draft)?;
        self.write_batch(batch)?;
        Ok(generation)
    }

    /// Many new secrets in one transaction: all of them or none.
    pub fn add_many<'a>(
        &mut self,
        secrets: impl IntoIterator<Item = (&'a str, &'a [u8], &'a Fields)>,
        now: i64,
    ) -> Result<u64> {
        self.scrubbed(|vault| {
            vault.ready()?;
            let mut batch = Batch::new(&vault.manifest);
            let mut names = HashSet::new();
            for (name, value, fields) in secrets {
                check_name(name)?;
                let fields = fields.clone().checked()?;
                if !names.insert(name) || vault.exists(name)? {
                    return Err(Error::Exists);
                }
                let draft = Draft {
                    op: Op::Put,
                    purge: false,
                    name,
                    fields: &fields,
                    value,
                    now,
                };
                vault.prepare(&mut batch, None, &draft)?;
            }
            vault.write_batch(batch)?;
            Ok(names.len() as u64)
        })
    }

    /// Adds `draft` to `batch` as the successor of every head of `found`, or
    /// as the first revision of a new record.
    pub(super) fn prepare(
        &mut self,
        batch: &mut Batch,
        found: Option<&Found>,
        draft: &Draft<'_>,
    ) -> Result<u64> {
        if draft.value.len() > limits::VALUE {
            return Err(Error::BadValue);
        }
        batch.manifest.lc += 1;
        let (past, header) = self.successor(found, draft.purge, batch.manifest.lc)?;
        let generation = header.generation;
        let record = header.record;
        let created = found.map_or(draft.now, |f| f.metadata.created);
        let body = Content {
            op: draft.op,
            time: draft.now,
            created,
            name: draft.name,
            fields: draft.fields,
            value: draft.value,
        }
        .encode()?;
        let hedge = self.keys.hedge.expose();
        let sealed = revision::seal(header, &body, hedge, self.keys.signing.expose())?;
        drop(body);

        let vault = self.manifest.vault;
        let mut keep = retained(past, draft.purge);
        keep.push(Kept {
            id: sealed.id,
            head: true,
            epoch: self.epochs.head,
            wrap: self.epochs.wrap(&vault, &sealed.id, &sealed.dek)?,
        });
        keep.sort_unstable_by_key(|k| k.id);
        let tag = self.keys.tag(&vault, draft.name);
        let metadata = Metadata {
            op: draft.op,
            generation,
            created,
            time: draft.now,
            size: u32::try_from(draft.value.len()).map_err(|_| Error::BadValue)?,
            name: draft.name.to_owned(),
            fields: draft.fields.clone(),
        };
        let keys = self.keys.metadata(&vault);
        let entry = Entry {
            metadata: metadata.seal(&keys, &tag, &record, &sealed.id)?,
            tag,
            record,
            kept: keep,
        };
        self.place(batch, found, &entry)?;
        batch.erase |= draft.op == Op::Delete;
        batch.manifest.objects += 1;
        if found.is_some_and(|f| f.metadata.op == Op::Put) {
            batch.manifest.live -= 1;
        }
        if draft.op == Op::Put {
            batch.manifest.live += 1;
        }
        batch.entries.push((tag, record, entry.encode()?));
        batch.revisions.push((sealed.id, sealed.object));
        let old = found.map(|f| f.metadata.name.clone());
        batch.names.push((old, metadata));
        Ok(generation)
    }

    /// Where `entry` goes in the tree, and what goes for it.
    pub(super) fn place(
        &mut self,
        batch: &mut Batch,
        found: Option<&Found>,
        entry: &Entry,
    ) -> Result<()> {
        if let Some(old) = found.map(|f| &f.entry) {
            let keeps: HashSet<_> = entry.kept.iter().map(|k| k.id).collect();
            let gone = old
                .kept
                .iter()
                .map(|k| k.id)
                .filter(|id| !keeps.contains(id));
            let before = batch.dropped.len();
            batch.dropped.extend(gone);
            batch.manifest.objects -= (batch.dropped.len() - before) as u64;
            if old.tag != entry.tag {
                self.bucket(batch, path::bucket_of(&old.tag))?
                    .remove(&old.tag, &old.record);
                batch.moved.push((old.tag, old.record));
            }
        }
        let leaf = Leaf {
            tag: entry.tag,
            record: entry.record,
            hash: entry.leaf()?,
        };
        self.bucket(batch, path::bucket_of(&entry.tag))?
            .insert(leaf);
        Ok(())
    }

    fn bucket<'b>(&mut self, batch: &'b mut Batch, number: u16) -> Result<&'b mut Bucket> {
        Ok(match batch.buckets.entry(number) {
            Slot::Occupied(bucket) => bucket.into_mut(),
            Slot::Vacant(free) => free.insert(self.tree.bucket(&self.store, number)?),
        })
    }

    /// One transaction for all of `batch`; nothing in memory moves before it
    /// is on the disk.
    fn write_batch(&mut self, mut batch: Batch) -> Result<()> {
        let staged = self.tree.stage(std::mem::take(&mut batch.buckets))?;
        let manifest = Manifest {
            root: staged.root,
            ..batch.manifest.clone()
        };
        self.transact(manifest, batch.erase, |tx| {
            batch.write(tx)?;
            staged.write(tx)
        })?;
        self.tree.apply(staged);
        for (old, metadata) in &batch.names {
            self.note_name(old.as_deref(), metadata);
        }
        Ok(())
    }

    /// The header of the next revision, and what it supersedes.
    fn successor(
        &self,
        found: Option<&Found>,
        purge: bool,
        lc: u64,
    ) -> Result<(Vec<Past>, Header)> {
        let mut header = Header {
            purge,
            vault: self.manifest.vault,
            record: [0; 16],
            author: self.keys.node,
            epoch: self.epochs.head,
            lc,
            generation: 1,
            commitment: [0; 32],
            length: 0,
            parents: Vec::new(),
            ancestors: Vec::new(),
        };
        let Some(found) = found else {
            header.record = *crypto::random::<16>()?;
            return Ok((Vec::new(), header));
        };
        header.record = found.entry.record;
        let mut past = Vec::with_capacity(found.entry.kept.len());
        let mut older: Vec<[u8; 16]> = Vec::new();
        let mut oldest: Vec<[u8; 16]> = Vec::new();
        for kept in &found.entry.kept {
            let object = self.view().object(&kept.id)?;
            let of = Revision::parse(&object, &kept.id)?.header;
            if kept.head {
                header.parents.push(kept.id);
                header.generation = header.generation.max(of.generation + 1);
                older.extend(of.parents.iter().map(crate::objects::first16));
                oldest.extend(&of.ancestors);
            }
            past.push(Past {
                order: (of.generation, of.lc, kept.id),
                kept: kept.clone(),
            });
        }
        if header.parents.len() > limits::PARENTS {
            return Err(Error::Damaged("more heads than a revision can supersede"));
        }
        header.ancestors = ancestors(&past, older, oldest);
        Ok((past, header))
    }
}

/// Of the superseded revisions, those that stay: the parents of the new head
/// and the ten highest, or none after a purge.
fn retained(mut past: Vec<Past>, purge: bool) -> Vec<Kept> {
    if purge {
        return Vec::new();
    }
    past.sort_unstable_by_key(|p| std::cmp::Reverse(p.order));
    past.into_iter()
        .enumerate()
        .filter(|(rank, past)| *rank < limits::HISTORY || past.kept.head)
        .map(|(_, past)| Kept {
            head: false,
            ..past.kept
        })
        .collect()
}

/// Known ancestors, newest generations first while they fit. Those that
/// are still kept are known with their generation; the rest only through
/// the lists of the parents.
fn ancestors(past: &[Past], older: Vec<[u8; 16]>, oldest: Vec<[u8; 16]>) -> Vec<[u8; 16]> {
    let mut known: Vec<&Past> = past.iter().filter(|p| !p.kept.head).collect();
    known.sort_unstable_by_key(|p| std::cmp::Reverse(p.order));
    let known = known
        .into_iter()
        .map(|p| crate::objects::first16(&p.kept.id));
    let mut seen = HashSet::new();
    let mut all: Vec<[u8; 16]> = older
        .into_iter()
        .chain(known)
        .chain(oldest)
        .filter(|id| seen.insert(*id))
        .take(limits::ANCESTORS)
        .collect();
    all.sort_unstable();
    all
}

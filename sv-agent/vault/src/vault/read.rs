//! Reading secrets: each answer is proven against the manifest first.

use super::{Vault, path};
use crate::{
    Error, Item, Result, RevisionInfo,
    item::check_name,
    objects::{
        NameTag, RevisionId,
        body::{Body, Op},
        entry::{Entry, Kept, Metadata},
        revision::{Header, Revision},
    },
    sys,
};
use zeroize::Zeroizing;

/// A record that has the name that was asked for.
pub(super) struct Found {
    pub entry: Entry,
    pub metadata: Metadata,
    /// The head that the metadata belongs to.
    pub head: RevisionId,
}

/// A revision, read and decrypted.
pub(super) struct Opened {
    pub header: Header,
    pub id: RevisionId,
    pub body: Body,
}

impl Vault {
    /// The value of a secret, or that of an earlier revision.
    pub fn get(&mut self, name: &str, rev: Option<u64>) -> Result<Zeroizing<Vec<u8>>> {
        let value = self.reveal(name, rev).map(|(_, value)| value);
        sys::scrub_stack();
        value
    }

    /// The fields of a secret, or those of an earlier revision.
    pub fn show(&mut self, name: &str, rev: Option<u64>) -> Result<Item> {
        match rev {
            None => {
                let item = self.live(name).map(|found| found.metadata.item());
                sys::scrub_stack();
                item
            }
            Some(_) => self.reveal(name, rev).map(|(item, _)| item),
        }
    }

    /// Fields and value.
    pub fn reveal(&mut self, name: &str, rev: Option<u64>) -> Result<(Item, Zeroizing<Vec<u8>>)> {
        let opened = self.open_named(name, rev);
        sys::scrub_stack();
        opened
    }

    fn open_named(&mut self, name: &str, rev: Option<u64>) -> Result<(Item, Zeroizing<Vec<u8>>)> {
        let (found, opened) = match rev {
            None => {
                let found = self.live(name)?;
                let opened = self.open_kept(&found.entry, kept(&found.entry, &found.head)?)?;
                if opened.body.name != name {
                    return Err(Error::Damaged("a secret has another name inside"));
                }
                (found, opened)
            }
            Some(rev) => {
                let found = self.newest(name)?;
                let opened = self.open_rev(&found.entry, rev)?;
                (found, opened)
            }
        };
        if opened.body.op == Op::Delete {
            return Err(Error::NoRevision);
        }
        let item = Item {
            name: opened.body.name.clone(),
            rev: opened.header.generation,
            created: found.metadata.created,
            updated: opened.body.time,
            size: opened.body.value().len() as u64,
            fields: opened.body.fields.clone(),
        };
        Ok((item, opened.body.into_value()))
    }

    /// The revisions of a secret, newest first; of a deleted one too.
    pub fn history(&mut self, name: &str) -> Result<Vec<RevisionInfo>> {
        let history = self.read_history(name);
        sys::scrub_stack();
        history
    }

    fn read_history(&mut self, name: &str) -> Result<Vec<RevisionInfo>> {
        let entry = self.newest(name)?.entry;
        let mut all = Vec::with_capacity(entry.kept.len());
        for kept in &entry.kept {
            let opened = self.open_kept(&entry, kept)?;
            all.push((opened.header.lc, kept.head, opened));
        }
        all.sort_by_key(|(lc, _, o)| std::cmp::Reverse((o.header.generation, *lc, o.id)));
        Ok(all
            .into_iter()
            .map(|(_, head, opened)| RevisionInfo {
                rev: opened.header.generation,
                time: opened.body.time,
                deleted: opened.body.op == Op::Delete,
                head,
                name: opened.body.name.clone(),
                size: opened.body.value().len() as u64,
                id: opened.id,
                author: opened.header.author,
            })
            .collect())
    }

    /// The record of that name whose head is a put.
    pub(super) fn live(&mut self, name: &str) -> Result<Found> {
        self.ready()?;
        check_name(name)?;
        self.find(name)?
            .into_iter()
            .find(|found| found.metadata.op == Op::Put)
            .ok_or(Error::NoSecret)
    }

    /// The same, or else the record of that name that was deleted last.
    pub(super) fn newest(&mut self, name: &str) -> Result<Found> {
        self.ready()?;
        check_name(name)?;
        let mut best: Option<(bool, u64, Found)> = None;
        for found in self.find(name)? {
            let live = found.metadata.op == Op::Put;
            let object = self.object(&found.head)?;
            let lc = Revision::parse(&object, &found.head)?.header.lc;
            if best.as_ref().is_none_or(|(l, c, _)| (live, lc) > (*l, *c)) {
                best = Some((live, lc, found));
            }
        }
        best.map(|(_, _, found)| found).ok_or(Error::NoSecret)
    }

    /// Every record of a name. That there is none is proven as well.
    pub(super) fn find(&mut self, name: &str) -> Result<Vec<Found>> {
        let tag = self.keys.tag(&self.manifest.vault, name);
        let bucket = self.tree.bucket(&self.store, path::bucket_of(&tag))?;
        let mut all = Vec::new();
        for leaf in bucket.of(&tag) {
            let entry = self.entry(tag, leaf.record, &leaf.hash)?;
            let found = self.open_entry(entry)?;
            if found.metadata.name != name {
                return Err(Error::Damaged("a secret has another name inside"));
            }
            all.push(found);
        }
        Ok(all)
    }

    /// A record's row, which must be the one of its leaf.
    pub(super) fn entry(&self, tag: NameTag, record: [u8; 16], leaf: &[u8; 32]) -> Result<Entry> {
        let bytes = self
            .store
            .entry(&tag, &record)?
            .ok_or(Error::Damaged("a record is missing"))?;
        let entry = Entry::parse(tag, record, &bytes)?;
        if entry.leaf()? == *leaf {
            Ok(entry)
        } else {
            Err(Error::Damaged("a record is not the one of the manifest"))
        }
    }

    /// Decrypts an entry's metadata.
    pub(super) fn open_entry(&self, entry: Entry) -> Result<Found> {
        let head = self.chosen_head(&entry)?;
        let keys = self.keys.metadata(&self.manifest.vault);
        Ok(Found {
            metadata: entry.open_metadata(&keys, &head)?,
            entry,
            head,
        })
    }

    /// The head with the highest (lc, id).
    fn chosen_head(&self, entry: &Entry) -> Result<RevisionId> {
        let mut heads = entry.heads();
        let first = heads.next().ok_or(Error::Damaged("a record has no head"))?;
        let Some(second) = heads.next() else {
            return Ok(first.id);
        };
        let mut best = (0, [0; 32]);
        for kept in [first, second].into_iter().chain(heads) {
            let object = self.object(&kept.id)?;
            let lc = Revision::parse(&object, &kept.id)?.header.lc;
            best = best.max((lc, kept.id));
        }
        Ok(best.1)
    }

    /// The bytes of a revision, for [`Revision::parse`].
    pub(super) fn object(&self, id: &RevisionId) -> Result<Vec<u8>> {
        self.store
            .revision(id)?
            .ok_or(Error::Damaged("a revision is missing"))
    }

    /// Decrypts one kept revision of a record.
    pub(super) fn open_kept(&self, entry: &Entry, kept: &Kept) -> Result<Opened> {
        let object = self.object(&kept.id)?;
        let revision = Revision::parse(&object, &kept.id)?;
        self.open_revision(entry, kept, &revision)
    }

    pub(super) fn open_revision(
        &self,
        entry: &Entry,
        kept: &Kept,
        revision: &Revision<'_>,
    ) -> Result<Opened> {
        let vault = &self.manifest.vault;
        if revision.header.vault != *vault || revision.header.record != entry.record {
            return Err(Error::Damaged("a revision is of another record"));
        }
        let dek = self
            .epochs
            .unwrap(vault, &kept.id, &kept.epoch, &kept.wrap)?;
        Ok(Opened {
            body: revision.open(&dek)?,
            id: revision.id,
            header: revision.header.clone(),
        })
    }

    /// The revision number `rev` of a record.
    pub(super) fn open_rev(&self, entry: &Entry, rev: u64) -> Result<Opened> {
        for kept in &entry.kept {
            let object = self.object(&kept.id)?;
            let revision = Revision::parse(&object, &kept.id)?;
            if revision.header.generation == rev {
                return self.open_revision(entry, kept, &revision);
            }
        }
        Err(Error::NoRevision)
    }
}

/// The kept revision with that id.
pub(super) fn kept<'a>(entry: &'a Entry, id: &RevisionId) -> Result<&'a Kept> {
    entry
        .kept
        .iter()
        .find(|k| k.id == *id)
        .ok_or(Error::Damaged("a head is missing"))
}

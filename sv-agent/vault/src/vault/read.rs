//! Reading secrets: each answer is proven against the manifest first.

use super::{
    Vault, path,
    view::{View, kept},
};
use crate::{
    Error, Item, Result, RevisionInfo,
    item::check_name,
    objects::{
        RevisionId,
        body::Op,
        entry::{Entry, Metadata},
        revision::Revision,
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
                let opened = self
                    .view()
                    .open_kept(&found.entry, kept(&found.entry, &found.head)?)?;
                if opened.body.name != name {
                    return Err(Error::Damaged("a secret has another name inside"));
                }
                (found, opened)
            }
            Some(rev) => {
                let found = self.newest(name)?;
                let opened = self.view().open_rev(&found.entry, rev)?;
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
            let opened = self.view().open_kept(&entry, kept)?;
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
            let object = self.view().object(&found.head)?;
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
            let entry = self.view().entry(tag, leaf.record, &leaf.hash)?;
            let found = self.open_entry(entry)?;
            if found.metadata.name != name {
                return Err(Error::Damaged("a secret has another name inside"));
            }
            all.push(found);
        }
        Ok(all)
    }

    /// Decrypts an entry's metadata.
    pub(super) fn open_entry(&self, entry: Entry) -> Result<Found> {
        let head = self.view().chosen_head(&entry)?;
        let keys = self.keys.metadata(&self.manifest.vault);
        Ok(Found {
            metadata: entry.open_metadata(&keys, &head)?,
            entry,
            head,
        })
    }

    /// For reading records.
    pub(super) const fn view(&self) -> View<'_> {
        View {
            store: &self.store,
            epochs: &self.epochs,
            manifest: &self.manifest,
        }
    }
}

//! Records as they are stored, proven and decrypted: what needs the epoch keys
//! and no key of a node, so that a copy of the file opened with shares can be
//! read as well.

use super::keys::Epochs;
use crate::{
    Error, Result,
    objects::{
        NameTag, RevisionId,
        body::Body,
        entry::{Entry, Kept, Metadata},
        manifest::Manifest,
        revision::{Header, Revision},
    },
    store::Store,
};

/// A revision, read and decrypted.
pub(super) struct Opened {
    pub header: Header,
    pub id: RevisionId,
    pub body: Body,
}

/// What is needed to read.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub store: &'a Store,
    pub epochs: &'a Epochs,
    pub manifest: &'a Manifest,
}

impl View<'_> {
    /// A record's row, which must be the one of its leaf.
    pub fn entry(&self, tag: NameTag, record: [u8; 16], leaf: &[u8; 32]) -> Result<Entry> {
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

    /// The head with the highest (lc, id).
    pub fn chosen_head(&self, entry: &Entry) -> Result<RevisionId> {
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
    pub fn object(&self, id: &RevisionId) -> Result<Vec<u8>> {
        self.store
            .revision(id)?
            .ok_or(Error::Damaged("a revision is missing"))
    }

    /// Decrypts one kept revision of a record.
    pub fn open_kept(&self, entry: &Entry, kept: &Kept) -> Result<Opened> {
        let object = self.object(&kept.id)?;
        let revision = Revision::parse(&object, &kept.id)?;
        self.open_revision(entry, kept, &revision)
    }

    /// The same from its bytes.
    pub fn open_revision(
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
    pub fn open_rev(&self, entry: &Entry, rev: u64) -> Result<Opened> {
        for kept in &entry.kept {
            let object = self.object(&kept.id)?;
            let revision = Revision::parse(&object, &kept.id)?;
            if revision.header.generation == rev {
                return self.open_revision(entry, kept, &revision);
            }
        }
        Err(Error::NoRevision)
    }

    /// The metadata of a record's head, from the head itself: for whoever has
    /// no key to the stored copy.
    pub fn metadata(&self, entry: &Entry, head: &RevisionId) -> Result<Metadata> {
        let opened = self.open_kept(entry, kept(entry, head)?)?;
        let body = &opened.body;
        let size = u32::try_from(body.value().len()).map_err(|_| Error::BadValue)?;
        Ok(Metadata {
            op: body.op,
            generation: opened.header.generation,
            created: body.created.unwrap_or(body.time),
            time: body.time,
            size,
            name: body.name.clone(),
            fields: body.fields.clone(),
        })
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

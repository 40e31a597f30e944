//! Everything in the file against everything else, a piece at a time, so that
//! others are served meanwhile.

use super::{Vault, keys, read_manifest};
use crate::{
    Error, Result,
    objects::{
        RevisionId,
        body::Op,
        entry::Entry,
        first16,
        revision::{Header, Revision},
        tree::Leaf,
    },
    sys,
};
use std::collections::HashSet;

/// How many problems are told; a vault with more is damaged all the same.
const TOLD: usize = 100;

/// How far a verification has come, and what it found.
#[derive(Debug, Default)]
pub struct Verification {
    /// Buckets of the index that were checked.
    pub done: u64,
    /// All of them.
    pub total: u64,
    /// Secrets that were checked.
    pub secrets: u64,
    /// Revisions that were checked.
    pub revisions: u64,
    /// What is off, a line each.
    pub problems: Vec<String>,
    records: u64,
    /// The generation at the start: the sums hold only if nothing was written.
    generation: u64,
}

impl Verification {
    fn problem(&mut self, what: String) {
        if self.problems.len() < TOLD {
            self.problems.push(what);
        }
    }
}

impl Vault {
    /// Begins a verification.
    #[must_use]
    pub fn verify(&self) -> Verification {
        Verification {
            total: u64::from(u16::MAX) + 1,
            generation: self.manifest.generation,
            ..Verification::default()
        }
    }

    /// Checks about `step` more records, and says whether that was all.
    /// Damage is a problem in `state`; an error is a disk that can't be read.
    pub fn verify_step(&mut self, state: &mut Verification, step: usize) -> Result<bool> {
        self.ready()?;
        if state.done == 0 {
            self.tree.forget();
        }
        let mut left = step;
        while left > 0 {
            let Ok(number) = u16::try_from(state.done) else {
                break;
            };
            let leaves = self.tree.bucket(&self.store, number);
            if let Some(bucket) = told(state, &format!("index {number:04x}"), leaves)? {
                for leaf in bucket.leaves() {
                    self.verify_record(state, leaf)?;
                    left = left.saturating_sub(1);
                }
            }
            left = left.saturating_sub(usize::from(number % 64 == 0));
            state.done += 1;
        }
        sys::scrub_stack();
        if state.done < state.total {
            return Ok(false);
        }
        self.verify_sums(state)?;
        Ok(true)
    }

    fn verify_record(&self, state: &mut Verification, leaf: &Leaf) -> Result<()> {
        state.records += 1;
        let shown = format!("record {}", hex(&leaf.record));
        let entry = self.view().entry(leaf.tag, leaf.record, &leaf.hash);
        let Some(entry) = told(state, &shown, entry)? else {
            return Ok(());
        };
        let mut headers = Vec::with_capacity(entry.kept.len());
        for kept in &entry.kept {
            let header = self.verify_revision(&entry, &kept.id);
            if let Some(header) = told(state, &shown, header)? {
                state.revisions += 1;
                headers.push((kept.id, header));
            }
        }
        if headers.len() == entry.kept.len() && !heads_are_right(&entry, &headers) {
            state.problem(format!("{shown}: the heads are not those of its revisions"));
        }
        let found = self.open_entry(entry).and_then(|found| {
            let kept = super::view::kept(&found.entry, &found.head)?;
            let opened = self.view().open_kept(&found.entry, kept)?;
            let (inner, outer) = (&opened.body, &found.metadata);
            let same = inner.name == outer.name
                && inner.op == outer.op
                && inner.time == outer.time
                && inner.created == Some(outer.created)
                && inner.fields == outer.fields
                && inner.value().len() as u64 == u64::from(outer.size)
                && opened.header.generation == outer.generation
                && self.keys.tag(&self.manifest.vault, &inner.name) == leaf.tag;
            if same {
                Ok(outer.op)
            } else {
                Err(Error::Damaged(
                    "the index does not say what the secret says",
                ))
            }
        });
        if told(state, &shown, found)? == Some(Op::Put) {
            state.secrets += 1;
        }
        Ok(())
    }

    fn verify_revision(&self, entry: &Entry, id: &RevisionId) -> Result<Header> {
        let object = self.view().object(id)?;
        let revision = Revision::parse(&object, id)?;
        revision.verify(self.epochs.author(&revision.header.author)?)?;
        let kept = super::view::kept(entry, id)?;
        Ok(self.view().open_revision(entry, kept, &revision)?.header)
    }

    fn verify_sums(&self, state: &mut Verification) -> Result<()> {
        let stored = read_manifest(&self.store, &self.keys, &self.manifest.vault);
        if let Some(stored) = told(state, "manifest", stored)?
            && stored != self.manifest
        {
            state.problem("manifest: the stored one is not the one in use".to_owned());
        }
        let control = keys::control_digest(&self.store);
        if let Some(digest) = told(state, "epochs", control)?
            && digest != self.manifest.control
        {
            state.problem("epochs: they are not those of the manifest".to_owned());
        }
        let (revisions, records) = self.store.row_counts()?;
        if revisions != self.manifest.objects {
            let known = self.manifest.objects;
            state.problem(format!(
                "{revisions} revisions are stored, the manifest knows {known}"
            ));
        }
        if self.manifest.generation != state.generation || !state.problems.is_empty() {
            return Ok(());
        }
        if records != state.records {
            let known = state.records;
            state.problem(format!(
                "{records} records are stored, the index knows {known}"
            ));
        }
        if state.revisions != self.manifest.objects || state.secrets != self.manifest.live {
            state.problem("the manifest counts other secrets or revisions".to_owned());
        }
        Ok(())
    }
}

/// Damage becomes a line; errors of the disk stay errors.
fn told<T>(state: &mut Verification, shown: &str, result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Damaged(what)) => {
            state.problem(format!("{shown}: {what}"));
            Ok(None)
        }
        Err(Error::Version(what)) => {
            state.problem(format!("{shown}: newer {what}"));
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

/// A head is what nothing supersedes.
pub(super) fn heads_are_right(entry: &Entry, headers: &[(RevisionId, Header)]) -> bool {
    let parents: HashSet<&RevisionId> = headers.iter().flat_map(|(_, h)| &h.parents).collect();
    let ancestors: HashSet<&[u8; 16]> = headers.iter().flat_map(|(_, h)| &h.ancestors).collect();
    entry.kept.iter().all(|kept| {
        let superseded = parents.contains(&kept.id) || ancestors.contains(&first16(&kept.id));
        kept.head != superseded
    })
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

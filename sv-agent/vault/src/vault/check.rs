//! A vault file that nobody has the keys of, checked as far as that goes:
//! everything but what is encrypted. Nothing in it is believed that does not
//! lead back to the first epoch, whose hash is the vault's id.

use super::{
    chain::Chain,
    keys,
    path::Tree,
    recover, slots,
    slots::Challenge,
    verify::{heads_are_right, hex},
};
use crate::{
    Error, Result, beside,
    beside::Purpose,
    limits,
    objects::{
        EpochId, RevisionId,
        entry::Entry,
        epoch,
        journal::Journal,
        kind, local,
        manifest::Manifest,
        revision::{Header, Revision},
        tree::{self, EMPTY, LEVELS, Leaf},
    },
    place::Place,
    store::Store,
};
use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

/// How many problems are told; a file with more is damaged all the same.
const TOLD: usize = 100;

/// What a check has found so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileReport {
    /// The vault's id.
    pub vault: [u8; 16],
    /// The generation.
    pub generation: u64,
    /// The number of its epoch.
    pub epoch: u64,
    /// Secrets that are not deleted, by the manifest's account.
    pub secrets: u64,
    /// Revisions that were checked.
    pub revisions: u64,
    /// Whether slots are in it.
    pub slots: bool,
    /// Whether shares open it.
    pub shares: bool,
    /// What is off, a line each.
    pub problems: Vec<String>,
}

/// A file that is being checked, or was.
pub struct Check {
    pub(super) store: Store,
    pub(super) chain: Chain,
    pub(super) manifest: Manifest,
    pub(super) tree: Tree,
    /// Where the file still is, if it has a name.
    path: Option<PathBuf>,
    report: FileReport,
    next: u32,
    records: u64,
    buckets: u64,
    nodes: HashSet<i64>,
    /// Epochs whose key somebody can open.
    wrapped: HashSet<EpochId>,
    done: bool,
}

const BUCKETS: u32 = 65_536;

impl Check {
    /// Opens a file that a client put beside the vault at `vault`, and takes
    /// its name away unless `keep`: the client need not remove it.
    pub fn staged(vault: &Path, name: &str, keep: bool) -> Result<Self> {
        let place = Place::new(vault, false)?;
        let path = beside::find(&place, Purpose::Restore, name)?;
        let mut check = Self::open(&path)?;
        if !keep {
            fs::remove_file(&path)?;
            check.path = None;
        }
        Ok(check)
    }

    /// Opens a file. An error means that it is no vault at all, or one whose
    /// manifest is not of its own members.
    pub fn open(path: &Path) -> Result<Self> {
        let store = Store::open_copy(path)?;
        let chain = Chain::read(&store)?;
        let manifest = recover::claimed_manifest(&store, &chain)?;
        let report = FileReport {
            vault: chain.vault,
            generation: manifest.generation,
            epoch: chain.get(&manifest.epoch).map_or(0, |epoch| epoch.number),
            secrets: manifest.live,
            ..FileReport::default()
        };
        let mut check = Self {
            tree: Tree::new(manifest.root),
            store,
            chain,
            manifest,
            path: Some(path.to_owned()),
            report,
            next: 0,
            records: 0,
            buckets: 0,
            nodes: HashSet::new(),
            wrapped: HashSet::new(),
            done: false,
        };
        check.control()?;
        Ok(check)
    }

    /// What was found. Complete once [`Check::step`] has said so.
    #[must_use]
    pub const fn report(&self) -> &FileReport {
        &self.report
    }

    /// How far it is, of how much.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        (self.next.into(), BUCKETS.into())
    }

    /// Whether everything was checked and is as it should be.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.done && self.report.problems.is_empty()
    }

    /// [`Error::Damaged`] unless it is.
    pub(super) fn require_sound(&self) -> Result<()> {
        if self.is_sound() {
            Ok(())
        } else {
            Err(Error::Damaged("the file was changed, see sv verify FILE"))
        }
    }

    /// The slots of the file, for deriving a key of it.
    pub fn challenge(&self) -> Result<Challenge> {
        Challenge::read(&self.store)
    }

    /// Checks about `step` more records, and says whether that was all.
    /// Damage is a problem in the report; an error is a disk that can't be read.
    pub fn step(&mut self, step: usize) -> Result<bool> {
        let mut left = step;
        while left > 0 && !self.done {
            let Ok(number) = u16::try_from(self.next) else {
                self.sums()?;
                self.done = true;
                break;
            };
            let bucket = self.tree.bucket(&self.store, number);
            if let Some(bucket) = self.told(&format!("index {number:04x}"), bucket)? {
                for leaf in bucket.leaves() {
                    self.record(leaf)?;
                    left = left.saturating_sub(1);
                }
                self.buckets += u64::from(!bucket.leaves().is_empty());
                self.count_nodes(number, bucket.leaves().is_empty());
            }
            left = left.saturating_sub(usize::from(number % 64 == 0));
            self.next += 1;
        }
        Ok(self.done)
    }

    fn count_nodes(&mut self, number: u16, empty: bool) {
        if empty {
            return;
        }
        for level in 0..LEVELS {
            let (index, _) = tree::step(number, level);
            self.nodes.insert(tree::node_key(level, index));
        }
    }

    /// What needs no look at records: the digests, and the form of each object.
    fn control(&mut self) -> Result<()> {
        let control = keys::control_digest(&self.store);
        if let Some(digest) = self.told("control objects", control)?
            && digest != self.manifest.control
        {
            self.problem("control objects: they are not those of the manifest".to_owned());
        }
        let slots = keys::slots_digest(&self.store);
        if let Some(digest) = self.told("slots", slots)?
            && digest != self.manifest.slots
        {
            self.problem("slots: they are not those of the manifest".to_owned());
        }
        let found = slots::read(&self.store);
        if let Some(slots) = self.told("slots", found)? {
            self.report.slots = !slots.is_empty();
            let (vault, node) = (self.manifest.vault, self.manifest.node);
            if slots.iter().any(|s| s.vault != vault || s.node != node) {
                self.problem("slots: one is of another vault or node".to_owned());
            }
        }
        let shares = match self.chain.get(&self.manifest.epoch) {
            Some(epoch) => self.chain.share_set(&self.store, epoch),
            None => Err(Error::Damaged("the current epoch is missing")),
        };
        if let Some(set) = self.told("shares", shares)? {
            self.report.shares = set.is_some();
        }
        for (id, object) in self.store.control(kind::EPOCH_WRAP)? {
            let wrap = epoch::wrap_names(&object).and_then(|(epoch, recipient)| {
                let known = self.chain.get(&epoch).is_some();
                if known && epoch::wrap_control_id(&epoch, &recipient) == id {
                    Ok(epoch)
                } else {
                    Err(Error::Damaged("it is of an unknown epoch"))
                }
            });
            if let Some(epoch) = self.told("a wrap", wrap)? {
                self.wrapped.insert(epoch);
            }
        }
        if !self.wrapped.contains(&self.manifest.epoch) {
            self.problem("epochs: nobody has the key of the current one".to_owned());
        }
        for (id, object) in self.store.control(kind::JOURNAL)? {
            let journal = Journal::parse(&object).and_then(|journal| {
                if journal.id.as_slice() == id && self.wrapped.contains(&journal.epoch) {
                    Ok(())
                } else {
                    Err(Error::Damaged("it is in another's place"))
                }
            });
            self.told("a journal key", journal)?;
        }
        for (id, object) in self.store.control(kind::LOCAL)? {
            let named = local::node_of(&object).and_then(|node| match node.as_slice() == id {
                true => Ok(()),
                false => Err(Error::Damaged("they are another node's")),
            });
            self.told("notes", named)?;
        }
        // Damage of other kinds would be told by whoever uses the object.
        let mut known = 0;
        for kind in keys::DIGESTED.into_iter().chain([kind::SLOT, kind::AUDIT]) {
            known += self.store.control(kind)?.len() as u64;
        }
        let [_, _, stored, manifests] = self.store.index_counts()?;
        if stored != known {
            self.problem("control objects: there are some of an unknown type".to_owned());
        }
        if manifests != 1 {
            self.problem("manifest: there is more than one".to_owned());
        }
        let clock = self.manifest.lc.max(self.manifest.generation);
        if clock > limits::CLOCK {
            self.problem("manifest: its clocks are out of bounds".to_owned());
        }
        Ok(())
    }

    fn record(&mut self, leaf: &Leaf) -> Result<()> {
        self.records += 1;
        let shown = format!("record {}", hex(&leaf.record));
        let entry = self.entry(leaf);
        let Some(entry) = self.told(&shown, entry)? else {
            return Ok(());
        };
        let mut headers = Vec::with_capacity(entry.kept.len());
        for kept in &entry.kept {
            let header = self.revision(&entry, &kept.id);
            if let Some(header) = self.told(&shown, header)? {
                self.report.revisions += 1;
                headers.push((kept.id, header));
            }
            if !self.wrapped.contains(&kept.epoch) {
                self.problem(format!("{shown}: nobody has the key of a revision's epoch"));
            }
        }
        if headers.len() == entry.kept.len() && !heads_are_right(&entry, &headers) {
            self.problem(format!("{shown}: the heads are not those of its revisions"));
        }
        Ok(())
    }

    /// A record's row, which must be the one of its leaf.
    pub(super) fn entry(&self, leaf: &Leaf) -> Result<Entry> {
        let bytes = self
            .store
            .entry(&leaf.tag, &leaf.record)?
            .ok_or(Error::Damaged("it is missing"))?;
        let entry = Entry::parse(leaf.tag, leaf.record, &bytes)?;
        if entry.leaf()? == leaf.hash {
            Ok(entry)
        } else {
            Err(Error::Damaged("it is not the one of the manifest"))
        }
    }

    fn revision(&self, entry: &Entry, id: &RevisionId) -> Result<Header> {
        let object = self
            .store
            .revision(id)?
            .ok_or(Error::Damaged("a revision is missing"))?;
        let revision = Revision::parse(&object, id)?;
        let header = &revision.header;
        revision.verify(self.chain.author(&header.author)?)?;
        if header.vault != self.manifest.vault || header.record != entry.record {
            return Err(Error::Damaged("a revision is of another record"));
        }
        if header.lc > self.manifest.lc || header.generation > limits::CLOCK {
            return Err(Error::Damaged("a revision's clocks are out of bounds"));
        }
        Ok(revision.header)
    }

    fn sums(&mut self) -> Result<()> {
        let (revisions, records) = self.store.row_counts()?;
        if revisions != self.manifest.objects {
            let known = self.manifest.objects;
            self.problem(format!(
                "{revisions} revisions are stored, the manifest knows {known}"
            ));
        }
        if !self.report.problems.is_empty() {
            return Ok(());
        }
        if records != self.records {
            let known = self.records;
            self.problem(format!(
                "{records} records are stored, the index knows {known}"
            ));
        }
        let [nodes, buckets, ..] = self.store.index_counts()?;
        if (nodes, buckets) != (self.nodes.len() as u64, self.buckets) {
            self.problem("the index has parts that lead nowhere".to_owned());
        }
        if self.report.revisions != self.manifest.objects || self.manifest.live > self.records {
            self.problem("the manifest counts other secrets or revisions".to_owned());
        }
        if self.records == 0 && self.manifest.root != EMPTY {
            self.problem("the manifest knows secrets, and there are none".to_owned());
        }
        Ok(())
    }

    fn problem(&mut self, what: String) {
        if self.report.problems.len() < TOLD {
            self.report.problems.push(what);
        }
    }

    /// Damage becomes a line; errors of the disk stay errors.
    fn told<T>(&mut self, shown: &str, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Error::Damaged(what)) => {
                self.problem(format!("{shown}: {what}"));
                Ok(None)
            }
            Err(Error::Version(what)) => {
                self.problem(format!("{shown}: newer {what}"));
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    /// Makes the file, which was checked, the vault at `vault`, where there is
    /// none. It is there at once or not at all.
    pub fn settle(self, vault: &Path, note: &str) -> Result<()> {
        self.require_sound()?;
        let Self { store, path, .. } = self;
        let path = path.ok_or(Error::Damaged("the file is not there any more"))?;
        let identity = store.identity();
        drop(store);
        Store::adopt(vault, note, &path, identity)
    }
}

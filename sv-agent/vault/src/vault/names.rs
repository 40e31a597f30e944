//! Names in memory, decrypted once by the first list or search and wiped by
//! lock, so that neither touches a value.

use super::Vault;
use crate::{
    Error, Filter, Item, Result, limits,
    objects::{
        body::Op,
        entry::{Entry, Metadata},
    },
};
use std::{collections::BTreeMap, ops::Bound};
use zeroize::Zeroize;

/// Every secret without its value, by name.
#[derive(Default)]
pub(super) struct Names {
    /// The bucket to be read next; 65,536 when all are here.
    next: u32,
    items: BTreeMap<String, Item>,
}

impl Names {
    fn insert(&mut self, item: Item) {
        if let Some(mut old) = self.items.insert(item.name.clone(), item) {
            wipe(&mut old);
        }
    }

    fn remove(&mut self, name: &str) {
        if let Some((mut key, mut old)) = self.items.remove_entry(name) {
            key.zeroize();
            wipe(&mut old);
        }
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        for (mut name, mut item) in std::mem::take(&mut self.items) {
            name.zeroize();
            wipe(&mut item);
        }
    }
}

fn wipe(item: &mut Item) {
    item.name.zeroize();
    item.fields.wipe();
}

impl Vault {
    /// Decrypts the names of about `step` more records, and says whether all
    /// are in memory now. Writes in between are taken into account.
    pub fn load_names(&mut self, step: usize) -> Result<bool> {
        self.ready()?;
        let mut names = self.names.take().unwrap_or_default();
        let mut left = step;
        while let Ok(number) = u16::try_from(names.next) {
            if left == 0 {
                break;
            }
            let bucket = self.tree.bucket(&self.store, number)?;
            let rows = match bucket.leaves().len() {
                0 => Vec::new(),
                // One more than there should be, to see a row that should not.
                count => self.store.entries(number, count + 1)?,
            };
            if rows.len() != bucket.leaves().len() {
                return Err(Error::Damaged(
                    "a record is missing, or one too many is there",
                ));
            }
            for (leaf, (tag, record, row)) in bucket.leaves().iter().zip(rows) {
                let entry = Entry::parse(tag, record, &row)?;
                if (tag, record) != (leaf.tag, leaf.record) || entry.leaf()? != leaf.hash {
                    return Err(Error::Damaged("a record is not the one of the manifest"));
                }
                let metadata = self.open_entry(entry)?.metadata;
                if self.keys.tag(&self.manifest.vault, &metadata.name) != leaf.tag {
                    return Err(Error::Damaged("a secret has another name inside"));
                }
                if metadata.op == Op::Put {
                    names.insert(metadata.item());
                }
                left = left.saturating_sub(1);
            }
            // An empty bucket costs a little as well.
            left = left.saturating_sub(usize::from(number % 64 == 0));
            names.next += 1;
        }
        let complete = names.next > u32::from(u16::MAX);
        self.names = Some(names);
        Ok(complete)
    }

    /// Matching secrets with names above `after`, sorted bytewise, until they
    /// make about `max_bytes` or many names were looked at; and the name to go
    /// on after, if that was not all. Everything must have been loaded by
    /// [`Vault::load_names`].
    pub fn list(
        &self,
        filter: &Filter,
        after: Option<&str>,
        max_bytes: usize,
    ) -> Result<(Vec<Item>, Option<String>)> {
        let names = self.names.as_ref().ok_or(Error::NoSecret)?;
        let filter = Matcher::new(filter);
        let start = match after {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(filter.prefix()),
        };
        let mut found = Vec::new();
        let mut bytes = 0;
        for (looked, (name, item)) in names
            .items
            .range::<str, _>((start, Bound::Unbounded))
            .enumerate()
        {
            if !name.starts_with(filter.prefix()) {
                break;
            }
            if filter.matches(item) {
                bytes += size(item);
                found.push(item.clone());
            }
            if bytes >= max_bytes || looked >= limits::LOOKED {
                return Ok((found, Some(name.clone())));
            }
        }
        Ok((found, None))
    }

    /// After a write: what was called `old` is now what `metadata` says.
    pub(super) fn note_name(&mut self, old: Option<&str>, metadata: &Metadata) {
        let Some(names) = &mut self.names else { return };
        if let Some(old) = old {
            names.remove(old);
        }
        if metadata.op == Op::Put {
            // A bucket that is still to be read brings the same again.
            names.insert(metadata.item());
        }
    }
}

/// Bytes of an item on the wire, roughly.
fn size(item: &Item) -> usize {
    let tags: usize = item.fields.tags.iter().map(|t| t.len() + 8).sum();
    80 + item.name.len() + item.fields.category.len() + item.fields.note.len() + tags
}

enum Matcher<'a> {
    List {
        prefix: &'a str,
        category: Option<&'a str>,
        tags: &'a [String],
    },
    Search(Vec<String>),
}

impl<'a> Matcher<'a> {
    fn new(filter: &'a Filter) -> Self {
        match filter {
            Filter::List {
                prefix,
                category,
                tags,
            } => Self::List {
                prefix,
                category: category.as_deref(),
                tags,
            },
            Filter::Search { words } => {
                Self::Search(words.iter().map(|w| w.to_lowercase()).collect())
            }
        }
    }

    const fn prefix(&self) -> &'a str {
        match self {
            Self::List { prefix, .. } => prefix,
            Self::Search(_) => "",
        }
    }

    fn matches(&self, item: &Item) -> bool {
        let fields = &item.fields;
        match self {
            Self::List { category, tags, .. } => {
                category.is_none_or(|c| fields.category == c)
                    && tags.iter().all(|t| fields.tags.contains(t))
            }
            Self::Search(words) => {
                let mut texts = vec![item.name.to_lowercase(), fields.category.to_lowercase()];
                texts.push(fields.note.to_lowercase());
                texts.extend(fields.tags.iter().map(|t| t.to_lowercase()));
                let found = words.iter().all(|w| texts.iter().any(|t| t.contains(w)));
                texts.zeroize();
                found
            }
        }
    }
}

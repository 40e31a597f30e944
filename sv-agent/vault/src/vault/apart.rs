//! Names after a merge: one belongs to one secret. Where another one came to it,
//! the one that had it keeps it, and the other gets a name of its own.

use super::{Vault, merge::Merge, path, read::Found, view::kept, write::Draft};
use crate::{
    Error, Result,
    item::check_name,
    limits,
    objects::{NameTag, RecordId, body::Op, entry::Entry},
};
use std::collections::HashSet;

impl Vault {
    /// Renames what was merged under a name that another one has.
    pub(super) fn part_names(&mut self, merge: &mut Merge, now: i64) -> Result<()> {
        let mut came: Vec<(NameTag, RecordId)> = (merge.changed.iter())
            .filter(|(_, changed)| changed.live && !changed.stayed)
            .map(|(record, changed)| (changed.tag, *record))
            .collect();
        came.sort_unstable();
        let stayed: HashSet<NameTag> = (merge.changed.values())
            .filter(|changed| changed.live && changed.stayed)
            .map(|changed| changed.tag)
            .collect();
        let mut last = None;
        for (tag, record) in came {
            let again = last.replace(tag) == Some(tag);
            if again || stayed.contains(&tag) || self.is_taken(merge, &tag)? {
                self.rename_merged(merge, &tag, &record, now)?;
                merge.merged.conflicts += 1;
            }
        }
        Ok(())
    }

    /// Whether a secret that was not changed has this name.
    fn is_taken(&mut self, merge: &Merge, tag: &NameTag) -> Result<bool> {
        let bucket = self.tree.bucket(&self.store, path::bucket_of(tag))?;
        for leaf in bucket.of(tag) {
            if merge.changed.contains_key(&leaf.record) {
                continue;
            }
            let entry = self.view().entry(leaf.tag, leaf.record, &leaf.hash)?;
            if self.open_entry(entry)?.metadata.op == Op::Put {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A revision with another name on top of a record that was merged.
    fn rename_merged(
        &mut self,
        merge: &mut Merge,
        tag: &NameTag,
        record: &RecordId,
        now: i64,
    ) -> Result<()> {
        let rows = self.store.step(|tx| tx.staged(path::bucket_of(tag)))?;
        let (_, _, row) = (rows.into_iter())
            .find(|(t, r, _)| (t, r) == (tag, record))
            .ok_or(Error::Damaged("a record is missing"))?;
        let found: Found = self.open_entry(Entry::parse(*tag, *record, &row)?)?;
        let opened = self
            .view()
            .open_kept(&found.entry, kept(&found.entry, &found.head)?)?;
        let name = apart(&found.metadata.name, record);
        check_name(&name)?;
        let lc = merge.source.manifest.lc;
        merge.batch.manifest.lc = merge.batch.manifest.lc.max(lc);
        let draft = Draft {
            op: Op::Put,
            purge: false,
            name: &name,
            fields: &found.metadata.fields,
            value: opened.body.value(),
            now,
        };
        self.prepare(&mut merge.batch, Some(&found), &draft)?;
        Ok(())
    }
}

/// The name that a secret gets whose own is another one's.
fn apart(name: &str, record: &RecordId) -> String {
    let hex: String = record[..4].iter().map(|b| format!("{b:02x}")).collect();
    let end = format!(".restored-{hex}");
    let mut room = limits::NAME - end.len();
    if name.len() <= room {
        return name.to_owned() + &end;
    }
    while !name.is_char_boundary(room) {
        room -= 1;
    }
    name[..room].to_owned() + &end
}

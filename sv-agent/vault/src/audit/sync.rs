//! Bringing events to the disk, and what a crash has left of them.

use super::{Audit, Syncing, files::End, record};
use crate::Result;
use std::fs::File;

impl Audit {
    /// The file, for `fdatasync` elsewhere: then [`Audit::mark_synced`] with the
    /// event that [`Audit::position`] names now, or [`Audit::sync_failed`].
    /// `None` if everything is on the disk.
    pub fn sync_file(&mut self) -> Result<Option<File>> {
        if self.read_only || self.synced >= self.seq {
            return Ok(None);
        }
        self.flush()?;
        let Some(current) = &mut self.current else {
            return Ok(None);
        };
        if current.has_failed() {
            self.sync()?;
            return Ok(None);
        }
        self.syncing = Some(Syncing {
            seq: self.seq,
            file: current.identity(),
            len: current.len(),
        });
        Ok(Some(current.duplicate()?))
    }

    /// That sync is done.
    pub fn mark_synced(&mut self, seq: u64) {
        let Some(done) = self.syncing.take().filter(|done| done.seq == seq) else {
            return;
        };
        if let Some(current) = &mut self.current
            && current.identity() == done.file
        {
            if current.has_failed() {
                return;
            }
            current.mark_synced(done.len);
        }
        // If another file is there now, putting this one behind has synced it.
        self.synced = self.synced.max(seq);
    }

    /// That sync has failed: what it was for is written once more before
    /// anything else is.
    pub fn sync_failed(&mut self) {
        if let Some(current) = &mut self.current {
            current.mark_failed();
        }
    }

    /// Waits until everything is on the disk: at the end, and before a
    /// transaction.
    pub fn sync(&mut self) -> Result<()> {
        if self.read_only {
            return Ok(());
        }
        self.flush()?;
        if let Some(current) = &mut self.current {
            current.sync()?;
        }
        self.synced = self.seq;
        Ok(())
    }

    /// Appends what transactions vouch for and the file does not have: the
    /// outbox, sorted. To be called when the vault was opened, and when it was
    /// opened again after an error. What is no event of a log is passed over.
    pub fn replay(&mut self, outbox: &[(u64, Vec<u8>)]) -> Result<()> {
        if self.read_only {
            return Ok(());
        }
        let mut any = false;
        for (seq, bytes) in outbox {
            let Some((end, begins)) =
                last_of(bytes).filter(|(end, _)| end.seq == *seq && *seq > self.seq)
            else {
                continue;
            };
            // The vault was copied without its log: nobody could check it.
            if self.empty && self.seq == 0 && !begins {
                continue;
            }
            if self
                .flush()
                .and_then(|()| self.write(bytes, end, false))
                .is_err()
            {
                self.backlog.push((end, bytes.clone()));
            }
            any = true;
            self.seq = end.seq;
            self.head = end.mac;
            self.last = end;
        }
        if any {
            // Where the chain stood is not known any more.
            self.begin_anew()?;
        }
        Ok(())
    }
}

/// The event at the end of `bytes`, which hold whole records and nothing else,
/// and whether a beginning is the first of them.
fn last_of(bytes: &[u8]) -> Option<(End, bool)> {
    let mut rest = bytes;
    let mut end = None;
    let mut begins = None;
    while !rest.is_empty() {
        let (record, length) = record::parse(rest).filter(|(record, _)| record.whole)?;
        begins.get_or_insert(record.kind != record::EVENT);
        end = (record.kind == record::EVENT).then_some(End {
            seq: record.seq,
            mac: record.mac,
            event: true,
        });
        rest = &rest[length..];
    }
    Some((end?, begins?))
}

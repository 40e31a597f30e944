//! The audit log: append-only, chained, keyed. FORMAT.md, "Audit log".
//!
//! | module    | holds                                                       |
//! |-----------|-------------------------------------------------------------|
//! | `event`   | what an event says                                          |
//! | `record`  | the bytes of a record                                       |
//! | `chain`   | the moving key                                              |
//! | `files`   | the files, and where the last one ends                      |
//! | `current` | the one that is written to                                  |
//! | `walk`    | record by record through a file                             |
//! | `read`    | [`AuditReader`]: the events that somebody asks for          |
//! | `verify`  | [`AuditVerification`]: every record against every other one |

mod chain;
mod current;
mod event;
mod files;
mod read;
mod record;
#[cfg(test)]
mod tests;
mod verify;
mod walk;

pub use event::{Asker, AuditEvent, NewEvent};
pub use read::{AuditPart, AuditQuery, AuditReader};
pub use verify::AuditVerification;

use crate::{
    Error, KeyMemory, Result,
    crypto::{self, Key32},
    keymem::Key,
    limits,
    objects::journal,
    place::Place,
    sys,
};
use current::Current;
use files::{End, Files};
use read::Seen;
use std::fs::File;

/// The log of a vault, and the key that the next event is made with.
pub struct Audit {
    files: Files,
    read_only: bool,
    /// A full file is put behind the others from this length on.
    limit: u64,
    /// Where the moving key is: apart from the keys of the vault, whose pages
    /// go with the lock.
    memory: Option<KeyMemory>,
    /// While unlocked.
    journal: Option<Journal>,
    /// The journal key's public half, for an agent that was not unlocked yet.
    public: Option<([u8; 16], [u8; 32])>,
    /// What the next event has to begin with.
    start: Option<Start>,
    /// The key of the next event, once a chain was begun.
    chain: Option<Key>,
    /// Counts the beginnings, so that an event prepared before one is known.
    era: u64,
    /// The last event.
    seq: u64,
    /// Its mac.
    head: [u8; 32],
    /// The last record: the same, or a beginning.
    last: End,
    current: Option<Current>,
    /// The last record that stands in a file.
    written: End,
    /// What a transaction vouches for and could not be written to a file.
    backlog: Vec<(End, Vec<u8>)>,
    /// The last event on the disk.
    synced: u64,
    /// What a sync that is under way covers: an event, and a length.
    syncing: (u64, u64),
    /// The last event that no transaction vouches for.
    loose: u64,
    short: bool,
    /// Where the last reader came to.
    seen: Option<Seen>,
}

struct Journal {
    id: [u8; 16],
    key: Key,
    /// The vault's key memory.
    memory: KeyMemory,
}

/// A beginning that is made with the next event.
struct Start {
    id: [u8; 16],
    nonce: [u8; 32],
    key: Key,
}

/// An event that was made and is not in a file yet.
pub struct Prepared {
    end: End,
    bytes: Vec<u8>,
    /// The key of the event after it.
    next: Option<Key>,
    /// The record that it follows.
    follows: End,
    era: u64,
    roll: bool,
}

impl Prepared {
    /// What the manifest says once this event counts.
    #[must_use]
    pub const fn position(&self) -> (u64, [u8; 32]) {
        (self.end.seq, self.end.mac)
    }

    /// Its records, for the outbox. Empty where nothing is to be written: on a
    /// read-only disk, and for a vault without a journal key.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

const NOTHING: End = End {
    seq: 0,
    mac: [0; 32],
    event: true,
};

impl Audit {
    /// Finds the end of the log beside a vault. Needs no key and makes nothing;
    /// a record that a crash has torn is cut off.
    pub fn open(place: &Place, read_only: bool) -> Result<Self> {
        let files = Files::new(place);
        let (current, end) = find(&files, read_only)?;
        Ok(Self {
            files,
            read_only,
            limit: limits::AUDIT_FILE,
            memory: None,
            journal: None,
            public: None,
            start: None,
            chain: None,
            era: 0,
            seq: end.seq,
            head: end.mac,
            last: end,
            current,
            written: end,
            backlog: Vec::new(),
            // After a crash nobody knows, and a sync is cheap.
            synced: 0,
            syncing: (0, 0),
            loose: end.seq,
            short: false,
            seen: None,
        })
    }

    /// The log of a new vault. What another vault left at its place is renamed.
    pub fn create(place: &Place) -> Result<Self> {
        Files::new(place).put_aside()?;
        Self::open(place, false)
    }

    /// What the manifest knows to be the last event. If the files end before,
    /// the log is [`Audit::short`], and goes on behind that event all the same,
    /// so that the gap stays to be seen. To be called before [`Audit::begin`].
    pub fn expect(&mut self, (seq, head): (u64, [u8; 32])) {
        if seq > self.seq {
            self.short = true;
            self.seq = seq;
            self.head = head;
            self.synced = self.synced.max(seq);
        } else if seq == self.seq && self.last.event && self.last.seq == seq {
            self.short |= self.head != head;
        }
    }

    /// Events that the manifest knows are missing at the end.
    #[must_use]
    pub const fn short(&self) -> bool {
        self.short
    }

    /// From now on events are made with this journal key: at unlock, after
    /// init and after a rotation. The beginning is written with the next event.
    /// An event that was prepared before still counts, if it is given to
    /// [`Audit::committed`].
    pub fn begin(&mut self, memory: &KeyMemory, id: &[u8; 16], journal: &Key) -> Result<()> {
        let result = self.begin_with(memory, id, journal);
        sys::scrub_stack();
        result
    }

    fn begin_with(&mut self, memory: &KeyMemory, id: &[u8; 16], key: &Key) -> Result<()> {
        let (_, public) = journal::opening(key.expose())?;
        self.set_public(*id, public, memory);
        self.seen = None;
        self.journal = Some(Journal {
            id: *id,
            key: memory.store(&mut Key32::new(*key.expose()))?,
            memory: memory.clone(),
        });
        self.begin_anew()
    }

    /// The journal key's public half: before the first unlock, events are
    /// sealed to it.
    pub fn set_public(&mut self, id: [u8; 16], public: [u8; 32], memory: &KeyMemory) {
        self.public = Some((id, public));
        if self.memory.is_none() {
            self.memory = Some(memory.apart());
        }
    }

    /// The next event begins a chain.
    fn begin_anew(&mut self) -> Result<()> {
        self.era += 1;
        self.chain = None;
        self.start = None;
        let Some(journal) = &self.journal else {
            return Ok(());
        };
        let nonce = *crypto::random::<32>()?;
        let mut key = chain::first(journal.key.expose(), &nonce)?;
        self.start = Some(Start {
            id: journal.id,
            nonce,
            key: store(self.memory.as_ref(), &mut key)?,
        });
        Ok(())
    }

    /// Forgets the journal key. The moving key stays: later events go on with
    /// it, and nobody can make up earlier ones.
    pub fn lock(&mut self) {
        self.journal = None;
        self.seen = None;
    }

    /// The last event and its mac, for the manifest.
    #[must_use]
    pub const fn position(&self) -> (u64, [u8; 32]) {
        (self.seq, self.head)
    }

    /// The last event that is on the disk, whatever happens to the machine:
    /// outbox rows up to it can go.
    #[must_use]
    pub const fn synced(&self) -> u64 {
        self.synced
    }

    /// Makes an event that a transaction will vouch for, which comes with
    /// [`Prepared::bytes`] and [`Prepared::position`]: after its commit, and
    /// before any other event, to be given to [`Audit::committed`]. Nothing
    /// has changed if it is dropped instead.
    ///
    /// Events that no transaction vouches for are brought to the disk first, so
    /// that the manifest never knows more than a crash leaves.
    pub fn prepare_durable(&mut self, event: NewEvent) -> Result<Prepared> {
        if self.loose > self.synced && !self.read_only {
            self.sync()?;
        }
        self.prepare(event)
    }

    /// Makes an event, to be given to [`Audit::append`]. Nothing has changed
    /// if it is dropped instead.
    pub fn prepare(&mut self, event: NewEvent) -> Result<Prepared> {
        let result = self.prepare_event(&event);
        sys::scrub_stack();
        result
    }

    fn prepare_event(&mut self, event: &NewEvent) -> Result<Prepared> {
        let keyless = self.chain.is_none() && self.start.is_none() && self.public.is_none();
        if self.read_only || keyless {
            return Ok(Prepared {
                end: End {
                    seq: self.seq,
                    mac: self.head,
                    event: true,
                },
                bytes: Vec::new(),
                next: None,
                follows: self.last,
                era: self.era,
                roll: false,
            });
        }
        self.look()?;
        if self.current.as_ref().is_some_and(Current::has_failed) {
            self.sync()?;
        }
        let len = self.current.as_ref().map_or(0, Current::len);
        let roll = len >= self.limit && self.journal.is_some();
        if roll && self.start.is_none() {
            self.begin_anew()?;
        }
        let seq = self.seq + 1;
        if seq > limits::AUDIT_SEQ {
            return Err(Error::Damaged("the audit log counts too far"));
        }
        let mut bytes = Vec::with_capacity(1024);
        let (key, prev) = self.key_and_beginning(&mut bytes)?;
        let mac = chain::seal(&mut bytes, &key, seq, &prev, &event.encode()?)?;
        Ok(Prepared {
            end: End {
                seq,
                mac,
                event: true,
            },
            bytes,
            next: Some(store(self.memory.as_ref(), &mut chain::next(&key))?),
            follows: self.last,
            era: self.era,
            roll,
        })
    }

    /// The next event's key, and the mac that it follows; a beginning if there
    /// has to be one.
    fn key_and_beginning(&self, out: &mut Vec<u8>) -> Result<(Key32, [u8; 32])> {
        let prev = &self.last.mac;
        match (&self.start, &self.chain, &self.public) {
            (Some(start), _, _) => {
                let key = start.key.expose();
                let mac = chain::begin(out, key, &start.id, &start.nonce, self.seq, prev);
                Ok((chain::next(key), mac))
            }
            (None, Some(key), _) => Ok((Key32::new(*key.expose()), *prev)),
            (None, None, Some((id, public))) => {
                let (key, mac) = chain::begin_locked(out, id, public, self.seq, prev)?;
                Ok((chain::next(&key), mac))
            }
            (None, None, None) => Err(Error::System("the audit log has no key".into())),
        }
    }

    /// Writes an event to the file. After an error it is as if it had never
    /// been made.
    pub fn append(&mut self, prepared: Prepared) -> Result<()> {
        if prepared.bytes.is_empty() {
            return Ok(());
        }
        if prepared.follows != self.last || prepared.era != self.era {
            return Err(Error::System("an event of the audit log came late".into()));
        }
        self.flush()?;
        self.write(&prepared.bytes, prepared.end, prepared.roll)?;
        self.loose = prepared.end.seq;
        self.take(prepared);
        Ok(())
    }

    /// Writes an event whose transaction is on the disk. If the file takes it
    /// not now, then before the next one, or when the vault is opened again:
    /// the outbox has it.
    pub fn committed(&mut self, prepared: Prepared) {
        if prepared.bytes.is_empty() {
            return;
        }
        let written = self
            .flush()
            .and_then(|()| self.write(&prepared.bytes, prepared.end, prepared.roll));
        if written.is_err() {
            self.backlog.push((prepared.end, prepared.bytes.clone()));
        }
        self.take(prepared);
    }

    fn take(&mut self, prepared: Prepared) {
        self.seq = prepared.end.seq;
        self.head = prepared.end.mac;
        self.last = prepared.end;
        if prepared.era == self.era {
            self.chain = prepared.next;
            self.start = None;
        }
    }

    /// Writes what a transaction vouched for.
    fn flush(&mut self) -> Result<()> {
        while let Some((end, bytes)) = self.backlog.first() {
            let (end, bytes) = (*end, bytes.clone());
            self.write(&bytes, end, false)?;
            self.backlog.remove(0);
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8], end: End, roll: bool) -> Result<()> {
        if roll && let Some(full) = self.current.take() {
            match full.roll(&self.files) {
                // All of it is on the disk.
                Ok(()) => self.synced = self.synced.max(self.written.seq),
                Err((full, e)) => {
                    self.current = Some(full);
                    return Err(e);
                }
            }
        }
        let current = match &mut self.current {
            Some(current) => current,
            none => none.insert(Current::create(&self.files)?),
        };
        current.append(bytes)?;
        self.written = end;
        Ok(())
    }

    /// The file under the log's name is still the one that is open. If somebody
    /// has removed, replaced or cut it, a new chain is begun there; the numbers
    /// go on, so that [`AuditVerification`] finds what is missing.
    fn look(&mut self) -> Result<()> {
        match (&self.current, self.files.look()?) {
            (Some(current), Some(seen)) if current.is(seen) => return Ok(()),
            (None, None) => return Ok(()),
            _ => {}
        }
        let (current, end) = find(&self.files, false)?;
        self.current = current;
        self.seen = None;
        if end != self.written {
            self.written = end;
            self.last = End {
                seq: self.seq,
                event: false,
                ..end
            };
            self.begin_anew()?;
        }
        Ok(())
    }

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
        self.syncing = (self.seq, current.len());
        Ok(Some(current.duplicate()?))
    }

    /// That sync is done.
    pub fn mark_synced(&mut self, seq: u64) {
        let (of, len) = self.syncing;
        if let Some(current) = &mut self.current
            && of == seq
            && !current.has_failed()
        {
            // If the file was rolled meanwhile, that has synced it.
            if current.len() >= len {
                current.mark_synced(len);
            }
            self.synced = self.synced.max(seq);
        }
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
            let Some(end) = last_of(bytes).filter(|end| end.seq == *seq && *seq > self.seq) else {
                continue;
            };
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

    #[cfg(test)]
    pub(crate) fn limit_files(&mut self, limit: u64) {
        self.limit = limit;
    }
}

fn store(memory: Option<&KeyMemory>, key: &mut [u8; 32]) -> Result<Key> {
    memory
        .ok_or_else(|| Error::System("the audit log has no memory".into()))?
        .store(key)
}

/// The current file, and the last record of all.
fn find(files: &Files, read_only: bool) -> Result<(Option<Current>, End)> {
    let (current, end) = if read_only {
        let end = match files.read(None)? {
            Some(file) => files::tail(&file)?.end,
            None => None,
        };
        (None, end)
    } else {
        match Current::open(files)? {
            Some((current, end)) => (Some(current), end),
            None => (None, None),
        }
    };
    if let Some(end) = end {
        return Ok((current, end));
    }
    // It was just begun, or never was.
    for number in files.full()?.into_iter().rev() {
        if let Some(file) = files.read(Some(number))?
            && let Some(end) = files::tail(&file)?.end
        {
            return Ok((current, end));
        }
    }
    Ok((current, NOTHING))
}

/// The event at the end of `bytes`, which hold whole records and nothing else.
fn last_of(bytes: &[u8]) -> Option<End> {
    let mut rest = bytes;
    let mut end = None;
    while !rest.is_empty() {
        let (record, length) = record::parse(rest).filter(|(record, _)| record.whole)?;
        end = (record.kind == record::EVENT).then_some(End {
            seq: record.seq,
            mac: record.mac,
            event: true,
        });
        rest = &rest[length..];
    }
    end
}

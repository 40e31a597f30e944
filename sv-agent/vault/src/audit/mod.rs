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
//! | `write`   | making events and writing them                              |
//! | `sync`    | bringing them to the disk, and what a crash has left        |
//! | `read`    | [`AuditReader`]: the events that somebody asks for          |
//! | `verify`  | [`AuditVerification`]: every record against every other one |

mod chain;
mod current;
mod event;
mod files;
mod read;
mod record;
mod sync;
#[cfg(test)]
mod tests;
mod verify;
mod walk;
mod write;

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
use walk::{Found, Walk};

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
    /// What a sync that is under way covers.
    syncing: Option<Syncing>,
    /// The last event that no transaction vouches for.
    loose: u64,
    short: bool,
    /// There was no log when it was opened.
    empty: bool,
    /// The log begins on this machine, and not with the first event.
    here: bool,
    /// Where the last reader came to.
    seen: Option<Seen>,
}

struct Journal {
    id: [u8; 16],
    key: Key,
    /// The vault's key memory.
    memory: KeyMemory,
}

struct Syncing {
    seq: u64,
    file: (u64, u64),
    len: u64,
}

/// A beginning that is made with the next event.
struct Start {
    kind: u8,
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
            syncing: None,
            loose: end.seq,
            short: false,
            empty: end == NOTHING,
            here: false,
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

    /// The same for a vault that was never seen on this machine, like one that was
    /// restored or recovered from a copy: where it has no log, its log begins here.
    pub fn arrive(&mut self, known: (u64, [u8; 32])) {
        let short = self.short;
        // Before a crash an agent may have told something while locked. What
        // can't be read here, a verification tells of.
        let fresh = self.empty || self.only_locked().unwrap_or(false);
        self.expect(known);
        if fresh && known.0 > 0 {
            self.short = short;
            self.here = true;
        }
    }

    /// Whether no record here was made with a journal key.
    fn only_locked(&self) -> Result<bool> {
        if !self.files.full()?.is_empty() {
            return Ok(false);
        }
        let Some(file) = self.files.read(None)? else {
            return Ok(true);
        };
        let end = file.metadata()?.len();
        let mut walk = Walk::new(file, 0, end);
        loop {
            match walk.next()? {
                Found::End => return Ok(true),
                Found::Bad { .. } => return Ok(false),
                Found::Record(record)
                    if matches!(record.kind, record::BEGUN | record::BEGUN_HERE) =>
                {
                    return Ok(false);
                }
                Found::Record(_) => {}
            }
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
            kind: match self.here {
                true => record::BEGUN_HERE,
                false => record::BEGUN,
            },
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

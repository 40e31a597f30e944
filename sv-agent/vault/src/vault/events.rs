//! What a vault tells the audit log, and the note of its generation outside of
//! the file. FORMAT.md §9 says how both go with a transaction.

use super::{Locked, Vault, journal, standing::StandingInfo};
use crate::{
    Error, KeyMemory, Result,
    audit::{Audit, AuditVerification, NewEvent, Prepared},
    crypto,
    generation::{Generation, Standing},
    keymem::Key,
    objects::{kind, manifest::Manifest},
    store::Store,
};
use std::path::Path;

/// The note outside of the file, and what it said at unlocking.
pub(super) struct Noted {
    note: Generation,
    standing: Standing,
}

impl Noted {
    /// The note in the folder `dir`.
    fn new(dir: &Path, vault: &[u8; 16]) -> Self {
        Self {
            note: Generation::open(dir, vault),
            standing: Standing::Missing,
        }
    }
}

/// The key of the note, from a journal key.
pub(super) fn note_key(journal: &[u8; 32]) -> Result<crypto::Key32> {
    crypto::kdf(journal, "sv1/journal/generation", &[])
}

/// What transactions vouch for, oldest first.
pub(super) fn outbox(store: &Store) -> Result<Vec<(u64, Vec<u8>)>> {
    let rows = store.control(kind::AUDIT)?;
    let mut events = Vec::with_capacity(rows.len());
    for (id, bytes) in rows {
        let seq = id.try_into().map_err(|_| {
            Error::Damaged("an event of the outbox has another number than it says")
        })?;
        events.push((u64::from_be_bytes(seq), bytes));
    }
    events.sort_by_key(|(seq, _)| *seq);
    Ok(events)
}

/// The log beside a vault that was opened.
pub(super) fn open_audit(store: &Store) -> Result<Audit> {
    let mut audit = Audit::open(store.place(), store.is_read_only())?;
    audit.replay(&outbox(store)?)?;
    Ok(audit)
}

impl Locked {
    /// Compares the vault's generation with the one noted in the folder `dir`,
    /// and notes it there from now on.
    pub fn keep_generation(&mut self, dir: &Path) {
        self.noted = Some(Noted::new(dir, &self.id));
    }

    /// An event that nothing in the vault depends on: it is in the log when
    /// this returns.
    pub fn event(&mut self, event: NewEvent, memory: &KeyMemory) -> Result<()> {
        self.connected()?;
        if let Some((id, public)) = journal::public(&self.store)? {
            self.audit.set_public(id, public, memory);
        }
        let prepared = self.audit.prepare(event)?;
        self.audit.append(prepared)
    }

    /// The audit log, for bringing it to the disk.
    pub const fn audit(&mut self) -> &mut Audit {
        &mut self.audit
    }
}

impl Vault {
    /// The same as [`Locked::keep_generation`], for a vault that was just made.
    pub fn keep_generation(&mut self, dir: &Path) {
        let mut noted = Noted::new(dir, &self.manifest.vault);
        noted.standing = Standing::Fine;
        self.noted = Some(noted);
        self.note_generation();
    }

    /// An event that nothing in the vault depends on: it is in the log when
    /// this returns.
    pub fn event(&mut self, event: NewEvent) -> Result<()> {
        // After a commit whose outcome is not known: its event may be the next one.
        if self.store.is_broken() {
            self.ready()?;
        }
        let prepared = self.audit.prepare(event)?;
        self.audit.append(prepared)
    }

    /// The event of the next transaction, which vouches for it. If there is no
    /// transaction, [`Vault::unexpect_event`] gives it back.
    pub fn expect_event(&mut self, event: NewEvent) {
        self.expected = Some(event);
    }

    /// Whether no transaction has taken the event: then it is still to be told.
    pub fn unexpect_event(&mut self) -> Option<NewEvent> {
        self.expected.take()
    }

    /// The audit log, for bringing it to the disk.
    pub const fn audit(&mut self) -> &mut Audit {
        &mut self.audit
    }

    /// For reading the log: the log, and its keys by id.
    pub fn audit_and_keys(&mut self) -> (&mut Audit, impl Fn(&[u8; 16]) -> Option<Key>) {
        let (store, epochs) = (&self.store, &self.epochs);
        let (vault, memory) = (&self.manifest.vault, &self.memory);
        let keys = move |id: &[u8; 16]| {
            journal::by_id(store, epochs, vault, memory, id)
                .ok()
                .flatten()
        };
        (&mut self.audit, keys)
    }

    /// Begins to verify the log against itself and the manifest.
    pub fn audit_verify(&mut self) -> Result<AuditVerification> {
        self.audit.verify(self.manifest.audit)
    }

    /// The expected event, made for a transaction.
    pub(super) fn prepare_event(&mut self) -> Result<Option<Prepared>> {
        match self.expected.take() {
            None => Ok(None),
            Some(event) => match self.audit.prepare_durable(event.clone()) {
                Ok(prepared) => Ok(Some(prepared)),
                Err(e) => {
                    self.expected = Some(event);
                    Err(e)
                }
            },
        }
    }

    /// The transaction is on the disk.
    pub(super) fn wrote(&mut self, event: Option<Prepared>) {
        if let Some(event) = event {
            self.audit.committed(event);
        }
        self.note_generation();
    }

    /// Goes on with the present journal key.
    pub(super) fn begin_audit(&mut self) -> Result<()> {
        match &self.journal {
            Some(journal) => self.audit.begin(&self.memory, &journal.id, &journal.key),
            None => Ok(()),
        }
    }

    /// After an error of the disk: events whose transaction came through all
    /// the same.
    pub(super) fn replay_events(&mut self) -> Result<()> {
        let events = outbox(&self.store)?;
        self.audit.replay(&events)
    }

    /// At unlocking, before anything is written.
    pub(super) fn check_generation(&mut self) -> Result<()> {
        if let Some(mut noted) = self.noted.take() {
            let mut keys = Vec::new();
            for (id, _) in self.store.control(kind::JOURNAL)? {
                let id = id
                    .as_slice()
                    .try_into()
                    .map_err(|_| Error::Damaged("a journal key is in another's place"))?;
                if let Some(key) = self.journal_key(id)? {
                    keys.push(note_key(key.expose())?);
                }
            }
            let keys: Vec<&[u8; 32]> = keys.iter().map(|key| &**key).collect();
            let manifest = &self.manifest;
            noted.standing = noted.note.check(&keys, manifest.generation, &manifest.root);
            self.noted = Some(noted);
        }
        Ok(())
    }

    /// Notes the present generation. A note that can't be written is told of as
    /// missing, and stops nothing: what it is for is a warning.
    pub(super) fn note_generation(&mut self) {
        let Self {
            noted: Some(noted),
            journal: Some(journal),
            manifest,
            ..
        } = self
        else {
            return;
        };
        if !noted.standing.allows_writes() {
            return;
        }
        let recorded = note_key(journal.key.expose())
            .and_then(|key| noted.note.record(&key, manifest.generation, &manifest.root));
        noted.standing = match recorded {
            Ok(()) => Standing::Fine,
            Err(_) => Standing::Missing,
        };
    }

    /// Whether this machine has not seen the vault before.
    pub(super) fn arrived(&self) -> bool {
        self.noted.as_ref().map(|noted| noted.standing) == Some(Standing::Missing)
    }

    /// Refuses writes to a vault that went back.
    pub(super) fn allows_writes(&self) -> Result<()> {
        match self.noted.as_ref().map(|noted| noted.standing) {
            None | Some(Standing::Fine | Standing::Missing) => Ok(()),
            Some(Standing::Behind { .. }) => {
                Err(Error::RolledBack("this machine has seen a later one"))
            }
            Some(Standing::Fork) => Err(Error::RolledBack(
                "this machine has seen another one of the same age",
            )),
            Some(Standing::Unreadable) => Err(Error::RolledBack(
                "the note of the last one is not from this vault's keys, or was changed",
            )),
        }
    }

    /// What a person should know.
    #[must_use]
    pub fn standing(&self) -> StandingInfo {
        let standing = self.noted.as_ref().map(|noted| noted.standing);
        StandingInfo {
            rolled_back: self.allows_writes().is_err(),
            generation_missing: standing == Some(Standing::Missing),
            audit_short: self.audit.short(),
            audit_events: self.audit.position().0,
        }
    }

    /// The present state is meant, although another one was seen.
    pub fn accept_rollback(&mut self) -> Result<()> {
        if let Some(noted) = &mut self.noted {
            noted.standing = Standing::Fine;
        }
        self.note_generation();
        Ok(())
    }

    /// Before the keys go: the manifest vouches for the whole log. Where the
    /// disk takes it not, it vouches for less of it, which is no damage.
    pub(super) fn anchor_audit(&mut self) {
        let anchor = self.audit.position();
        if anchor == self.manifest.audit || self.store.is_read_only() || self.store.is_long() {
            return;
        }
        let anchored = self.audit.sync().and_then(|()| {
            let manifest = Manifest {
                audit: anchor,
                ..self.manifest.clone()
            };
            self.transact(manifest, false, |_| Ok(()))
        });
        if anchored.is_err() {
            self.store.erase_later();
        }
    }
}

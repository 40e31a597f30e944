//! The log on a disk of its own.

mod chain;
mod damage;
mod files;
mod read;

use super::*;
use crate::audit::files::Files;
use std::{
    fs,
    os::unix::fs::{FileExt, PermissionsExt, symlink},
    path::PathBuf,
};
use tempfile::TempDir;

/// A folder with a log, and the keys to it.
struct Log {
    _dir: TempDir,
    place: Place,
    memory: KeyMemory,
    id: [u8; 16],
    key: [u8; 32],
}

impl Log {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let place = Place::new(&dir.path().join("v.sv"), false).unwrap();
        Self {
            _dir: dir,
            place,
            memory: KeyMemory::new(false).unwrap(),
            id: [7; 16],
            key: [9; 32],
        }
    }

    fn journal(&self) -> Key {
        self.memory.store(&mut self.key.clone()).unwrap()
    }

    /// As the agent has it that holds the keys.
    fn unlocked(&self) -> Audit {
        let mut audit = Audit::open(&self.place, false).unwrap();
        audit
            .begin(&self.memory, &self.id, &self.journal())
            .unwrap();
        audit
    }

    /// As the agent has it that was just started.
    fn locked(&self) -> Audit {
        let mut audit = Audit::open(&self.place, false).unwrap();
        let (_, public) = journal::opening(&self.key).unwrap();
        audit.set_public(self.id, public, &self.memory);
        audit
    }

    fn path(&self) -> PathBuf {
        Files::new(&self.place).path(None)
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    fn journals(&self) -> impl Fn(&[u8; 16]) -> Option<Key> + '_ {
        |id| (*id == self.id).then(|| self.journal())
    }

    /// The problems that a new agent finds, which knows `manifest`.
    fn problems(&self, manifest: (u64, [u8; 32])) -> Vec<String> {
        problems(&mut self.unlocked(), self, manifest)
    }

    fn events(&self, query: AuditQuery) -> Vec<AuditEvent> {
        read(&mut self.unlocked(), self, query)
    }
}

fn problems(audit: &mut Audit, log: &Log, manifest: (u64, [u8; 32])) -> Vec<String> {
    let mut state = audit.verify(manifest).unwrap();
    while !state.step(&log.journals(), 3).unwrap() {}
    assert!(state.done <= state.total);
    state.problems
}

fn read(audit: &mut Audit, log: &Log, query: AuditQuery) -> Vec<AuditEvent> {
    let mut reader = audit.read(query).unwrap();
    let mut all = Vec::new();
    loop {
        let part = reader.step(&log.journals(), 5, 1000).unwrap();
        all.extend(part.events);
        if part.done {
            break;
        }
    }
    audit.remember(reader);
    all
}

fn all() -> AuditQuery {
    AuditQuery::default()
}

fn event(name: &str) -> NewEvent {
    NewEvent {
        time: 1_700_000_000_000,
        action: "get",
        name: name.to_owned(),
        outcome: "ok".to_owned(),
        asker: Asker {
            uid: 1000,
            pid: 42,
            started: 123_456,
            unit: "app.service".to_owned(),
            comm: "sv".to_owned(),
        },
    }
}

fn write(audit: &mut Audit, name: &str) {
    let prepared = audit.prepare(event(name)).unwrap();
    audit.append(prepared).unwrap();
}

fn names(events: &[AuditEvent]) -> Vec<&str> {
    events.iter().map(|e| e.name.as_str()).collect()
}

/// Where each record of a file begins, and what it is.
fn records(bytes: &[u8]) -> Vec<(usize, usize, u8)> {
    let (mut at, mut all) = (0, Vec::new());
    while at < bytes.len() {
        let (record, length) = record::parse(&bytes[at..]).expect("a record");
        assert!(record.whole);
        all.push((at, at + length, record.kind));
        at += length;
    }
    all
}

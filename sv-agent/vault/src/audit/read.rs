//! The events that somebody asks for, oldest first, a piece at a time.

use super::{
    Audit,
    chain::{Journals, Resting, Tracks},
    event::AuditEvent,
    files::Files,
    record::EVENT,
    walk::{Found, Walk},
};
use crate::{KeyMemory, Result, sys};
use std::fs::File;

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only later ones than this.
    pub after: Option<u64>,
    /// At most so many, the newest.
    pub last: Option<u64>,
    /// Not before this: milliseconds since 1970 (UTC).
    pub since: Option<i64>,
    /// Only those about this name.
    pub name: Option<String>,
}

/// Some events.
#[derive(Debug, Default)]
pub struct AuditPart {
    /// Oldest first.
    pub events: Vec<AuditEvent>,
    /// About what they take on their way.
    pub size: usize,
    /// These were the last ones.
    pub done: bool,
}

/// A reading that is under way, of what was written when it began.
pub struct AuditReader {
    files: Files,
    memory: Option<KeyMemory>,
    query: AuditQuery,
    /// Events before this are none of it.
    from: u64,
    /// The full files, and the current one.
    sources: Vec<Option<u64>>,
    current: Option<(File, u64)>,
    /// Which of them is read.
    at: usize,
    walk: Option<Walk>,
    tracks: Resting,
    phase: Phase,
    /// Matches that are passed over, since there are more than `last`.
    skip: u64,
    /// Events that can't be read.
    unreadable: u64,
    /// The last event that was passed.
    passed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// From the newest file back, counting matches: in the files behind, in this one.
    Count {
        behind: u64,
        here: u64,
    },
    /// Forward, with what was asked for.
    Give,
    Done,
}

/// Where a reader came to in the current file: whoever follows the log goes on there.
pub struct Seen {
    file: (u64, u64),
    at: u64,
    tracks: Resting,
    seq: u64,
}

impl Audit {
    /// Begins to read. What is written from now on is no part of it.
    pub fn read(&mut self, query: AuditQuery) -> Result<AuditReader> {
        if self.flush().is_err() {
            // What the file does not take yet is read later; the rest is there.
            debug_assert!(!self.backlog.is_empty());
        }
        let memory = self.journal.as_ref().map(|journal| journal.memory.clone());
        let mut reader = AuditReader {
            files: self.files.clone(),
            memory,
            from: query.after.map_or(1, |after| after.saturating_add(1)),
            sources: Vec::new(),
            current: None,
            at: 0,
            walk: None,
            tracks: Resting::default(),
            phase: Phase::Done,
            skip: 0,
            unreadable: 0,
            passed: 0,
            query,
        };
        if reader.from > self.seq {
            return Ok(reader);
        }
        let plain = reader.query.name.is_none() && reader.query.since.is_none();
        if let (true, Some(last)) = (plain, reader.query.last) {
            reader.from = reader.from.max((self.seq + 1).saturating_sub(last));
        }
        reader.sources = reader.files.full()?.into_iter().map(Some).collect();
        if let Some(file) = reader.files.read(None)? {
            let len = file.metadata()?.len();
            reader.current = Some((file, len));
            reader.sources.push(None);
        }
        let Some(last) = reader.sources.len().checked_sub(1) else {
            return Ok(reader);
        };
        reader.at = last;
        if reader.query.last.is_none()
            && let Some(seen) = self.take_seen(reader.from)
            && let Some((file, len)) = &reader.current
        {
            reader.walk = Some(Walk::new(file.try_clone()?, seen.at, *len));
            reader.tracks = seen.tracks;
            reader.passed = seen.seq;
            reader.phase = Phase::Give;
        } else if plain {
            while reader.at > 0 && reader.begins_after(reader.at)? {
                reader.at -= 1;
            }
            reader.phase = Phase::Give;
        } else {
            reader.phase = Phase::Count { behind: 0, here: 0 };
        }
        Ok(reader)
    }

    /// Goes on where the last reader came to, if all that is wanted lies behind.
    fn take_seen(&mut self, from: u64) -> Option<Seen> {
        let file = self.current.as_ref()?.identity();
        let seen = self.seen.take()?;
        (seen.file == file && seen.seq < from).then_some(seen)
    }

    /// Lets the next reader go on where this one came to.
    pub fn remember(&mut self, reader: AuditReader) {
        let at_end = reader.at + 1 == reader.sources.len();
        if let (Some(walk), Some(current), true, Phase::Done) =
            (reader.walk, &self.current, at_end, reader.phase)
            && reader.current.is_some()
            && self.journal.is_some()
        {
            self.seen = Some(Seen {
                file: current.identity(),
                at: walk.at(),
                tracks: reader.tracks,
                seq: reader.passed,
            });
        }
    }
}

impl AuditReader {
    /// How many events can't be read: changed, or of a chain that is not this vault's.
    #[must_use]
    pub const fn unreadable(&self) -> u64 {
        self.unreadable
    }

    fn open(&self, at: usize) -> Result<Option<Walk>> {
        match (self.sources.get(at), &self.current) {
            (Some(None), Some((file, len))) => Ok(Some(Walk::new(file.try_clone()?, 0, *len))),
            (Some(Some(number)), _) => match self.files.read(Some(*number))? {
                Some(file) => {
                    let len = file.metadata()?.len();
                    Ok(Some(Walk::new(file, 0, len)))
                }
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// Whether the first event that is wanted lies before this file.
    fn begins_after(&self, at: usize) -> Result<bool> {
        let Some(mut walk) = self.open(at)? else {
            return Ok(true);
        };
        Ok(match walk.next()? {
            Found::Record(first) if first.kind == EVENT => first.seq > self.from,
            Found::Record(first) => first.seq >= self.from,
            // An earlier one tells more.
            Found::Bad { .. } | Found::End => true,
        })
    }

    /// Looks at about `records` more, and stops when the events take `size` bytes.
    pub fn step(
        &mut self,
        journals: &Journals<'_>,
        records: usize,
        size: usize,
    ) -> Result<AuditPart> {
        let mut tracks = self.tracks.wake();
        let result = self.advance(&mut tracks, journals, records, size);
        if let (Ok(_), Some(memory)) = (&result, &self.memory) {
            self.tracks = tracks.rest(|key| memory.store(key))?;
        }
        sys::scrub_stack();
        result
    }

    fn advance(
        &mut self,
        tracks: &mut Tracks,
        journals: &Journals<'_>,
        records: usize,
        size: usize,
    ) -> Result<AuditPart> {
        let mut part = AuditPart::default();
        for _ in 0..records {
            if self.phase == Phase::Done {
                break;
            }
            if self.walk.is_none() {
                self.walk = self.open(self.at)?;
                *tracks = Tracks::default();
            }
            let found = match &mut self.walk {
                Some(walk) => walk.next()?,
                None => Found::End,
            };
            match found {
                Found::End => self.turn(),
                Found::Bad { .. } => self.lose(),
                Found::Record(record) if record.kind != EVENT => {
                    if tracks.enter(&record, journals).is_err() {
                        self.lose();
                    }
                }
                Found::Record(record) if record.seq < self.from => self.passed = record.seq,
                Found::Record(record) => {
                    self.passed = record.seq;
                    match tracks.open(&record, None) {
                        None => self.lose(),
                        Some(opened) if self.matches(&opened.event) => {
                            if let Some(event) = self.wanted(opened.event) {
                                part.size += weight(&event);
                                part.events.push(event);
                            }
                        }
                        Some(_) => {}
                    }
                }
            }
            if part.size >= size {
                break;
            }
        }
        part.done = self.phase == Phase::Done;
        Ok(part)
    }

    const fn lose(&mut self) {
        // What was counted is read again.
        if matches!(self.phase, Phase::Give) {
            self.unreadable += 1;
        }
    }

    fn matches(&self, event: &AuditEvent) -> bool {
        let query = &self.query;
        query.since.is_none_or(|since| event.time >= since)
            && query.name.as_ref().is_none_or(|name| event.is_about(name))
    }

    /// Counts a match, or gives it out.
    fn wanted(&mut self, event: AuditEvent) -> Option<AuditEvent> {
        match &mut self.phase {
            Phase::Count { here, .. } => {
                *here += 1;
                None
            }
            Phase::Give if self.skip > 0 => {
                self.skip -= 1;
                None
            }
            Phase::Give => Some(event),
            Phase::Done => None,
        }
    }

    /// A file is at its end.
    fn turn(&mut self) {
        match self.phase {
            Phase::Count { behind, here } => {
                let found = behind + here;
                let enough = self.query.last.is_some_and(|last| found >= last);
                // Clocks go back at times, but hardly by a whole file.
                let before = self.query.since.is_some() && self.query.name.is_none() && here == 0;
                let first = self.begins_after(self.at).is_ok_and(|after| !after);
                self.walk = None;
                if enough || before || first || self.at == 0 {
                    self.skip = self.query.last.map_or(0, |last| found.saturating_sub(last));
                    self.phase = Phase::Give;
                } else {
                    self.at -= 1;
                    self.phase = Phase::Count {
                        behind: found,
                        here: 0,
                    };
                }
            }
            Phase::Give if self.at + 1 < self.sources.len() => {
                self.at += 1;
                self.walk = None;
            }
            // The last one stays open, for whoever follows the log.
            Phase::Give | Phase::Done => self.phase = Phase::Done,
        }
    }
}

/// About what an event takes on its way.
fn weight(event: &AuditEvent) -> usize {
    let asker = &event.asker;
    128 + event.action.len() + event.name.len() + asker.unit.len() + asker.comm.len()
}

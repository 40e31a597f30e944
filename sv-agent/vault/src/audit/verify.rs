//! Every record of the log against every other one, a piece at a time.

use super::{
    Audit,
    chain::{Journals, Lost, Resting, Tracks},
    files::Files,
    record::{BEGUN_HERE, BEGUN_LOCKED, EVENT, Record},
    walk::{Found, Walk},
};
use crate::{KeyMemory, Result, sys};
use std::fs::File;

/// How many problems are told; a log with more is damaged all the same.
const TOLD: usize = 1000;

/// How far a verification of the log has come, and what it found.
pub struct AuditVerification {
    /// Bytes that were checked.
    pub done: u64,
    /// All of them.
    pub total: u64,
    /// Events that were checked.
    pub events: u64,
    /// Files that they are in.
    pub files: u64,
    /// What is off, a line each.
    pub problems: Vec<String>,
    place: Files,
    memory: Option<KeyMemory>,
    sources: Vec<Option<u64>>,
    current: Option<(File, u64)>,
    at: usize,
    walk: Option<Walk>,
    tracks: Resting,
    /// The mac of the record before, unless a problem hides it.
    prev: Option<[u8; 32]>,
    /// The last event.
    seq: u64,
    /// No chain was entered yet in this file.
    fresh: bool,
    /// Where damage goes on.
    bad: Option<u64>,
    /// What others know: what to call them, an event, its mac.
    known: Vec<Known>,
    finished: bool,
    /// A line that may become longer.
    blur: Option<Blur>,
    untold: u64,
    /// A chain that the journal key has begun was entered.
    authentic: bool,
    /// No file is missing.
    whole_files: bool,
}

struct Blur {
    first: u64,
    last: u64,
    one: &'static str,
    many: &'static str,
}

struct Known {
    who: &'static str,
    seq: u64,
    mac: [u8; 32],
    seen: bool,
    met: bool,
}

impl Audit {
    /// Begins to verify what was written so far. `manifest` is what the vault
    /// knows to be the last event of its last change.
    pub fn verify(&mut self, manifest: (u64, [u8; 32])) -> Result<AuditVerification> {
        // A full disk must not keep anyone from looking.
        let behind = !self.read_only && self.flush().is_err();
        let place = self.files.clone();
        let full = place.full()?;
        let mut total = 0;
        for number in &full {
            if let Some(file) = place.read(Some(*number))? {
                total += file.metadata()?.len();
            }
        }
        let mut sources: Vec<Option<u64>> = full.iter().copied().map(Some).collect();
        let mut current = None;
        if let Some(file) = place.read(None)? {
            let len = file.metadata()?.len();
            total += len;
            current = Some((file, len));
            sources.push(None);
        }
        let written = self.written;
        let mut known = Vec::new();
        if written.event && written.seq > 0 {
            known.push(("this agent", written.seq, written.mac));
        }
        if manifest.0 > 0 && !(behind && manifest.0 > written.seq) {
            known.push(("the vault", manifest.0, manifest.1));
        }
        let known = known.into_iter().map(|(who, seq, mac)| Known {
            who,
            seq,
            mac,
            seen: false,
            met: false,
        });
        let mut state = AuditVerification {
            done: 0,
            total,
            events: 0,
            files: 0,
            problems: Vec::new(),
            memory: self.journal.as_ref().map(|journal| journal.memory.clone()),
            sources,
            current,
            at: 0,
            walk: None,
            tracks: Resting::default(),
            prev: Some([0; 32]),
            seq: 0,
            fresh: true,
            bad: None,
            known: known.collect(),
            finished: false,
            blur: None,
            untold: 0,
            authentic: false,
            whole_files: true,
            place,
        };
        let mut expected = 1;
        for number in full {
            while expected < number && state.problems.len() < TOLD {
                let name = state.place.name(Some(expected));
                state.whole_files = false;
                state.problem(format!("{name}: the file is missing"));
                expected += 1;
            }
            expected = number.saturating_add(1);
        }
        Ok(state)
    }
}

impl AuditVerification {
    fn problem(&mut self, what: String) {
        self.clear();
        self.tell(what);
    }

    fn tell(&mut self, what: String) {
        if self.problems.len() < TOLD {
            self.problems.push(what);
        } else {
            self.untold += 1;
        }
    }

    fn name(&self) -> String {
        self.place
            .name(self.sources.get(self.at).copied().flatten())
    }

    /// Checks about `records` more, and says whether that was all. Damage is a
    /// problem; an error is a disk that can't be read.
    pub fn step(&mut self, journals: &Journals<'_>, records: usize) -> Result<bool> {
        if self.finished {
            return Ok(true);
        }
        let mut tracks = self.tracks.wake();
        let result = self.advance(&mut tracks, journals, records);
        if let (Ok(false), Some(memory)) = (&result, &self.memory) {
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
    ) -> Result<bool> {
        for _ in 0..records {
            let Some(source) = self.sources.get(self.at).copied() else {
                self.finish();
                return Ok(true);
            };
            if self.walk.is_none() {
                self.walk = match (source, &self.current) {
                    (None, Some((file, len))) => Some(Walk::new(file.try_clone()?, 0, *len)),
                    (None, None) => None,
                    (Some(number), _) => match self.place.read(Some(number))? {
                        Some(file) => {
                            let len = file.metadata()?.len();
                            Some(Walk::new(file, 0, len))
                        }
                        None => None,
                    },
                };
                self.files += 1;
                self.fresh = true;
                self.bad = None;
                *tracks = Tracks::default();
            }
            let Some(walk) = &mut self.walk else {
                self.at += 1;
                continue;
            };
            let before = walk.at();
            let found = walk.next()?;
            let after = walk.at();
            self.done += after - before;
            match found {
                Found::End => {
                    self.walk = None;
                    self.at += 1;
                }
                Found::Bad { at } => {
                    if self.bad != Some(at) {
                        let name = self.name();
                        self.problem(format!("{name}: what stands at byte {at} is no record"));
                    }
                    self.bad = Some(after);
                    self.prev = None;
                }
                Found::Record(record) => {
                    self.bad = None;
                    if record.kind == EVENT {
                        self.event(tracks, &record);
                    } else {
                        self.beginning(tracks, journals, &record, before);
                    }
                }
            }
        }
        Ok(false)
    }

    fn beginning(
        &mut self,
        tracks: &mut Tracks,
        journals: &Journals<'_>,
        record: &Record,
        at: u64,
    ) {
        let name = self.name();
        let said = format!("{name}: the beginning at byte {at}");
        let before = self.prev;
        match tracks.enter(record, journals) {
            Ok(prev) => {
                self.fresh = false;
                // A log that came without its beginning says so, once.
                if record.kind == BEGUN_HERE && !self.authentic && self.whole_files {
                    self.seq = self.seq.max(record.seq);
                }
                self.authentic |= record.kind != BEGUN_LOCKED;
                let gap = self.missing_before(record.seq.saturating_add(1));
                if record.seq < self.seq {
                    self.problem(format!("{said} stands in the wrong place"));
                } else if !gap && before.is_some_and(|known| known != prev) {
                    self.problem(format!("{said} does not follow what stands before it"));
                }
                self.seq = self.seq.max(record.seq);
                self.prev = Some(record.mac);
                self.meet(record);
            }
            Err(Lost::Unknown) => {
                self.fresh = false;
                self.problem(format!("{said} is not of this vault"));
                self.prev = None;
            }
            Err(Lost::Forged) => {
                self.fresh = false;
                self.problem(format!("{said} was changed"));
                self.prev = None;
            }
        }
    }

    fn event(&mut self, tracks: &mut Tracks, record: &Record) {
        if self.fresh {
            self.fresh = false;
            let name = self.name();
            self.problem(format!("{name}: its beginning is missing"));
        }
        let opened = tracks.open(record, self.prev.as_ref());
        let prev = self.prev.take();
        let (seq, next) = (record.seq, self.seq.saturating_add(1));
        let Some(opened) = opened else {
            if !tracks.entered() {
                // Nothing tells whether this is one, but its number goes on.
                self.blurred(
                    seq.max(next),
                    "could not be checked",
                    "could not be checked",
                );
            } else if record.whole && seq < next {
                self.problem(format!("event {seq} stands in the wrong place"));
            } else {
                // Its number is as untrue as the rest of it may be.
                self.blurred(next, "was changed", "were changed");
            }
            return;
        };
        self.events += 1;
        if seq < next {
            self.problem(format!("event {seq} stands there twice"));
            return;
        }
        let gap = self.missing_before(seq);
        self.seq = seq;
        self.prev = Some(record.mac);
        // Behind a gap nobody knows what it followed; its content is its own.
        if prev.is_some() && !gap && !opened.fits {
            self.problem(format!("event {seq} does not fit what stands before it"));
            self.prev = None;
        }
        self.meet(record);
    }

    /// Event `seq` is not what it was; what holds for many in a row is one line.
    fn blurred(&mut self, seq: u64, one: &'static str, many: &'static str) {
        self.missing_before(seq);
        self.seq = seq;
        self.blur = match self.blur.take() {
            Some(blur) if blur.many == many && blur.last + 1 == seq => {
                Some(Blur { last: seq, ..blur })
            }
            other => {
                self.blur = other;
                self.clear();
                Some(Blur {
                    first: seq,
                    last: seq,
                    one,
                    many,
                })
            }
        };
    }

    /// Tells what was held back for its end.
    fn clear(&mut self) {
        if let Some(Blur {
            first,
            last,
            one,
            many,
        }) = self.blur.take()
        {
            self.tell(if first == last {
                format!("event {first} {one}")
            } else {
                format!("events {first} to {last} {many}")
            });
        }
    }

    /// Tells of events that are missing before event `seq`.
    fn missing_before(&mut self, seq: u64) -> bool {
        let first = self.seq.saturating_add(1);
        if seq <= first {
            return false;
        }
        let last = seq - 1;
        self.prev = None;
        self.missing(first, last, "");
        true
    }

    fn missing(&mut self, first: u64, last: u64, why: &str) {
        self.problem(if first == last {
            format!("event {first} is missing{why}")
        } else {
            format!("events {first} to {last} are missing{why}")
        });
    }

    fn meet(&mut self, record: &Record) {
        for known in &mut self.known {
            if known.seq == record.seq {
                known.seen |= record.kind == EVENT;
                known.met |= known.mac == record.mac;
            }
        }
    }

    fn finish(&mut self) {
        self.finished = true;
        self.clear();
        let known = std::mem::take(&mut self.known);
        let mut told = self.seq;
        for known in known.iter().filter(|known| !known.met) {
            if known.seq > self.seq {
                if known.seq > told {
                    let why = format!(" at the end: {} knows of them", known.who);
                    self.missing(told + 1, known.seq, &why);
                    told = known.seq;
                }
            } else if known.seen {
                let (seq, who) = (known.seq, known.who);
                self.problem(format!("event {seq} is not the one that {who} knows"));
            }
        }
        if self.untold > 0 {
            self.problems.push(format!("{} more", self.untold));
        }
    }
}

//! Making events and writing them.

use super::{Audit, NewEvent, Prepared, chain, current::Current, files::End, find, store};
use crate::{Error, Result, crypto::Key32, limits, sys};

impl Audit {
    /// Makes an event that a transaction will vouch for, which comes with
    /// `Prepared::bytes` and `Prepared::position`: after its commit, and
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
        let deep = self.chain.is_none();
        let result = self.prepare_event(&event);
        if deep {
            sys::scrub_stack();
        } else {
            sys::scrub_some_stack();
        }
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
                let mac = chain::begin(
                    out,
                    start.kind,
                    key,
                    (&start.id, &start.nonce),
                    self.seq,
                    prev,
                );
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
            // Locked, it is still to be said where the log begins.
            if self.journal.is_some() {
                self.here = false;
                self.empty = false;
            }
        }
    }

    /// Writes what a transaction vouched for.
    pub(super) fn flush(&mut self) -> Result<()> {
        while let Some((end, bytes)) = self.backlog.first() {
            let (end, bytes) = (*end, bytes.clone());
            self.write(&bytes, end, false)?;
            self.backlog.remove(0);
        }
        Ok(())
    }

    pub(super) fn write(&mut self, bytes: &[u8], end: End, roll: bool) -> Result<()> {
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
                mac: self.backlog.last().map_or(end.mac, |(end, _)| end.mac),
            };
            self.begin_anew()?;
        }
        Ok(())
    }
}

//! What an event says, FORMAT.md, "Audit log". Never a value.

use crate::{
    Result,
    codec::{Reader, Write},
};
use zeroize::Zeroizing;

/// Who asked. What a process says of itself is not verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asker {
    /// The user.
    pub uid: u32,
    /// The process; 0 for the agent itself.
    pub pid: u32,
    /// When the process started, in clock ticks since boot.
    pub started: u64,
    /// The systemd unit; empty for none. At most 255 bytes.
    pub unit: String,
    /// The name that the process gives itself. At most 255 bytes.
    pub comm: String,
}

/// An event that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Milliseconds since 1970 (UTC).
    pub time: i64,
    /// What was asked for.
    pub action: &'static str,
    /// The secret's name, or what else it was about; empty for none. For a
    /// rename the old name, a zero byte, and the new one.
    pub name: String,
    /// `ok`, or the word for the kind of failure.
    pub outcome: String,
    /// Who asked.
    pub asker: Asker,
}

/// An event that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Counted from 1, without gaps.
    pub seq: u64,
    /// Milliseconds since 1970 (UTC).
    pub time: i64,
    /// What was asked for.
    pub action: String,
    /// See [`NewEvent::name`].
    pub name: String,
    /// See [`NewEvent::outcome`].
    pub outcome: String,
    /// Who asked.
    pub asker: Asker,
    /// Written before the vault was unlocked for the first time after the
    /// agent's start.
    pub unauthenticated: bool,
}

impl AuditEvent {
    /// Whether it is about a secret of that name.
    pub(crate) fn is_about(&self, name: &str) -> bool {
        self.name.split('\0').any(|part| part == name)
    }
}

/// Lengths are hidden up to this.
const PADDING: usize = 64;

impl NewEvent {
    pub(super) fn encode(&self) -> Result<Zeroizing<Vec<u8>>> {
        let asker = &self.asker;
        let room = 64 + self.action.len() + self.name.len() + self.outcome.len();
        let room = room + asker.unit.len() + asker.comm.len() + PADDING;
        let mut out = Zeroizing::new(Vec::with_capacity(room));
        out.put(&self.time.to_le_bytes());
        out.lp8(self.action.as_bytes())?;
        out.lp16(self.name.as_bytes())?;
        out.lp8(self.outcome.as_bytes())?;
        out.put(&asker.uid.to_le_bytes());
        out.put(&asker.pid.to_le_bytes());
        out.put(&asker.started.to_le_bytes());
        out.lp8(asker.unit.as_bytes())?;
        out.lp8(asker.comm.as_bytes())?;
        let padded = out.len().next_multiple_of(PADDING);
        out.resize(padded, 0);
        Ok(out)
    }
}

pub(super) fn decode(seq: u64, plain: &[u8], unauthenticated: bool) -> Result<AuditEvent> {
    let mut r = Reader(plain);
    let event = AuditEvent {
        seq,
        time: r.i64()?,
        action: r.str8()?.to_owned(),
        name: r.str16()?.to_owned(),
        outcome: r.str8()?.to_owned(),
        asker: Asker {
            uid: r.u32()?,
            pid: r.u32()?,
            started: r.u64()?,
            unit: r.str8()?.to_owned(),
            comm: r.str8()?.to_owned(),
        },
        unauthenticated,
    };
    r.padding()?;
    Ok(event)
}

//! The moving key: what a record is sealed and authenticated with. A key
//! serves one record and gives the next one, and nobody can go back.

use super::{
    event::{self, AuditEvent},
    record::{self, BEGUN_LOCKED, EVENT, Record, header},
};
use crate::{
    Result,
    codec::{MALFORMED, Reader},
    crypto::{self, Key32},
    keymem::Key,
    objects::journal,
};

const HPKE: &str = "sv1/hpke/audit";

/// The journal keys by id.
pub type Journals<'a> = dyn Fn(&[u8; 16]) -> Option<Key> + 'a;

/// `K` of the record after the one that `key` is for.
pub fn next(key: &[u8; 32]) -> Key32 {
    crypto::hmac(key, &[b"sv1/audit/next\0"])
}

fn mac(key: &[u8; 32], kind: u8, seq: u64, prev: &[u8; 32], body: &[u8]) -> [u8; 32] {
    let header = header(kind, body.len());
    let parts: [&[u8]; 5] = [b"sv1/audit/mac\0", &header, &seq.to_le_bytes(), prev, body];
    *crypto::hmac(key, &parts)
}

/// The key of one body. It follows from the body, so that a key of the chain
/// that is used again, since a transaction failed or a machine was cloned, still
/// encrypts no two bodies under one key.
fn body_key(key: &[u8; 32], salt: &[u8; 16]) -> Key32 {
    crypto::hmac(key, &[b"sv1/audit/body\0", salt])
}

fn aad(body: usize, seq: u64) -> [u8; record::HEADER + 8] {
    let mut out = [0; record::HEADER + 8];
    out[..record::HEADER].copy_from_slice(&header(EVENT, body));
    out[record::HEADER..].copy_from_slice(&seq.to_le_bytes());
    out
}

/// Appends an event to `out`; returns its mac.
pub fn seal(
    out: &mut Vec<u8>,
    key: &[u8; 32],
    seq: u64,
    prev: &[u8; 32],
    plain: &[u8],
) -> Result<[u8; 32]> {
    let whole = crypto::hmac(key, &[b"sv1/audit/salt\0", plain]);
    let mut salt = [0; 16];
    salt.copy_from_slice(&whole[..16]);
    let length = salt.len() + plain.len() + crypto::TAG;
    let sealed = crypto::seal_once(&body_key(key, &salt), &aad(length, seq), plain)?;
    let mut body = Vec::with_capacity(length);
    body.extend_from_slice(&salt);
    body.extend_from_slice(&sealed);
    let mac = mac(key, EVENT, seq, prev, &body);
    record::encode(out, EVENT, seq, &mac, &body);
    Ok(mac)
}

fn unseal(key: &[u8; 32], record: &Record, unauthenticated: bool) -> Result<AuditEvent> {
    let (salt, sealed) = record.body.split_first_chunk::<16>().ok_or(MALFORMED)?;
    let aad = aad(record.body.len(), record.seq);
    let plain = crypto::open_once(&body_key(key, salt), &aad, sealed)?;
    event::decode(record.seq, &plain, unauthenticated)
}

/// `K_0` of a chain that an unlocked agent begins.
pub fn first(journal: &[u8; 32], nonce: &[u8; 32]) -> Result<Key32> {
    crypto::kdf::<32>(journal, "sv1/journal/chain", &[nonce])
}

/// Appends the beginning of a chain, of either kind, to `out`; returns its mac.
pub fn begin(
    out: &mut Vec<u8>,
    kind: u8,
    key: &[u8; 32],
    (id, nonce): (&[u8; 16], &[u8; 32]),
    seq: u64,
    prev: &[u8; 32],
) -> [u8; 32] {
    let body = [id.as_slice(), prev, nonce].concat();
    let mac = mac(key, kind, seq, prev, &body);
    record::encode(out, kind, seq, &mac, &body);
    mac
}

/// The same without the journal key: a random `K_0` that only its holder
/// learns. Returns it with the mac.
pub fn begin_locked(
    out: &mut Vec<u8>,
    id: &[u8; 16],
    public: &[u8; 32],
    seq: u64,
    prev: &[u8; 32],
) -> Result<(Key32, [u8; 32])> {
    let key = crypto::random::<32>()?;
    let hedge = crypto::hmac(&*key, &[b"sv1/audit/hedge\0", prev]);
    let aad = locked_aad(id, seq, prev);
    let (enc, sealed) = crypto::hpke_seal(&hedge, public, HPKE, &aad, &key)?;
    let body = [id.as_slice(), prev, &enc, &sealed].concat();
    let mac = mac(&key, BEGUN_LOCKED, seq, prev, &body);
    record::encode(out, BEGUN_LOCKED, seq, &mac, &body);
    Ok((key, mac))
}

fn locked_aad(id: &[u8; 16], seq: u64, prev: &[u8; 32]) -> Vec<u8> {
    let header = header(BEGUN_LOCKED, 16 + 32 + 32 + 48);
    [header.as_slice(), &seq.to_le_bytes(), id, prev].concat()
}

/// Why a record can't be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Its journal key is not one of this vault's.
    Unknown,
    /// It was not made with the key that it names, or was changed.
    Forged,
}

/// Follows one chain.
#[derive(Default)]
struct Follow {
    key: Option<Key32>,
    /// The event that `key` is for.
    seq: u64,
    /// Who began the chain had no key.
    unauthenticated: bool,
}

/// More events can't be in one chain: a gap that is larger is made up.
const STEPS: u64 = 1 << 24;

impl Follow {
    /// Enters the chain that `record` begins. Returns what it says of the
    /// record before it.
    fn enter(
        &mut self,
        record: &Record,
        journals: &Journals<'_>,
    ) -> std::result::Result<[u8; 32], Lost> {
        self.key = None;
        let (key, prev) = open_beginning(record, journals)?;
        if !crypto::equal(
            &mac(&key, record.kind, record.seq, &prev, &record.body),
            &record.mac,
        ) {
            return Err(Lost::Forged);
        }
        self.key = Some(next(&key));
        self.seq = record.seq.saturating_add(1);
        self.unauthenticated = record.kind == BEGUN_LOCKED;
        Ok(prev)
    }

    /// The key of event `seq`, if it is not behind.
    fn at(&mut self, seq: u64) -> Option<&Key32> {
        let steps = seq.checked_sub(self.seq).filter(|n| *n < STEPS)?;
        for _ in 0..steps {
            self.key = Some(next(self.key.as_deref()?));
        }
        self.seq = seq;
        self.key.as_ref()
    }

    /// Whether the mac of an event is right after a record with the mac `prev`.
    fn fits(&mut self, record: &Record, prev: &[u8; 32]) -> bool {
        self.at(record.seq).is_some_and(|key| {
            let wanted = mac(key, EVENT, record.seq, prev, &record.body);
            crypto::equal(&wanted, &record.mac)
        })
    }

    fn open(&mut self, record: &Record) -> Option<AuditEvent> {
        let unauthenticated = self.unauthenticated;
        let key = self.at(record.seq)?;
        unseal(key, record, unauthenticated).ok()
    }

    fn copy(&self) -> Self {
        Self {
            key: self.key.clone(),
            seq: self.seq,
            unauthenticated: self.unauthenticated,
        }
    }
}

/// An event that was opened.
pub struct Opened {
    pub event: AuditEvent,
    /// Its mac is right after the record before it, if that is known.
    pub fits: bool,
}

/// Follows the chains of a file. Whoever writes to it may begin a chain as an
/// agent that is locked does; behind that, the chain before it is tried as well.
#[derive(Default)]
pub struct Tracks {
    current: Follow,
    older: Option<Follow>,
}

impl Tracks {
    /// Enters the chain that `record` begins; see [`Follow::enter`]. After a
    /// failure the one before goes on.
    pub fn enter(
        &mut self,
        record: &Record,
        journals: &Journals<'_>,
    ) -> std::result::Result<[u8; 32], Lost> {
        if !record.whole {
            return Err(Lost::Forged);
        }
        let mut next = Follow::default();
        let prev = next.enter(record, journals)?;
        let before = std::mem::replace(&mut self.current, next);
        if !self.current.unauthenticated {
            self.older = None;
        } else if !before.unauthenticated && before.key.is_some() {
            self.older = Some(before);
        }
        Ok(prev)
    }

    /// Whether a chain was entered.
    pub const fn entered(&self) -> bool {
        self.current.key.is_some()
    }

    /// What an event says. The chain moves on only if that could be read.
    pub fn open(&mut self, record: &Record, prev: Option<&[u8; 32]>) -> Option<Opened> {
        if !record.whole {
            return None;
        }
        let attempt = |track: &Follow| {
            let mut track = track.copy();
            let fits = prev.is_none_or(|prev| track.fits(record, prev));
            let event = track.open(record)?;
            Some((track, Opened { event, fits }))
        };
        if let Some((track, opened)) = attempt(&self.current) {
            self.current = track;
            return Some(opened);
        }
        let (track, opened) = self.older.as_ref().and_then(attempt)?;
        self.current = track;
        self.older = None;
        Some(opened)
    }

    /// Puts the keys away between two steps, with `store`.
    pub fn rest(self, mut store: impl FnMut(&mut [u8; 32]) -> Result<Key>) -> Result<Resting> {
        let mut rest = |follow: Follow| -> Result<Rest> {
            Ok(Rest {
                key: match follow.key {
                    Some(mut key) => Some(store(&mut key)?),
                    None => None,
                },
                seq: follow.seq,
                unauthenticated: follow.unauthenticated,
            })
        };
        Ok(Resting {
            current: rest(self.current)?,
            older: self.older.map(rest).transpose()?,
        })
    }
}

#[derive(Default)]
struct Rest {
    key: Option<Key>,
    seq: u64,
    unauthenticated: bool,
}

/// [`Tracks`] whose keys are in key memory.
#[derive(Default)]
pub struct Resting {
    current: Rest,
    older: Option<Rest>,
}

impl Resting {
    /// Goes on.
    pub fn wake(&self) -> Tracks {
        let wake = |rest: &Rest| Follow {
            key: rest.key.as_ref().map(|key| Key32::new(*key.expose())),
            seq: rest.seq,
            unauthenticated: rest.unauthenticated,
        };
        Tracks {
            current: wake(&self.current),
            older: self.older.as_ref().map(wake),
        }
    }
}

fn open_beginning(
    record: &Record,
    journals: &Journals<'_>,
) -> std::result::Result<(Key32, [u8; 32]), Lost> {
    let forged = |_| Lost::Forged;
    let mut r = Reader(&record.body);
    let id: [u8; 16] = r.array().map_err(forged)?;
    let prev: [u8; 32] = r.array().map_err(forged)?;
    let journal = journals(&id).ok_or(Lost::Unknown)?;
    let key = if record.kind != BEGUN_LOCKED {
        let nonce: [u8; 32] = r.array().map_err(forged)?;
        first(journal.expose(), &nonce).map_err(forged)?
    } else {
        let enc: [u8; 32] = r.array().map_err(forged)?;
        let sealed: [u8; 48] = r.array().map_err(forged)?;
        let (private, _) = journal::opening(journal.expose()).map_err(forged)?;
        let aad = locked_aad(&id, record.seq, &prev);
        crypto::hpke_open(&private, &enc, HPKE, &aad, &sealed).map_err(forged)?
    };
    r.end().map_err(forged)?;
    Ok((key, prev))
}

//! One record of a log file: bytes to fields and back, without any key.
//! FORMAT.md, "Audit log".

use crate::{codec, crypto, limits, objects::kind};

/// An event.
pub const EVENT: u8 = 0;
/// A new chain, by an agent that holds the journal key.
pub const BEGUN: u8 = 1;
/// A new chain, by an agent that was not unlocked yet.
pub const BEGUN_LOCKED: u8 = 2;
/// As [`BEGUN`], of a vault that came to this machine without its log.
pub const BEGUN_HERE: u8 = 3;

/// P, what it is, the length of the body.
pub const HEADER: usize = 9;
/// seq, mac, check, the length of all.
pub const TRAILER: usize = 8 + 32 + 8 + 4;

const CHECK: &str = "sv1/audit/check";

/// A record as it stands in a file. Nothing of it is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub kind: u8,
    /// Of the event, or of the last one before a beginning.
    pub seq: u64,
    pub mac: [u8; 32],
    pub body: Vec<u8>,
    /// Its check fits: it was written whole.
    pub whole: bool,
}

/// The first bytes of a record.
pub fn header(kind: u8, body: usize) -> [u8; HEADER] {
    let mut out = [0; HEADER];
    out[..4].copy_from_slice(&codec::prefix(kind::AUDIT, 0));
    out[4] = kind;
    // A body is far below 4 GiB, see `limits::AUDIT_RECORD`.
    let body = u32::try_from(body).unwrap_or(u32::MAX);
    out[5..].copy_from_slice(&body.to_le_bytes());
    out
}

/// Appends a record to `out`.
pub fn encode(out: &mut Vec<u8>, kind: u8, seq: u64, mac: &[u8; 32], body: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&header(kind, body.len()));
    out.extend_from_slice(body);
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(mac);
    let check = check(&out[start..]);
    out.extend_from_slice(&check);
    let total = u32::try_from(out.len() - start + 4).unwrap_or(u32::MAX);
    out.extend_from_slice(&total.to_le_bytes());
}

/// Tells a whole record from a torn one; it keeps nobody from forging.
fn check(bytes: &[u8]) -> [u8; 8] {
    let hash = crypto::hash(CHECK, &[bytes]);
    let mut out = [0; 8];
    out.copy_from_slice(&hash[..8]);
    out
}

/// The record at the beginning of `bytes`, and its length; `None` if lengths
/// at its beginning and end don't agree.
pub fn parse(bytes: &[u8]) -> Option<(Record, usize)> {
    let (head, _) = bytes.split_first_chunk::<HEADER>()?;
    let [p0, p1, p2, p3, kind, len @ ..] = *head;
    if [p0, p1, p2, p3] != codec::prefix(kind::AUDIT, 0) || kind > BEGUN_HERE {
        return None;
    }
    let body = usize::try_from(u32::from_le_bytes(len)).ok()?;
    let total = body.checked_add(HEADER + TRAILER)?;
    if total > limits::AUDIT_RECORD {
        return None;
    }
    let bytes = bytes.get(..total)?;
    let (rest, said) = bytes.split_last_chunk::<4>()?;
    if usize::try_from(u32::from_le_bytes(*said)) != Ok(total) {
        return None;
    }
    let (checked, found) = rest.split_last_chunk::<8>()?;
    let (rest, mac) = checked.split_last_chunk::<32>()?;
    let (rest, seq) = rest.split_last_chunk::<8>()?;
    let seq = u64::from_le_bytes(*seq);
    if seq > limits::AUDIT_SEQ {
        return None;
    }
    let record = Record {
        kind,
        seq,
        mac: *mac,
        body: rest[HEADER..].to_vec(),
        whole: *found == check(checked),
    };
    Some((record, total))
}

/// The record that ends where `bytes` end.
pub fn parse_last(bytes: &[u8]) -> Option<(Record, usize)> {
    let (_, total) = bytes.split_last_chunk::<4>()?;
    let total = usize::try_from(u32::from_le_bytes(*total)).ok()?;
    let start = bytes.len().checked_sub(total)?;
    parse(&bytes[start..]).filter(|(_, found)| *found == total)
}

/// Where a record might begin, at `from` or later.
pub fn candidate(bytes: &[u8], from: usize) -> Option<usize> {
    let wanted = codec::prefix(kind::AUDIT, 0);
    let rest = bytes.get(from..)?;
    let at = rest.windows(wanted.len()).position(|w| w == wanted)?;
    Some(from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_record_is_longer_than_the_longest() {
        let record = |body: usize| {
            let mut out = Vec::new();
            encode(&mut out, EVENT, 1, &[0; 32], &vec![0; body]);
            out
        };
        let most = limits::AUDIT_RECORD - HEADER - TRAILER;
        let (read, length) = parse(&record(most)).unwrap();
        assert!(read.whole && length == limits::AUDIT_RECORD);
        for body in [most + 1, 1 << 20] {
            assert!(parse(&record(body)).is_none() && parse_last(&record(body)).is_none());
        }
        // A length is not believed before the bytes are there.
        let mut huge = record(10);
        huge[5..HEADER].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(parse(&huge).is_none());
    }
}

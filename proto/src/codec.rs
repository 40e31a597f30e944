//! bincode 2 with a fixed configuration (little endian, fixed-width integers),
//! a limit, and exactly one encoding for each message.
//!
//! Decoding without a limit lets nine bytes ask for 2⁶⁴; decoding without the
//! comparison at the end lets two byte strings mean the same message.

use crate::limits;
use bincode::{
    Decode, Encode,
    config::{Configuration, Fixint, Limit, LittleEndian},
    enc::write::{SizeWriter, Writer},
    error::EncodeError,
};
use zeroize::Zeroizing;

type Wire = Configuration<LittleEndian, Fixint, Limit<{ limits::FRAME }>>;

const WIRE: Wire = bincode::config::standard()
    .with_little_endian()
    .with_fixed_int_encoding()
    .with_limit::<{ limits::FRAME }>();

/// Why a body was not read or written.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
pub enum CodecError {
    /// Not the canonical encoding of any message: truncated, over-long,
    /// unknown variant, bad boolean or UTF-8, a length beyond the limit.
    #[error("malformed message")]
    Malformed,
    /// It would not fit a frame.
    #[error("message larger than {} bytes", limits::FRAME)]
    TooLarge,
}

/// Appends the encoding of `message` to `out`. The capacity is reserved first,
/// so that no copy of a secret is left behind by a growing buffer.
pub fn encode_into<T: Encode>(message: &T, out: &mut Zeroizing<Vec<u8>>) -> Result<(), CodecError> {
    let mut size = SizeWriter::default();
    bincode::encode_into_writer(message, &mut size, WIRE).map_err(|_| CodecError::TooLarge)?;
    let size = size.bytes_written;
    if size > limits::FRAME - limits::HEADER {
        return Err(CodecError::TooLarge);
    }
    let start = out.len();
    if out.capacity() < start + size {
        let mut larger = Zeroizing::new(Vec::with_capacity(start + size));
        larger.extend_from_slice(out);
        *out = larger;
    }
    out.resize(start + size, 0);
    bincode::encode_into_slice(message, &mut out[start..], WIRE)
        .map_err(|_| CodecError::TooLarge)?;
    Ok(())
}

/// Reads exactly one message from `body`.
pub fn decode<T: Decode<()> + Encode>(body: &[u8]) -> Result<T, CodecError> {
    if body.len() > limits::FRAME - limits::HEADER {
        return Err(CodecError::TooLarge);
    }
    let (message, read): (T, usize) =
        bincode::decode_from_slice(body, WIRE).map_err(|_| CodecError::Malformed)?;
    let mut rest = Prefix(body);
    if read != body.len()
        || bincode::encode_into_writer(&message, &mut rest, WIRE).is_err()
        || !rest.0.is_empty()
    {
        return Err(CodecError::Malformed);
    }
    Ok(message)
}

/// A writer that takes nothing but what the input begins with.
struct Prefix<'a>(&'a [u8]);

impl Writer for Prefix<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0 = self
            .0
            .strip_prefix(bytes)
            .ok_or(EncodeError::Other("not canonical"))?;
        Ok(())
    }
}

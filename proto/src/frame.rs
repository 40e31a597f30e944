//! The outer layer: `length u32 | version u16 | flags u16 | id u64 | body`.

use crate::{codec, codec::CodecError, limits};
use bincode::{Decode, Encode};
use std::io::{self, Read, Write};
use zeroize::Zeroizing;

/// Set on every frame of an answer but its last.
pub const MORE: u16 = 1;

/// A frame's header, without the length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// [`limits::VERSION`], or 0 for a [`Versions`] frame.
    pub version: u16,
    /// [`MORE`] or 0.
    pub flags: u16,
    /// Chosen by the client, repeated in each frame of the answer.
    pub id: u64,
}

/// Why a frame was not read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream ended between two frames.
    #[error("the connection was closed")]
    Closed,
    /// The length is below the header's or above [`limits::FRAME`].
    #[error("frame of {0} bytes")]
    Length(u32),
    /// A flag that this version does not know.
    #[error("unknown flags {0:#x}")]
    Flags(u16),
    /// Another version of the protocol.
    #[error("protocol version {0}")]
    Version(u16),
    /// The stream failed or ended inside a frame.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The length field's value, checked before memory is taken.
pub fn length(field: [u8; 4]) -> Result<usize, FrameError> {
    let length = u32::from_le_bytes(field);
    match usize::try_from(length) {
        Ok(n) if (limits::HEADER..=limits::FRAME).contains(&n) => Ok(n),
        _ => Err(FrameError::Length(length)),
    }
}

/// Splits a frame (without its length) into header and body. Version and
/// flags are returned as they are; see [`Header::check`].
#[must_use]
pub fn split(frame: &[u8]) -> Option<(Header, &[u8])> {
    let (header, body) = frame.split_first_chunk::<{ limits::HEADER }>()?;
    let [v0, v1, f0, f1, id @ ..] = *header;
    Some((
        Header {
            version: u16::from_le_bytes([v0, v1]),
            flags: u16::from_le_bytes([f0, f1]),
            id: u64::from_le_bytes(id),
        },
        body,
    ))
}

impl Header {
    /// Refuses other versions, then unknown flags.
    pub fn check(self) -> Result<Self, FrameError> {
        if self.version != limits::VERSION {
            return Err(FrameError::Version(self.version));
        }
        if self.flags & !MORE != 0 {
            return Err(FrameError::Flags(self.flags));
        }
        Ok(self)
    }
}

/// A whole frame, length included.
pub fn encode<T: Encode>(
    id: u64,
    flags: u16,
    message: &T,
) -> Result<Zeroizing<Vec<u8>>, CodecError> {
    let mut out = Zeroizing::new(Vec::new());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&limits::VERSION.to_le_bytes());
    out.extend_from_slice(&flags.to_le_bytes());
    out.extend_from_slice(&id.to_le_bytes());
    codec::encode_into(message, &mut out)?;
    seal_length(&mut out)?;
    Ok(out)
}

fn seal_length(frame: &mut [u8]) -> Result<(), CodecError> {
    let length = u32::try_from(frame.len() - 4).map_err(|_| CodecError::TooLarge)?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// The body of a version-0 frame: which versions the sender speaks. Its layout
/// never changes, so that any two releases can tell each other apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Versions {
    /// The lowest.
    pub min: u16,
    /// The highest.
    pub max: u16,
}

impl Versions {
    /// What this crate speaks.
    pub const OURS: Self = Self {
        min: limits::VERSION,
        max: limits::VERSION,
    };

    /// The whole version-0 frame that answers request `id`.
    #[must_use]
    pub fn frame(self, id: u64) -> [u8; 20] {
        let mut out = [0; 20];
        out[0] = 16;
        out[8..16].copy_from_slice(&id.to_le_bytes());
        out[16..18].copy_from_slice(&self.min.to_le_bytes());
        out[18..20].copy_from_slice(&self.max.to_le_bytes());
        out
    }

    /// Reads the body of a version-0 frame.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let [a, b, c, d] = *body.first_chunk::<4>()?;
        Some(Self {
            min: u16::from_le_bytes([a, b]),
            max: u16::from_le_bytes([c, d]),
        })
    }
}

/// Reads one frame from a blocking stream: header and body.
pub fn read(stream: &mut impl Read) -> Result<(Header, Zeroizing<Vec<u8>>), FrameError> {
    let mut field = [0; 4];
    match stream.read(&mut field)? {
        0 => return Err(FrameError::Closed),
        n => stream.read_exact(&mut field[n..])?,
    }
    let mut frame = Zeroizing::new(vec![0; length(field)?]);
    stream.read_exact(&mut frame)?;
    let (header, _) = split(&frame).ok_or(FrameError::Length(0))?;
    frame.drain(..limits::HEADER);
    Ok((header, frame))
}

/// Writes one message to a blocking stream with a single call.
pub fn write<T: Encode>(stream: &mut impl Write, id: u64, message: &T) -> io::Result<()> {
    let frame =
        encode(id, 0, message).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
    stream.write_all(&frame)
}

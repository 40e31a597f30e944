//! Reading and writing the fixed layouts of FORMAT.md.

use crate::{Error, Result};

/// The form of an object is wrong.
pub const MALFORMED: Error = Error::Damaged("an object is malformed");

/// Reads from the front of a byte string; every method fails when it is short.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(MALFORMED)?;
        self.0 = rest;
        Ok(head)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(MALFORMED)?;
        self.0 = rest;
        Ok(*head)
    }

    pub fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub fn lp8(&mut self) -> Result<&'a [u8]> {
        let n = self.u8()?;
        self.bytes(n.into())
    }

    pub fn lp16(&mut self) -> Result<&'a [u8]> {
        let n = self.u16()?;
        self.bytes(n.into())
    }

    pub fn lp32(&mut self) -> Result<&'a [u8]> {
        let n = self.u32()?;
        self.bytes(usize::try_from(n).map_err(|_| MALFORMED)?)
    }

    pub fn str8(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.lp8()?).map_err(|_| MALFORMED)
    }

    pub fn str16(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.lp16()?).map_err(|_| MALFORMED)
    }

    /// `count` fixed-size items, strictly ascending.
    pub fn sorted<const N: usize>(&mut self, count: usize) -> Result<Vec<[u8; N]>> {
        // Taken before memory is: a count beyond the bytes at hand fails here.
        let bytes = self.bytes(count.checked_mul(N).ok_or(MALFORMED)?)?;
        let (items, _) = bytes.as_chunks::<N>();
        if items.is_sorted_by(|a, b| a < b) {
            Ok(items.to_vec())
        } else {
            Err(MALFORMED)
        }
    }

    /// P, as FORMAT.md §2: the type must be `kind`, flags within `flags`.
    pub fn prefix(&mut self, kind: u8, flags: u8) -> Result<u8> {
        let [found, version, suite, set] = self.array()?;
        if found != kind {
            return Err(MALFORMED);
        }
        if version != crate::limits::VERSION {
            return Err(Error::Version("object version"));
        }
        if suite != crate::limits::SUITE {
            return Err(Error::Version("suite"));
        }
        if set & !flags != 0 {
            return Err(MALFORMED);
        }
        Ok(set)
    }

    /// Nothing may be left.
    pub fn end(&self) -> Result<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(MALFORMED)
        }
    }

    /// Only zeros may be left.
    pub fn padding(&self) -> Result<()> {
        if self.0.iter().all(|b| *b == 0) {
            Ok(())
        } else {
            Err(MALFORMED)
        }
    }
}

/// Writing to a `Vec` whose capacity was reserved: secrets pass through here,
/// and a growing buffer leaves copies behind.
pub trait Write {
    fn put(&mut self, bytes: &[u8]);

    fn lp8(&mut self, bytes: &[u8]) -> Result<()> {
        self.put(&[u8::try_from(bytes.len()).map_err(|_| MALFORMED)?]);
        self.put(bytes);
        Ok(())
    }

    fn lp16(&mut self, bytes: &[u8]) -> Result<()> {
        let n = u16::try_from(bytes.len()).map_err(|_| MALFORMED)?;
        self.put(&n.to_le_bytes());
        self.put(bytes);
        Ok(())
    }

    fn lp32(&mut self, bytes: &[u8]) -> Result<()> {
        let n = u32::try_from(bytes.len()).map_err(|_| MALFORMED)?;
        self.put(&n.to_le_bytes());
        self.put(bytes);
        Ok(())
    }
}

impl Write for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// P of FORMAT.md §2.
pub const fn prefix(kind: u8, flags: u8) -> [u8; 4] {
    [kind, crate::limits::VERSION, crate::limits::SUITE, flags]
}

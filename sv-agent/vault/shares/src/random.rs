//! Random bytes for generators that can't fail, taken from the kernel before
//! they start, so that a failure is noticed and not a panic.

use crate::{Error, Result};
use hpke::rand_core::{TryCryptoRng, TryRng};
use std::convert::Infallible;
use zeroize::Zeroizing;

/// Random bytes in store.
pub struct Pool {
    bytes: Zeroizing<Vec<u8>>,
    at: usize,
    short: bool,
}

impl Pool {
    pub fn new(size: usize) -> Result<Self> {
        let mut bytes = Zeroizing::new(vec![0; size]);
        fill(&mut bytes)?;
        Ok(Self {
            bytes,
            at: 0,
            short: false,
        })
    }

    /// Whether the store sufficed. Where not, zeros were given, and what was made
    /// with them must not be used.
    pub fn sufficed(&self) -> Result<()> {
        if self.short {
            Err(Error::Random)
        } else {
            Ok(())
        }
    }
}

impl TryRng for Pool {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> std::result::Result<u32, Infallible> {
        let mut out = [0; 4];
        self.try_fill_bytes(&mut out)?;
        Ok(u32::from_le_bytes(out))
    }

    fn try_next_u64(&mut self) -> std::result::Result<u64, Infallible> {
        let mut out = [0; 8];
        self.try_fill_bytes(&mut out)?;
        Ok(u64::from_le_bytes(out))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> std::result::Result<(), Infallible> {
        let end = self.at.saturating_add(out.len());
        match self.bytes.get(self.at..end) {
            Some(bytes) => out.copy_from_slice(bytes),
            None => {
                out.fill(0);
                self.short = true;
            }
        }
        self.at = end;
        Ok(())
    }
}

impl TryCryptoRng for Pool {}

pub fn fill(out: &mut [u8]) -> Result<()> {
    getrandom::fill(out).map_err(|_| Error::Random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_store_is_noticed() {
        let mut pool = Pool::new(8).unwrap();
        assert_eq!(pool.try_next_u64().map(|n| n != 0), Ok(true));
        pool.sufficed().unwrap();
        assert_eq!(pool.try_next_u32(), Ok(0));
        assert_eq!(pool.sufficed(), Err(Error::Random));
    }
}

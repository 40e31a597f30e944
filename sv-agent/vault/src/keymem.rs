//! Keys in memory of their own: see [`crate::sys::Region`].

use crate::{
    Error, Result, limits,
    sys::{Pool, Protection, Region, Slot},
};
use std::{fmt, sync::Arc};
use zeroize::Zeroize;

/// Where keys live. Cheap to clone; all clones are one region.
#[derive(Clone)]
pub struct KeyMemory(Arc<Pool>);

impl KeyMemory {
    /// Maps the region. Fails where no memory can be kept out of swap, unless
    /// the user said by name that this is acceptable.
    pub fn new(allow_swappable: bool) -> Result<Self> {
        let region = Region::new(limits::KEYS * 32, allow_swappable)
            .map_err(|e| Error::KeyMemory(e.to_string()))?;
        Ok(Self(Arc::new(Pool::new(region))))
    }

    /// What protects the region: `memfd_secret`, `mlock` or `none`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.0.protection() {
            Protection::SecretMemory => "memfd_secret",
            Protection::Locked => "mlock",
            Protection::None => "none",
        }
    }

    /// Moves a key into the region; `bytes` is wiped.
    pub(crate) fn store(&self, bytes: &mut [u8; 32]) -> Result<Key> {
        let slot = self.0.take(bytes);
        bytes.zeroize();
        slot.map(Key)
            .ok_or_else(|| Error::KeyMemory(format!("more than {} keys", limits::KEYS)))
    }
}

impl fmt::Debug for KeyMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyMemory({})", self.kind())
    }
}

/// A 32-byte key in key memory, wiped when dropped.
pub struct Key(Slot);

impl Key {
    /// The key itself.
    pub(crate) fn expose(&self) -> &[u8; 32] {
        self.0.bytes()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

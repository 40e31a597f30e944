//! Keys in memory of their own: see [`crate::sys::Region`].

use crate::{
    Error, Result, limits,
    sys::{Pool, Protection, Region, Slot},
};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use zeroize::Zeroize;

/// Where keys live. Cheap to clone. The pages are mapped with the first key
/// and unmapped with the last, so that a locked vault has none.
#[derive(Clone)]
pub struct KeyMemory(Arc<Shared>);

struct Shared {
    allow_swappable: bool,
    /// Keys that stay while the vault is locked are not in secret memory.
    apart: bool,
    protection: Protection,
    pool: Mutex<Weak<Pool>>,
}

impl KeyMemory {
    /// Maps the pages on trial. Fails where no memory can be kept out of swap,
    /// unless the user said by name that this is acceptable.
    pub fn new(allow_swappable: bool) -> Result<Self> {
        Ok(Self(Arc::new(Shared {
            allow_swappable,
            apart: false,
            protection: map(allow_swappable)?.protection(),
            pool: Mutex::default(),
        })))
    }

    /// Memory for the few keys that outlive the lock, in a page of its own, so
    /// that the pages with the vault's keys go. It is locked, not swapped and
    /// not dumped, but not secret memory: who looks for that in a locked agent
    /// finds none.
    pub(crate) fn apart(&self) -> Self {
        Self(Arc::new(Shared {
            allow_swappable: self.0.allow_swappable,
            apart: true,
            protection: Protection::Locked,
            pool: Mutex::default(),
        }))
    }

    /// What protects the pages: `memfd_secret`, `mlock` or `none`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.0.protection {
            Protection::SecretMemory => "memfd_secret",
            Protection::Locked => "mlock",
            Protection::None => "none",
        }
    }

    /// Moves a key into key memory; `bytes` is wiped.
    pub(crate) fn store(&self, bytes: &mut [u8; 32]) -> Result<Key> {
        let slot = self.pool().map(|pool| pool.take(bytes));
        bytes.zeroize();
        slot?
            .map(Key)
            .ok_or_else(|| Error::KeyMemory(format!("more than {} keys", limits::KEYS)))
    }

    fn pool(&self) -> Result<Arc<Pool>> {
        let mut current = self.0.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = current.upgrade() {
            return Ok(pool);
        }
        let region = if self.0.apart {
            Region::locked(limits::KEYS_APART * 32, self.0.allow_swappable)
                .map_err(|e| Error::KeyMemory(e.to_string()))?
        } else {
            map(self.0.allow_swappable)?
        };
        let pool = Arc::new(Pool::new(region));
        *current = Arc::downgrade(&pool);
        Ok(pool)
    }
}

fn map(allow_swappable: bool) -> Result<Region> {
    Region::new(limits::KEYS * 32, allow_swappable).map_err(|e| Error::KeyMemory(e.to_string()))
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

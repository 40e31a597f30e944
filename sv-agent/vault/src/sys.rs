//! The engine's only unsafe code: memory that the kernel keeps out of swap,
//! cores and children, and SQLite's online backup, which rusqlite offers only
//! within one borrow of both databases.
#![allow(unsafe_code)]

use argon2::Block;
use rusqlite::{Connection, ffi};
use std::{
    io,
    ptr::NonNull,
    sync::{Arc, Mutex, PoisonError},
};
use zeroize::Zeroize;

/// What keeps the pages of a [`Region`] private.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// memfd_secret(2): unmapped from the kernel's own address space, so that
    /// neither ptrace nor a core reaches it, not even as root; never swapped.
    SecretMemory,
    /// mlock(2): never swapped; not dumped.
    Locked,
    /// Nothing but "not dumped".
    None,
}

/// Pages between two guard pages, not inherited by children, not dumped.
pub struct Region {
    map: NonNull<libc::c_void>,
    mapped: usize,
    data: NonNull<u8>,
    len: usize,
    protection: Protection,
}

// SAFETY: a `Region` owns its mapping; access follows the borrow rules.
unsafe impl Send for Region {}
// SAFETY: shared access is read-only.
unsafe impl Sync for Region {}

fn page() -> usize {
    // SAFETY: sysconf has no preconditions.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

impl Region {
    /// Maps at least `len` bytes of zeros, with the best protection that works:
    /// `Protection::None` only if `allow_swappable`.
    pub fn new(len: usize, allow_swappable: bool) -> io::Result<Self> {
        Self::with(len, true, allow_swappable)
    }

    /// The same without secret memory.
    pub fn locked(len: usize, allow_swappable: bool) -> io::Result<Self> {
        Self::with(len, false, allow_swappable)
    }

    fn with(len: usize, secret: bool, allow_swappable: bool) -> io::Result<Self> {
        let page = page();
        let len = len.next_multiple_of(page);
        let mapped = len + 2 * page;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice.
        let map = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                mapped,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        let map = mapping(map)?;
        // SAFETY: one page into a mapping of `len` + 2 pages.
        let data = unsafe { map.cast::<u8>().add(page) };
        // From here on dropping the region unmaps it.
        let mut region = Self {
            map,
            mapped,
            data,
            len,
            protection: Protection::None,
        };
        region.protection = match secret.then(|| region.map_secret()) {
            Some(Ok(())) => Protection::SecretMemory,
            None | Some(Err(_)) => match region.map_locked() {
                Ok(()) => Protection::Locked,
                Err(e) if allow_swappable => {
                    region.map_anonymous().map_err(|_| e)?;
                    Protection::None
                }
                Err(e) => return Err(e),
            },
        };
        region.advise(libc::MADV_DONTDUMP)?;
        region.advise(libc::MADV_DONTFORK)?;
        Ok(region)
    }

    fn map_secret(&self) -> io::Result<()> {
        // SAFETY: a system call without pointers; the result is checked.
        let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
        let fd = libc::c_int::try_from(fd).map_err(io::Error::other)?;
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made, and is closed once, here.
        let fd: std::os::fd::OwnedFd = unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) };
        let file = std::fs::File::from(fd);
        file.set_len(self.len as u64)?;
        self.map_over(libc::MAP_SHARED, std::os::fd::AsRawFd::as_raw_fd(&file))?;
        Ok(())
    }

    fn map_locked(&self) -> io::Result<()> {
        self.map_anonymous()?;
        // SAFETY: the range is this region's own.
        check(unsafe { libc::mlock(self.data.as_ptr().cast(), self.len) })
    }

    fn map_anonymous(&self) -> io::Result<()> {
        self.map_over(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)
    }

    fn map_over(&self, flags: libc::c_int, fd: libc::c_int) -> io::Result<()> {
        // SAFETY: MAP_FIXED replaces pages of this region's own reservation.
        let got = unsafe {
            libc::mmap(
                self.data.as_ptr().cast(),
                self.len,
                libc::PROT_READ | libc::PROT_WRITE,
                flags | libc::MAP_FIXED,
                fd,
                0,
            )
        };
        mapping(got).map(drop)
    }

    fn advise(&self, advice: libc::c_int) -> io::Result<()> {
        // SAFETY: the range is this region's own.
        check(unsafe { libc::madvise(self.data.as_ptr().cast(), self.len, advice) })
    }

    /// What the kernel granted.
    pub const fn protection(&self) -> Protection {
        self.protection
    }

    fn slots(&self) -> usize {
        self.len / 32
    }

    fn write(&self, index: usize, bytes: &[u8; 32]) {
        assert!(index < self.slots(), "slot within the region");
        for (i, byte) in bytes.iter().enumerate() {
            // SAFETY: in bounds, mapped writable. Called by `Pool::take` for a
            // slot that no `Slot` names, and by `Slot::drop`: references into a
            // slot are borrowed from its one `Slot`, so none is alive.
            // Volatile, so that wiping is never optimised away.
            unsafe { self.data.add(index * 32 + i).write_volatile(*byte) };
        }
    }

    fn read(&self, index: usize) -> &[u8; 32] {
        assert!(index < self.slots(), "slot within the region");
        // SAFETY: in bounds, mapped readable, byte arrays have no alignment or
        // validity demands, and `write` tells why nothing writes meanwhile.
        unsafe { self.data.add(index * 32).cast::<[u8; 32]>().as_ref() }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is this region's own and ends here.
        unsafe { libc::munmap(self.map.as_ptr(), self.mapped) };
    }
}

/// A region dealt out in slots of 32 bytes.
pub struct Pool {
    region: Region,
    used: Mutex<Vec<bool>>,
}

impl Pool {
    /// Deals out `region`.
    pub fn new(region: Region) -> Self {
        let used = Mutex::new(vec![false; region.slots()]);
        Self { region, used }
    }

    /// Copies `bytes` into a free slot, if there is one.
    pub fn take(self: &Arc<Self>, bytes: &[u8; 32]) -> Option<Slot> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let index = used.iter().position(|used| !used)?;
        used[index] = true;
        self.region.write(index, bytes);
        Some(Slot {
            pool: Arc::clone(self),
            index,
        })
    }
}

/// 32 bytes of a [`Pool`], wiped and given back when dropped.
pub struct Slot {
    pool: Arc<Pool>,
    index: usize,
}

impl Slot {
    /// The bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        self.pool.region.read(self.index)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pool.region.write(self.index, &[0; 32]);
        let used = self.pool.used.lock();
        used.unwrap_or_else(PoisonError::into_inner)[self.index] = false;
    }
}

/// Argon2's memory: not dumped, not inherited, wiped when dropped. Huge pages
/// touched in one call save about half the time of a derivation.
pub struct Arena {
    map: NonNull<libc::c_void>,
    mapped: usize,
    blocks: NonNull<Block>,
    count: usize,
}

const HUGE_PAGE: usize = 2 * 1024 * 1024;

impl Arena {
    /// Room for `count` blocks.
    pub fn new(count: usize) -> io::Result<Self> {
        let too_large = || io::Error::from(io::ErrorKind::OutOfMemory);
        let len = count
            .checked_mul(size_of::<Block>())
            .and_then(|n| n.checked_next_multiple_of(HUGE_PAGE))
            .ok_or_else(too_large)?;
        let mapped = len.checked_add(HUGE_PAGE).ok_or_else(too_large)?;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice.
        let map = mapping(unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                mapped,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        })?;
        let start = map.as_ptr().align_offset(HUGE_PAGE);
        // SAFETY: less than one huge page into a mapping that has one to spare.
        let data = unsafe { map.cast::<u8>().add(start) };
        let arena = Self {
            map,
            mapped,
            blocks: data.cast(),
            count,
        };
        for advice in [libc::MADV_DONTDUMP, libc::MADV_DONTFORK] {
            // SAFETY: the range is within the mapping just made.
            check(unsafe { libc::madvise(data.as_ptr().cast(), len, advice) })?;
        }
        for advice in [libc::MADV_HUGEPAGE, libc::MADV_POPULATE_WRITE] {
            // SAFETY: as above. Both are for speed alone: a kernel without them
            // faults the pages in one by one.
            unsafe { libc::madvise(data.as_ptr().cast(), len, advice) };
        }
        Ok(arena)
    }

    /// The blocks.
    pub fn blocks(&mut self) -> &mut [Block] {
        // SAFETY: `count` blocks lie within the mapping, aligned to a huge page;
        // a block is an array of integers, for which zeroed memory is valid; the
        // borrow of `self` makes this the only reference.
        unsafe { std::slice::from_raw_parts_mut(self.blocks.as_ptr(), self.count) }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        self.blocks().iter_mut().for_each(Zeroize::zeroize);
        // SAFETY: the mapping is this arena's own and ends here.
        unsafe { libc::munmap(self.map.as_ptr(), self.mapped) };
    }
}

fn mapping(map: *mut libc::c_void) -> io::Result<NonNull<libc::c_void>> {
    match NonNull::new(map) {
        Some(map) if map.as_ptr() != libc::MAP_FAILED => Ok(map),
        _ => Err(io::Error::last_os_error()),
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Overwrites the stack below the caller, where finished calls left pieces of
/// keys in frames that nobody wipes.
#[inline(never)]
pub fn scrub_stack() {
    scrub::<{ 6 * 1024 }>();
}

/// The same after calls that are not deep: a few hashes and one cipher. The
/// rest of the stack stays in the processor's cache.
#[inline(never)]
pub fn scrub_some_stack() {
    scrub::<1024>();
}

#[inline(always)]
fn scrub<const WORDS: usize>() {
    // In words: zeroize writes each element by itself, and bytes take 12 µs.
    let mut below = [0_u64; WORDS];
    below.zeroize();
    std::hint::black_box(&mut below);
}

/// SQLite's online backup: one database copied into another while it is in
/// use. Changes of the source through its own connection are carried over.
pub struct OnlineBackup {
    handle: NonNull<ffi::sqlite3_backup>,
    /// Closed after the handle is finished: fields go after `drop`.
    _to: Connection,
}

// SAFETY: SQLite wants one thread at a time for a connection and what belongs
// to it. Only `online::Db` makes an `OnlineBackup`; it keeps it with the
// connection that is copied from and gives neither away.
unsafe impl Send for OnlineBackup {}

impl OnlineBackup {
    /// Begins to copy `from` into `to`, over whatever is there.
    pub fn new(from: &Connection, to: Connection) -> rusqlite::Result<Self> {
        // SAFETY: both handles are of open connections, and the names are
        // literals. SQLite refuses to close a connection that has an unfinished
        // backup, so the handle outlives neither: `from` stays allocated even
        // if it is dropped first, and `to` is this value's own, in which
        // nobody else can use it meanwhile.
        let handle = unsafe {
            let main = c"main".as_ptr();
            ffi::sqlite3_backup_init(to.handle(), main, from.handle(), main)
        };
        match NonNull::new(handle) {
            Some(handle) => Ok(Self { handle, _to: to }),
            None => Err(failure(ffi::SQLITE_CANTOPEN)),
        }
    }

    /// Copies `pages` more; `None` if the source is in the middle of a
    /// transaction, otherwise whether that was all.
    pub fn step(&mut self, pages: i32) -> rusqlite::Result<Option<bool>> {
        // SAFETY: the handle is valid until it is finished in `drop`.
        match unsafe { ffi::sqlite3_backup_step(self.handle.as_ptr(), pages) } {
            ffi::SQLITE_OK => Ok(Some(false)),
            ffi::SQLITE_DONE => Ok(Some(true)),
            ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => Ok(None),
            code => Err(failure(code)),
        }
    }

    /// Pages that are copied, and all of them, as of the last step.
    pub fn progress(&self) -> (u64, u64) {
        // SAFETY: as in `step`.
        let (left, all) = unsafe {
            (
                ffi::sqlite3_backup_remaining(self.handle.as_ptr()),
                ffi::sqlite3_backup_pagecount(self.handle.as_ptr()),
            )
        };
        let all = u64::from(all.unsigned_abs());
        (all.saturating_sub(left.unsigned_abs().into()), all)
    }
}

impl Drop for OnlineBackup {
    fn drop(&mut self) {
        // SAFETY: finished once, here, before `_to` is closed. The result only
        // repeats what the last step said.
        unsafe { ffi::sqlite3_backup_finish(self.handle.as_ptr()) };
    }
}

fn failure(code: i32) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
}

//! The only `unsafe` of this crate.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{FromRawFd, OwnedFd, RawFd},
};

/// Closes every descriptor from `first` on. Only for the start, before this
/// process has opened any itself.
pub(crate) fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: the call touches no memory, and nothing in this process owns a
    // descriptor above the standard ones yet.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0_u32) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Takes over a descriptor that the parent handed down, and marks it
/// close-on-exec. To be called once for each.
pub(crate) fn inherit(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl with F_SETFD takes an integer and touches no memory; a
    // descriptor that is not open is reported as EBADF.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, as was just seen, and by the protocol of socket
    // activation it belongs to this process alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Large blocks always go back to the kernel when they are freed. Without
/// this, the allocator begins to keep them after the first one, and what a
/// burst of large frames took would stay.
pub(crate) fn return_large_blocks() {
    #[cfg(target_env = "gnu")]
    for (option, bytes) in [
        (libc::M_MMAP_THRESHOLD, 128 * 1024),
        (libc::M_TRIM_THRESHOLD, 1024 * 1024),
    ] {
        // SAFETY: mallopt takes two integers and may be called at any time. An
        // allocator that does not know an option refuses it and goes on.
        unsafe { libc::mallopt(option, bytes) };
    }
}

//! Interruptions wait while something lies about that has to be tidied up.

use crate::error::{Error, Result};
use nix::sys::{
    signal::{SigSet, SigmaskHow, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use std::os::fd::{AsFd, BorrowedFd};

/// While it lives, signals that would end this process wait; its descriptor
/// becomes readable when one does. They have their effect when it goes.
pub struct Held {
    before: SigSet,
    arrived: SignalFd,
}

impl Held {
    /// Begins to hold them.
    pub fn new() -> Result<Self> {
        let failed = |e: nix::errno::Errno| Error::Harden(e.desc());
        let ends = SigSet::from_iter([
            Signal::SIGINT,
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGQUIT,
        ]);
        let arrived = SignalFd::with_flags(&ends, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map_err(failed)?;
        let before = ends
            .thread_swap_mask(SigmaskHow::SIG_BLOCK)
            .map_err(failed)?;
        Ok(Self { before, arrived })
    }
}

impl AsFd for Held {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.arrived.as_fd()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Setting a mask that was in force before can't fail.
        let _ = self.before.thread_set_mask();
    }
}

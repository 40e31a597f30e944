//! The first thing that happens.

use crate::start::StartError;
use nix::sys::{
    prctl,
    resource::{Resource, setrlimit},
    stat::{Mode, umask},
};

/// Not dumpable (no ptrace, no `/proc/PID/mem`, no core by the same user), a
/// core limit of zero for what ignores that, and nobody else's permissions on
/// any file that is made.
pub(crate) fn harden() -> Result<(), StartError> {
    prctl::set_dumpable(false).map_err(|e| StartError::system("forbid memory dumps", e))?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)
        .map_err(|e| StartError::system("forbid core files", e))?;
    umask(Mode::from_bits_truncate(0o077));
    Ok(())
}

//! Standard error: the kind of a request, its outcome, the peer's process id
//! and the time it took. Never a name, never content.

use std::{
    io::{self, Write},
    panic,
};
use tracing_subscriber::filter::LevelFilter;

/// The level called `name`.
pub(crate) fn level(name: &str) -> Option<LevelFilter> {
    match name {
        "error" => Some(LevelFilter::ERROR),
        "warn" => Some(LevelFilter::WARN),
        "info" => Some(LevelFilter::INFO),
        "debug" => Some(LevelFilter::DEBUG),
        "trace" => Some(LevelFilter::TRACE),
        _ => None,
    }
}

/// Logs from `level` on to standard error.
pub(crate) fn to_stderr(level: LevelFilter) {
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_target(false)
        .with_writer(io::stderr)
        // Its complaint about a closed standard error would be a panic.
        .log_internal_errors(false);
    // The journal has its own clock. A subscriber that was there before (of a
    // program that embeds the agent) stays.
    let _ = if std::env::var_os("JOURNAL_STREAM").is_some() {
        builder.without_time().try_init()
    } else {
        builder.try_init()
    };
}

/// A panic names its place and nothing else, since its message may quote what
/// was worked on, and ends the process: keys go with it.
pub(crate) fn abort_on_panic() {
    panic::set_hook(Box::new(|info| {
        let (file, line) = info
            .location()
            .map_or(("an unknown place", 0), |l| (l.file(), l.line()));
        let _ = writeln!(
            io::stderr(),
            "sv-agent: a defect at {file}:{line} ended the agent"
        );
        std::process::abort();
    }));
}

//! The three clocks.

use nix::time::{ClockId, clock_gettime};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What time it is. The agent asks nothing else for it, except for the time-outs
/// of its sockets.
pub trait Clock: Send + Sync {
    /// Since some point before the agent's start, suspended time included.
    fn boottime(&self) -> Duration;
    /// The same without suspended time.
    fn monotonic(&self) -> Duration;
    /// Milliseconds since 1970 (UTC). Written into revisions; decides nothing.
    fn wall(&self) -> i64;
}

/// The kernel's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn boottime(&self) -> Duration {
        read(ClockId::CLOCK_BOOTTIME)
    }

    fn monotonic(&self) -> Duration {
        read(ClockId::CLOCK_MONOTONIC)
    }

    fn wall(&self) -> i64 {
        let millis = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => millis(after),
            Err(before) => -millis(before.duration()),
        }
    }
}

/// A clock that can't be read is at its end: every deadline has passed.
fn read(clock: ClockId) -> Duration {
    clock_gettime(clock).map_or(Duration::MAX, Duration::from)
}

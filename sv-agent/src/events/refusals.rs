//! How many refusals of other users are told.

use crate::limits;
use std::{cell::RefCell, time::Duration};
use tokio::time::Instant;

/// How many refusals of other users are told: nobody fills the disk with them.
#[derive(Default)]
pub(crate) struct Refusals(RefCell<Counted>);

struct Counted {
    left: u32,
    since: Instant,
    untold: u64,
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            left: limits::REFUSALS,
            since: Instant::now(),
            untold: 0,
        }
    }
}

impl Refusals {
    /// Whether one more may be told now, and how many were not before it.
    pub(super) fn take(&self, now: Instant) -> Option<u64> {
        let mut counted = self.0.borrow_mut();
        let passed = now.duration_since(counted.since).as_secs();
        if passed > 0 {
            let more = u32::try_from(passed).unwrap_or(u32::MAX);
            counted.left = counted.left.saturating_add(more).min(limits::REFUSALS);
            counted.since += Duration::from_secs(passed);
        }
        if counted.left == 0 {
            counted.untold += 1;
            return None;
        }
        counted.left -= 1;
        Some(std::mem::take(&mut counted.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_ten_at_once_and_then_one_a_second() {
        let refusals = Refusals::default();
        let start = Instant::now();
        let told = |n: u32, after: u64| {
            let now = start + Duration::from_secs(after);
            (0..n)
                .filter_map(|_| refusals.take(now))
                .collect::<Vec<_>>()
        };
        assert_eq!(told(100, 0), [0; 10]);
        assert_eq!(told(100, 1), [90]);
        assert_eq!(told(1, 2), [99]);
        assert_eq!(told(100, 3600).len(), 10);
        assert_eq!(told(5, 3600).len(), 0);
    }
}

//! When an unlocked vault locks by itself. Pure: the time is passed in.

use crate::{clock::Clock, limits};
use std::time::Duration;

/// What the configuration says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    /// Lock after this long without a successful request; `None` for never.
    pub idle: Option<Duration>,
    /// Lock this long after unlocking, used or not.
    pub most: Duration,
    /// Lock when the machine was suspended.
    pub on_suspend: bool,
}

/// A reading of the two steady clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    boot: Duration,
    /// How long the machine has been suspended since it was started.
    suspended: Duration,
}

impl Now {
    /// Reads the clocks close enough together to compare them.
    pub(crate) fn read(clock: &dyn Clock) -> Self {
        let mut before = clock.monotonic();
        let mut boot = clock.boottime();
        // A thread that was not run in between would look like a suspend.
        for _ in 0..3 {
            let after = clock.monotonic();
            if after.saturating_sub(before) < limits::SUSPENDED / 10 {
                break;
            }
            before = after;
            boot = clock.boottime();
        }
        Self {
            boot,
            suspended: boot.saturating_sub(before),
        }
    }
}

impl Now {
    /// The time since an earlier reading, suspended time included.
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        self.boot.saturating_sub(earlier.boot)
    }
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// No successful request for too long.
    Idle,
    /// The most, or what `unlock --for` asked, has passed.
    Deadline,
    /// The machine was suspended.
    Suspend,
}

impl Ended {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Deadline => "deadline",
            Self::Suspend => "suspend",
        }
    }
}

/// The time between unlocking and locking.
#[derive(Debug)]
pub(crate) struct Session {
    idle: Option<Duration>,
    idle_end: Duration,
    end: Duration,
    on_suspend: bool,
    suspended: Duration,
}

impl Session {
    /// Begins now. `wanted` replaces the idle time-out and the most.
    pub(crate) fn begin(policy: Policy, wanted: Option<Duration>, now: Now) -> Self {
        let idle = match wanted {
            Some(_) => None,
            None => policy.idle,
        };
        let most = wanted.map_or(policy.most, |w| w.min(policy.most));
        let mut session = Self {
            idle,
            idle_end: Duration::MAX,
            end: now.boot.saturating_add(most),
            on_suspend: policy.on_suspend,
            suspended: now.suspended,
        };
        session.touch(now);
        session
    }

    /// A successful request.
    pub(crate) fn touch(&mut self, now: Now) {
        if let Some(idle) = self.idle {
            self.idle_end = now.boot.saturating_add(idle);
        }
    }

    /// Brings the end nearer; never pushes it out.
    pub(crate) fn shorten(&mut self, wanted: Duration, now: Now) {
        self.end = self.end.min(now.boot.saturating_add(wanted));
    }

    /// Whether it is over.
    pub(crate) fn ended(&self, now: Now) -> Option<Ended> {
        if now.boot >= self.end {
            Some(Ended::Deadline)
        } else if now.boot >= self.idle_end {
            Some(Ended::Idle)
        } else if self.on_suspend
            && now.suspended.saturating_sub(self.suspended) > limits::SUSPENDED
        {
            Some(Ended::Suspend)
        } else {
            None
        }
    }

    /// Seconds to the end, rounded up: an unlocked vault never shows 0.
    pub(crate) fn seconds(&self, now: Now) -> u64 {
        let left = self.end.min(self.idle_end).saturating_sub(now.boot);
        left.as_secs() + u64::from(left.subsec_nanos() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    const HOUR: Duration = Duration::from_secs(3600);
    const SECOND: Duration = Duration::from_secs(1);

    /// (boottime, monotonic, wall)
    struct Fake(Mutex<(Duration, Duration, i64)>);

    impl Fake {
        fn new() -> Self {
            Self(Mutex::new((HOUR * 9, HOUR * 5, 1_700_000_000_000)))
        }
        fn run(&self, time: Duration) {
            let mut t = self.0.lock().expect("not poisoned");
            t.0 += time;
            t.1 += time;
        }
        fn suspend(&self, time: Duration) {
            self.0.lock().expect("not poisoned").0 += time;
        }
        fn set_wall(&self, wall: i64) {
            self.0.lock().expect("not poisoned").2 = wall;
        }
        fn now(&self) -> Now {
            Now::read(self)
        }
    }

    impl Clock for Fake {
        fn boottime(&self) -> Duration {
            self.0.lock().expect("not poisoned").0
        }
        fn monotonic(&self) -> Duration {
            self.0.lock().expect("not poisoned").1
        }
        fn wall(&self) -> i64 {
            self.0.lock().expect("not poisoned").2
        }
    }

    fn policy() -> Policy {
        Policy {
            idle: Some(HOUR),
            most: HOUR * 12,
            on_suspend: true,
        }
    }

    #[test]
    fn idleness_ends_it_and_use_extends_it() {
        let clock = Fake::new();
        let mut session = Session::begin(policy(), None, clock.now());
        assert_eq!(session.seconds(clock.now()), 3600);
        clock.run(HOUR - SECOND);
        assert_eq!(session.ended(clock.now()), None);
        assert_eq!(session.seconds(clock.now()), 1);
        session.touch(clock.now());
        clock.run(HOUR - SECOND);
        assert_eq!(session.ended(clock.now()), None);
        clock.run(SECOND);
        assert_eq!(session.ended(clock.now()), Some(Ended::Idle));
    }

    #[test]
    fn use_does_not_move_the_most() {
        let clock = Fake::new();
        let mut session = Session::begin(policy(), None, clock.now());
        for _ in 0..23 {
            clock.run(HOUR / 2);
            assert_eq!(session.ended(clock.now()), None);
            session.touch(clock.now());
        }
        clock.run(HOUR / 2 - SECOND);
        assert_eq!(session.ended(clock.now()), None);
        assert_eq!(session.seconds(clock.now()), 1);
        clock.run(SECOND);
        assert_eq!(session.ended(clock.now()), Some(Ended::Deadline));
    }

    #[test]
    fn without_an_idle_time_out_only_the_most_counts() {
        let clock = Fake::new();
        let no_idle = Policy {
            idle: None,
            ..policy()
        };
        let session = Session::begin(no_idle, None, clock.now());
        clock.run(HOUR * 11);
        assert_eq!(session.ended(clock.now()), None);
        clock.run(HOUR);
        assert_eq!(session.ended(clock.now()), Some(Ended::Deadline));
    }

    #[test]
    fn a_wanted_time_replaces_the_idle_time_out_and_is_capped() {
        let clock = Fake::new();
        let session = Session::begin(policy(), Some(HOUR * 2), clock.now());
        clock.run(HOUR * 2 - SECOND);
        assert_eq!(session.ended(clock.now()), None);
        clock.run(SECOND);
        assert_eq!(session.ended(clock.now()), Some(Ended::Deadline));

        let session = Session::begin(policy(), Some(HOUR * 100), clock.now());
        assert_eq!(session.seconds(clock.now()), 12 * 3600);
    }

    #[test]
    fn it_can_be_shortened_but_not_lengthened() {
        let clock = Fake::new();
        let mut session = Session::begin(policy(), Some(HOUR), clock.now());
        session.shorten(HOUR * 2, clock.now());
        assert_eq!(session.seconds(clock.now()), 3600);
        session.shorten(SECOND * 10, clock.now());
        assert_eq!(session.seconds(clock.now()), 10);
        session.touch(clock.now());
        clock.run(SECOND * 10);
        assert_eq!(session.ended(clock.now()), Some(Ended::Deadline));
    }

    #[test]
    fn suspended_time_counts() {
        let clock = Fake::new();
        let awake = Policy {
            on_suspend: false,
            ..policy()
        };
        let session = Session::begin(awake, None, clock.now());
        clock.suspend(HOUR - SECOND);
        assert_eq!(session.ended(clock.now()), None);
        clock.suspend(SECOND);
        assert_eq!(session.ended(clock.now()), Some(Ended::Idle));
    }

    #[test]
    fn a_suspend_ends_it_at_once_if_asked_for() {
        let clock = Fake::new();
        let session = Session::begin(policy(), None, clock.now());
        clock.suspend(SECOND);
        assert_eq!(session.ended(clock.now()), None);
        clock.suspend(SECOND);
        assert_eq!(session.ended(clock.now()), Some(Ended::Suspend));
    }

    #[test]
    fn earlier_suspends_do_not_count() {
        let clock = Fake::new();
        clock.suspend(HOUR * 30);
        let session = Session::begin(policy(), None, clock.now());
        clock.run(SECOND);
        assert_eq!(session.ended(clock.now()), None);
    }

    #[test]
    fn the_wall_clock_decides_nothing() {
        let clock = Fake::new();
        let session = Session::begin(policy(), None, clock.now());
        for wall in [i64::MIN, 0, 1_700_000_000_000 - 31_536_000_000, i64::MAX] {
            clock.set_wall(wall);
            assert_eq!(session.ended(clock.now()), None);
            assert_eq!(session.seconds(clock.now()), 3600);
        }
    }

    #[test]
    fn a_clock_that_cannot_be_read_ends_it() {
        let clock = Fake::new();
        let session = Session::begin(policy(), None, clock.now());
        *clock.0.lock().expect("not poisoned") = (Duration::MAX, Duration::MAX, 0);
        assert_eq!(session.ended(clock.now()), Some(Ended::Deadline));
    }
}

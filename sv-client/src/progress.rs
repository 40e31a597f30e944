//! A sign of life on a terminal, for what lasts longer than a second.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

/// How long nothing is shown.
pub const AFTER: Duration = Duration::from_secs(1);

/// What a long request shows. Gone without a trace when dropped.
pub struct Progress {
    label: &'static str,
    since: Instant,
    terminal: bool,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins to wait.
    #[must_use]
    pub fn new(label: &'static str) -> Self {
        Self {
            label,
            since: Instant::now(),
            terminal: std::io::stderr().is_terminal(),
            bar: None,
        }
    }

    /// How long to wait before [`Progress::spin`] has something to show; `None`
    /// when it never will have.
    #[must_use]
    pub fn quiet_for(&self) -> Option<Duration> {
        (self.terminal && self.bar.is_none()).then(|| AFTER.saturating_sub(self.since.elapsed()))
    }

    /// Shows that it lasts.
    pub fn spin(&mut self) {
        if !self.terminal || self.bar.is_some() || self.since.elapsed() < AFTER {
            return;
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::default_spinner());
        bar.set_message(self.label);
        bar.enable_steady_tick(Duration::from_millis(120));
        self.bar = Some(bar);
    }

    /// Shows how far it is.
    pub fn step(&mut self, done: u64, total: u64) {
        self.spin();
        // Some waits have no end that is known.
        let Some(bar) = self.bar.as_ref().filter(|_| total > 0) else {
            return;
        };
        if bar.length().is_none()
            && let Ok(style) =
                ProgressStyle::with_template("{msg} [{bar:30}] {human_pos}/{human_len} {eta}")
        {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_length(total);
        bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

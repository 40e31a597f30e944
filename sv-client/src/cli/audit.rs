//! The arguments of `audit`.

use clap::Args;
use sv_proto::span;

/// After the help of `audit`.
pub const AUDIT: &str = "\
Examples:
  sv audit                             the newest 20 events
  sv audit --last 100
  sv audit --name service/api_key      all about one secret
  sv audit --since 2h
  sv audit --since 2030-01-31 --json
  sv audit --follow                    goes on until ^C
  sv audit --verify

Each use of a secret or key is an event, failed ones too: what, of which secret,
and who asked, by user, process and systemd unit. COMM is what a process calls
itself, which nobody verifies. A rename is shown as OLD -> NEW. Events from before
the first unlock after the agent's start are marked: only the file's permissions
protect those. --verify exits with 8 and names what was removed, changed, reordered
or cut off, a line each.";

/// Which events.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Only the newest N, or all of them
    #[arg(long, value_name = "N", value_parser = last)]
    pub last: Option<Last>,
    /// Only what is about this secret
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Only from then on: 2h, 7d, 2030-01-31 or 2030-01-31T18:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<i64>,
    /// Go on with what comes
    #[arg(long, short)]
    pub follow: bool,
    /// Check that no event was removed, changed, reordered or cut off
    #[arg(long, conflicts_with_all = ["last", "name", "since", "follow"])]
    pub verify: bool,
}

/// How many of the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// Every one.
    All,
    /// So many.
    Some(u64),
}

// None of these repeats what it was given.

fn last(text: &str) -> Result<Last, &'static str> {
    if text == "all" {
        return Ok(Last::All);
    }
    let number = text.parse().ok().filter(|n| *n >= 1);
    number
        .map(Last::Some)
        .ok_or("wants a number from 1, or all")
}

fn since(text: &str) -> Result<i64, &'static str> {
    time(text, crate::context::now()).ok_or("wants a time like 2h, 7d or 2030-01-31")
}

/// A span before now, a date or a time.
fn time(text: &str, now: i64) -> Option<i64> {
    if let Ok(ago) = span::duration(text) {
        let ago = i64::try_from(ago.as_millis()).ok()?;
        return Some(now.saturating_sub(ago));
    }
    span::date(text, now)
        .ok()
        .filter(|_| text.trim() != "never")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_ago_or_absolute() {
        let now = 1_000_000_000_000;
        assert_eq!(time("2h", now), Some(now - 7_200_000));
        assert_eq!(time("1d", now), Some(now - 86_400_000));
        assert_eq!(time("1970-01-02", now), Some(86_400_000));
        assert_eq!(time("1970-01-01T00:00:01Z", now), Some(1000));
        for bad in ["never", "", "yesterday", "2h!", "-1h"] {
            assert_eq!(time(bad, now), None, "{bad}");
        }
    }

    #[test]
    fn how_many() {
        assert_eq!(last("7"), Ok(Last::Some(7)));
        assert_eq!(last("all"), Ok(Last::All));
        for bad in ["0", "-1", "", "x"] {
            assert!(last(bad).is_err());
        }
    }
}

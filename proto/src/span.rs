//! Durations and dates as people write them. UTC throughout.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// Why a duration or date is refused.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
pub enum SpanError {
    /// Not a duration.
    #[error("not a duration; write 90s, 15m, 8h, 1h30m or 7d")]
    Duration,
    /// Not a date.
    #[error("not a date; write 2030-12-31, 2030-12-31T18:00:00Z, 90d or never")]
    Date,
}

/// `90s`, `15m`, `8h`, `1h30m`, `7d`: a number and a unit, repeated.
pub fn duration(text: &str) -> Result<Duration, SpanError> {
    let mut seconds = 0_u64;
    let mut number = String::new();
    let mut any = false;
    for c in text.trim().chars() {
        let unit = match c {
            '0'..='9' => {
                number.push(c);
                continue;
            }
            ' ' if number.is_empty() => continue,
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return Err(SpanError::Duration),
        };
        let n: u64 = number.parse().map_err(|_| SpanError::Duration)?;
        number.clear();
        any = true;
        seconds = n
            .checked_mul(unit)
            .and_then(|n| seconds.checked_add(n))
            .ok_or(SpanError::Duration)?;
    }
    // A century bounds every later sum.
    if !any || !number.is_empty() || seconds > 100 * 366 * 86_400 {
        return Err(SpanError::Duration);
    }
    Ok(Duration::from_secs(seconds))
}

/// A duration in the same notation, rounded down to seconds.
#[must_use]
pub fn spell(duration: Duration) -> String {
    let mut rest = duration.as_secs();
    let mut out = String::new();
    for (unit, n) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
        if rest / n > 0 || (n == 1 && out.is_empty()) {
            out.push_str(&format!("{}{unit}", rest / n));
            rest %= n;
        }
    }
    out
}

/// A date (00:00 UTC of that day), a time of RFC 3339, a
/// duration from `now`, or `never` (0). Milliseconds since 1970.
pub fn date(text: &str, now: i64) -> Result<i64, SpanError> {
    let text = text.trim();
    if text == "never" {
        return Ok(0);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.as_millisecond());
    }
    if let Ok(time) = format!("{text}T00:00:00Z").parse::<Timestamp>() {
        return Ok(time.as_millisecond());
    }
    let after = duration(text).map_err(|_| SpanError::Date)?;
    let after = SignedDuration::try_from(after).map_err(|_| SpanError::Date)?;
    Timestamp::from_millisecond(now)
        .and_then(|t| t.checked_add(after))
        .map(Timestamp::as_millisecond)
        .map_err(|_| SpanError::Date)
}

/// Milliseconds since 1970 as RFC 3339 in UTC, to the second.
#[must_use]
pub fn rfc3339(millis: i64) -> String {
    match Timestamp::from_second(millis.div_euclid(1000)) {
        Ok(time) => time.to_string(),
        Err(_) => "out of range".to_owned(),
    }
}

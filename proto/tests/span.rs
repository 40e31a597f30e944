//! Durations and dates as people write them.

use std::time::Duration;
use sv_proto::span::{SpanError, date, duration, rfc3339, spell};

#[test]
fn durations() {
    for (text, seconds) in [
        ("0s", 0),
        ("90s", 90),
        ("15m", 900),
        ("8h", 28_800),
        ("1h30m", 5_400),
        ("1h 30m", 5_400),
        (" 7d ", 604_800),
        ("2w", 1_209_600),
        ("1m1m", 120),
        ("36600d", 36_600 * 86_400),
    ] {
        assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
    }
    for text in [
        "",
        " ",
        "h",
        "15",
        "1h30",
        "-1h",
        "+1h",
        "1.5h",
        "1y",
        "1H",
        "1 h",
        "h1",
        "1h,30m",
        "36601d",
        "18446744073709551615w",
        "99999999999999999999s",
        "١h",
        "1\u{a0}h",
        "off",
    ] {
        assert_eq!(duration(text), Err(SpanError::Duration), "{text:?}");
    }
}

#[test]
fn spelling_is_read_back() {
    for (seconds, text) in [
        (0, "0s"),
        (1, "1s"),
        (60, "1m"),
        (90, "1m30s"),
        (3_600, "1h"),
        (5_400, "1h30m"),
        (86_400, "1d"),
        (90_061, "1d1h1m1s"),
        (700_000, "8d2h26m40s"),
    ] {
        let time = Duration::from_secs(seconds);
        assert_eq!(spell(time), text);
        assert_eq!(duration(text), Ok(time));
    }
    assert_eq!(spell(Duration::from_millis(1_999)), "1s");
}

/// 2026-05-04T03:02:01.500Z
const NOW: i64 = 1_777_863_721_500;

#[test]
fn dates() {
    for (text, millis) in [
        ("never", 0),
        ("2031-01-01", 1_924_992_000_000),
        (" 2031-01-01 ", 1_924_992_000_000),
        ("2031-01-01T00:00:00Z", 1_924_992_000_000),
        ("2031-01-01T01:00:00+01:00", 1_924_992_000_000),
        ("2028-02-29", 1_835_395_200_000),
        ("90d", NOW + 90 * 86_400_000),
        ("1h30m", NOW + 5_400_000),
        ("1969-12-31", -86_400_000),
    ] {
        assert_eq!(date(text, NOW), Ok(millis), "{text}");
    }
    for text in [
        "",
        "tomorrow",
        "2031-13-01",
        "2031-02-29",
        "2031-1-1",
        "31.12.2030",
        "2031",
        "Never",
        "2031-01-01T25:00:00Z",
        "-3d",
        "12",
        "36601d",
    ] {
        assert_eq!(date(text, NOW), Err(SpanError::Date), "{text:?}");
    }
    // A sum beyond the calendar is an error and no wrong date.
    assert_eq!(date("36500d", i64::MAX), Err(SpanError::Date));
}

#[test]
fn times_are_printed_in_utc() {
    assert_eq!(rfc3339(NOW), "2026-05-04T03:02:01Z");
    assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
    assert_eq!(rfc3339(-1), "1969-12-31T23:59:59Z");
    assert_eq!(rfc3339(i64::MAX), "out of range");
    assert_eq!(date(&rfc3339(NOW), 0), Ok(NOW - 500));
}

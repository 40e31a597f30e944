//! What `sv status` warns of.

use crate::{context::now, json::Object, output};
use sv_proto::{message::Health, span};

/// Shares that nobody looked at for so long may be gone: 90 days.
const UNVERIFIED: i64 = 90 * 86_400_000;

/// A warning: a stable word, what is wrong, what to do.
struct Warning {
    word: &'static str,
    text: String,
    hint: &'static str,
}

fn warnings(health: &Health, now: i64) -> Vec<Warning> {
    let mut found = Vec::new();
    let mut warn = |when: bool, word, text: String, hint| {
        if when {
            found.push(Warning { word, text, hint });
        }
    };
    let days = |since: i64| {
        output::count(
            now.saturating_sub(since).max(0).unsigned_abs() / 86_400_000,
            "day",
        )
    };
    warn(
        health.rolled_back,
        "rolled_back",
        "the vault went back to an earlier state; nothing can be written".to_owned(),
        "sv lock, then sv unlock --accept-rollback if the vault was put back on purpose",
    );
    warn(
        health.generation_missing,
        "generation_missing",
        "the record that tells a vault put back from the newest one is missing".to_owned(),
        "it is made anew with the next change, if nobody put an old vault back",
    );
    warn(
        health.audit_short,
        "audit_short",
        "the audit log is shorter than the vault says".to_owned(),
        "sv audit --verify",
    );
    warn(
        !health.shares,
        "no_shares",
        "no shares exist: whoever loses the password loses every secret".to_owned(),
        "sv distribute",
    );
    let seen = health.shares_verified.or(health.shares_dealt);
    if let Some(seen) = seen.filter(|_| health.shares) {
        warn(
            now.saturating_sub(seen) > UNVERIFIED,
            "shares_unverified",
            format!("no share was seen for {}", days(seen)),
            "sv recover --drill FILE..., or sv collect --verify for those on nodes",
        );
    }
    warn(
        health.deal_pending,
        "deal_pending",
        "a share set is dealt, and not in force yet".to_owned(),
        "sv distribute --resume, --commit or --cancel",
    );
    if health.shares_waiting > 0 {
        let waiting = u64::from(health.shares_waiting);
        let verb = if waiting == 1 { "waits" } else { "wait" };
        warn(
            true,
            "shares_waiting",
            format!("{} {verb} to be delivered", output::count(waiting, "share")),
            "sv distribute --resume",
        );
    }
    warn(
        health.backup_old,
        "backup_old",
        match health.backup {
            Some(time) => format!("the newest backup is {} old", days(time)),
            None => "there is no backup".to_owned(),
        },
        "sv backup FILE",
    );
    found
}

/// A line each, and a line with what to do, on standard error.
pub fn tell(health: &Health) {
    for warning in warnings(health, now()) {
        output::warn(&format!("warning: {}", warning.text));
        output::warn(&format!("hint: {}", warning.hint));
    }
}

/// Only what keeps the vault from being used as usual.
pub fn tell_urgent(health: &Health) {
    let urgent = |warning: &&Warning| warning.word == "rolled_back";
    if let Some(warning) = warnings(health, now()).iter().find(urgent) {
        output::warn(&format!("warning: {}", warning.text));
        output::warn(&format!("hint: {}", warning.hint));
    }
}

/// The same as members of a document; none while nothing is known.
pub fn members(object: &mut Object, health: Option<&Health>) {
    let time = |time: Option<i64>| time.map(span::rfc3339);
    let found = health.map(|health| warnings(health, now()));
    let words: Vec<String> = found
        .unwrap_or_default()
        .into_iter()
        .map(|warning| warning.word.to_owned())
        .collect();
    object.texts("warnings", &words);
    let Some(health) = health else {
        return;
    };
    object.flag("shares", health.shares);
    object.text_or_null("shares_dealt", time(health.shares_dealt).as_deref());
    object.text_or_null("shares_verified", time(health.shares_verified).as_deref());
    object.number("shares_waiting", u64::from(health.shares_waiting));
    object.text_or_null("backup", time(health.backup).as_deref());
    object.number("audit_events", health.audit_events);
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn well() -> Health {
        Health {
            shares: true,
            shares_dealt: Some(0),
            shares_verified: Some(10 * DAY),
            shares_waiting: 0,
            deal_pending: false,
            backup: Some(0),
            backup_old: false,
            rolled_back: false,
            generation_missing: false,
            audit_short: false,
            audit_events: 7,
        }
    }

    fn words(change: impl FnOnce(&mut Health), now: i64) -> Vec<&'static str> {
        let mut health = well();
        change(&mut health);
        warnings(&health, now).iter().map(|w| w.word).collect()
    }

    #[test]
    fn each_state_and_its_warning() {
        assert!(words(|_| (), 100 * DAY).is_empty());
        assert_eq!(words(|_| (), 100 * DAY + 1), ["shares_unverified"]);
        assert_eq!(
            words(|h| h.shares_verified = None, 91 * DAY),
            ["shares_unverified"]
        );
        assert_eq!(
            words(
                |h| {
                    h.shares = false;
                    h.shares_dealt = None;
                    h.shares_verified = None;
                },
                1000 * DAY
            ),
            ["no_shares"]
        );
        assert_eq!(words(|h| h.deal_pending = true, 0), ["deal_pending"]);
        assert_eq!(words(|h| h.shares_waiting = 1, 0), ["shares_waiting"]);
        assert_eq!(words(|h| h.backup_old = true, 0), ["backup_old"]);
        assert_eq!(words(|h| h.rolled_back = true, 0), ["rolled_back"]);
        assert_eq!(
            words(|h| h.generation_missing = true, 0),
            ["generation_missing"]
        );
        assert_eq!(words(|h| h.audit_short = true, 0), ["audit_short"]);
        // A clock that was set back.
        assert!(words(|_| (), -5).is_empty());
    }

    #[test]
    fn the_document_is_flat() {
        let mut object = Object::new();
        members(&mut object, Some(&well()));
        let value: serde_json::Value = serde_json::from_slice(&object.finish()).unwrap();
        assert_eq!(value["shares"], true);
        assert_eq!(value["shares_dealt"], "1970-01-01T00:00:00Z");
        assert_eq!(value["audit_events"], 7);
        assert_eq!(value["warnings"][0], "shares_unverified");
        let mut object = Object::new();
        members(&mut object, None);
        let value: serde_json::Value = serde_json::from_slice(&object.finish()).unwrap();
        assert_eq!(value["warnings"], serde_json::json!([]));
    }
}

//! `sv shares`: who holds which share.

use super::unexpected;
use crate::{
    connect::Patience, context::Context, error::Result, json::Object, output, table, table::Table,
};
use sv_proto::{
    Request, Response,
    message::{Dealing, HolderKind, SetState, ShareState},
    span,
};

pub fn run(context: &Context) -> Result<()> {
    let dealings = dealings(context)?;
    if context.json {
        return output::stdout(&document(&dealings).line());
    }
    if dealings.is_empty() {
        output::warn("no shares exist: whoever loses the password loses every secret");
        output::warn("hint: sv distribute");
        return Ok(());
    }
    let texts: Vec<String> = dealings.iter().map(|d| text(context, d)).collect();
    output::stdout(texts.join("\n").as_bytes())
}

/// The sets that this node knows.
pub fn dealings(context: &Context) -> Result<Vec<Dealing>> {
    match context
        .connect()?
        .call(Request::Dealings, Patience::Short)?
    {
        Response::Dealings(dealings) => Ok(dealings),
        _ => Err(unexpected()),
    }
}

/// The set of this state, if there is one.
pub fn in_state(dealings: &[Dealing], state: SetState) -> Option<&Dealing> {
    dealings.iter().find(|dealing| dealing.state == state)
}

/// The shares that are not delivered. Of a set that others dealt, or that the vault
/// was recovered with, none waits here, whoever holds them.
pub fn waiting(dealing: &Dealing) -> Vec<u8> {
    let waiting = dealing.shares.iter().filter(|s| waits(dealing, s));
    waiting.map(|share| share.index).collect()
}

const fn waits(dealing: &Dealing, share: &ShareState) -> bool {
    dealing.dealt != 0 && share.holder.is_none()
}

/// What a holder is, as a stable word.
const fn kind(kind: HolderKind) -> &'static str {
    match kind {
        HolderKind::File => "file",
        HolderKind::Recipient => "recipient",
        HolderKind::Paper => "paper",
        HolderKind::Node => "node",
        HolderKind::Shown => "shown",
    }
}

/// When any share of it was last seen whole: delivered or verified.
fn last_seen(dealing: &Dealing) -> Option<i64> {
    let times = dealing
        .shares
        .iter()
        .flat_map(|s| [s.delivered, s.verified]);
    times.flatten().max()
}

fn document(dealings: &[Dealing]) -> Object {
    let mut object = match in_state(dealings, SetState::Active) {
        Some(active) => dealing(active),
        None => {
            let mut object = Object::new();
            object.null("set");
            object
        }
    };
    match in_state(dealings, SetState::Pending) {
        Some(pending) => object.object("pending", dealing(pending)),
        None => object.null("pending"),
    }
    object
}

/// A set as a document.
pub fn dealing(dealing: &Dealing) -> Object {
    let hex = |id: &[u8]| data_encoding::HEXLOWER.encode(id);
    let time = |time: Option<i64>| time.map(span::rfc3339);
    let mut object = Object::new();
    object.text("set", &hex(&dealing.set));
    object.text("vault", &hex(&dealing.vault));
    object.text(
        "state",
        match dealing.state {
            SetState::Pending => "pending",
            SetState::Active => "active",
        },
    );
    object.number("threshold", u64::from(dealing.threshold));
    object.number("count", u64::from(dealing.count));
    object.number("waiting", waiting(dealing).len() as u64);
    object.number("epoch", dealing.epoch);
    let dealt = Some(dealing.dealt).filter(|t| *t != 0);
    object.text_or_null("dealt", time(dealt).as_deref());
    object.text_or_null("verified", time(last_seen(dealing)).as_deref());
    object.text("digest", &hex(&dealing.digest));
    let share = |share: &ShareState| {
        let mut object = Object::new();
        object.number("index", u64::from(share.index));
        let holder = share.holder.as_ref();
        object.text_or_null("kind", holder.map(|(k, _)| kind(*k)));
        object.text_or_null("holder", holder.map(|(_, name)| &**name));
        object.flag("waiting", waits(dealing, share));
        object.text_or_null("delivered", time(share.delivered).as_deref());
        object.text_or_null("verified", time(share.verified).as_deref());
        object
    };
    object.objects("shares", dealing.shares.iter().map(share));
    object
}

fn text(context: &Context, dealing: &Dealing) -> String {
    let style = context.style();
    let terminal = output::is_terminal();
    let time = |time: Option<i64>| time.map(span::rfc3339).unwrap_or_default();
    let state = match dealing.state {
        SetState::Active => style.good("in force"),
        SetState::Pending => style.alert("not in force"),
    };
    let seen = last_seen(dealing).map_or_else(|| "never".to_owned(), span::rfc3339);
    let mut out = table::pairs(
        &[
            ("set", data_encoding::HEXLOWER.encode(&dealing.set)),
            ("state", state),
            (
                "shares",
                format!(
                    "{}, of which {} open the vault",
                    dealing.count, dealing.threshold
                ),
            ),
            (
                "dealt",
                match dealing.dealt {
                    0 => "not known here".to_owned(),
                    dealt => span::rfc3339(dealt),
                },
            ),
            ("last verified", seen),
            ("dealt in", format!("key epoch {}", dealing.epoch)),
        ],
        style,
    );
    if dealing.shares.is_empty() {
        out.push_str("who holds them is not known here\n");
        return out;
    }
    out.push('\n');
    let row = |share: &ShareState| {
        let (kind, name) = match &share.holder {
            Some((k, name)) => (kind(*k), output::shown(name, terminal).into_owned()),
            None if waits(dealing, share) => ("waits", String::new()),
            None => ("unknown", String::new()),
        };
        vec![
            share.index.to_string(),
            kind.to_owned(),
            name,
            time(share.delivered),
            time(share.verified),
        ]
    };
    let rows: Vec<Vec<String>> = dealing.shares.iter().map(row).collect();
    let heading = ["SHARE", "KIND", "HOLDER", "DELIVERED", "VERIFIED"];
    let alert = |i: usize| dealing.shares.get(i).is_some_and(|s| waits(dealing, s));
    out.push_str(&Table::new(&heading, terminal, style).rows(&rows, alert));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(state: SetState) -> Dealing {
        let share = |index, holder: Option<(HolderKind, &str)>| ShareState {
            index,
            delivered: holder.map(|_| 1000 * i64::from(index)),
            verified: None,
            holder: holder.map(|(kind, name)| (kind, name.to_owned())),
        };
        Dealing {
            vault: [1; 16],
            set: [0xab; 16],
            state,
            threshold: 2,
            epoch: 3,
            dealt: 5000,
            digest: [2; 32],
            shares: vec![
                share(1, Some((HolderKind::File, "/s/share-1-of-3.sv"))),
                share(2, None),
                share(3, Some((HolderKind::Node, "one"))),
            ],
            count: 3,
        }
    }

    #[test]
    fn documents() {
        let parse = |dealings: &[Dealing]| -> serde_json::Value {
            serde_json::from_slice(&document(dealings).line()).unwrap()
        };
        let both = parse(&[sample(SetState::Pending), sample(SetState::Active)]);
        assert_eq!(both["state"], "active");
        assert_eq!(both["threshold"], 2);
        assert_eq!(both["count"], 3);
        assert_eq!(both["waiting"], 1);
        assert_eq!(both["verified"], "1970-01-01T00:00:03Z");
        assert_eq!(both["shares"][0]["kind"], "file");
        assert_eq!(both["shares"][1]["holder"], serde_json::Value::Null);
        assert_eq!(both["shares"][2]["holder"], "one");
        assert_eq!(both["pending"]["state"], "pending");
        let mut unknown = sample(SetState::Active);
        unknown.dealt = 0;
        let unknown = parse(&[unknown]);
        assert_eq!(unknown["waiting"], 0);
        assert_eq!(unknown["dealt"], serde_json::Value::Null);
        assert_eq!(both["shares"][1]["waiting"], true);
        let none = parse(&[]);
        assert_eq!(none["set"], serde_json::Value::Null);
        assert_eq!(none["pending"], serde_json::Value::Null);
    }
}

//! `sv audit`: who used which secret, and whether nothing is missing.

use super::unexpected;
use crate::{
    cli::audit::{AuditArgs, Last},
    connect::{Connection, Patience},
    context::Context,
    error::{Error, Result},
    fields,
    json::Object,
    output,
    table::Table,
};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use std::{borrow::Cow, io, os::fd::AsFd, time::Instant};
use sv_proto::{
    Kind, Request, Response,
    message::{AuditVerified, Event, Outcome},
    span,
};

/// What is shown when nothing says how much.
const NEWEST: u64 = 20;

/// How often the agent is asked for more.
const POLL: std::time::Duration = std::time::Duration::from_millis(500);

pub fn run(context: &Context, args: AuditArgs) -> Result<()> {
    if args.verify {
        return verify(context);
    }
    if let Some(name) = &args.name {
        fields::check_name(name)?;
    }
    let last = match args.last {
        Some(Last::All) => None,
        Some(Last::Some(n)) => Some(n),
        None if args.name.is_some() || args.since.is_some() => None,
        None => Some(NEWEST),
    };
    let mut connection = context.connect()?;
    // Before anything is asked that is an event itself.
    let from = match args.follow {
        true => Some(written(&mut connection)?),
        false => None,
    };
    let request = Request::Audit {
        after: None,
        last,
        since: args.since,
        name: args.name.clone(),
    };
    let patience = Patience::Long("reading the audit log");
    let (events, damage) = ask(&mut connection, request, patience)?;
    let mut printer = Printer::new(context);
    if context.json && !args.follow {
        output::stdout(&array(&events))?;
    } else {
        printer.print(&events)?;
    }
    let Some(from) = from else {
        return damage.map_or(Ok(()), Err);
    };
    if let Some(damage) = damage {
        output::warn(&format!("warning: {damage}"));
    }
    let after = events.last().map_or(from, |event| event.seq.max(from));
    follow(&mut connection, &mut printer, &args, after)
}

/// The number of the newest event.
fn written(connection: &mut Connection) -> Result<u64> {
    match connection.call(Request::Health, Patience::Short)? {
        Response::Health(health) => Ok(health.audit_events),
        _ => Err(unexpected()),
    }
}

/// The events, and whether some can't be read.
fn ask(
    connection: &mut Connection,
    request: Request,
    patience: Patience,
) -> Result<(Vec<Event>, Option<Error>)> {
    let mut events = Vec::new();
    let asked = connection.each(request, patience, |response| match response {
        Response::Events(some) => {
            events.extend(some);
            Ok(())
        }
        _ => Err(unexpected()),
    });
    match asked {
        Ok(()) => Ok((events, None)),
        Err(Error::Agent(failure)) if failure.kind == Kind::Damaged => {
            Ok((events, Some(Error::AuditUnreadable(failure.message))))
        }
        Err(error) => Err(error),
    }
}

/// Prints what comes, until the vault is locked or nobody reads.
fn follow(
    connection: &mut Connection,
    printer: &mut Printer,
    args: &AuditArgs,
    mut after: u64,
) -> Result<()> {
    loop {
        wait()?;
        // All of them, so that the agent need not pass the others again.
        let request = Request::Audit {
            after: Some(after),
            last: None,
            since: None,
            name: None,
        };
        let (mut events, _) = ask(connection, request, Patience::Short)?;
        after = events.last().map_or(after, |event| event.seq);
        events.retain(|event| {
            let (name, to) = names(event);
            args.since.is_none_or(|since| event.time >= since)
                && (args.name.as_deref()).is_none_or(|wanted| name == wanted || to == Some(wanted))
        });
        printer.print(&events)?;
    }
}

/// Waits a moment; ends when nobody reads standard output any more.
fn wait() -> Result<()> {
    let end = Instant::now() + POLL;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        let stdout = io::stdout();
        let mut closed = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
        match poll(
            &mut closed,
            PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO),
        ) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Err(Error::Pipe),
            Err(error) => return Err(output::broken(error.into())),
        }
    }
}

/// The name, and for a rename the new one.
fn names(event: &Event) -> (&str, Option<&str>) {
    match event.name.split_once('\0') {
        Some((old, new)) => (old, Some(new)),
        None => (&event.name, None),
    }
}

struct Printer {
    json: bool,
    terminal: bool,
    table: Table,
}

const HEADING: [&str; 10] = [
    "SEQ", "TIME", "ACTION", "NAME", "OUTCOME", "UID", "PID", "UNIT", "COMM", "MARK",
];

impl Printer {
    fn new(context: &Context) -> Self {
        let terminal = output::is_terminal();
        Self {
            json: context.json,
            terminal,
            table: Table::new(&HEADING, terminal, context.style()),
        }
    }

    fn print(&mut self, events: &[Event]) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        if self.json {
            let mut lines = Vec::new();
            for event in events {
                lines.extend_from_slice(&document(event).line());
            }
            return output::stdout(&lines);
        }
        let rows: Vec<Vec<String>> = events.iter().map(|e| row(e, self.terminal)).collect();
        let failed = |i: usize| events[i].outcome != Outcome::Ok;
        output::stdout(self.table.rows(&rows, failed).as_bytes())
    }
}

fn row(event: &Event, terminal: bool) -> Vec<String> {
    // What separates columns and rows is escaped for programs too.
    let shown = |text: &str| -> String {
        let text: Cow<'_, str> = match terminal || text.contains(char::is_control) {
            true => output::escape(text),
            false => text.into(),
        };
        text.into_owned()
    };
    let name = match names(event) {
        (name, None) => shown(name),
        (old, Some(new)) => format!("{} -> {}", shown(old), shown(new)),
    };
    let asker = &event.asker;
    vec![
        event.seq.to_string(),
        span::rfc3339(event.time),
        shown(&event.action),
        name,
        outcome(event).to_owned(),
        asker.uid.to_string(),
        match asker.pid {
            // The agent itself.
            0 => String::new(),
            pid => pid.to_string(),
        },
        shown(&asker.unit),
        shown(&asker.comm),
        match event.unauthenticated {
            true => "unauthenticated".to_owned(),
            false => String::new(),
        },
    ]
}

const fn outcome(event: &Event) -> &'static str {
    match event.outcome {
        Outcome::Ok => "ok",
        Outcome::Failed(kind) => kind.as_str(),
    }
}

fn document(event: &Event) -> Object {
    let mut object = Object::new();
    object.number("seq", event.seq);
    object.text("time", &span::rfc3339(event.time));
    object.text("action", &event.action);
    let (name, to) = names(event);
    object.text("name", name);
    object.text_or_null("new_name", to);
    object.text("outcome", outcome(event));
    let asker = &event.asker;
    object.number("uid", asker.uid.into());
    object.number_or_null("pid", (asker.pid != 0).then_some(asker.pid.into()));
    object.number_or_null("started", (asker.started != 0).then_some(asker.started));
    object.text("unit", &asker.unit);
    object.text("comm_unverified", &asker.comm);
    object.flag("unauthenticated", event.unauthenticated);
    object
}

fn array(events: &[Event]) -> Vec<u8> {
    let mut out = vec![b'['];
    for (i, event) in events.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(b",\n ");
        }
        out.extend_from_slice(&document(event).finish());
    }
    out.extend_from_slice(b"]\n");
    out
}

fn verify(context: &Context) -> Result<()> {
    let patience = Patience::Long("checking the audit log");
    let verified = match context.connect()?.call(Request::AuditVerify, patience)? {
        Response::AuditVerified(verified) => verified,
        _ => return Err(unexpected()),
    };
    if context.json {
        output::stdout(&verdict(&verified).line())?;
    } else {
        output::stdout(text(&verified).as_bytes())?;
    }
    match verified.problems.len() as u64 {
        0 => Ok(()),
        n => Err(Error::AuditProblems(output::count(n, "problem"))),
    }
}

fn verdict(verified: &AuditVerified) -> Object {
    let mut object = Object::new();
    object.flag("ok", verified.problems.is_empty());
    object.number("events", verified.events);
    object.number("files", verified.files);
    object.texts("problems", &verified.problems);
    object
}

fn text(verified: &AuditVerified) -> String {
    if verified.problems.is_empty() {
        return format!(
            "all is well: {}, {}\n",
            output::count(verified.events, "event"),
            output::count(verified.files, "file")
        );
    }
    let mut text = String::new();
    for problem in &verified.problems {
        text.push_str(&output::escape(problem));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use sv_proto::message::Asker;

    fn event(name: &str) -> Event {
        Event {
            seq: 3,
            time: 1000,
            action: "get".to_owned(),
            name: name.to_owned(),
            outcome: Outcome::Failed(Kind::NoSecret),
            asker: Asker {
                uid: 1000,
                pid: 42,
                started: 7,
                unit: "a.service".to_owned(),
                comm: "x".to_owned(),
            },
            unauthenticated: false,
        }
    }

    #[test]
    fn rows_hold_no_other_rows() {
        let row = row(&event("a\tb\nc\u{202e}"), false);
        assert_eq!(row.len(), HEADING.len());
        assert_eq!(row[3], "a\\tb\\nc\\u{202e}");
        assert_eq!(row[4], "no_secret");
        assert!(row.iter().all(|cell| !cell.contains(['\t', '\n'])));
        assert_eq!(super::row(&event("\u{202e}"), true)[3], "\\u{202e}");
        assert_eq!(super::row(&event("a b"), false)[3], "a b");
    }

    #[test]
    fn a_rename_has_two_names() {
        let renamed = event("old\0new");
        assert_eq!(row(&renamed, true)[3], "old -> new");
        let line = document(&renamed).line();
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(value["name"], "old");
        assert_eq!(value["new_name"], "new");
    }

    #[test]
    fn documents() {
        let mut by_agent = event("");
        by_agent.asker.pid = 0;
        by_agent.unauthenticated = true;
        let bytes = array(&[event("a"), by_agent]);
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value[0]["seq"], 3);
        assert_eq!(value[0]["time"], "1970-01-01T00:00:01Z");
        assert_eq!(value[0]["outcome"], "no_secret");
        assert_eq!(value[0]["comm_unverified"], "x");
        assert!(value[0]["new_name"].is_null());
        assert!(value[1]["pid"].is_null());
        assert_eq!(value[1]["unauthenticated"], true);
        assert_eq!(array(&[]), b"[]\n");
    }
}

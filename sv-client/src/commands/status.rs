//! `sv status`: the state of the agent and the vault.

use super::{status, unexpected, warnings};
use crate::{
    connect::{Connection, Patience},
    context::Context,
    error::{Error, Result},
    json::Object,
    output, table,
};
use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path, time::Duration};
use sv_proto::{
    Kind, Request, Response, limits,
    message::{Health, State, Status},
    span,
};

pub fn run(context: &Context, check: bool) -> Result<()> {
    if check {
        return match state_without_starting(context)? {
            State::Unlocked => Ok(()),
            state => Err(Error::Check(state)),
        };
    }
    let found = match context.connect_if_running()? {
        Some(mut connection) => Some(state_and_health(&mut connection)?),
        // An agent would have nothing to serve.
        None if context.vault_is_missing() => None,
        None => Some(state_and_health(&mut context.connect()?)?),
    };
    let (found, health) = match found {
        Some((status, health)) => (Some(status), health),
        None => (None, None),
    };
    if context.json {
        let mut object = document(context, found.as_ref());
        warnings::members(&mut object, health.as_ref());
        return output::stdout(&object.line());
    }
    output::stdout(text(context, found.as_ref()).as_bytes())?;
    if let Some(health) = &health {
        warnings::tell(health);
    }
    Ok(())
}

/// What to look after is known only while the vault is unlocked.
fn state_and_health(connection: &mut Connection) -> Result<(Status, Option<Health>)> {
    let found = status(connection)?;
    if found.state != State::Unlocked {
        return Ok((found, None));
    }
    match connection.call(Request::Health, Patience::Short) {
        Ok(Response::Health(health)) => Ok((found, Some(health))),
        Ok(_) => Err(unexpected()),
        // It was locked in between.
        Err(error) if error.told() == Some(Kind::Locked) => Ok((found, None)),
        Err(error) => Err(error),
    }
}

fn state_without_starting(context: &Context) -> Result<State> {
    match context.connect_if_running()? {
        Some(mut connection) => status(&mut connection).map(|status| status.state),
        None if context.vault_is_missing() => Ok(State::NoVault),
        None => Ok(State::Locked),
    }
}

fn vault_of(context: &Context, status: Option<&Status>) -> String {
    match status {
        Some(status) => Path::new(OsStr::from_bytes(&status.vault))
            .display()
            .to_string(),
        None => context.places.vault.display().to_string(),
    }
}

fn vault_id(status: Option<&Status>) -> Option<String> {
    let id = status?.vault_id?;
    Some(data_encoding::HEXLOWER.encode(&id))
}

fn document(context: &Context, status: Option<&Status>) -> Object {
    let state = status.map_or(State::NoVault, |s| s.state);
    let mut object = Object::new();
    object.text(
        "state",
        match state {
            State::NoVault => "no_vault",
            State::Locked => "locked",
            State::Unlocked => "unlocked",
        },
    );
    object.flag("locked", state != State::Unlocked);
    object.text("vault", &vault_of(context, status));
    object.text_or_null("vault_id", vault_id(status).as_deref());
    object.number_or_null("lock_in", status.and_then(|s| s.lock_in));
    object.number_or_null("secrets", status.and_then(|s| s.secrets));
    object.number_or_null("revisions", status.and_then(|s| s.revisions));
    object.number_or_null("epoch", status.and_then(|s| s.epoch));
    object.text("socket", &context.places.socket.display().to_string());
    object.number_or_null("pid", status.map(|s| u64::from(s.pid)));
    object.text_or_null("version", status.map(|s| &*s.version));
    object.number("protocol", u64::from(limits::VERSION));
    object.text_or_null("key_memory", status.map(|s| &*s.key_memory));
    object
}

fn text(context: &Context, status: Option<&Status>) -> String {
    let style = context.style();
    let terminal = output::is_terminal();
    let shown = |text: &str| output::shown(text, terminal).into_owned();
    let state = match status.map_or(State::NoVault, |s| s.state) {
        State::NoVault => style.alert("no vault"),
        State::Locked => style.alert("locked"),
        State::Unlocked => style.good("unlocked"),
    };
    let mut pairs = vec![
        ("state", state),
        ("vault", shown(&vault_of(context, status))),
    ];
    if let Some(id) = vault_id(status) {
        pairs.push(("vault id", id));
    }
    if let Some(seconds) = status.and_then(|s| s.lock_in) {
        pairs.push(("locks in", span::spell(Duration::from_secs(seconds))));
    }
    let numbers = [
        ("secrets", status.and_then(|s| s.secrets)),
        ("revisions", status.and_then(|s| s.revisions)),
        ("key epoch", status.and_then(|s| s.epoch)),
    ];
    for (label, number) in numbers {
        if let Some(number) = number {
            pairs.push((label, number.to_string()));
        }
    }
    pairs.push((
        "socket",
        shown(&context.places.socket.display().to_string()),
    ));
    match status {
        Some(status) => {
            let version = shown(&status.version);
            pairs.push(("agent", format!("{version}, pid {}", status.pid)));
            pairs.push(("key memory", shown(&status.key_memory)));
        }
        None => pairs.push(("agent", "none runs".to_owned())),
    }
    table::pairs(&pairs, style)
}

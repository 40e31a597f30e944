//! `sv unlock`: asks for the password once for the session.

use super::{state, unexpected, warnings};
use crate::{
    cli::{PasswordArgs, slots::PresentKeyArgs},
    connect::Patience,
    context::Context,
    error::Result,
    input::{Passwords, one_source},
    json::Object,
    keyfile, output,
};
use std::time::Duration;
use sv_proto::{
    Request, Response, Secret,
    message::{Key, KeyKind, State, Unlocked},
    span,
};

pub fn run(
    context: &Context,
    password: &PasswordArgs,
    limit: Option<Duration>,
    key: &PresentKeyArgs,
    accept_rollback: bool,
) -> Result<()> {
    one_source(&[
        ("--password-fd", password.password_fd.is_some()),
        ("--password-stdin", password.password_stdin),
        ("--keyfile", key.keyfile.is_some()),
        ("--credential", key.credential.is_some()),
    ])?;
    let mut passwords = Passwords::claim(password, context.no_input)?;
    let key = keyfile::named(key.keyfile.as_deref(), key.credential.as_deref())?;
    let secret = match (state(context)?, key) {
        (State::NoVault, _) => return Err(context.no_vault()),
        // What is unlocked takes any password, and a limit only brings its end nearer.
        (State::Unlocked, _) => Key {
            kind: KeyKind::Password,
            secret: Secret::default(),
        },
        (State::Locked, Some(key)) => key,
        (State::Locked, None) => Key {
            kind: KeyKind::Password,
            secret: passwords.current("Password of the vault")?,
        },
    };
    let request = Request::UnlockWith {
        key: secret,
        seconds: limit.map(|l| l.as_secs()),
        accept_rollback,
    };
    let mut connection = context.connect()?;
    match connection.call(request, Patience::Long("unlocking"))? {
        Response::Unlocked(unlocked) => {
            let text = if unlocked.already {
                "unlocked already"
            } else {
                "unlocked"
            };
            report(context, unlocked, text)?;
            // What can't be asked for now, `sv status` tells.
            let answer = connection.call(Request::Health, Patience::Short);
            if let Ok(Response::Health(health)) = answer
                && !context.json
            {
                warnings::tell_urgent(&health);
            }
            Ok(())
        }
        _ => Err(unexpected()),
    }
}

/// Says for how long it is unlocked.
pub fn report(context: &Context, unlocked: Unlocked, text: &str) -> Result<()> {
    if context.json {
        let mut object = Object::new();
        object.flag("already", unlocked.already);
        object.number("lock_in", unlocked.lock_in);
        return output::stdout(&object.line());
    }
    let left = span::spell(Duration::from_secs(unlocked.lock_in));
    output::note(&format!("{text}; locks by itself in {left}"));
    Ok(())
}

//! `sv unlock`: asks for the password once for the session.

use super::{state, unexpected};
use crate::{
    cli::{PasswordArgs, slots::PresentKeyArgs},
    connect::Patience,
    context::Context,
    error::Result,
    input::Passwords,
    json::Object,
    output,
};
use std::time::Duration;
use sv_proto::{
    Request, Response, Secret,
    message::{State, Unlocked},
    span,
};

pub fn run(
    context: &Context,
    password: &PasswordArgs,
    limit: Option<Duration>,
    _key: &PresentKeyArgs,
    _accept_rollback: bool,
) -> Result<()> {
    let mut passwords = Passwords::claim(password, context.no_input)?;
    let password = match state(context)? {
        State::NoVault => return Err(context.no_vault()),
        // What is unlocked takes any password, and a limit only brings its end nearer.
        State::Unlocked => Secret::default(),
        State::Locked => passwords.current("Password of the vault")?,
    };
    let request = Request::Unlock {
        password,
        seconds: limit.map(|l| l.as_secs()),
    };
    let mut connection = context.connect()?;
    match connection.call(request, Patience::Long("unlocking"))? {
        Response::Unlocked(unlocked) => {
            let text = if unlocked.already {
                "unlocked already"
            } else {
                "unlocked"
            };
            report(context, unlocked, text)
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

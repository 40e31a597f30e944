//! `sv init`: creates the vault and leaves it unlocked.

use super::{status, unexpected, unlock};
use crate::{
    cli::PasswordArgs,
    connect::Patience,
    context::Context,
    error::{Error, Result},
    input::Passwords,
    output,
};
use sv_proto::{Kind, Request, Response, message::State};

pub fn run(context: &Context, password: &PasswordArgs) -> Result<()> {
    let mut passwords = Passwords::claim(password, context.no_input)?;
    let found = status(&mut context.connect_without_vault()?)?;
    if found.state != State::NoVault {
        return Err(Error::agent(Kind::Exists, "there is a vault already"));
    }
    let password = passwords.fresh("New password for the vault")?;
    let request = Request::Init { password };
    let patience = Patience::Long("creating the vault");
    let mut connection = context.connect_without_vault()?;
    let Response::Unlocked(unlocked) = connection.call(request, patience)? else {
        return Err(unexpected());
    };
    unlock::report(
        context,
        unlocked,
        &format!("created {}, unlocked", context.places.vault.display()),
    )?;
    if !context.json {
        output::warn("hint: sv distribute");
    }
    Ok(())
}

//! `sv passwd`: another password for this node's slot.

use super::{done, finished, state};
use crate::{
    cli::{NewPasswordArgs, PasswordArgs},
    connect::Patience,
    context::Context,
    error::Result,
    input::Passwords,
    output,
};
use sv_proto::{Request, message::State};

pub fn run(context: &Context, password: &PasswordArgs, new: &NewPasswordArgs) -> Result<()> {
    let mut passwords = Passwords::claim_both(password, new, context.no_input)?;
    if state(context)? == State::NoVault {
        return Err(context.no_vault());
    }
    let old = passwords.current("Present password")?;
    let new = passwords.fresh("New password")?;
    let request = Request::Passwd { old, new };
    let patience = Patience::Long("changing the password");
    done(&mut context.connect()?, request, patience)?;
    finished(context, "the password was changed")?;
    if !context.json {
        output::warn("copies of the vault made earlier still open with the old password");
        output::warn("hint: sv rotate");
    }
    Ok(())
}

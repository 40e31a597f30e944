//! `sv rotate`: new keys for the vault.

use super::{distribute, require_unlocked, unexpected};
use crate::{
    cli::slots::RotateArgs,
    connect::Patience,
    context::Context,
    deliver::choice,
    error::{Error, Result},
    input::Passwords,
    json::Object,
    output,
};
use std::time::Instant;
use sv_proto::{Request, Response, Secret, message::Rotated};

pub fn run(context: &Context, args: RotateArgs) -> Result<()> {
    let sources = [
        ("--password-fd", args.password.password_fd.is_some()),
        ("--password-stdin", args.password.password_stdin),
        ("--new-password-fd", args.new.new_password_fd.is_some()),
    ];
    if let Some((option, _)) = sources.iter().find(|s| s.1 && !args.change) {
        return Err(Error::usage(
            format!("{option} is for --password"),
            "sv rotate alone needs no password",
        ));
    }
    let placed = choice::named(context, &args.to)?;
    let Some(shares) = args.shares else {
        if placed.is_some() {
            return Err(Error::usage(
                "where shares go was said, but not --shares",
                "--shares deals new ones; without it the old ones stay good",
            ));
        }
        return rotate(context, &args);
    };
    let deliver = match placed {
        Some(deliver) => deliver,
        None => choice::terminal(context)?,
    };
    if args.change {
        if context.json {
            return Err(Error::usage(
                "--password and --shares make two documents of --json",
                "one after the other: sv rotate --password, then sv distribute",
            ));
        }
        rotate(context, &args)?;
    }
    // Putting new shares into force is a rotation.
    distribute::deal(
        context,
        deliver,
        &distribute::Plan {
            shares: (shares > 0).then_some(shares),
            threshold: args.threshold,
            partial: false,
            to: &args.to,
        },
    )
}

fn rotate(context: &Context, args: &RotateArgs) -> Result<()> {
    let passwords = if args.change {
        let mut passwords = Passwords::claim_both(&args.password, &args.new, context.no_input)?;
        require_unlocked(context)?;
        Some(both(&mut passwords)?)
    } else {
        None
    };
    let since = Instant::now();
    let request = Request::Rotate { passwords };
    let patience = Patience::Long("renewing the keys of the vault");
    let Response::Rotated(rotated) = context.connect()?.call(request, patience)? else {
        return Err(unexpected());
    };
    report(context, rotated, since.elapsed().as_secs_f64())?;
    if args.change && !context.json {
        output::warn("copies of the vault made earlier still open with the old password");
    }
    Ok(())
}

fn both(passwords: &mut Passwords) -> Result<(Secret, Secret)> {
    let old = passwords.current("Present password")?;
    let new = passwords.fresh("New password")?;
    Ok((old, new))
}

fn report(context: &Context, rotated: Rotated, seconds: f64) -> Result<()> {
    if context.json {
        let mut object = Object::new();
        object.number("epoch", rotated.epoch);
        object.number("secrets", rotated.secrets);
        object.number("revisions", rotated.revisions);
        object.decimal("seconds", seconds);
        return output::stdout(&object.line());
    }
    output::note(&format!(
        "new keys, epoch {}: {} ({}) in {seconds:.1} s",
        rotated.epoch,
        output::count(rotated.secrets, "secret"),
        output::count(rotated.revisions, "revision"),
    ));
    Ok(())
}

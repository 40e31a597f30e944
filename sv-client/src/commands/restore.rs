//! `sv restore`: a backup becomes the vault, or adds what the vault lacks.

use super::{status, unexpected};
use crate::{
    cli::{
        PasswordArgs,
        backup::{RestoreArgs, SourceArgs},
    },
    connect::Patience,
    context::Context,
    error::{Error, Result},
    input::Passwords,
    json::Object,
    output,
    staged::{self, Staged},
    stream::Stream,
};
use std::path::Path;
use sv_proto::{
    Kind, Request, Response, Secret, limits,
    message::{Key, KeyKind, Restored, State},
};

pub fn run(context: &Context, args: RestoreArgs) -> Result<()> {
    let (key, shares) = source(context, &args.source)?;
    let mut connection = context.connect_without_vault()?;
    let status = status(&mut connection)?;
    if status.state == State::Locked {
        return Err(Error::agent(Kind::Locked, "the vault is locked"));
    }
    let file = Staged::put(staged::vault_of(&status), &args.file)?;
    let request = Request::Restore {
        file: file.name().to_owned(),
        key,
        shares,
    };
    let answer = connection.call(request, Patience::Long("restoring"));
    drop(file);
    let restored = match answer.map_err(hinted)? {
        Response::Restored(restored) => restored,
        _ => return Err(unexpected()),
    };
    if context.json {
        return output::stdout(&document(&restored).line());
    }
    output::note(&text(&restored));
    Ok(())
}

/// What opens the backup, if its keys are not the vault's.
fn source(context: &Context, args: &SourceArgs) -> Result<(Option<Key>, Vec<Secret>)> {
    if args.source_password_fd.is_some() || args.source_password_stdin {
        let from = PasswordArgs {
            password_fd: args.source_password_fd,
            password_stdin: args.source_password_stdin,
        };
        let mut passwords = Passwords::claim(&from, context.no_input)?;
        let key = Key {
            kind: KeyKind::Password,
            secret: passwords.current("Password of the backup")?,
        };
        return Ok((Some(key), Vec::new()));
    }
    if let Some(path) = &args.source_keyfile {
        let secret = content(path, "the key file", *limits::KEY_FILE.end())?;
        if !limits::KEY_FILE.contains(&secret.len()) {
            return Err(Error::usage(
                "a key file has 32 to 4096 bytes",
                "is it the right file?",
            ));
        }
        let kind = KeyKind::KeyFile;
        return Ok((Some(Key { kind, secret }), Vec::new()));
    }
    let shares = args.shares.iter();
    let shares = shares.map(|path| content(path, "the share", limits::SHARE));
    Ok((None, shares.collect::<Result<_>>()?))
}

fn content(path: &Path, what: &str, most: usize) -> Result<Secret> {
    let read = |error| Error::Read {
        what: format!("{what} {}", path.display()),
        error,
    };
    let mut stream = Stream::path(path).map_err(read)?;
    let bytes = stream.all(most + 1).map_err(read)?;
    if bytes.len() > most {
        return Err(Error::usage(
            format!("{what} has more than {most} bytes"),
            "is it the right file?",
        ));
    }
    Ok(bytes.into())
}

/// The next step where it differs from that of other commands.
fn hinted(error: Error) -> Error {
    match error.told() {
        Some(Kind::WrongPassword) => {
            error.hinted("--source-password-fd N for the password of that time, or --share FILE")
        }
        Some(Kind::Damaged) => error.hinted("sv verify FILE names what is off"),
        Some(Kind::Conflict) => error.hinted(
            "to start from the backup: move the vault away, restore, then restore the old vault file",
        ),
        _ => error,
    }
}

fn document(restored: &Restored) -> Object {
    let mut object = Object::new();
    object.flag("created", restored.created);
    object.number("secrets", restored.secrets);
    object.number("revisions", restored.revisions);
    object.number("conflicts", restored.conflicts);
    object
}

fn text(restored: &Restored) -> String {
    if restored.created {
        return "the backup is the vault now, locked; next: sv unlock (with --accept-rollback if this \
                machine has seen a later state), or sv recover if it was made without slots"
            .to_owned();
    }
    if restored.revisions == 0 {
        return "the vault has all of it already".to_owned();
    }
    let mut text = format!(
        "added {}, {} new",
        output::count(restored.revisions, "revision"),
        output::count(restored.secrets, "secret")
    );
    if restored.conflicts > 0 {
        text.push_str(&format!(
            "; {} changed on both sides, see sv history",
            output::count(restored.conflicts, "secret")
        ));
    }
    text
}

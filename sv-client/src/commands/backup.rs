//! `sv backup`: an encrypted copy, made while the vault is in use.

use super::{backup_to, done, require_unlocked, status, unexpected};
use crate::{
    cli::backup::BackupArgs,
    connect::{Connection, Patience},
    context::Context,
    error::{Error, Result},
    json::Object,
    output,
    staged::{self, Staged},
};
use std::path::Path;
use sv_proto::{Kind, Request, Response, limits, message::BackupMade};

pub fn run(context: &Context, args: BackupArgs) -> Result<()> {
    let Some(file) = &args.file else {
        return backup_to::run(context, &args);
    };
    staged::check_target(file, args.force, &context.places.vault)?;
    require_unlocked(context)?;
    let mut connection = context.connect()?;
    let vault = staged::vault_of(&status(&mut connection)?).to_owned();
    staged::check_target(file, args.force, &vault)?;
    let (made, copy) = make(&mut connection, &vault, !args.no_slots)?;
    copy.deliver(file, args.force, &made.digest)?;
    note(&mut connection, &made, file)?;
    if context.json {
        return output::stdout(&document(&made, file).line());
    }
    output::note(&format!(
        "{} in {} ({} bytes, generation {})",
        output::count(made.secrets, "secret"),
        file.display(),
        made.size,
        made.generation
    ));
    Ok(())
}

/// Lets the agent make a copy, and takes it over.
pub fn make(
    connection: &mut Connection,
    vault: &Path,
    slots: bool,
) -> Result<(BackupMade, Staged)> {
    let request = Request::Backup { slots };
    let answer = connection.call(request, Patience::Long("copying the vault"));
    match answer.map_err(hinted)? {
        Response::BackupMade(made) => {
            let copy = Staged::take(vault, &made)?;
            Ok((made, copy))
        }
        _ => Err(unexpected()),
    }
}

fn hinted(error: Error) -> Error {
    match error.told() {
        Some(Kind::NoShare) => error.hinted("sv distribute makes them"),
        _ => error,
    }
}

/// Tells the agent where the copy is, so that it knows how old the newest is.
fn note(connection: &mut Connection, made: &BackupMade, file: &Path) -> Result<()> {
    let place = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let request = Request::BackupDone {
        generation: made.generation,
        place: ending(&place.to_string_lossy(), limits::HOLDER).to_owned(),
    };
    done(connection, request, Patience::Short)
}

/// The end of a text, of at most `most` bytes.
fn ending(text: &str, most: usize) -> &str {
    let mut start = text.len().saturating_sub(most);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

fn document(made: &BackupMade, file: &Path) -> Object {
    let mut object = Object::new();
    object.text("file", &file.display().to_string());
    about(&mut object, made);
    object
}

/// What a copy is of.
pub fn about(object: &mut Object, made: &BackupMade) {
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    object.number("size", made.size);
    object.text("sha256", &hex(&made.digest));
    object.text("vault_id", &hex(&made.vault));
    object.number("generation", made.generation);
    object.number("secrets", made.secrets);
}

#[cfg(test)]
mod tests {
    use super::ending;

    #[test]
    fn a_long_place_keeps_its_end() {
        assert_eq!(ending("/a/b", 255), "/a/b");
        assert_eq!(ending("/a/b", 2), "/b");
        assert_eq!(ending("aä", 2), "ä");
        assert_eq!(ending("aä", 1), "");
    }
}

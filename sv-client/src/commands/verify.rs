//! `sv verify`: checks every object, signature and the manifest.

use super::{status, unexpected};
use crate::{
    cli::backup::VerifyArgs,
    connect::Patience,
    context::Context,
    error::{Error, Result},
    json::Object,
    output,
    staged::{self, Staged},
};
use std::path::Path;
use sv_proto::{
    Request, Response,
    message::{FileVerified, Verified},
};

pub fn run(context: &Context, args: VerifyArgs) -> Result<()> {
    if let Some(file) = args.file {
        return run_file(context, &file);
    }
    let patience = Patience::Long("checking the vault");
    let Response::Verified(verified) = context.connect()?.call(Request::Verify, patience)? else {
        return Err(unexpected());
    };
    if context.json {
        output::stdout(&document(&verified).line())?;
    } else if verified.problems.is_empty() {
        output::stdout(well(verified.secrets, verified.revisions).as_bytes())?;
    } else {
        output::stdout(lines(&verified.problems).as_bytes())?;
    }
    told(&verified.problems)
}

/// A file, without any key.
fn run_file(context: &Context, path: &Path) -> Result<()> {
    let mut connection = context.connect_without_vault()?;
    let status = status(&mut connection)?;
    let file = Staged::put(staged::vault_of(&status), path)?;
    let request = Request::FileVerify {
        file: file.name().to_owned(),
    };
    let answer = connection.call(request, Patience::Long("checking the file"));
    drop(file);
    let verified = match answer? {
        Response::FileVerified(verified) => verified,
        _ => return Err(unexpected()),
    };
    if context.json {
        output::stdout(&file_document(&verified).line())?;
    } else if verified.problems.is_empty() {
        output::stdout(file_text(&verified).as_bytes())?;
    } else {
        output::stdout(lines(&verified.problems).as_bytes())?;
    }
    told(&verified.problems)
}

fn told(problems: &[String]) -> Result<()> {
    match problems.len() as u64 {
        0 => Ok(()),
        n => Err(Error::Problems(output::count(n, "problem"))),
    }
}

fn document(verified: &Verified) -> Object {
    let mut object = Object::new();
    object.flag("ok", verified.problems.is_empty());
    object.number("secrets", verified.secrets);
    object.number("revisions", verified.revisions);
    object.texts("problems", &verified.problems);
    object
}

fn file_document(verified: &FileVerified) -> Object {
    let mut object = Object::new();
    object.flag("ok", verified.problems.is_empty());
    object.text("vault_id", &data_encoding::HEXLOWER.encode(&verified.vault));
    object.number("generation", verified.generation);
    object.number("epoch", verified.epoch);
    object.number("secrets", verified.secrets);
    object.number("revisions", verified.revisions);
    object.flag("slots", verified.slots);
    object.flag("shares", verified.shares);
    object.texts("problems", &verified.problems);
    object
}

fn well(secrets: u64, revisions: u64) -> String {
    format!(
        "all is well: {}, {}\n",
        output::count(secrets, "secret"),
        output::count(revisions, "revision")
    )
}

fn file_text(verified: &FileVerified) -> String {
    let opened_by = match (verified.slots, verified.shares) {
        (true, true) => "its password or shares open it",
        (true, false) => "its password opens it",
        (false, true) => "only shares open it",
        (false, false) => "nothing opens it: it has neither slots nor shares",
    };
    format!(
        "{}generation {} of vault {}, epoch {}; {opened_by}\n",
        well(verified.secrets, verified.revisions),
        verified.generation,
        data_encoding::HEXLOWER.encode(&verified.vault),
        verified.epoch,
    )
}

fn lines(problems: &[String]) -> String {
    let mut text = String::new();
    for problem in problems {
        text.push_str(&output::escape(problem));
        text.push('\n');
    }
    text
}

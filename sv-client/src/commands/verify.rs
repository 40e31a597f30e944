//! `sv verify`: checks every object, signature and the manifest.

use super::unexpected;
use crate::{
    cli::backup::VerifyArgs,
    connect::Patience,
    context::Context,
    error::{Error, Result},
    json::Object,
    output,
};
use sv_proto::{Request, Response, message::Verified};

pub fn run(context: &Context, _args: VerifyArgs) -> Result<()> {
    let patience = Patience::Long("checking the vault");
    let Response::Verified(verified) = context.connect()?.call(Request::Verify, patience)? else {
        return Err(unexpected());
    };
    if context.json {
        output::stdout(&document(&verified).line())?;
    } else {
        output::stdout(text(&verified).as_bytes())?;
    }
    match verified.problems.len() as u64 {
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

fn text(verified: &Verified) -> String {
    if verified.problems.is_empty() {
        return format!(
            "all is well: {}, {}\n",
            output::count(verified.secrets, "secret"),
            output::count(verified.revisions, "revision")
        );
    }
    let mut text = String::new();
    for problem in &verified.problems {
        text.push_str(&output::escape(problem));
        text.push('\n');
    }
    text
}

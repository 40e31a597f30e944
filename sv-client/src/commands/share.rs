//! `sv share`: hands a share in to a recovery elsewhere. Needs no agent.

use crate::{
    cli::shares::ShareCommand,
    context::Context,
    error::{Error, Result},
    gather,
    json::Object,
    output,
};
use std::path::{Path, PathBuf};
use sv_proto::Kind;

pub fn run(context: &Context, command: ShareCommand) -> Result<()> {
    match command {
        ShareCommand::Release {
            file,
            key,
            identities,
        } => release(context, &file, &key, &identities),
    }
}

fn release(context: &Context, file: &Path, key: &str, identities: &[PathBuf]) -> Result<()> {
    let keys = gather::identities(identities)?;
    let mut found = gather::file(context, file, &keys)?;
    if found.len() > 1 {
        return Err(Error::usage(
            "there are several shares in it",
            "release one at a time",
        ));
    }
    let Some(found) = found.pop() else {
        return Err(Error::agent(Kind::BadShare, "there is no share in it"));
    };
    let line = sv_shares::release::seal(found.text.expose(), key)
        .map_err(gather::told)
        .map_err(|error| match error.told() {
            Some(Kind::Usage) => error
                .about("--for")
                .hinted("KEY is what sv recover --start printed"),
            _ => error.about(found.what),
        })?;
    if context.json {
        let mut object = Object::new();
        object.text("released", &line);
        return output::stdout(&object.line());
    }
    output::stdout(format!("{line}\n").as_bytes())
}

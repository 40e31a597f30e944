//! `sv get`: the value and nothing else.

use super::{show, unexpected};
use crate::{
    cli::GetArgs,
    connect::Patience,
    context::Context,
    error::{Error, Result},
    fields, file, output,
};
use sv_proto::{Request, Response};

pub fn run(context: &Context, args: GetArgs) -> Result<()> {
    fields::check_name(&args.name)?;
    if context.json {
        return show::document(context, args.name, args.rev, true);
    }
    let request = Request::Get {
        name: args.name,
        rev: args.rev,
    };
    let value = match context.connect()?.call(request, Patience::Short)? {
        Response::Value(value) => value,
        _ => return Err(unexpected()),
    };
    if let Some(path) = &args.out {
        return file::write(path, value.expose());
    }
    let for_eyes = !args.raw && output::is_terminal();
    if for_eyes && !output::is_plain(value.expose()) {
        return Err(Error::NotText);
    }
    output::stdout(value.expose())?;
    if for_eyes {
        output::stdout(b"\n")?;
    }
    Ok(())
}

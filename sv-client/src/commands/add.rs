//! `sv add`: a new secret.

use super::{change, changed, require_unlocked};
use crate::{
    cli::{FieldArgs, ValueArgs},
    context::Context,
    error::{Error, Result},
    fields,
    input::Value,
    json::Object,
    output,
};
use sv_proto::{Kind, Request, Secret};

pub fn run(context: &Context, name: String, value: &ValueArgs, args: &FieldArgs) -> Result<()> {
    fields::check_name(&name)?;
    let fields = fields::fields(args)?;
    let Some(source) = Value::claim(value, false, false, context.no_input)? else {
        return Err(Error::agent(Kind::Internal, "a secret without a value"));
    };
    if source.asks() {
        require_unlocked(context)?;
    }
    let secret = source.read(&name)?;
    let printed = value.print.then(|| copy(&secret));
    let request = Request::Add {
        name: name.clone(),
        value: secret,
        fields,
    };
    let rev = change(context, request)?;
    report(context, "added", &name, rev, printed)
}

/// A second one of the value, to be printed once the first is stored.
pub fn copy(secret: &Secret) -> Secret {
    Secret::new(secret.expose().to_vec())
}

/// [`changed`], with the value that was made if it is to be printed.
pub fn report(
    context: &Context,
    verb: &str,
    name: &str,
    rev: u64,
    printed: Option<Secret>,
) -> Result<()> {
    let Some(value) = printed else {
        return changed(context, verb, name, rev);
    };
    if context.json {
        let mut object = Object::with_room(value.len());
        object.text("name", name);
        object.number("rev", rev);
        object.value(value.expose());
        return output::stdout(&object.line());
    }
    changed(context, verb, name, rev)?;
    output::stdout(value.expose())?;
    if output::is_terminal() {
        output::stdout(b"\n")?;
    }
    Ok(())
}

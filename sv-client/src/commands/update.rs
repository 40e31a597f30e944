//! `sv update`: a new value, new fields, or both.

use super::{add, change, require_unlocked};
use crate::{cli::UpdateArgs, context::Context, error::Result, fields, input::Value};
use sv_proto::Request;

pub fn run(context: &Context, args: UpdateArgs) -> Result<()> {
    let name = args.name;
    fields::check_name(&name)?;
    let new_fields = fields::change(&args.fields)?;
    // With a field option the value stays, unless a new one is asked for by name.
    let optional = fields::any(&args.fields);
    let source = Value::claim(&args.value, args.prompt, optional, context.no_input)?;
    if source.as_ref().is_some_and(Value::asks) {
        require_unlocked(context)?;
    }
    let value = source.map(|source| source.read(&name)).transpose()?;
    let printed = value.as_ref().filter(|_| args.value.print).map(add::copy);
    let request = Request::Update {
        name: name.clone(),
        value,
        change: new_fields,
        if_rev: args.if_rev,
    };
    let rev = change(context, request)?;
    add::report(context, "updated", &name, rev, printed)
}

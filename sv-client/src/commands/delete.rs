//! `sv delete`: asks, then writes a revision that says it is gone.

use super::{change, changed};
use crate::{
    context::Context,
    error::{Error, Result},
    fields,
    terminal::Terminal,
};
use std::io::IsTerminal;
use sv_proto::Request;

pub fn run(context: &Context, name: String, yes: bool, purge: bool) -> Result<()> {
    fields::check_name(&name)?;
    if !yes {
        ask(context, &name, purge)?;
    }
    let request = Request::Delete {
        name: name.clone(),
        purge,
    };
    let rev = change(context, request)?;
    changed(context, "deleted", &name, rev)
}

fn ask(context: &Context, name: &str, purge: bool) -> Result<()> {
    let hint = "--yes deletes without asking";
    if context.no_input {
        return Err(Error::usage("--no-input forbids to ask", hint));
    }
    let terminal = Terminal::open().filter(|_| std::io::stdin().is_terminal());
    let Some(terminal) = terminal else {
        return Err(Error::usage("there is no terminal to ask on", hint));
    };
    let what = if purge { " and all its history" } else { "" };
    if terminal.ask(&format!("Delete {name}{what}?"))? {
        Ok(())
    } else {
        Err(Error::Declined)
    }
}

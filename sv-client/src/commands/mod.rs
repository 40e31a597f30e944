//! One module a command. Each checks what it was given, talks to the agent
//! once, and prints the answer.

mod add;
mod agent;
mod audit;
mod backup;
mod backup_to;
mod collect;
mod delete;
mod distribute;
mod get;
mod history;
mod init;
mod key;
mod list;
mod lock;
mod passwd;
mod recover;
mod rename;
mod restore;
mod revert;
mod rotate;
mod search;
mod share;
mod shares;
mod show;
mod slot;
mod status;
mod unlock;
mod update;
mod verify;
mod warnings;

use crate::{
    cli::{Cli, Command},
    connect::{Connection, Patience},
    context::Context,
    error::{Error, Result},
    json::Object,
    output,
};
use sv_proto::{
    Kind, Request, Response,
    message::{State, Status},
};

/// Runs the command that was asked for.
pub fn run(cli: Cli) -> Result<()> {
    let context = Context::new(&cli.global)?;
    let context = &context;
    match cli.command {
        Command::Init { password } => init::run(context, &password),
        Command::Unlock {
            password,
            span,
            key,
            accept_rollback,
        } => unlock::run(context, &password, span, &key, accept_rollback),
        Command::Lock => lock::run(context),
        Command::Add {
            name,
            value,
            fields,
        } => add::run(context, name, &value, &fields),
        Command::Get(args) => get::run(context, args),
        Command::Show { name, reveal, rev } => show::run(context, name, rev, reveal),
        Command::List {
            prefix,
            category,
            tags,
            long,
        } => list::run(context, prefix, category, &tags, long),
        Command::Search { words, long } => search::run(context, &words, long),
        Command::Update(args) => update::run(context, args),
        Command::Delete { name, yes, purge } => delete::run(context, name, yes, purge),
        Command::Rename { old, new } => rename::run(context, old, new),
        Command::History { name } => history::run(context, name),
        Command::Revert { name, rev } => revert::run(context, name, rev),
        Command::Passwd { password, new } => passwd::run(context, &password, &new),
        Command::Status { check } => status::run(context, check),
        Command::Distribute(args) => distribute::run(context, args),
        Command::Collect(args) => collect::run(context, args),
        Command::Recover(args) => recover::run(context, args),
        Command::Share(command) => share::run(context, command),
        Command::Shares => shares::run(context),
        Command::Key(command) => key::run(context, command),
        Command::Rotate(args) => rotate::run(context, args),
        Command::Slot(command) => slot::run(context, command),
        Command::Audit(args) => audit::run(context, args),
        Command::Backup(args) => backup::run(context, args),
        Command::Restore(args) => restore::run(context, args),
        Command::Verify(args) => verify::run(context, args),
        Command::Agent(command) => agent::run(context, &command),
    }
}

/// The agent answered with a message that this request does not have.
const fn unexpected() -> Error {
    Error::Malformed("an answer to something else")
}

fn status(connection: &mut Connection) -> Result<Status> {
    match connection.call(Request::Status, Patience::Short)? {
        Response::Status(status) => Ok(status),
        _ => Err(unexpected()),
    }
}

/// The state of the vault, on a connection of its own: a person may take long
/// over the question that follows, and the agent need not wait.
fn state(context: &Context) -> Result<State> {
    status(&mut context.connect()?).map(|status| status.state)
}

/// Refuses before anyone types a value that could not be stored.
fn require_unlocked(context: &Context) -> Result<()> {
    match state(context)? {
        State::Unlocked => Ok(()),
        State::Locked => Err(Error::agent(Kind::Locked, "the vault is locked")),
        State::NoVault => Err(context.no_vault()),
    }
}

/// A request that writes a revision; gives its number.
fn change(context: &Context, request: Request) -> Result<u64> {
    match context.connect()?.call(request, Patience::Short)? {
        Response::Changed { rev } => Ok(rev),
        _ => Err(unexpected()),
    }
}

/// A request that is answered by [`Response::Done`].
fn done(connection: &mut Connection, request: Request, patience: Patience) -> Result<()> {
    match connection.call(request, patience)? {
        Response::Done => Ok(()),
        _ => Err(unexpected()),
    }
}

/// Says what was changed: a document for programs, a line for a person.
fn changed(context: &Context, verb: &str, name: &str, rev: u64) -> Result<()> {
    if context.json {
        let mut object = Object::new();
        object.text("name", name);
        object.number("rev", rev);
        return output::stdout(&object.line());
    }
    output::note(&format!("{verb} {name} (revision {rev})"));
    Ok(())
}

/// Says that it was done: a document for programs, a line for a person.
fn finished(context: &Context, text: &str) -> Result<()> {
    if context.json {
        let mut object = Object::new();
        object.flag("ok", true);
        return output::stdout(&object.line());
    }
    output::note(text);
    Ok(())
}

//! One file for each request. A handler gets the unlocked vault (or, where it
//! decides about it, the agent) and the request's fields, and returns the
//! response. None of them touches the socket.

use crate::{convert, reply::Reply, state::Agent};
use std::rc::Rc;
use sv_proto::{Request, Response, message::Failure};

mod add;
mod delete;
mod get;
mod history;
mod init;
mod list;
mod lock;
mod passwd;
mod rename;
mod revert;
mod search;
mod show;
mod status;
mod stop;
mod unlock;
mod update;
mod verify;

/// Gate 7.
pub(crate) async fn dispatch(
    agent: &Rc<Agent>,
    request: Request,
    reply: &mut Reply<'_>,
) -> Result<Response, Failure> {
    let now = agent.clock.wall();
    match request {
        Request::Status => status::handle(agent),
        Request::Init { password } => init::handle(agent, password, reply).await,
        Request::Unlock { password, seconds } => {
            unlock::handle(agent, password, seconds, reply).await
        }
        Request::Lock => Ok(lock::handle(agent)),
        Request::Add {
            name,
            value,
            fields,
        } => {
            let fields = convert::fields(fields);
            agent.with(|vault| add::handle(vault, &name, &value, &fields, now))
        }
        Request::Get { name, rev } => {
            let size = || agent.with(|vault| show::size(vault, &name, rev));
            let get = || agent.with(|vault| get::handle(vault, &name, rev));
            reply.sized(size, get).await
        }
        Request::Show { name, rev, reveal } => {
            let size = || agent.with(|vault| show::size(vault, &name, rev));
            let show = || agent.with(|vault| show::handle(vault, &name, rev, reveal));
            reply.sized(size, show).await
        }
        Request::List {
            prefix,
            category,
            tags,
            fields,
        } => list::handle(agent, list::filter(prefix, category, tags), fields, reply).await,
        Request::Search { query, fields } => {
            list::handle(agent, search::filter(&query), fields, reply).await
        }
        Request::Update {
            name,
            value,
            change,
            if_rev,
        } => {
            let change = convert::change(change);
            agent.with(|vault| update::handle(vault, &name, value.as_ref(), &change, if_rev, now))
        }
        Request::Delete { name, purge } => {
            agent.with(|vault| delete::handle(vault, &name, purge, now))
        }
        Request::Rename { old, new } => agent.with(|vault| rename::handle(vault, &old, &new, now)),
        Request::History { name } => agent.with(|vault| history::handle(vault, &name)),
        Request::Revert { name, rev } => agent.with(|vault| revert::handle(vault, &name, rev, now)),
        Request::Passwd { old, new } => passwd::handle(agent, old, new, reply).await,
        Request::Verify => verify::handle(agent, reply).await,
        Request::Stop => Ok(stop::handle(agent)),
    }
}

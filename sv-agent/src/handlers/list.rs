//! Names under a prefix, and what `search` shares with that: answers of any
//! length, in parts, while others are served in between.

use crate::{convert, errors, limits, reply::Reply, state::Agent};
use std::rc::Rc;
use sv_proto::{Response, message::Failure};
use sv_vault_core::{Filter, Item};
use tokio::task::yield_now;

pub(super) fn filter(prefix: String, category: Option<String>, tags: Vec<String>) -> Filter {
    Filter::List {
        prefix,
        category,
        tags,
    }
}

pub(super) async fn handle(
    agent: &Rc<Agent>,
    filter: Filter,
    fields: bool,
    reply: &mut Reply<'_>,
) -> Result<Response, Failure> {
    let ticket = agent.ticket()?;
    let mut after: Option<String> = None;
    loop {
        // Before each part: an error of the disk in between drops the names.
        while !agent.with_ticket(ticket, |vault| vault.load_names(limits::NAMES_STEP))? {
            yield_now().await;
        }
        let size = reply.chunk();
        let (items, next) =
            agent.with_ticket(ticket, |vault| vault.list(&filter, after.as_deref(), size))?;
        let empty = items.is_empty();
        let response = answer(items, fields);
        if next.is_none() {
            return Ok(response);
        }
        if !empty && reply.part(response).await.is_err() {
            // Nobody reads this; the connection is closed when the last frame fails as well.
            return Err(errors::internal(&"the client went away"));
        }
        after = next;
        yield_now().await;
    }
}

fn answer(items: Vec<Item>, fields: bool) -> Response {
    if fields {
        Response::Items(items.into_iter().map(convert::item).collect())
    } else {
        Response::Names(items.into_iter().map(|item| item.name).collect())
    }
}

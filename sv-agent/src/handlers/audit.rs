//! Events of the audit log: answers of any length, in parts, while others are
//! served in between.

use crate::{convert, errors, limits, reply::Reply, state::Agent};
use std::rc::Rc;
use sv_proto::{Kind, Response, message::Failure};
use sv_vault_core::AuditQuery;
use tokio::task::yield_now;

pub(super) async fn handle(
    agent: &Rc<Agent>,
    after: Option<u64>,
    last: Option<u64>,
    since: Option<i64>,
    name: Option<String>,
    reply: &mut Reply<'_>,
) -> Result<Response, Failure> {
    let query = AuditQuery {
        after,
        last,
        since,
        name,
    };
    let ticket = agent.ticket()?;
    let mut reader = agent.with_ticket(ticket, |vault| vault.audit().read(query))?;
    loop {
        let size = reply.chunk();
        let mut events = Vec::new();
        let mut taken = 0;
        let done = loop {
            let part = agent.with_ticket(ticket, |vault| {
                let (_, keys) = vault.audit_and_keys();
                reader.step(&keys, limits::AUDIT_STEP, size - taken)
            })?;
            taken += part.size;
            events.extend(part.events.into_iter().map(convert::event));
            if part.done || taken >= size {
                break part.done;
            }
            yield_now().await;
        };
        if !done {
            if reply.part(Response::Events(events)).await.is_err() {
                return Err(errors::internal(&"the client went away"));
            }
            yield_now().await;
            continue;
        }
        let unreadable = reader.unreadable();
        agent.with_ticket(ticket, |vault| {
            vault.audit().remember(reader);
            Ok(())
        })?;
        if unreadable == 0 {
            return Ok(Response::Events(events));
        }
        // Whoever only follows has been told before.
        if after.is_some() {
            return Ok(Response::Events(events));
        }
        if !events.is_empty() && reply.part(Response::Events(events)).await.is_err() {
            return Err(errors::internal(&"the client went away"));
        }
        return Err(Failure::new(Kind::Damaged, told(unreadable)));
    }
}

fn told(unreadable: u64) -> String {
    match unreadable {
        1 => "one place of the audit log can't be read".to_owned(),
        n => format!("{n} places of the audit log can't be read"),
    }
}

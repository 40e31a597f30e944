//! What a person should look after.

use crate::state::Agent;
use std::rc::Rc;
use sv_proto::{
    Response,
    message::{Failure, Health},
};

pub(super) fn handle(agent: &Rc<Agent>) -> Result<Response, Failure> {
    let now = agent.clock.wall();
    let (sets, backup) = agent.with(|vault| Ok((vault.sets()?, vault.newest_backup()?)))?;
    let active = sets.iter().find(|set| set.active);
    let verified = active.and_then(|set| set.shares.iter().map(|s| s.verified).max());
    let waiting = active.map_or(0, |set| set.shares.iter().filter(|s| s.waiting).count());
    let time = |time: i64| (time != 0).then_some(time);
    let standing = agent.with(|vault| Ok(vault.standing()))?;
    Ok(Response::Health(Health {
        shares: active.is_some(),
        shares_dealt: active.and_then(|set| time(set.dealt)),
        shares_verified: verified.and_then(time),
        shares_waiting: u8::try_from(waiting).unwrap_or(u8::MAX),
        deal_pending: sets.iter().any(|set| !set.active),
        backup,
        backup_old: agent.backup_is_old(backup, now),
        rolled_back: standing.rolled_back,
        generation_missing: standing.generation_missing,
        audit_short: standing.audit_short,
        audit_events: standing.audit_events,
    }))
}

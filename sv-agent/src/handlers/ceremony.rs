//! Recoveries to which several people contribute.

use super::share_check;
use crate::{ceremony::Ceremony, state::Agent};
use std::{rc::Rc, time::Duration};
use sv_proto::{Kind, Response, Secret, message::Failure};

pub(super) fn start(agent: &Rc<Agent>, seconds: u64) -> Result<Response, Failure> {
    agent.open()?;
    if agent.with_ceremony(|_| Ok(())).is_ok() {
        return Err(Failure::new(Kind::Exists, "a recovery was started already"));
    }
    let (vault, threshold) = agent.with_either(
        |locked| Ok((locked.id(), locked.share_threshold()?)),
        |vault| Ok((vault.id(), vault.share_threshold()?)),
    )?;
    let lasts = Duration::from_secs(seconds);
    let ceremony = Ceremony::begin(vault, threshold, lasts, agent.now())?;
    tracing::info!(seconds, "a recovery was started");
    let shown = ceremony.shown(agent.now());
    agent.set_ceremony(Some(ceremony));
    Ok(Response::Ceremony(shown))
}

pub(super) fn submit(agent: &Rc<Agent>, share: &Secret) -> Result<Response, Failure> {
    agent.open()?;
    let text = agent.with_ceremony(|ceremony| ceremony.open(share))?;
    let facts = share_check::facts(agent, &text)?;
    agent.with_ceremony(|ceremony| ceremony.take(facts, text))?;
    tracing::info!(index = facts.index, "a share was handed in");
    status(agent)
}

pub(super) fn status(agent: &Rc<Agent>) -> Result<Response, Failure> {
    let now = agent.now();
    let shown = agent.with_ceremony(|ceremony| Ok(ceremony.shown(now)))?;
    Ok(Response::Ceremony(shown))
}

pub(super) fn cancel(agent: &Rc<Agent>) -> Result<Response, Failure> {
    agent.with_ceremony(|_| Ok(()))?;
    agent.set_ceremony(None);
    Ok(Response::Done)
}

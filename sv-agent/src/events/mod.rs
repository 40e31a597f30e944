//! What each request leaves in the audit log: exactly one event, with its
//! outcome, before the answer leaves. If it can't be written, that is the answer.
//!
//! Reads are told when they are done; answers in several frames before the
//! first one; writes in the transaction that they make.

mod refusals;
mod what;

pub(crate) use refusals::Refusals;
use what::When;
pub(crate) use what::{What, of};

use crate::{asker, limits, state::Agent};
use std::{
    cell::{Cell, RefCell},
    future::Future,
    rc::Rc,
};
use sv_proto::{Kind, Response, message::Failure};
use sv_vault_core::{Asker, NewEvent, Vault};
use tokio::{
    task::{self, JoinHandle, spawn_blocking},
    time::{Instant, sleep},
};

/// One request on its way.
struct Trail {
    agent: Rc<Agent>,
    what: What,
    asker: Asker,
    told: Cell<bool>,
    /// Why the event could not be written.
    failed: RefCell<Option<Failure>>,
}

tokio::task_local! {
    /// That of the request which this task serves.
    static TRAIL: Rc<Trail>;
}

/// Does `work` for a request and sees to its event.
pub(crate) async fn follow(
    agent: &Rc<Agent>,
    asker: Asker,
    what: What,
    work: impl Future<Output = Result<Response, Failure>>,
) -> Result<Response, Failure> {
    let trail = Rc::new(Trail {
        agent: Rc::clone(agent),
        what,
        asker,
        told: Cell::new(false),
        failed: RefCell::new(None),
    });
    let result = TRAIL.scope(Rc::clone(&trail), work).await;
    trail.end(result)
}

/// A part of a request that goes on if whoever asked goes away. If it fails
/// then, it is told all the same.
pub(crate) fn spawn_local<T: 'static>(
    work: impl Future<Output = Result<T, Failure>> + 'static,
) -> JoinHandle<Result<T, Failure>> {
    spawn(work, false)
}

/// The same for the last part of a request, which is also told if it succeeds.
pub(crate) fn spawn_last<T: 'static>(
    work: impl Future<Output = Result<T, Failure>> + 'static,
) -> JoinHandle<Result<T, Failure>> {
    spawn(work, true)
}

fn spawn<T: 'static>(
    work: impl Future<Output = Result<T, Failure>> + 'static,
    last: bool,
) -> JoinHandle<Result<T, Failure>> {
    let Ok(trail) = TRAIL.try_with(Rc::clone) else {
        return task::spawn_local(work);
    };
    task::spawn_local(async move {
        let result = TRAIL.scope(Rc::clone(&trail), work).await;
        // Nobody else is left who could tell.
        if Rc::strong_count(&trail) == 1
            && (last || result.is_err())
            && let Err(failure) = trail.finish(outcome(&result))
        {
            tracing::error!(reason = failure.message, "an event was not written");
            trail.agent.lock("an event was not written");
        }
        result
    })
}

fn outcome<T>(result: &Result<T, Failure>) -> Option<Kind> {
    result.as_ref().err().map(|failure| failure.kind)
}

impl Trail {
    fn event(&self, outcome: &str) -> NewEvent {
        NewEvent {
            time: self.agent.clock.wall(),
            action: self.what.action,
            name: self.what.name.clone(),
            outcome: outcome.to_owned(),
            asker: self.asker.clone(),
        }
    }

    fn end(&self, result: Result<Response, Failure>) -> Result<Response, Failure> {
        match self.finish(outcome(&result)) {
            Ok(()) => result,
            Err(failure) => {
                // Keys that nobody was told of are not held.
                if matches!(&result, Ok(Response::Unlocked(unlocked)) if !unlocked.already) {
                    self.agent.lock("an event was not written");
                }
                // What is written is not undone.
                if result.is_ok() && self.what.when == When::Written {
                    return Err(Failure {
                        message: format!("it is done, but then: {}", failure.message),
                        ..failure
                    });
                }
                Err(failure)
            }
        }
    }

    /// Tells, if that is still to be done.
    fn finish(&self, failed: Option<Kind>) -> Result<(), Failure> {
        if let Some(failure) = self.failed.borrow_mut().take() {
            return Err(failure);
        }
        // What was refused since no keys are held has used none.
        let refused = failed == Some(Kind::Locked);
        if refused || self.what.when == When::Locked || self.told.replace(true) {
            return Ok(());
        }
        let event = self.event(failed.map_or("ok", Kind::as_str));
        self.agent.tell(event)?;
        if failed.is_none() && self.what.when == When::Written {
            // No transaction has vouched for it.
            self.agent.sync_now()?;
        }
        Ok(())
    }
}

/// Before a frame that others follow: what is given away is told first.
pub(crate) fn before_part() -> Result<(), ()> {
    let begun = |trail: &Rc<Trail>| {
        if trail.what.when != When::Begun || trail.told.replace(true) {
            return Ok(());
        }
        trail.agent.tell(trail.event("ok")).map_err(|failure| {
            trail.failed.replace(Some(failure));
        })
    };
    // Outside of a request nothing is given away.
    TRAIL.try_with(begun).unwrap_or(Ok(()))
}

/// Lets the next transaction of `vault` vouch for the event of the request that
/// is being served, and says where the log is before it.
pub(crate) fn expect(vault: &mut Vault) -> Option<u64> {
    let expected = |trail: &Rc<Trail>| {
        if trail.what.when != When::Written || trail.told.get() {
            return None;
        }
        let before = vault.audit().position().0;
        vault.expect_event(trail.event("ok"));
        Some(before)
    };
    TRAIL.try_with(expected).ok().flatten()
}

/// After the work that [`expect`] was for: whether a transaction has told.
pub(crate) fn expected(vault: &mut Vault, before: Option<u64>, agent: &Agent) {
    let Some(before) = before else {
        return;
    };
    vault.unexpect_event();
    if vault.audit().position().0 != before {
        // It is only missing where no request is served any more.
        let _ = TRAIL.try_with(|trail| trail.told.set(true));
        agent.written.notify_one();
    }
}

/// The event of the request that is being served, for a transaction that is
/// made elsewhere. After that [`told`] has to be called.
pub(crate) fn of_transaction() -> Option<NewEvent> {
    let event = |trail: &Rc<Trail>| (!trail.told.get()).then(|| trail.event("ok"));
    TRAIL.try_with(event).ok().flatten()
}

/// A transaction has vouched for the event.
pub(crate) fn told() {
    // It is only missing where no request is served any more.
    let _ = TRAIL.try_with(|trail| trail.told.set(true));
}

/// The event of a lock: of whoever asked for it, or of the agent itself.
pub(crate) fn lock(why: &str, time: i64) -> NewEvent {
    let asked = |trail: &Rc<Trail>| {
        (trail.what.when == When::Locked).then(|| {
            trail.told.set(true);
            trail.event("ok")
        })
    };
    match TRAIL.try_with(asked) {
        Ok(Some(event)) => event,
        _ => by_agent("lock", why, "ok", time),
    }
}

/// A lock is never put off for its event.
pub(crate) fn lock_failed(failure: Failure) {
    tracing::error!(reason = failure.message, "the lock is not in the audit log");
    let answer = |trail: &Rc<Trail>| {
        if trail.what.when == When::Locked {
            trail.failed.replace(Some(failure));
        }
    };
    // Where nobody asked, nobody is answered.
    let _ = TRAIL.try_with(answer);
}

/// Something that the agent does by itself.
pub(crate) fn by_agent(action: &'static str, name: &str, outcome: &str, time: i64) -> NewEvent {
    NewEvent {
        time,
        action,
        name: name.to_owned(),
        outcome: outcome.to_owned(),
        asker: asker::itself(),
    }
}

/// Another user has connected and was refused.
pub(crate) fn refused(agent: &Agent, uid: u32, pid: i32) {
    let Some(untold) = agent.refusals.take(Instant::now()) else {
        return;
    };
    let event = NewEvent {
        time: agent.clock.wall(),
        action: "connect",
        name: match untold {
            0 => String::new(),
            n => format!("and {n} before"),
        },
        outcome: Kind::Refused.as_str().to_owned(),
        asker: asker::of(uid, pid),
    };
    if let Err(failure) = agent.tell(event) {
        tracing::error!(
            reason = failure.message,
            "a refusal is not in the audit log"
        );
    }
}

impl Agent {
    /// Writes an event now. Where there is no vault there is no log.
    pub(crate) fn tell(&self, event: NewEvent) -> Result<(), Failure> {
        self.event(event)?;
        self.written.notify_one();
        Ok(())
    }

    /// Waits until all events are on the disk.
    fn sync_now(&self) -> Result<(), Failure> {
        match self.audit(sv_vault_core::Audit::sync) {
            Some(Err(error)) => Err(crate::errors::failure(&error)),
            None | Some(Ok(())) => Ok(()),
        }
    }
}

/// Brings events to the disk within a second, while nobody waits for it.
pub(crate) async fn keep_on_disk(agent: Rc<Agent>) {
    loop {
        agent.written.notified().await;
        sleep(limits::SYNC_AFTER).await;
        let file = agent.audit(|audit| {
            let file = audit.sync_file()?;
            Ok::<_, sv_vault_core::Error>(file.map(|file| (audit.position().0, file)))
        });
        let synced = match file {
            None | Some(Ok(None)) => continue,
            Some(Err(error)) => Err(error.to_string()),
            Some(Ok(Some((seq, file)))) => match spawn_blocking(move || file.sync_data()).await {
                Ok(Ok(())) => {
                    agent.audit(|audit| audit.mark_synced(seq));
                    Ok(())
                }
                Ok(Err(error)) => {
                    agent.audit(sv_vault_core::Audit::sync_failed);
                    Err(error.to_string())
                }
                Err(error) => Err(error.to_string()),
            },
        };
        if let Err(reason) = synced {
            tracing::error!(reason, "the audit log can't be brought to the disk");
            // Requests are refused until it can; this tries as well.
            agent.written.notify_one();
        }
    }
}

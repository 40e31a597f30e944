//! What each request leaves in the audit log: exactly one event, with its
//! outcome, before the answer leaves. If it can't be written, that is the answer.
//!
//! Reads are told when they are done; answers in several frames before the
//! first one; writes in the transaction that they make.

use crate::{asker, limits, state::Agent};
use std::{
    cell::{Cell, RefCell},
    fmt::Write,
    future::Future,
    rc::Rc,
    time::Duration,
};
use sv_proto::{Kind, Request, Response, message::Failure};
use sv_vault_core::{Asker, NewEvent, Vault};
use tokio::{
    task::{self, JoinHandle, spawn_blocking},
    time::{Instant, sleep},
};

/// What will be told of a request.
pub(crate) struct What {
    action: &'static str,
    name: String,
    when: When,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// When it is done.
    Done,
    /// Before the first of several frames, or when it is done.
    Begun,
    /// In its transaction, or when it is done.
    Written,
    /// By [`lock`], if there was something to lock.
    Locked,
}

/// What will be told of `request`; nothing if it uses no secret and no key.
pub(crate) fn of(request: &Request) -> Option<What> {
    use When::{Begun, Done, Locked, Written};
    let action = request.label();
    let (when, name) = match request {
        Request::Status
        | Request::Health
        | Request::CeremonyStatus
        | Request::FileVerify { .. }
        | Request::Audit { after: Some(_), .. } => return None,
        // These ask whether a key is needed.
        Request::Unlock { password, .. } if password.is_empty() => return None,
        Request::UnlockWith { key, .. } if key.secret.is_empty() => return None,
        Request::Lock => (Locked, String::new()),
        Request::Stop => {
            return Some(What {
                action: "lock",
                name: "stop".to_owned(),
                when: Locked,
            });
        }
        Request::Show {
            name, reveal: true, ..
        } => {
            return Some(What {
                action: "reveal",
                name: name.clone(),
                when: Done,
            });
        }
        Request::Get { name, .. } | Request::Show { name, .. } | Request::History { name } => {
            (Done, name.clone())
        }
        Request::Delete { name, purge: true } => {
            return Some(What {
                action: "purge",
                name: name.clone(),
                when: Written,
            });
        }
        Request::Add { name, .. }
        | Request::Update { name, .. }
        | Request::Delete { name, .. }
        | Request::Revert { name, .. } => (Written, name.clone()),
        Request::Rename { old, new } => (Written, format!("{old}\0{new}")),
        Request::List { prefix, .. } => (Begun, prefix.clone()),
        Request::Search { query, .. } => (Begun, query.clone()),
        Request::Audit { name, .. } => (Begun, name.clone().unwrap_or_default()),
        Request::Verify | Request::AuditVerify | Request::Backup { .. } => (Begun, String::new()),
        Request::Share { set, index } => (Done, share(set, *index)),
        Request::ShareDelivered {
            set, index, holder, ..
        } => (Written, format!("{} {holder}", share(set, *index))),
        Request::ShareVerified { holder, .. } => (Written, holder.clone().unwrap_or_default()),
        Request::Deal { count, threshold } => (Written, format!("{threshold} of {count}")),
        Request::DealCommit { set, .. } | Request::DealCancel { set } => (Written, hex(set)),
        Request::SlotAdd { label, .. } => (Written, label.clone()),
        Request::SlotRemove { slot } => (Written, hex(slot)),
        Request::BackupDone { place, .. } => (Written, place.clone()),
        Request::Passwd { .. } | Request::Rotate { .. } | Request::Restore { .. } => {
            (Written, String::new())
        }
        Request::Init { .. } | Request::Recover { .. } => (Written, String::new()),
        Request::Unlock { .. }
        | Request::UnlockWith { .. }
        | Request::Slots
        | Request::Dealings
        | Request::ShareCheck { .. }
        | Request::RecoverDrill { .. }
        | Request::CeremonyStart { .. }
        | Request::CeremonySubmit { .. }
        | Request::CeremonyCancel => (Done, String::new()),
    };
    Some(What { action, name, when })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a string does not fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn share(set: &[u8; 16], index: u8) -> String {
    format!("{}/{index}", hex(set))
}

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

/// How many refusals of other users are told: nobody fills the disk with them.
#[derive(Default)]
pub(crate) struct Refusals(RefCell<Counted>);

struct Counted {
    left: u32,
    since: Instant,
    untold: u64,
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            left: limits::REFUSALS,
            since: Instant::now(),
            untold: 0,
        }
    }
}

impl Refusals {
    /// Whether one more may be told now, and how many were not before it.
    fn take(&self, now: Instant) -> Option<u64> {
        let mut counted = self.0.borrow_mut();
        let passed = now.duration_since(counted.since).as_secs();
        if passed > 0 {
            let more = u32::try_from(passed).unwrap_or(u32::MAX);
            counted.left = counted.left.saturating_add(more).min(limits::REFUSALS);
            counted.since += Duration::from_secs(passed);
        }
        if counted.left == 0 {
            counted.untold += 1;
            return None;
        }
        counted.left -= 1;
        Some(std::mem::take(&mut counted.untold))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_ten_at_once_and_then_one_a_second() {
        let refusals = Refusals::default();
        let start = Instant::now();
        let told = |n: u32, after: u64| {
            let now = start + Duration::from_secs(after);
            (0..n)
                .filter_map(|_| refusals.take(now))
                .collect::<Vec<_>>()
        };
        assert_eq!(told(100, 0), [0; 10]);
        assert_eq!(told(100, 1), [90]);
        assert_eq!(told(1, 2), [99]);
        assert_eq!(told(100, 3600).len(), 10);
        assert_eq!(told(5, 3600).len(), 0);
    }

    #[test]
    fn what_is_told() {
        let told = |request: &Request| of(request).map(|what| (what.action, what.name));
        assert_eq!(told(&Request::Status), None);
        assert_eq!(told(&Request::Health), None);
        let audit = |after| Request::Audit {
            after,
            last: None,
            since: None,
            name: None,
        };
        assert_eq!(told(&audit(None)), Some(("audit", String::new())));
        assert_eq!(told(&audit(Some(0))), None);
        let show = |reveal| Request::Show {
            name: "a".to_owned(),
            rev: None,
            reveal,
        };
        assert_eq!(told(&show(false)), Some(("show", "a".to_owned())));
        assert_eq!(told(&show(true)), Some(("reveal", "a".to_owned())));
        let rename = Request::Rename {
            old: "a".to_owned(),
            new: "b".to_owned(),
        };
        assert_eq!(told(&rename), Some(("rename", "a\0b".to_owned())));
        let unlock = |password: &[u8]| Request::Unlock {
            password: password.to_vec().into(),
            seconds: None,
        };
        assert_eq!(told(&unlock(b"")), None);
        assert_eq!(told(&unlock(b"x")), Some(("unlock", String::new())));
    }
}

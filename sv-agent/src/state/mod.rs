//! What the agent holds: no vault, a locked one, or the keys of an unlocked
//! one. Nothing here waits, so no borrow outlives a call.

mod recovery;

use crate::{
    budget::Budget,
    ceremony::Ceremony,
    clock::Clock,
    connections::Connections,
    derivations::Derivations,
    errors, events,
    events::Refusals,
    limits,
    listen::Place,
    notify::Notifier,
    session::{Ended, Now, Policy, Session},
};
use std::{
    cell::{Cell, RefCell},
    path::PathBuf,
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use sv_proto::{
    Kind,
    message::{Failure, State as Shown, Status, Unlocked},
};
use sv_vault_core::{
    Audit, Challenge, Error, ErrorKind, KdfParams, KeyMemory, Locked, NewEvent, NewSlot, SlotKey,
    Vault,
};
use tokio::sync::{Notify, RwLock, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Everything that the agent's tasks share.
pub(crate) struct Agent {
    /// The vault's absolute path.
    pub vault: PathBuf,
    /// What the vault's lock file says: process id and socket.
    pub note: String,
    /// For new password slots.
    pub kdf: KdfParams,
    pub policy: Policy,
    pub memory: KeyMemory,
    pub clock: Arc<dyn Clock>,
    pub notifier: Notifier,
    pub place: Place,
    pub derivations: Derivations,
    pub connections: Rc<Connections>,
    pub budget: Budget,
    /// Looks at paths that clients named: one at a time.
    pub looks: Arc<Semaphore>,
    pub tasks: TaskTracker,
    pub shutdown: CancellationToken,
    /// Held by each write, and by a rotation alone.
    pub writers: Arc<RwLock<()>>,
    /// Events wait to be brought to the disk.
    pub written: Notify,
    pub refusals: Refusals,
    ceremony: RefCell<Option<Ceremony>>,
    /// A backup older than this is told of.
    backup_warn_after: Option<Duration>,
    /// Where the vault's generation is noted.
    state_dir: Option<PathBuf>,
    state: RefCell<State>,
    sessions: Cell<u64>,
}

/// What the caller of [`Agent::new`] decides.
pub(crate) struct Parts {
    pub vault: PathBuf,
    pub note: String,
    pub kdf: KdfParams,
    pub policy: Policy,
    pub memory: KeyMemory,
    pub clock: Arc<dyn Clock>,
    pub notifier: Notifier,
    pub place: Place,
    pub connections: usize,
    pub backup_warn_after: Option<Duration>,
    pub state_dir: Option<PathBuf>,
    pub locked: Option<Locked>,
}

enum State {
    /// No vault file, or none that could be opened.
    NoVault,
    Locked(Box<Locked>),
    Unlocked(Box<Open>),
    /// Shares are opening it, on a thread of its own.
    Recovering([u8; 16]),
    /// The agent is ending and holds nothing.
    Closed,
}

struct Open {
    vault: Vault,
    session: Session,
    ticket: Ticket,
}

/// Tells one session from another, for requests that take several steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

impl Agent {
    pub(crate) fn new(parts: Parts) -> Rc<Self> {
        let connections = Connections::new(parts.connections);
        let mut locked = parts.locked;
        if let (Some(locked), Some(dir)) = (&mut locked, &parts.state_dir) {
            locked.keep_generation(dir);
        }
        Rc::new(Self {
            vault: parts.vault,
            note: parts.note,
            kdf: parts.kdf,
            policy: parts.policy,
            memory: parts.memory,
            clock: parts.clock,
            notifier: parts.notifier,
            place: parts.place,
            derivations: Derivations::default(),
            budget: Budget::new(limits::BUDGET, Rc::clone(&connections)),
            connections,
            looks: Arc::new(Semaphore::new(1)),
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
            written: Notify::new(),
            refusals: Refusals::default(),
            writers: Arc::default(),
            ceremony: RefCell::default(),
            backup_warn_after: parts.backup_warn_after,
            state_dir: parts.state_dir,
            state: RefCell::new(locked.map_or(State::NoVault, |l| State::Locked(Box::new(l)))),
            sessions: Cell::new(0),
        })
    }

    /// The vault's path for people.
    pub(crate) fn vault_shown(&self) -> String {
        self.vault.display().to_string()
    }

    pub(crate) fn now(&self) -> Now {
        Now::read(&*self.clock)
    }

    /// Locks a session that is over, notices a file that vanished, and opens
    /// one that has appeared. Afterwards the state is `Locked` or `Unlocked`.
    pub(crate) fn open(&self) -> Result<(), Failure> {
        let mut state = self.state.borrow_mut();
        self.expire(&mut state);
        let looked = match &*state {
            State::Unlocked(open) => open.vault.check_file(),
            State::Locked(locked) => locked.check_file(),
            State::NoVault => Ok(()),
            State::Recovering(_) => return Err(recovering()),
            State::Closed => return Err(closing()),
        };
        if let Err(error) = looked {
            if error.kind() != ErrorKind::Gone {
                return Err(errors::failure(&error));
            }
            self.drop_vault(&mut state);
        }
        if matches!(*state, State::NoVault) {
            match Locked::open(&self.vault, &self.note) {
                Ok(mut locked) => {
                    if let Some(dir) = &self.state_dir {
                        locked.keep_generation(dir);
                    }
                    tracing::info!("the vault is there, locked");
                    *state = State::Locked(Box::new(locked));
                }
                Err(error) => return Err(errors::failure(&error)),
            }
        }
        Ok(())
    }

    /// Gate 5: keys are held, and their time is not over.
    pub(crate) fn require_unlocked(&self) -> Result<(), Failure> {
        {
            let mut state = self.state.borrow_mut();
            self.expire(&mut state);
            if matches!(*state, State::Unlocked(_)) {
                return Ok(());
            }
        }
        self.open()?;
        Err(errors::locked())
    }

    /// The present session.
    pub(crate) fn ticket(&self) -> Result<Ticket, Failure> {
        match &*self.state.borrow() {
            State::Unlocked(open) => Ok(open.ticket),
            State::Closed => Err(closing()),
            State::Recovering(_) => Err(recovering()),
            State::NoVault | State::Locked(_) => Err(errors::locked()),
        }
    }

    /// Works on the unlocked vault.
    pub(crate) fn with<T>(
        &self,
        work: impl FnOnce(&mut Vault) -> sv_vault_core::Result<T>,
    ) -> Result<T, Failure> {
        self.with_open(|open| work(&mut open.vault))
    }

    /// The same, if it has not been locked since the ticket was taken.
    pub(crate) fn with_ticket<T>(
        &self,
        ticket: Ticket,
        work: impl FnOnce(&mut Vault) -> sv_vault_core::Result<T>,
    ) -> Result<T, Failure> {
        if self.ticket()? != ticket {
            return Err(errors::locked());
        }
        self.with_open(|open| work(&mut open.vault))
    }

    fn with_open<T>(
        &self,
        work: impl FnOnce(&mut Open) -> sv_vault_core::Result<T>,
    ) -> Result<T, Failure> {
        let mut state = self.state.borrow_mut();
        self.expire(&mut state);
        let result = match &mut *state {
            State::Unlocked(open) => {
                let expected = events::expect(&mut open.vault);
                let result = work(open);
                events::expected(&mut open.vault, expected, self);
                result
            }
            State::Closed => return Err(closing()),
            State::Recovering(_) => return Err(recovering()),
            State::NoVault | State::Locked(_) => return Err(errors::locked()),
        };
        result.map_err(|error| {
            if error.kind() == ErrorKind::Gone {
                self.drop_vault(&mut state);
            }
            errors::failure(&error)
        })
    }

    /// Tells the audit log, now. Where there is no vault there is no log.
    pub(crate) fn event(&self, event: NewEvent) -> Result<(), Failure> {
        match &mut *self.state.borrow_mut() {
            State::Locked(locked) => locked.event(event, &self.memory),
            State::Unlocked(open) => open.vault.event(event),
            State::NoVault | State::Recovering(_) | State::Closed => Ok(()),
        }
        .map_err(|error| errors::failure(&error))
    }

    /// Works on the audit log. `None` if there is none.
    pub(crate) fn audit<T>(&self, work: impl FnOnce(&mut Audit) -> T) -> Option<T> {
        match &mut *self.state.borrow_mut() {
            State::Locked(locked) => Some(work(locked.audit())),
            State::Unlocked(open) => Some(work(open.vault.audit())),
            State::NoVault | State::Recovering(_) | State::Closed => None,
        }
    }

    /// A successful request that needed the keys.
    pub(crate) fn touch(&self) {
        if let State::Unlocked(open) = &mut *self.state.borrow_mut() {
            open.session.touch(self.now());
        }
    }

    /// Whether it is unlocked; `wanted` brings the end nearer.
    pub(crate) fn already_unlocked(&self, wanted: Option<Duration>) -> Option<Unlocked> {
        let mut state = self.state.borrow_mut();
        self.expire(&mut state);
        let State::Unlocked(open) = &mut *state else {
            return None;
        };
        let now = self.now();
        if let Some(wanted) = wanted {
            open.session.shorten(wanted, now);
        }
        Some(Unlocked {
            already: true,
            lock_in: open.session.seconds(now),
        })
    }

    /// The slots that a password is tried on.
    pub(crate) fn challenge(&self) -> Result<Challenge, Failure> {
        match &mut *self.state.borrow_mut() {
            State::Locked(locked) => locked.challenge(),
            State::Unlocked(open) => open.vault.challenge(),
            State::NoVault => return Err(self.no_vault()),
            State::Recovering(_) => return Err(recovering()),
            State::Closed => return Err(closing()),
        }
        .map_err(|error| errors::failure(&error))
    }

    /// Holds the keys from now on.
    pub(crate) fn unlock(
        &self,
        key: SlotKey,
        wanted: Option<Duration>,
    ) -> Result<Unlocked, Failure> {
        let mut state = self.state.borrow_mut();
        match std::mem::replace(&mut *state, State::NoVault) {
            State::Locked(locked) => match locked.unlock(key, &self.memory) {
                Ok(vault) => Ok(self.begin(&mut state, vault, wanted)),
                Err((locked, error)) => {
                    if error.kind() != ErrorKind::Gone {
                        *state = State::Locked(Box::new(locked));
                    }
                    Err(errors::failure(&error))
                }
            },
            State::NoVault => Err(self.no_vault()),
            other => {
                let refused = match other {
                    State::Closed => Some(closing()),
                    State::Recovering(_) => Some(recovering()),
                    _ => None,
                };
                *state = other;
                drop(state);
                if let Some(refused) = refused {
                    return Err(refused);
                }
                self.already_unlocked(wanted).ok_or_else(errors::locked)
            }
        }
    }

    /// Creates the vault and holds its keys.
    pub(crate) fn create(&self, slot: NewSlot) -> Result<Unlocked, Failure> {
        let mut state = self.state.borrow_mut();
        match *state {
            State::NoVault => {}
            State::Locked(_) | State::Unlocked(_) | State::Recovering(_) => {
                return Err(errors::failure(&Error::VaultExists(self.vault.clone())));
            }
            State::Closed => return Err(closing()),
        }
        let mut vault = Vault::create(&self.vault, &self.note, slot, &self.memory)
            .map_err(|error| errors::failure(&error))?;
        if let Some(dir) = &self.state_dir {
            vault.keep_generation(dir);
        }
        tracing::info!("the vault was created");
        Ok(self.begin(&mut state, vault, None))
    }

    fn begin(&self, state: &mut State, vault: Vault, wanted: Option<Duration>) -> Unlocked {
        let now = self.now();
        let number = self.sessions.get() + 1;
        self.sessions.set(number);
        let session = Session::begin(self.policy, wanted, now);
        let lock_in = session.seconds(now);
        *state = State::Unlocked(Box::new(Open {
            vault,
            session,
            ticket: Ticket(number),
        }));
        tracing::info!(lock_in, "unlocked");
        self.notifier.tell("STATUS=unlocked");
        Unlocked {
            already: false,
            lock_in,
        }
    }

    /// Wipes the keys, if any are held.
    pub(crate) fn lock(&self, why: &str) {
        self.lock_state(&mut self.state.borrow_mut(), why);
    }

    fn lock_state(&self, state: &mut State, why: &str) {
        let State::Unlocked(open) = state else {
            return;
        };
        if let Err(error) = open.vault.event(events::lock(why, self.clock.wall())) {
            events::lock_failed(errors::failure(&error));
        }
        self.written.notify_one();
        if let State::Unlocked(open) = std::mem::replace(state, State::NoVault) {
            *state = State::Locked(Box::new(open.vault.lock()));
            tracing::info!(why, "locked");
            self.notifier.tell("STATUS=locked");
        }
    }

    fn expire(&self, state: &mut State) {
        if let State::Unlocked(open) = state
            && let Some(ended) = open.session.ended(self.now())
        {
            self.lock_state(state, Ended::as_str(ended));
        }
    }

    /// The file is gone or was replaced: keys and lock go.
    fn drop_vault(&self, state: &mut State) {
        *state = State::NoVault;
        tracing::warn!("the vault file is gone or was replaced; nothing is held any more");
        self.notifier.tell("STATUS=no vault");
    }

    /// What the timer does: keys do not outlive their time or their file.
    pub(crate) fn tick(&self) {
        self.end_ceremony(&mut self.ceremony.borrow_mut());
        let mut state = self.state.borrow_mut();
        self.expire(&mut state);
        let gone = match &*state {
            State::Unlocked(open) => open.vault.check_file().err(),
            State::Locked(locked) => locked.check_file().err(),
            State::NoVault | State::Recovering(_) | State::Closed => None,
        };
        match gone {
            Some(error) if error.kind() == ErrorKind::Gone => self.drop_vault(&mut state),
            Some(error) => tracing::warn!(%error, "the vault file can't be looked at"),
            None => {}
        }
    }

    /// Wipes everything, gives the vault and the socket up. The next agent can start.
    pub(crate) fn close(&self, why: &str) {
        let mut state = self.state.borrow_mut();
        if matches!(*state, State::Closed) {
            return;
        }
        self.notifier.tell("STOPPING=1");
        self.lock_state(&mut state, why);
        self.set_ceremony(None);
        if let State::Locked(locked) = &mut *state
            && let Err(error) = locked.audit().sync()
        {
            tracing::error!(%error, "the audit log is not on the disk");
        }
        *state = State::Closed;
        self.place.remove();
        tracing::info!(why, "ending");
    }

    /// The same, and ends the agent.
    pub(crate) fn end(&self, why: &str) {
        self.close(why);
        self.shutdown.cancel();
    }

    /// The state, for people.
    pub(crate) fn status(&self) -> Result<Status, Failure> {
        let shown = match self.open() {
            Ok(()) => None,
            Err(failure) if failure.kind == Kind::NoVault => Some(Shown::NoVault),
            // Nobody needs to wait for a recovery to be told that it is locked.
            Err(failure) if failure.kind == Kind::Busy => None,
            Err(failure) => return Err(failure),
        };
        let mut status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            vault: std::os::unix::ffi::OsStrExt::as_bytes(self.vault.as_os_str()).to_vec(),
            vault_id: None,
            state: shown.unwrap_or(Shown::Locked),
            lock_in: None,
            secrets: None,
            revisions: None,
            epoch: None,
            key_memory: self.memory.kind().to_owned(),
        };
        match &*self.state.borrow() {
            State::Unlocked(open) => {
                let counts = open.vault.counts();
                status.state = Shown::Unlocked;
                status.vault_id = Some(open.vault.id());
                status.lock_in = Some(open.session.seconds(self.now()));
                status.secrets = Some(counts.secrets);
                status.revisions = Some(counts.revisions);
                status.epoch = Some(counts.epoch);
            }
            State::Locked(locked) => status.vault_id = Some(locked.id()),
            State::Recovering(id) => status.vault_id = Some(*id),
            State::NoVault | State::Closed => {}
        }
        Ok(status)
    }

    fn no_vault(&self) -> Failure {
        errors::failure(&Error::NoVault(self.vault.clone()))
    }
}

fn recovering() -> Failure {
    Failure::new(Kind::Busy, "shares are opening the vault")
}

fn closing() -> Failure {
    Failure::new(Kind::Locked, "the agent is ending")
}

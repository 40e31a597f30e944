//! From the command line to a listening socket, and the end.

use crate::{
    args::Args,
    clock::Clock,
    errors, events, limits,
    listen::{self, Place},
    log,
    notify::Notifier,
    serve,
    session::Policy,
    state::{Agent, Parts},
    sys, unattended,
};
use nix::{
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::{chdir, dup2_stderr, dup2_stdin, dup2_stdout, getpid, getsid, setsid},
};
use std::{
    env,
    fs::OpenOptions,
    io::{self, Write},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::{self, ExitCode},
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use sv_proto::{
    config::{Config, ConfigError},
    places::{Options, Places},
};
use sv_vault_core::{Error, ErrorKind, KdfParams, KeyMemory, Locked};
use tokio::{
    runtime::{Builder, LocalOptions},
    signal::unix::{Signal, SignalKind, signal},
    task::{spawn_blocking, spawn_local},
    time::{sleep, timeout},
};

/// Why the agent did not start. One line each.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The configuration, or what it needs.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `SV_LOG`.
    #[error("SV_LOG is error, warn, info, debug or trace")]
    LogLevel,
    /// The socket's path makes no sense.
    #[error("{0}")]
    Place(String),
    /// Socket activation went wrong.
    #[error("socket activation: {0}")]
    Activation(&'static str),
    /// A folder or file that another user could have put there.
    #[error("{0}")]
    Insecure(String),
    /// Another agent has the socket.
    #[error("another agent serves {}", .0.display())]
    Running(PathBuf),
    /// The vault's own error.
    #[error("{message}")]
    Vault {
        message: String,
        kind: ErrorKind,
        socket: Option<String>,
    },
    /// The file system.
    #[error("can't {what}: {error}")]
    Storage { what: String, error: io::Error },
    /// The kernel said no to something that must not fail.
    #[error("can't {what}: {error}")]
    System {
        what: &'static str,
        error: io::Error,
    },
    /// `--detach` in a shell.
    #[error("can't leave the session of a terminal from its foreground")]
    Leader,
}

impl StartError {
    pub(crate) fn system(what: &'static str, error: impl Into<io::Error>) -> Self {
        Self::System {
            what,
            error: error.into(),
        }
    }

    fn vault(error: &Error) -> Self {
        Self::Vault {
            message: errors::failure(error).message,
            kind: error.kind(),
            socket: match error {
                Error::InUse { note } => errors::holder_socket(note),
                _ => None,
            },
        }
    }

    /// As the command-line contract has it; 75 (EX_TEMPFAIL) tells the client
    /// that started this agent that it lost a race and may just connect.
    fn code(&self, detach: bool) -> u8 {
        match self {
            Self::Config(_) | Self::LogLevel | Self::Place(_) | Self::Leader => 2,
            Self::Insecure(_) => 7,
            Self::Storage { .. } => 10,
            Self::Running(_) if detach => 75,
            Self::Running(_) | Self::Activation(_) | Self::System { .. } => 1,
            Self::Vault { kind, .. } => match kind {
                ErrorKind::Insecure => 7,
                ErrorKind::Storage => 10,
                _ => 1,
            },
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Running(socket) => Some(format!("sv --socket {} agent stop", socket.display())),
            Self::Vault {
                kind: ErrorKind::InUse,
                socket: Some(socket),
                ..
            } => Some(format!("sv --socket {socket} agent stop")),
            Self::Vault {
                kind: ErrorKind::KeyMemory,
                ..
            } => Some(
                "allow more locked memory (ulimit -l), or set agent.allow_swappable_keys"
                    .to_owned(),
            ),
            Self::Insecure(_) => Some(
                "use a folder of your own that others can't write, with --socket or --vault"
                    .to_owned(),
            ),
            Self::Leader => Some("leave --detach out; sv gives it by itself".to_owned()),
            _ => None,
        }
    }
}

/// Says on standard error why there is no agent, in the name of `sv` if that
/// started it, and returns the exit code.
pub(crate) fn report(error: &StartError, detach: bool) -> ExitCode {
    let code = ExitCode::from(error.code(detach));
    if detach && matches!(error, StartError::Running(_)) {
        return code;
    }
    let program = if detach { "sv" } else { "sv-agent" };
    let mut text = format!("{program}: {error}\n");
    if let Some(hint) = error.hint() {
        text.push_str(&format!("hint: {hint}\n"));
    }
    // Nowhere is left to report that standard error is closed.
    let _ = io::stderr().write_all(text.as_bytes());
    code
}

/// Everything after the hardening.
pub(crate) fn run(args: Args, clock: Arc<dyn Clock>) -> ExitCode {
    log::abort_on_panic();
    sys::return_large_blocks();
    let detach = args.detach;
    match prepare(args, clock).and_then(|ready| ready.run()) {
        Ok(code) => code,
        Err(error) => report(&error, detach),
    }
}

/// What listens already, but does not answer yet.
struct Ready {
    agent: Rc<Agent>,
    listener: UnixListener,
    detach: bool,
    /// The credential that unlocks the vault.
    credential: Option<String>,
}

fn prepare(args: Args, clock: Arc<dyn Clock>) -> Result<Ready, StartError> {
    let cwd = env::current_dir().map_err(|error| StartError::Storage {
        what: "find the current folder".to_owned(),
        error,
    })?;
    if args.detach {
        leave_session()?;
    }
    let options = Options {
        vault: args.vault,
        socket: args.socket,
        config: args.config,
    };
    let (places, config) = Places::find(options, |name| env::var_os(name), &cwd)?;
    let level = match env::var_os("SV_LOG").filter(|name| !name.is_empty()) {
        Some(name) => name.to_str().and_then(log::level),
        None => log::level(&config.log),
    };
    let level = level.ok_or(StartError::LogLevel)?;
    let notifier = if args.detach {
        // Standard error is the caller's, for one line at most.
        Notifier::default()
    } else {
        log::to_stderr(level);
        Notifier::from_env()
    };
    let connections = descriptors(config.connections)?;
    let memory = KeyMemory::new(config.allow_swappable_keys || args.allow_swappable_keys)
        .map_err(|error| StartError::vault(&error))?;

    let activated = if args.detach {
        None
    } else {
        listen::activated()?
    };
    let (claim, shown) = match &activated {
        Some((_, path)) => (None, path.as_deref().unwrap_or(&places.socket).to_owned()),
        None => (Some(listen::claim(&places.socket)?), places.socket),
    };
    let note = format!("{} {}", process::id(), shown.display());
    let locked = open_vault(&places.vault, &note)?;
    let (listener, place) = match (activated, claim) {
        (Some((listener, _)), _) => (listener, Place::Systemd),
        (None, Some(claim)) => claim.listen()?,
        (None, None) => return Err(StartError::Activation("no socket to listen on")),
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        key_memory = memory.kind(),
        connections,
        "listening"
    );
    Ok(Ready {
        agent: Agent::new(Parts {
            vault: places.vault,
            note,
            kdf: kdf(&config),
            policy: Policy {
                idle: config.idle_timeout,
                most: config.max_unlocked,
                on_suspend: config.lock_on_suspend,
            },
            memory,
            clock,
            notifier,
            place,
            connections,
            backup_warn_after: config.backup_warn_after,
            state_dir: places.state,
            locked,
        }),
        listener,
        detach: args.detach,
        credential: config.unlock_credential,
    })
}

fn kdf(config: &Config) -> KdfParams {
    KdfParams {
        memory_kib: config.kdf_memory_mib * 1024,
        passes: config.kdf_passes,
        lanes: config.kdf_lanes,
    }
}

/// A session of its own, none of the caller's descriptors, no folder held.
fn leave_session() -> Result<(), StartError> {
    // It fails for the leader of a process group, which is fine only where
    // that is the leader of the session as well.
    if setsid().is_err() && getsid(None) != Ok(getpid()) {
        return Err(StartError::Leader);
    }
    sys::close_from(3).map_err(|e| StartError::system("close inherited descriptors", e))?;
    chdir("/").map_err(|e| StartError::system("leave the current folder", e))
}

/// Raises the limit of descriptors to what the connections need, or lowers
/// the connections to what the limit allows.
fn descriptors(connections: usize) -> Result<usize, StartError> {
    let limit = |e| StartError::system("read the limit of open files", e);
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(limit)?;
    let wanted = u64::try_from(connections + limits::RESERVED_DESCRIPTORS).unwrap_or(u64::MAX);
    if soft >= wanted {
        return Ok(connections);
    }
    let raised = wanted.min(hard);
    let have = match setrlimit(Resource::RLIMIT_NOFILE, raised, hard) {
        Ok(()) => raised,
        Err(_) => soft,
    };
    let have = usize::try_from(have).unwrap_or(usize::MAX);
    let most = have.saturating_sub(limits::RESERVED_DESCRIPTORS);
    if most == 0 {
        return Err(StartError::system(
            "open enough files",
            io::Error::from(nix::errno::Errno::EMFILE),
        ));
    }
    if most < connections {
        tracing::warn!(connections = most, "the limit of open files allows no more");
    }
    Ok(most.min(connections))
}

/// A second agent for a vault, or a vault that others could swap, ends the
/// start. Anything else that is wrong with it is told to whoever asks.
fn open_vault(path: &Path, note: &str) -> Result<Option<Locked>, StartError> {
    match Locked::open(path, note) {
        Ok(locked) => Ok(Some(locked)),
        Err(error) => match error.kind() {
            ErrorKind::NoVault => Ok(None),
            ErrorKind::InUse | ErrorKind::Insecure => Err(StartError::vault(&error)),
            _ => {
                tracing::error!(%error, "the vault can't be opened");
                Ok(None)
            }
        },
    }
}

impl Ready {
    fn run(self) -> Result<ExitCode, StartError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(limits::THREADS)
            .event_interval(limits::EVENT_INTERVAL)
            // The thread for derivations stays: where none more can be made
            // later on, unlocking still works.
            .thread_keep_alive(Duration::from_secs(u64::from(u32::MAX)))
            .build_local(LocalOptions::default())
            .map_err(|e| StartError::system("start the runtime", e))?;
        let code = runtime.block_on(self.serve());
        // A derivation that is under way wipes its memory first.
        runtime.shutdown_timeout(limits::DERIVATION_GRACE);
        code
    }

    async fn serve(self) -> Result<ExitCode, StartError> {
        let Self {
            agent,
            listener,
            detach,
            credential,
        } = self;
        let failed = |e| StartError::system("start the runtime", e);
        let listener = tokio::net::UnixListener::from_std(listener).map_err(failed)?;
        for (kind, name) in [
            (SignalKind::terminate(), "SIGTERM"),
            (SignalKind::interrupt(), "SIGINT"),
        ] {
            spawn_local(end_on(
                signal(kind).map_err(failed)?,
                name,
                Rc::clone(&agent),
            ));
        }
        spawn_local(ignore(signal(SignalKind::hangup()).map_err(failed)?));
        spawn_blocking(|| ()).await.map_err(|e| failed(e.into()))?;
        if let Some(name) = credential {
            unattended::unlock(&agent, &name);
        }
        if detach {
            announce()?;
        }
        agent.notifier.tell("READY=1");

        let accepting = spawn_local(accept(Rc::clone(&agent), listener));
        let ticking = spawn_local(tick(Rc::clone(&agent)));
        let syncing = spawn_local(events::keep_on_disk(Rc::clone(&agent)));
        agent.shutdown.cancelled().await;
        let code = if accepting.is_finished() {
            ExitCode::from(10)
        } else {
            ExitCode::SUCCESS
        };
        accepting.abort();
        ticking.abort();
        syncing.abort();

        agent.connections.close_unanswered();
        agent.tasks.close();
        if timeout(limits::GRACE, agent.tasks.wait()).await.is_err() {
            tracing::debug!("ended with answers unread");
        }
        Ok(code)
    }
}

async fn accept(agent: Rc<Agent>, listener: tokio::net::UnixListener) {
    let error = serve::accept(Rc::clone(&agent), listener).await;
    tracing::error!(%error, "the socket failed");
    agent.end("the socket failed");
}

async fn end_on(mut signal: Signal, name: &'static str, agent: Rc<Agent>) {
    if signal.recv().await.is_some() {
        agent.end(name);
    }
}

async fn ignore(mut signal: Signal) {
    while signal.recv().await.is_some() {}
}

/// Deadlines for when nobody asks, and the end of an agent that nobody can reach.
async fn tick(agent: Rc<Agent>) {
    loop {
        sleep(limits::TICK).await;
        agent.tick();
        agent.connections.close_idle();
        if !agent.place.reachable() {
            tracing::error!("the socket was removed or replaced");
            agent.end("unreachable");
        }
    }
}

/// Tells the program that waits on standard output, then lets go of it.
fn announce() -> Result<(), StartError> {
    let failed = |e| StartError::system("let go of the standard streams", e);
    // Whoever started this may be gone; others can still use the agent.
    let _ = io::stdout()
        .write_all(b"ready\n")
        .and_then(|()| io::stdout().flush());
    let null = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(failed)?;
    let failed = |e: nix::Error| failed(e.into());
    dup2_stdin(&null).map_err(failed)?;
    dup2_stdout(&null).map_err(failed)?;
    dup2_stderr(&null).map_err(failed)
}

//! Where things are, what the user allows, and how the agent is reached.

use crate::{
    cli::Global,
    connect::Connection,
    error::{Error, Result},
    output::Style,
    start::{self, Started},
    transport::Nodes,
};
use std::{
    env, fs, io,
    path::PathBuf,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use sv_proto::{
    config::{Color, Config, ConfigError, Spelling},
    places::{Options, Places},
};

/// How long to keep trying while another agent starts or ends.
const RETRY: Duration = Duration::from_secs(5);

/// Everything that a command needs to know of its surroundings.
pub struct Context {
    /// Vault, socket, configuration.
    pub places: Places,
    /// Answers are JSON documents.
    pub json: bool,
    /// Nobody may be asked.
    pub no_input: bool,
    color: Color,
    autostart: bool,
    transport: (PathBuf, Spelling),
}

impl Context {
    /// Reads options, environment and configuration.
    pub fn new(global: &Global) -> Result<Self> {
        let options = Options {
            vault: global.vault.clone(),
            socket: global.socket.clone(),
            config: global.config.clone(),
        };
        let cwd = env::current_dir().or_else(|e| match e.kind() {
            // The folder that the caller stands in was deleted.
            io::ErrorKind::NotFound => Ok("/".into()),
            _ => Err(Error::Read {
                what: "the current folder".to_owned(),
                error: e,
            }),
        })?;
        let (places, config) =
            Places::find(options, |name| env::var_os(name), &cwd).map_err(|e| {
                let hint = match e {
                    ConfigError::NoHome(_) => "set HOME, or name --vault, --socket and --config",
                    ConfigError::Read { .. } => "name another with --config",
                    _ => "the README lists every key",
                };
                Error::usage(e.to_string(), hint)
            })?;
        Ok(Self {
            color: config.color,
            json: global.json,
            no_input: global.no_input,
            autostart: autostart(global, &config),
            transport: (config.transport_program, config.transport_spelling),
            places,
        })
    }

    /// Colour on standard output.
    #[must_use]
    pub fn style(&self) -> Style {
        Style::of_stdout(self.color)
    }

    /// The other nodes. Passwords and values have to be claimed before.
    pub fn nodes(&self) -> Result<Nodes> {
        Nodes::new(&self.transport.0, self.transport.1)
    }

    /// Connects to the agent, if one runs.
    pub fn connect_if_running(&self) -> Result<Option<Connection>> {
        let named = self.places.vault_named.then_some(&*self.places.vault);
        Connection::open(&self.places.socket, named)
    }

    /// Connects to the agent for a command that needs a vault, starting one if
    /// need be.
    pub fn connect(&self) -> Result<Connection> {
        match self.connect_if_running()? {
            Some(connection) => Ok(connection),
            None if self.vault_is_missing() => Err(self.no_vault()),
            None => self.autostart(),
        }
    }

    /// The same for a command that can do without a vault.
    pub fn connect_without_vault(&self) -> Result<Connection> {
        match self.connect_if_running()? {
            Some(connection) => Ok(connection),
            None => self.autostart(),
        }
    }

    fn autostart(&self) -> Result<Connection> {
        if self.autostart {
            self.start()
        } else {
            Err(Error::NoAgent)
        }
    }

    /// Starts an agent, whatever is said of starting one unasked.
    pub fn start(&self) -> Result<Connection> {
        let deadline = Instant::now() + RETRY;
        loop {
            let started = start::start(&self.places)?;
            let round = Instant::now() + RETRY / 5;
            while Instant::now() < round.min(deadline) {
                if let Some(connection) = self.connect_if_running()? {
                    return Ok(connection);
                }
                thread::sleep(Duration::from_millis(10));
            }
            if Instant::now() >= deadline {
                return Err(Error::Transport(match started {
                    Started::Ready => "sv-agent started, but does not answer".to_owned(),
                    Started::Another => {
                        "another sv-agent holds the socket, but does not answer".to_owned()
                    }
                }));
            }
        }
    }

    /// Whether there is no vault file. What can't be told is left to the agent.
    #[must_use]
    pub fn vault_is_missing(&self) -> bool {
        fs::symlink_metadata(&self.places.vault).is_err_and(|e| {
            matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            )
        })
    }

    /// There is no vault.
    #[must_use]
    pub fn no_vault(&self) -> Error {
        Error::NoVault(self.places.vault.display().to_string())
    }
}

fn autostart(global: &Global, config: &Config) -> bool {
    let off = env::var_os("SV_NO_AUTOSTART").is_some_and(|v| !v.is_empty() && v != "0");
    config.autostart && !global.no_autostart && !off
}

/// Milliseconds since 1970.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

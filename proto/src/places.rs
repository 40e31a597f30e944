//! Where the vault, the socket and the configuration are: option before
//! environment before configuration file before default.

use crate::config::{Config, ConfigError};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// What the command line named.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--vault`
    pub vault: Option<PathBuf>,
    /// `--socket`
    pub socket: Option<PathBuf>,
    /// `--config`
    pub config: Option<PathBuf>,
}

/// Where things are. All paths are absolute.
#[derive(Debug, Clone)]
pub struct Places {
    /// The vault file.
    pub vault: PathBuf,
    /// Whether the user named it, rather than leaving it to the default.
    pub vault_named: bool,
    /// The agent's socket.
    pub socket: PathBuf,
    /// The configuration file.
    pub config: PathBuf,
    /// Whether the user named it.
    pub config_named: bool,
    /// The folder of what is to be remembered apart from the vault; `None`
    /// where neither the environment nor a home says where that is.
    pub state: Option<PathBuf>,
}

impl Places {
    /// Finds everything and reads the configuration. `env` looks up a variable
    /// of the environment, `cwd` is what relative options are relative to.
    pub fn find(
        options: Options,
        env: impl Fn(&str) -> Option<OsString>,
        cwd: &Path,
    ) -> Result<(Self, Config), ConfigError> {
        let var = |name: &str| env(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        // A relative value of an XDG variable is invalid and to be ignored
        // (XDG Base Directory Specification).
        let xdg = |name: &str| var(name).filter(|p| p.is_absolute());
        let home = xdg("HOME");
        let under = |variable: &'static str, rest: &str| match (xdg(variable), &home) {
            (Some(dir), _) => Ok(dir),
            (None, Some(home)) => Ok(home.join(rest)),
            (None, None) => Err(ConfigError::NoHome(variable)),
        };

        let named = options.config.or_else(|| var("SV_CONFIG"));
        let config_named = named.is_some();
        let config_path = match named {
            Some(path) => cwd.join(path),
            None => under("XDG_CONFIG_HOME", ".config")?.join("sv/config.toml"),
        };
        let config = Config::load(&config_path, config_named, home.as_deref())?;

        let named = options
            .vault
            .or_else(|| var("SV_VAULT"))
            .or_else(|| config.vault.clone());
        let vault_named = named.is_some();
        let vault = match named {
            Some(path) => cwd.join(path),
            None => under("XDG_DATA_HOME", ".local/share")?.join("sv/vault.sv"),
        };

        let named = options
            .socket
            .or_else(|| var("SV_SOCKET"))
            .or_else(|| config.socket.clone());
        let socket = match (named, xdg("XDG_RUNTIME_DIR")) {
            (Some(path), _) => cwd.join(path),
            (None, Some(dir)) => dir.join("sv/agent.sock"),
            (None, None) => match &home {
                Some(home) => home.join(".local/state/sv/agent.sock"),
                None => return Err(ConfigError::NoHome("XDG_RUNTIME_DIR")),
            },
        };

        let places = Self {
            state: state_dir(&env),
            vault,
            vault_named,
            socket,
            config: config_path,
            config_named,
        };
        Ok((places, config))
    }
}

/// `$XDG_STATE_HOME/sv`, by default `~/.local/state/sv`.
#[must_use]
pub fn state_dir(env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let dir = |name| env(name).map(PathBuf::from).filter(|p| p.is_absolute());
    dir("XDG_STATE_HOME")
        .or_else(|| Some(dir("HOME")?.join(".local/state")))
        .map(|state| state.join("sv"))
}

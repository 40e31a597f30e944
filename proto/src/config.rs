//! The configuration file: TOML, every key optional and documented in
//! [`KEYS`]. A key that is not known is an error that names the closest one.

use crate::{limits, span};
use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};
use toml::{Table, Value};

/// Every key with its default and meaning, as the README prints them.
pub const KEYS: &[(&str, &str, &str)] = &[
    (
        "vault",
        "the data directory",
        "the vault file; absolute, or beginning with ~/",
    ),
    (
        "socket",
        "the runtime directory",
        "the agent's socket; absolute, or beginning with ~/",
    ),
    (
        "agent.idle_timeout",
        "\"1h\"",
        "lock after this long without a successful request; \"off\" for never",
    ),
    (
        "agent.max_unlocked",
        "\"12h\"",
        "lock this long after unlocking, used or not; the most that `unlock --for` may ask; \"off\" for never",
    ),
    (
        "agent.unlock_credential",
        "none",
        "a systemd credential that the agent unlocks itself with when it starts",
    ),
    (
        "agent.lock_on_suspend",
        "true",
        "lock when the machine was suspended",
    ),
    (
        "agent.allow_swappable_keys",
        "false",
        "run even where no memory can be kept out of swap",
    ),
    ("agent.connections", "256", "connections at once, 8 to 4096"),
    (
        "agent.log",
        "\"info\"",
        "error, warn, info, debug or trace; to standard error",
    ),
    (
        "kdf.memory_mib",
        "64",
        "Argon2id memory of new passwords, 64 to 1024 MiB",
    ),
    (
        "kdf.passes",
        "3",
        "Argon2id passes of new passwords, 3 to 10",
    ),
    ("kdf.lanes", "4", "Argon2id lanes of new passwords, 1 to 16"),
    (
        "backup.warn_after",
        "\"30d\"",
        "`sv status` warns when the newest backup is older; \"off\" for never",
    ),
    (
        "client.autostart",
        "true",
        "start an agent when none answers",
    ),
    (
        "client.color",
        "\"auto\"",
        "auto, always or never; NO_COLOR beats it",
    ),
    (
        "transport.program",
        "\"vssh\"",
        "reaches other nodes: a name to find on PATH, or a path, absolute or beginning with ~/",
    ),
    (
        "transport.spelling",
        "\"node:path\"",
        "how it is called: \"node:path\" is `put FILE NODE:PATH`, \"node path\" is `put NODE FILE PATH`",
    ),
];

/// How the program that reaches other nodes wants its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Spelling {
    /// `put FILE NODE:PATH`
    #[default]
    Joined,
    /// `put NODE FILE PATH`
    Apart,
}

/// When colour is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Color {
    /// On a terminal, without NO_COLOR.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The configuration, defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `vault`
    pub vault: Option<PathBuf>,
    /// `socket`
    pub socket: Option<PathBuf>,
    /// `agent.idle_timeout`; `None` for never.
    pub idle_timeout: Option<Duration>,
    /// `agent.max_unlocked`
    pub max_unlocked: Duration,
    /// `agent.unlock_credential`
    pub unlock_credential: Option<String>,
    /// `agent.lock_on_suspend`
    pub lock_on_suspend: bool,
    /// `agent.allow_swappable_keys`
    pub allow_swappable_keys: bool,
    /// `agent.connections`
    pub connections: usize,
    /// `agent.log`
    pub log: String,
    /// `kdf.memory_mib`
    pub kdf_memory_mib: u32,
    /// `kdf.passes`
    pub kdf_passes: u32,
    /// `kdf.lanes`
    pub kdf_lanes: u32,
    /// `backup.warn_after`; `None` for never.
    pub backup_warn_after: Option<Duration>,
    /// `client.autostart`
    pub autostart: bool,
    /// `client.color`
    pub color: Color,
    /// `transport.program`: a name, or an absolute path.
    pub transport_program: PathBuf,
    /// `transport.spelling`
    pub transport_spelling: Spelling,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            vault: None,
            socket: None,
            idle_timeout: Some(Duration::from_secs(3600)),
            max_unlocked: Duration::from_secs(12 * 3600),
            unlock_credential: None,
            lock_on_suspend: true,
            allow_swappable_keys: false,
            connections: 256,
            log: "info".to_owned(),
            kdf_memory_mib: 64,
            kdf_passes: 3,
            kdf_lanes: 4,
            backup_warn_after: Some(Duration::from_secs(30 * 86_400)),
            autostart: true,
            color: Color::Auto,
            transport_program: PathBuf::from("vssh"),
            transport_spelling: Spelling::Joined,
        }
    }
}

/// Why a configuration is refused. One line each.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("can't read the configuration {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Not TOML.
    #[error("the configuration is not TOML: line {line}: {message}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A key that does not exist.
    #[error("the configuration has no key '{key}'; the closest is '{closest}'")]
    UnknownKey {
        /// As written.
        key: String,
        /// The most similar one that exists.
        closest: &'static str,
    },
    /// A value of the wrong type or out of bounds.
    #[error("the configuration's '{key}' wants {wants}")]
    Value {
        /// Of the known ones.
        key: String,
        /// What would be right.
        wants: &'static str,
    },
    /// Neither `$HOME` nor the variable that would replace it is set.
    #[error("neither HOME nor {0} is set")]
    NoHome(&'static str),
}

impl Config {
    /// Reads `path`. A missing file is the defaults, unless it was `named` by the user.
    pub fn load(path: &Path, named: bool, home: Option<&Path>) -> Result<Self, ConfigError> {
        let read = |error| ConfigError::Read {
            path: path.to_owned(),
            error,
        };
        let mut file = match fs::File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound && !named => return Ok(Self::default()),
            Err(e) => return Err(read(e)),
        };
        let mut text = String::new();
        let cap = limits::CONFIG as u64 + 1;
        (&mut file)
            .take(cap)
            .read_to_string(&mut text)
            .map_err(read)?;
        if text.len() > limits::CONFIG {
            return Err(read(io::Error::other("larger than 64 KiB")));
        }
        Self::parse(&text, home)
    }

    /// Reads the text of a configuration file.
    pub fn parse(text: &str, home: Option<&Path>) -> Result<Self, ConfigError> {
        let table: Table = text.parse().map_err(|e: toml::de::Error| {
            let at = e.span().map_or(0, |s| s.start.min(text.len()));
            ConfigError::Syntax {
                line: text.as_bytes()[..at]
                    .iter()
                    .filter(|b| **b == b'\n')
                    .count()
                    + 1,
                message: e.message().lines().next().unwrap_or_default().to_owned(),
            }
        })?;
        let mut config = Self::default();
        config.fill("", &table, home)?;
        Ok(config)
    }

    fn fill(
        &mut self,
        prefix: &str,
        table: &Table,
        home: Option<&Path>,
    ) -> Result<(), ConfigError> {
        for (key, value) in table {
            let key = format!("{prefix}{key}");
            let section = format!("{key}.");
            if KEYS.iter().any(|(k, ..)| k.starts_with(&section)) {
                match value {
                    Value::Table(inner) => self.fill(&section, inner, home)?,
                    _ => {
                        return Err(ConfigError::Value {
                            key,
                            wants: "a table",
                        });
                    }
                }
            } else {
                self.set(&key, value, home)?;
            }
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &Value, home: Option<&Path>) -> Result<(), ConfigError> {
        let number = |low: u32, high: u32| {
            value
                .as_integer()
                .and_then(|n| u32::try_from(n).ok())
                .filter(|n| (low..=high).contains(n))
        };
        let (ok, wants) = match key {
            "vault" => (put(&mut self.vault, path(value, home).map(Some)), PATH),
            "socket" => (put(&mut self.socket, path(value, home).map(Some)), PATH),
            "agent.idle_timeout" => (put(&mut self.idle_timeout, or_off(value)), OR_OFF),
            "agent.max_unlocked" => (
                put(
                    &mut self.max_unlocked,
                    or_off(value).map(|most| most.unwrap_or(NEVER)),
                ),
                OR_OFF,
            ),
            "agent.unlock_credential" => {
                let plain = |s: &&str| {
                    !s.is_empty() && s.len() <= 255 && !s.contains('/') && !s.starts_with('.')
                };
                let name = value.as_str().filter(plain).map(|s| Some(s.to_owned()));
                (
                    put(&mut self.unlock_credential, name),
                    "the name of a credential",
                )
            }
            "agent.lock_on_suspend" => (put(&mut self.lock_on_suspend, value.as_bool()), BOOL),
            "agent.allow_swappable_keys" => {
                (put(&mut self.allow_swappable_keys, value.as_bool()), BOOL)
            }
            "agent.connections" => (
                put(&mut self.connections, number(8, 4096).map(|n| n as usize)),
                "a number from 8 to 4096",
            ),
            "agent.log" => {
                let known = |s: &&str| matches!(*s, "error" | "warn" | "info" | "debug" | "trace");
                let level = value.as_str().filter(known).map(str::to_owned);
                (
                    put(&mut self.log, level),
                    "error, warn, info, debug or trace",
                )
            }
            "kdf.memory_mib" => (
                put(&mut self.kdf_memory_mib, number(64, 1024)),
                "a number from 64 to 1024",
            ),
            "kdf.passes" => (
                put(&mut self.kdf_passes, number(3, 10)),
                "a number from 3 to 10",
            ),
            "kdf.lanes" => (
                put(&mut self.kdf_lanes, number(1, 16)),
                "a number from 1 to 16",
            ),
            "backup.warn_after" => (put(&mut self.backup_warn_after, or_off(value)), OR_OFF),
            "client.autostart" => (put(&mut self.autostart, value.as_bool()), BOOL),
            "client.color" => {
                let color = match value.as_str() {
                    Some("auto") => Some(Color::Auto),
                    Some("always") => Some(Color::Always),
                    Some("never") => Some(Color::Never),
                    _ => None,
                };
                (put(&mut self.color, color), "auto, always or never")
            }
            "transport.program" => (
                put(&mut self.transport_program, program(value, home)),
                "a name without '/', an absolute path, or one that begins with ~/",
            ),
            "transport.spelling" => {
                let spelling = match value.as_str() {
                    Some("node:path") => Some(Spelling::Joined),
                    Some("node path") => Some(Spelling::Apart),
                    _ => None,
                };
                (
                    put(&mut self.transport_spelling, spelling),
                    "\"node:path\" or \"node path\"",
                )
            }
            _ => {
                let closest = KEYS
                    .iter()
                    .map(|(k, ..)| *k)
                    .min_by_key(|k| strsim::damerau_levenshtein(k, key))
                    .unwrap_or_default();
                return Err(ConfigError::UnknownKey {
                    key: key.to_owned(),
                    closest,
                });
            }
        };
        if ok {
            return Ok(());
        }
        Err(ConfigError::Value {
            key: key.to_owned(),
            wants,
        })
    }
}

/// A century.
const NEVER: Duration = Duration::from_secs(36_500 * 86_400);
const PATH: &str = "an absolute path, or one that begins with ~/";
const BOOL: &str = "true or false";
const OR_OFF: &str = "a duration of a second or more such as \"15m\", or \"off\"";

/// Sets `slot` if there is a value, and says whether there was.
fn put<T>(slot: &mut T, value: Option<T>) -> bool {
    match value {
        Some(value) => {
            *slot = value;
            true
        }
        None => false,
    }
}

fn duration(value: &Value) -> Option<Duration> {
    let time = span::duration(value.as_str()?).ok()?;
    (time >= Duration::from_secs(1)).then_some(time)
}

fn or_off(value: &Value) -> Option<Option<Duration>> {
    let off = (value.as_str() == Some("off")).then_some(None);
    off.or_else(|| duration(value).map(Some))
}

fn path(value: &Value, home: Option<&Path>) -> Option<PathBuf> {
    let text = value.as_str()?;
    match text.strip_prefix("~/") {
        Some(rest) => Some(home?.join(rest)),
        None => Some(PathBuf::from(text)).filter(|p| p.is_absolute()),
    }
}

/// A program to find on `PATH`, or a path.
fn program(value: &Value, home: Option<&Path>) -> Option<PathBuf> {
    let text = value.as_str().filter(|text| !text.is_empty())?;
    if text.contains('/') {
        path(value, home)
    } else {
        Some(PathBuf::from(text)).filter(|_| !matches!(text, "." | ".."))
    }
}

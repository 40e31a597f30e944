//! Everything that can go wrong, and the only place that knows exit codes and
//! hints.

use crate::{json::Object, output};
use std::{io, process::ExitCode};
use sv_proto::{
    Kind,
    frame::Versions,
    limits,
    message::{Failure, State},
};

/// What a step of the client comes to.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure. Its text is one line and holds no value, password or key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The agent said no.
    #[error("{}", .0.message)]
    Agent(Failure),
    /// The arguments make no sense, or what they name can't be used.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
    /// No agent answers and none may be started.
    #[error("no agent runs, and none may be started")]
    NoAgent,
    /// No agent answers and there is no vault that one could serve.
    #[error("there is no vault at {0}")]
    NoVault(String),
    /// The answer of `status --check`; nothing is printed.
    #[error("not unlocked")]
    Check(State),
    /// The socket is not ours to use.
    #[error("{0}")]
    Refused(String),
    /// The socket failed.
    #[error("{0}")]
    Transport(String),
    /// The agent did not answer in time.
    #[error("the agent did not answer within {0} seconds")]
    Timeout(u64),
    /// The agent's answer makes no sense.
    #[error("the agent's answer is malformed: {0}")]
    Malformed(&'static str),
    /// The agent speaks other versions of the protocol.
    #[error("{}", versions(.0.as_ref()))]
    Version(Option<Versions>),
    /// The agent could not be started; it said why.
    #[error("{message}")]
    Start {
        /// The exit code of the agent, of the same list as ours.
        code: u8,
        /// What it said.
        message: String,
        /// What it said to do.
        hint: Option<String>,
    },
    /// A file or descriptor that was named can't be read.
    #[error("can't read {what}: {}", reason(.error))]
    Read {
        /// The option that named it.
        what: String,
        /// Why.
        error: io::Error,
    },
    /// Standard output or the file of `--out` can't be written.
    #[error("can't write {what}: {}", reason(.error))]
    Write {
        /// Which.
        what: &'static str,
        /// Why.
        error: io::Error,
    },
    /// Nobody reads standard output any more; nothing is printed.
    #[error("standard output is closed")]
    Pipe,
    /// The value would garble the terminal.
    #[error("the value is not plain text, and standard output is a terminal")]
    NotText,
    /// A question was answered no.
    #[error("nothing was changed")]
    Declined,
    /// Interrupted at a prompt.
    #[error("interrupted")]
    Interrupted,
    /// The terminal failed during a prompt.
    #[error("the terminal failed: {0}")]
    Terminal(String),
    /// The system gave no random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// The process could not be protected.
    #[error("can't keep this process out of core dumps: {0}")]
    Harden(&'static str),
    /// A check found something.
    #[error("the vault is damaged: {0}")]
    Problems(String),
    /// A check of the audit log found something.
    #[error("the audit log is not as it was written: {0}")]
    AuditProblems(String),
    /// Events that can't be read.
    #[error("{0}")]
    AuditUnreadable(String),
    /// What was named is not there.
    #[error("{message}")]
    Missing {
        /// The stable word for it.
        kind: &'static str,
        /// What is not there.
        message: String,
        /// What to do.
        hint: String,
    },
    /// Of several things only some could be done.
    #[error("{message}")]
    Partial {
        /// How many, and what that means.
        message: String,
        /// What to do.
        hint: String,
    },
    /// Something of the above, with a better word for what to do, or for what
    /// it was about.
    #[error("{}{error}", prefix(.about.as_deref()))]
    With {
        /// What went wrong.
        error: Box<Error>,
        /// What it was about.
        about: Option<String>,
        /// What to do.
        hint: Option<String>,
    },
}

fn prefix(about: Option<&str>) -> String {
    about.map(|about| format!("{about}: ")).unwrap_or_default()
}

/// An input/output error without the number that the standard library adds.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(n) => nix::errno::Errno::from_raw(n).desc().to_owned(),
        None => error.to_string(),
    }
}

fn versions(theirs: Option<&Versions>) -> String {
    match theirs {
        Some(v) if v.min == v.max => format!(
            "the agent speaks protocol version {}, this sv speaks {}",
            v.min,
            limits::VERSION
        ),
        Some(v) => format!(
            "the agent speaks protocol versions {} to {}, this sv speaks {}",
            v.min,
            v.max,
            limits::VERSION
        ),
        None => format!(
            "the agent speaks another protocol version than {}",
            limits::VERSION
        ),
    }
}

impl Error {
    /// Wrong usage.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// The same with another hint.
    #[must_use]
    pub fn hinted(self, hint: impl Into<String>) -> Self {
        Self::With {
            error: Box::new(self),
            about: None,
            hint: Some(hint.into()),
        }
    }

    /// The same, said to be about a file or person.
    #[must_use]
    pub fn about(self, what: impl Into<String>) -> Self {
        Self::With {
            error: Box::new(self),
            about: Some(what.into()),
            hint: None,
        }
    }

    /// The kind of failure that the agent told, if it was the agent.
    #[must_use]
    pub fn told(&self) -> Option<Kind> {
        match self {
            Self::Agent(failure) => Some(failure.kind),
            Self::With { error, .. } => error.told(),
            _ => None,
        }
    }

    /// A failure as the agent would tell it.
    pub fn agent(kind: Kind, message: &str) -> Self {
        Self::Agent(Failure::new(kind, message))
    }

    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Agent(failure) => kind_code(failure.kind),
            Self::Usage { .. } => 2,
            Self::NoAgent => 3,
            Self::NoVault(_) | Self::Missing { .. } => 4,
            Self::Check(State::Unlocked) => 0,
            Self::Check(State::Locked) => 3,
            Self::Check(State::NoVault) => 4,
            Self::Refused(_) => 7,
            Self::Malformed(_)
            | Self::Problems(_)
            | Self::AuditProblems(_)
            | Self::AuditUnreadable(_) => 8,
            Self::Transport(_) | Self::Timeout(_) | Self::Partial { .. } => 10,
            Self::With { error, .. } => error.code(),
            Self::Version(_) => 11,
            Self::Start { code, .. } => *code,
            // A name that leads nowhere is a mistake in the arguments; a device
            // that fails is not.
            Self::Read { error, .. } | Self::Write { error, .. } => match error.kind() {
                io::ErrorKind::NotFound
                | io::ErrorKind::IsADirectory
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::PermissionDenied => 2,
                _ => 10,
            },
            Self::Pipe => 141,
            Self::Interrupted => 130,
            Self::NotText | Self::Declined | Self::Terminal(_) | Self::Random | Self::Harden(_) => {
                1
            }
        }
    }

    /// The stable word for it, as in the `kind` of `--json`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Agent(failure) => failure.kind.as_str(),
            Self::Usage { .. } => Kind::Usage.as_str(),
            Self::NoAgent => "no_agent",
            Self::NoVault(_) | Self::Check(State::NoVault) => Kind::NoVault.as_str(),
            Self::Check(_) => Kind::Locked.as_str(),
            Self::Refused(_) => Kind::Refused.as_str(),
            Self::Transport(_) => "transport",
            Self::Timeout(_) => Kind::Timeout.as_str(),
            Self::Malformed(_) => Kind::Malformed.as_str(),
            Self::Version(_) => Kind::Version.as_str(),
            Self::Start { .. } => "start_failed",
            Self::Read { .. } => "input",
            Self::Write { .. } | Self::Pipe => "output",
            Self::NotText => "not_text",
            Self::Declined => "declined",
            Self::Interrupted => "interrupted",
            Self::Terminal(_) => "terminal",
            Self::Random | Self::Harden(_) => Kind::Internal.as_str(),
            Self::Problems(_) | Self::AuditProblems(_) | Self::AuditUnreadable(_) => {
                Kind::Damaged.as_str()
            }
            Self::Missing { kind, .. } => kind,
            Self::Partial { .. } => "partial",
            Self::With { error, .. } => error.kind(),
        }
    }

    /// What to do next, if there is something.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Agent(failure) => kind_hint(failure.kind),
            Self::Usage { hint, .. } | Self::Missing { hint, .. } | Self::Partial { hint, .. } => {
                Some(hint)
            }
            Self::With { error, hint, .. } => hint.as_deref().or_else(|| error.hint()),
            Self::NoAgent => Some("sv agent start"),
            Self::NoVault(_) => Some("sv init"),
            Self::Refused(_) => Some("name your own agent's socket with --socket PATH"),
            Self::Transport(_) | Self::Timeout(_) => Some("sv status"),
            Self::Malformed(_) => Some("is the socket that of an sv-agent?"),
            Self::Version(_) => {
                Some("end the agent that runs (it is of another release) and try again")
            }
            Self::Start { hint, .. } => hint.as_deref(),
            Self::NotText => Some("--raw writes it as it is, --out FILE into a file"),
            Self::Check(_)
            | Self::Read { .. }
            | Self::Write { .. }
            | Self::Pipe
            | Self::Declined
            | Self::Interrupted
            | Self::Terminal(_)
            | Self::Random
            | Self::Harden(_)
            | Self::Problems(_)
            | Self::AuditProblems(_) => None,
            Self::AuditUnreadable(_) => Some("sv audit --verify"),
        }
    }

    /// Prints it and says how to exit.
    #[must_use]
    pub fn report(&self, json: bool) -> ExitCode {
        match self {
            Self::Pipe | Self::Check(_) => {}
            _ if json => output::stderr(&self.document()),
            _ => {
                let mut text = format!("sv: {}\n", output::escape(&self.to_string()));
                if let Some(hint) = self.hint() {
                    text.push_str(&format!("hint: {}\n", output::escape(hint)));
                }
                output::stderr(text.as_bytes());
            }
        }
        ExitCode::from(self.code())
    }

    fn document(&self) -> Vec<u8> {
        let mut object = Object::new();
        object.text("kind", self.kind());
        object.text("message", &self.to_string());
        if let Some(hint) = self.hint() {
            object.text("hint", hint);
        }
        object.number("exit", u64::from(self.code()));
        object.line().to_vec()
    }
}

/// The exit code of what the agent tells.
const fn kind_code(kind: Kind) -> u8 {
    match kind {
        Kind::NoShare | Kind::NoCeremony | Kind::NoSlot => 4,
        Kind::WrongShare => 6,
        Kind::BadShare => 8,
        Kind::RolledBack => 9,
        Kind::Internal | Kind::OtherVault | Kind::VaultInUse | Kind::KeyMemory => 1,
        Kind::Usage => 2,
        Kind::Locked => 3,
        Kind::NoVault | Kind::NoSecret | Kind::NoRevision => 4,
        Kind::Exists => 5,
        Kind::WrongPassword => 6,
        Kind::Refused => 7,
        Kind::Damaged | Kind::Malformed => 8,
        Kind::Conflict => 9,
        Kind::Storage | Kind::Timeout | Kind::Busy => 10,
        Kind::Version => 11,
    }
}

const fn kind_hint(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Locked => Some("sv unlock"),
        Kind::NoVault => Some("sv init"),
        Kind::NoSecret => Some("sv list"),
        Kind::NoRevision => Some("sv history NAME"),
        Kind::Damaged => Some("sv verify"),
        Kind::Conflict => Some("sv history NAME shows what came in between"),
        Kind::Busy => Some("try again in a moment"),
        Kind::OtherVault => Some("name the agent of that vault with --socket PATH"),
        Kind::VaultInUse => Some("reach the agent that serves it with --socket PATH, or end it"),
        Kind::KeyMemory => {
            Some("raise the limit of locked memory (ulimit -l), or set agent.allow_swappable_keys")
        }
        Kind::NoShare => Some("sv shares"),
        Kind::RolledBack => {
            Some("sv lock, then sv unlock --accept-rollback if the vault was put back on purpose")
        }
        Kind::NoCeremony => Some("sv recover --start"),
        Kind::NoSlot => Some("sv slot list"),
        Kind::Usage
        | Kind::Internal
        | Kind::BadShare
        | Kind::WrongShare
        | Kind::Exists
        | Kind::WrongPassword
        | Kind::Refused
        | Kind::Storage
        | Kind::Timeout
        | Kind::Version
        | Kind::Malformed => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_exit_code() {
        let expected = [
            (Kind::Internal, 1),
            (Kind::Usage, 2),
            (Kind::Locked, 3),
            (Kind::NoVault, 4),
            (Kind::NoSecret, 4),
            (Kind::NoRevision, 4),
            (Kind::Exists, 5),
            (Kind::WrongPassword, 6),
            (Kind::Refused, 7),
            (Kind::Damaged, 8),
            (Kind::Conflict, 9),
            (Kind::Storage, 10),
            (Kind::Timeout, 10),
            (Kind::Busy, 10),
            (Kind::Version, 11),
            (Kind::OtherVault, 1),
            (Kind::Malformed, 8),
            (Kind::VaultInUse, 1),
            (Kind::KeyMemory, 1),
            (Kind::NoShare, 4),
            (Kind::BadShare, 8),
            (Kind::WrongShare, 6),
            (Kind::RolledBack, 9),
            (Kind::NoCeremony, 4),
            (Kind::NoSlot, 4),
        ];
        assert_eq!(expected.len(), Kind::ALL.len());
        for (kind, code) in expected {
            let error = Error::agent(kind, "x");
            assert_eq!(error.code(), code, "{kind:?}");
            assert_eq!(error.kind(), kind.as_str());
        }
        assert_eq!(Error::agent(Kind::Locked, "x").hint(), Some("sv unlock"));
    }

    #[test]
    fn an_error_is_one_json_document() {
        let error = Error::usage("two\nlines \u{202e}", "do");
        let document = error.document();
        let value: serde_json::Value = serde_json::from_slice(&document).unwrap();
        assert_eq!(value["kind"], "usage");
        assert_eq!(value["message"], "two\nlines \u{202e}");
        assert_eq!(value["hint"], "do");
        assert_eq!(value["exit"], 2);
        assert_eq!(document.iter().filter(|b| **b == b'\n').count(), 1);
    }

    #[test]
    fn unreadable_inputs_are_usage_but_failing_devices_are_not() {
        let read = |errno| Error::Read {
            what: "--file".to_owned(),
            error: io::Error::from_raw_os_error(errno),
        };
        assert_eq!(read(nix::libc::ENOENT).code(), 2);
        assert_eq!(read(nix::libc::EISDIR).code(), 2);
        assert_eq!(read(nix::libc::EIO).code(), 10);
        let full = Error::Write {
            what: "standard output",
            error: io::Error::from_raw_os_error(nix::libc::ENOSPC),
        };
        assert_eq!(full.code(), 10);
        assert_eq!(
            read(nix::libc::ENOENT).to_string(),
            "can't read --file: No such file or directory"
        );
    }

    #[test]
    fn versions_are_named() {
        let error = Error::Version(Some(Versions { min: 2, max: 4 }));
        assert_eq!(error.code(), 11);
        assert_eq!(
            error.to_string(),
            "the agent speaks protocol versions 2 to 4, this sv speaks 1"
        );
    }
}

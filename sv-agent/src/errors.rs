//! From the engine's errors to the protocol's. One line each, no control
//! characters, and nothing but what the engine and the file system say.

use std::fmt::Display;
use sv_proto::{Kind, message::Failure};
use sv_vault_core::{Error, ErrorKind};

/// The failure that answers a request which met `error`.
pub(crate) fn failure(error: &Error) -> Failure {
    let kind = match error.kind() {
        ErrorKind::Usage => Kind::Usage,
        ErrorKind::NoVault | ErrorKind::Gone => Kind::NoVault,
        ErrorKind::NoSecret => Kind::NoSecret,
        ErrorKind::NoRevision => Kind::NoRevision,
        ErrorKind::Exists => Kind::Exists,
        ErrorKind::WrongPassword => Kind::WrongPassword,
        ErrorKind::Damaged => Kind::Damaged,
        ErrorKind::Conflict => Kind::Conflict,
        ErrorKind::Storage => Kind::Storage,
        ErrorKind::Version => Kind::Version,
        ErrorKind::InUse => Kind::VaultInUse,
        ErrorKind::Busy => Kind::Busy,
        ErrorKind::RolledBack => Kind::RolledBack,
        ErrorKind::BadShare => Kind::BadShare,
        ErrorKind::WrongShare => Kind::WrongShare,
        ErrorKind::NoShare => Kind::NoShare,
        ErrorKind::NoSlot => Kind::NoSlot,
        ErrorKind::Insecure => Kind::Refused,
        ErrorKind::KeyMemory => Kind::KeyMemory,
        ErrorKind::Internal => Kind::Internal,
    };
    let message = match error {
        Error::InUse { note } => in_use(note),
        other => other.to_string(),
    };
    Failure::new(kind, one_line(&message))
}

/// Names the agent that holds the vault, as far as its note does.
fn in_use(note: &str) -> String {
    match note.trim().split_once(' ') {
        Some((pid, socket)) if pid.parse::<u32>().is_ok() => {
            format!("another agent (pid {pid}) serves this vault on {socket}")
        }
        _ => "another program holds this vault".to_owned(),
    }
}

/// The socket in the note of the agent that holds the vault.
pub(crate) fn holder_socket(note: &str) -> Option<String> {
    let (pid, socket) = note.trim().split_once(' ')?;
    pid.parse::<u32>().ok()?;
    Some(one_line(socket))
}

/// A fault of the agent itself.
pub(crate) fn internal(error: &dyn Display) -> Failure {
    Failure::new(
        Kind::Internal,
        one_line(&format!("the agent failed: {error}")),
    )
}

/// Nothing is held that could answer.
pub(crate) fn locked() -> Failure {
    Failure::new(Kind::Locked, "the vault is locked")
}

fn one_line(text: &str) -> String {
    text.chars()
        .take(2 * sv_proto::limits::PATH)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_named() {
        let error = Error::InUse {
            note: "42 /run/user/1/sv/agent.sock\n".to_owned(),
        };
        let told = failure(&error);
        assert_eq!(told.kind, Kind::VaultInUse);
        assert_eq!(
            told.message,
            "another agent (pid 42) serves this vault on /run/user/1/sv/agent.sock"
        );
    }

    #[test]
    fn a_note_cannot_forge_a_second_line() {
        for note in ["", "x", "1 a\nhint: rm", "99999999999 /a"] {
            let told = failure(&Error::InUse {
                note: note.to_owned(),
            });
            assert_eq!(told.message.lines().count(), 1, "{}", told.message);
        }
        assert_eq!(holder_socket("1 a\nb").as_deref(), Some("a?b"));
        assert_eq!(holder_socket("none"), None);
    }
}

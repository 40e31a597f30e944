//! What can go wrong, for people and for the agent.

use std::{fmt, io, path::PathBuf};

/// The engine's result.
pub type Result<T> = std::result::Result<T, Error>;

/// One line each, never a secret's name or value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that breaks the rules.
    #[error("{0}")]
    BadName(&'static str),
    /// A category, tag, note or expiry that breaks the rules.
    #[error("{0}")]
    BadField(&'static str),
    /// A value over the limit.
    #[error("a value has at most 1 MiB")]
    BadValue,
    /// Key derivation parameters out of bounds, asked for by the user.
    #[error("Argon2id takes 64 MiB to 1 GiB, 3 to 10 passes and 1 to 16 lanes")]
    BadKdf,
    /// No file at the vault's place.
    #[error("there is no vault at {}", .0.display())]
    NoVault(PathBuf),
    /// No secret of that name.
    #[error("no such secret")]
    NoSecret,
    /// The secret has no such revision.
    #[error("no such revision")]
    NoRevision,
    /// A secret of that name is there.
    #[error("a secret of that name exists already")]
    Exists,
    /// A file is at the place of the new vault.
    #[error("there is a vault already at {}", .0.display())]
    VaultExists(PathBuf),
    /// A copy of another vault.
    #[error("it is a copy of another vault than the one that is here")]
    OtherVault,
    /// A copy made after keys were renewed that the vault never had.
    #[error("the copy has newer keys than the vault: the vault itself is an earlier state")]
    LaterEpoch,
    /// A copy whose keys the vault has renewed since.
    #[error("the vault's keys were renewed since the copy was made: what opened it then is needed")]
    NeedsKey,
    /// The password opens no slot.
    #[error("wrong password")]
    WrongPassword,
    /// The key file or credential opens no slot.
    #[error("that key opens no slot of this vault")]
    WrongKey,
    /// Nothing but shares opens this copy.
    #[error("this copy has no slots: only shares open it")]
    NoSlot,
    /// No such slot.
    #[error("no such slot")]
    NoSuchSlot,
    /// Something in the file is not what was written.
    #[error("the vault is damaged or was tampered with: {0}")]
    Damaged(&'static str),
    /// The present revision is not the one that was named.
    #[error("the secret has moved on to revision {current}")]
    Conflict {
        /// The present revision.
        current: u64,
    },
    /// The disk failed.
    #[error("storage failed: {0}")]
    Storage(String),
    /// The disk is full.
    #[error("the disk is full; nothing was changed")]
    Full,
    /// The disk or file is read-only.
    #[error("the vault's disk is read-only; nothing was changed")]
    ReadOnly,
    /// A rotation is under way.
    #[error("the vault's keys are being renewed")]
    Rotating,
    /// The file was put back to an earlier state.
    #[error("the vault went back to an earlier state: {0}")]
    RolledBack(&'static str),
    /// A share that is not even whole.
    #[error("{0}")]
    BadShare(String),
    /// A share that does not open this vault.
    #[error("{0}")]
    WrongShare(String),
    /// No such share set or share.
    #[error("{0}")]
    NoShare(&'static str),
    /// There is something that would be replaced.
    #[error("{0}")]
    InTheWay(&'static str),
    /// What is asked for makes no sense here.
    #[error("{0}")]
    Usage(&'static str),
    /// Written by a newer version.
    #[error("the vault was written by a newer version of sv ({0})")]
    Version(&'static str),
    /// Another process has the vault's lock.
    #[error("another agent serves this vault ({note})")]
    InUse {
        /// What it wrote into the lock file: its process id and socket.
        note: String,
    },
    /// A link, another owner, or a folder that others can write.
    #[error("{0}")]
    Insecure(String),
    /// The file vanished, or another one took its place.
    #[error("the vault file {} is gone or was replaced; nothing was written", .0.display())]
    Gone(PathBuf),
    /// No memory for keys.
    #[error("no memory can be kept out of swap for the keys: {0}")]
    KeyMemory(String),
    /// The kernel gave no random bytes, or no memory for a derivation.
    #[error("the system failed: {0}")]
    System(String),
}

/// [`Error`] without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ErrorKind {
    Usage,
    NoVault,
    NoSecret,
    NoRevision,
    Exists,
    WrongPassword,
    Damaged,
    Conflict,
    Storage,
    Version,
    InUse,
    Busy,
    RolledBack,
    BadShare,
    WrongShare,
    NoShare,
    NoSlot,
    Insecure,
    Gone,
    KeyMemory,
    Internal,
}

impl Error {
    /// Which kind it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::BadName(_)
            | Self::BadField(_)
            | Self::BadValue
            | Self::BadKdf
            | Self::Usage(_) => ErrorKind::Usage,
            Self::Rotating => ErrorKind::Busy,
            Self::RolledBack(_) => ErrorKind::RolledBack,
            Self::BadShare(_) => ErrorKind::BadShare,
            Self::WrongShare(_) => ErrorKind::WrongShare,
            Self::NoShare(_) => ErrorKind::NoShare,
            Self::NoVault(_) => ErrorKind::NoVault,
            Self::NoSecret => ErrorKind::NoSecret,
            Self::NoRevision => ErrorKind::NoRevision,
            Self::Exists | Self::VaultExists(_) | Self::InTheWay(_) | Self::OtherVault => {
                ErrorKind::Exists
            }
            Self::WrongPassword | Self::WrongKey | Self::NoSlot | Self::NeedsKey => {
                ErrorKind::WrongPassword
            }
            Self::NoSuchSlot => ErrorKind::NoSlot,
            Self::Damaged(_) => ErrorKind::Damaged,
            Self::Conflict { .. } | Self::LaterEpoch => ErrorKind::Conflict,
            Self::Storage(_) | Self::Full | Self::ReadOnly => ErrorKind::Storage,
            Self::Version(_) => ErrorKind::Version,
            Self::InUse { .. } => ErrorKind::InUse,
            Self::Insecure(_) => ErrorKind::Insecure,
            Self::Gone(_) => ErrorKind::Gone,
            Self::KeyMemory(_) => ErrorKind::KeyMemory,
            Self::System(_) => ErrorKind::Internal,
        }
    }
}

impl From<io::Error> for Error {
    fn from(e: io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ => Self::Storage(e.to_string()),
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(e: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        match e.sqlite_error_code() {
            Some(Code::DiskFull) => Self::Full,
            Some(Code::ReadOnly) => Self::ReadOnly,
            Some(
                code @ (Code::SystemIoFailure
                | Code::CannotOpen
                | Code::PermissionDenied
                | Code::DatabaseBusy
                | Code::DatabaseLocked
                | Code::FileLockingProtocolFailed
                | Code::OutOfMemory
                | Code::OperationInterrupted),
            ) => Self::Storage(sqlite(code, &e)),
            Some(Code::NotADatabase) => Self::Damaged("the file is not a vault"),
            Some(Code::TooBig) => Self::Damaged("a row is larger than any object"),
            Some(_) => Self::Damaged("the database is malformed"),
            // A column of another type or a missing row: the file does not
            // hold what was written.
            None => Self::Damaged("a row is not of its table's form"),
        }
    }
}

fn sqlite(code: rusqlite::ErrorCode, e: &dyn fmt::Display) -> String {
    // SQLite's messages name files, tables and columns, never content: every
    // value is a bound parameter.
    format!("{e} ({code:?})")
}

//! Requests and responses. The order of variants and fields is the wire
//! format: a released one is never moved or removed, new ones are appended.

mod audit;
mod backup;
mod shares;
mod slots;

pub use audit::{Asker, AuditVerified, Event, Outcome};
pub use backup::{BackupMade, FileVerified, Restored};
pub use shares::{Ceremony, Dealing, HolderKind, SetState, ShareInfo, ShareState};
pub use slots::{Health, Key, KeyKind, Rotated, Slot};

use crate::{Kind, Secret};
use bincode::{Decode, Encode};

/// The body of a request frame.
#[derive(Debug, Encode, Decode)]
pub struct Envelope {
    /// The absolute path of the vault that the user named, if one was named: an
    /// agent that serves another one refuses ([`Kind::OtherVault`]).
    pub vault: Option<Vec<u8>>,
    /// What to do.
    pub request: Request,
}

/// What a client can ask for.
#[derive(Debug, Encode, Decode)]
pub enum Request {
    /// The state of the agent and the vault. → [`Response::Status`]
    Status,
    /// Create the vault and leave it unlocked. → [`Response::Unlocked`]
    Init {
        /// The password of its first slot.
        password: Secret,
    },
    /// Derive the keys and hold them. → [`Response::Unlocked`]
    Unlock {
        /// The password.
        password: Secret,
        /// Lock after this many seconds, used or not.
        seconds: Option<u64>,
    },
    /// Wipe the keys. → [`Response::Done`]
    Lock,
    /// A new secret. → [`Response::Changed`]
    Add {
        /// Its name.
        name: String,
        /// Its value.
        value: Secret,
        /// Its fields.
        fields: Fields,
    },
    /// The value alone. → [`Response::Value`]
    Get {
        /// The secret's name.
        name: String,
        /// An earlier revision.
        rev: Option<u64>,
    },
    /// The fields, with or without the value. → [`Response::Item`]
    Show {
        /// The secret's name.
        name: String,
        /// An earlier revision.
        rev: Option<u64>,
        /// The value too.
        reveal: bool,
    },
    /// Names under a prefix, sorted bytewise. → [`Response::Names`] or [`Response::Items`]
    List {
        /// Names begin with these bytes.
        prefix: String,
        /// Only of this category.
        category: Option<String>,
        /// Only with all of these tags.
        tags: Vec<String>,
        /// The other fields too.
        fields: bool,
    },
    /// Secrets whose name, tags, category or note hold every word of the
    /// query, case-insensitively. → [`Response::Names`] or [`Response::Items`]
    Search {
        /// The words.
        query: String,
        /// The other fields too.
        fields: bool,
    },
    /// A new value, new fields, or both. → [`Response::Changed`]
    Update {
        /// The secret's name.
        name: String,
        /// The new value.
        value: Option<Secret>,
        /// The new fields.
        change: Change,
        /// Refuse ([`Kind::Conflict`]) unless this is the current revision.
        if_rev: Option<u64>,
    },
    /// A revision that says it is gone. → [`Response::Changed`]
    Delete {
        /// The secret's name.
        name: String,
        /// Drop its history as well.
        purge: bool,
    },
    /// Another name; the history stays. → [`Response::Changed`]
    Rename {
        /// The present name.
        old: String,
        /// The new name.
        new: String,
    },
    /// The revisions, newest first. → [`Response::Revisions`]
    History {
        /// The secret's name.
        name: String,
    },
    /// A new revision with the content of an old one. → [`Response::Changed`]
    Revert {
        /// The secret's name.
        name: String,
        /// The old one.
        rev: u64,
    },
    /// Another password for this node's slot. → [`Response::Done`]
    Passwd {
        /// The present password.
        old: Secret,
        /// The new one.
        new: Secret,
    },
    /// Check every object, signature and the manifest.
    /// → [`Response::Progress`]…, [`Response::Verified`]
    Verify,
    /// Wipe the keys and end the agent. → [`Response::Done`]
    Stop,
    /// [`Request::Unlock`] with any kind of key. → [`Response::Unlocked`]
    UnlockWith {
        /// What opens a slot; an empty secret asks whether one is needed.
        key: Key,
        /// Lock after this many seconds, used or not.
        seconds: Option<u64>,
        /// The vault went back to an earlier state, and that is meant.
        accept_rollback: bool,
    },
    /// What a person should look after. → [`Response::Health`]
    Health,
    /// This node's slots. → [`Response::Slots`]
    Slots,
    /// Another key for this node. → [`Response::Slots`]
    SlotAdd {
        /// What opens a slot now.
        present: Key,
        /// The new one.
        new: Key,
        /// For people; at most 64 bytes.
        label: String,
    },
    /// One key less. → [`Response::Slots`]
    SlotRemove {
        /// The slot's id.
        slot: [u8; 16],
    },
    /// A new epoch key and a new node key; every data key wrapped anew.
    /// → [`Response::Progress`]…, [`Response::Rotated`]
    Rotate {
        /// The present and the new password, to change it in the same transaction.
        passwords: Option<(Secret, Secret)>,
    },
    /// A new recovery key, split. The shares wait in the vault until each is
    /// delivered, and the set is in force once it is committed. → [`Response::Dealing`]
    Deal {
        /// How many, 2 to 255.
        count: u8,
        /// How many recover the vault, 2 to `count`.
        threshold: u8,
    },
    /// The share sets that this node dealt: in force, and not yet. → [`Response::Dealings`]
    Dealings,
    /// One share that is not delivered yet, as one line of text. → [`Response::Value`]
    Share {
        /// The set.
        set: [u8; 16],
        /// 1 to the count.
        index: u8,
    },
    /// A share is where it belongs: the vault forgets it. → [`Response::Dealing`]
    ShareDelivered {
        /// The set.
        set: [u8; 16],
        /// 1 to the count.
        index: u8,
        /// Where it is.
        kind: HolderKind,
        /// The node, file or person; at most 255 bytes.
        holder: String,
    },
    /// A share was seen where it belongs, whole. → [`Response::Dealing`]
    ShareVerified {
        /// The share itself.
        share: Secret,
        /// The holder who showed it, if known: must be the one that was noted.
        holder: Option<String>,
    },
    /// Puts a set into force and retires the one before, which is a rotation.
    /// → [`Response::Progress`]…, [`Response::Dealing`]
    DealCommit {
        /// The set.
        set: [u8; 16],
        /// Although not all shares are delivered; as many as the threshold must be.
        partial: bool,
    },
    /// Forgets a set that is not in force. → [`Response::Done`]
    DealCancel {
        /// The set.
        set: [u8; 16],
    },
    /// Which share this is, and whether it is one of this vault's set in force.
    /// → [`Response::Share`]
    ShareCheck {
        /// A line of text, as words, or released for the ceremony under way.
        share: Secret,
    },
    /// Opens the vault with shares: a new node key, and one slot with the new
    /// password. → [`Response::Progress`]…, [`Response::Unlocked`]
    Recover {
        /// As many as the threshold; none for those of the ceremony.
        shares: Vec<Secret>,
        /// The new password.
        password: Secret,
    },
    /// Proves that these shares open the vault, and changes nothing. → [`Response::Done`]
    RecoverDrill {
        /// As many as the threshold.
        shares: Vec<Secret>,
    },
    /// Collects shares from several people. → [`Response::Ceremony`]
    CeremonyStart {
        /// After so many seconds it is forgotten.
        seconds: u64,
    },
    /// A share for it. → [`Response::Ceremony`]
    CeremonySubmit {
        /// Released for this ceremony, or plain.
        share: Secret,
    },
    /// How far it is. → [`Response::Ceremony`]
    CeremonyStatus,
    /// Forgets it. → [`Response::Done`]
    CeremonyCancel,
    /// Events of the audit log, oldest first. → [`Response::Events`]
    Audit {
        /// Only later ones than this; such a request is not an event itself.
        after: Option<u64>,
        /// At most so many, the newest.
        last: Option<u64>,
        /// Not before this: milliseconds since 1970 (UTC).
        since: Option<i64>,
        /// Only those about this name.
        name: Option<String>,
    },
    /// Checks the chain of the audit log.
    /// → [`Response::Progress`]…, [`Response::AuditVerified`]
    AuditVerify,
    /// A consistent copy in a file beside the vault, for the client to take away.
    /// → [`Response::Progress`]…, [`Response::BackupMade`]
    Backup {
        /// With the slots, so that the password of today opens it; without,
        /// only shares do.
        slots: bool,
    },
    /// A copy is where it belongs. → [`Response::Done`]
    BackupDone {
        /// The generation that it holds.
        generation: u64,
        /// Where it is; at most 255 bytes.
        place: String,
    },
    /// Checks a vault or backup without its keys: a file that the client put
    /// beside the vault. → [`Response::Progress`]…, [`Response::FileVerified`]
    FileVerify {
        /// Its name, see `PROTOCOL.md`.
        file: String,
    },
    /// A backup becomes the vault, where there is none, or adds what it knows
    /// to the vault, which has to be unlocked.
    /// → [`Response::Progress`]…, [`Response::Restored`]
    Restore {
        /// The name of a file that the client put beside the vault.
        file: String,
        /// What opens it, if its epoch is not one of the vault's.
        key: Option<Key>,
        /// Or shares that do.
        shares: Vec<Secret>,
    },
}

impl Request {
    /// The kind of the request, for logs. Never its content.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Init { .. } => "init",
            Self::Unlock { .. } => "unlock",
            Self::Lock => "lock",
            Self::Add { .. } => "add",
            Self::Get { .. } => "get",
            Self::Show { .. } => "show",
            Self::List { .. } => "list",
            Self::Search { .. } => "search",
            Self::Update { .. } => "update",
            Self::Delete { .. } => "delete",
            Self::Rename { .. } => "rename",
            Self::History { .. } => "history",
            Self::Revert { .. } => "revert",
            Self::Passwd { .. } => "passwd",
            Self::Verify => "verify",
            Self::Stop => "stop",
            Self::UnlockWith { .. } => "unlock",
            Self::Health => "health",
            Self::Slots => "slots",
            Self::SlotAdd { .. } => "slot-add",
            Self::SlotRemove { .. } => "slot-remove",
            Self::Rotate { .. } => "rotate",
            Self::Deal { .. } => "deal",
            Self::Dealings => "dealings",
            Self::Share { .. } => "share",
            Self::ShareDelivered { .. } => "share-delivered",
            Self::ShareVerified { .. } => "share-verified",
            Self::DealCommit { .. } => "deal-commit",
            Self::DealCancel { .. } => "deal-cancel",
            Self::ShareCheck { .. } => "share-check",
            Self::Recover { .. } => "recover",
            Self::RecoverDrill { .. } => "recover-drill",
            Self::CeremonyStart { .. } => "ceremony-start",
            Self::CeremonySubmit { .. } => "ceremony-submit",
            Self::CeremonyStatus => "ceremony-status",
            Self::CeremonyCancel => "ceremony-cancel",
            Self::Audit { .. } => "audit",
            Self::AuditVerify => "audit-verify",
            Self::Backup { .. } => "backup",
            Self::BackupDone { .. } => "backup-done",
            Self::FileVerify { .. } => "file-verify",
            Self::Restore { .. } => "restore",
        }
    }
}

/// The fields of a secret apart from name and value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Fields {
    /// At most one, at most 64 bytes; empty for none.
    pub category: String,
    /// At most 32 of at most 64 bytes.
    pub tags: Vec<String>,
    /// At most 16 KiB.
    pub note: String,
    /// When the value ceases to be good: milliseconds since 1970 (UTC), 0 for never.
    pub expires: i64,
}

/// New values of fields; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct Change {
    /// Empty removes it.
    pub category: Option<String>,
    /// All of them, not some more.
    pub tags: Option<Vec<String>>,
    /// Empty removes it.
    pub note: Option<String>,
    /// 0 removes it.
    pub expires: Option<i64>,
}

/// What the agent answers.
#[derive(Debug, Encode, Decode)]
pub enum Response {
    /// Done, nothing to say.
    Done,
    /// Not done, nothing changed.
    Failed(Failure),
    /// The state.
    Status(Status),
    /// Unlocked now, or already.
    Unlocked(Unlocked),
    /// The value of a secret.
    Value(Secret),
    /// A secret with its fields; the value if it was asked for.
    Item {
        /// The fields.
        item: Item,
        /// The value.
        value: Option<Secret>,
    },
    /// Some of the names.
    Names(Vec<String>),
    /// Some of the secrets.
    Items(Vec<Item>),
    /// The revisions of a secret, newest first.
    Revisions(Vec<Revision>),
    /// The revision that was written.
    Changed {
        /// Its number.
        rev: u64,
    },
    /// How far a long request has come.
    Progress {
        /// Steps done.
        done: u64,
        /// Steps in all.
        total: u64,
    },
    /// What a verification found.
    Verified(Verified),
    /// What a person should look after.
    Health(Health),
    /// This node's slots.
    Slots(Vec<Slot>),
    /// A rotation is done.
    Rotated(Rotated),
    /// One share set.
    Dealing(Dealing),
    /// Several.
    Dealings(Vec<Dealing>),
    /// Which share it was.
    Share(ShareInfo),
    /// How far a ceremony is.
    Ceremony(Ceremony),
    /// Some events, oldest first.
    Events(Vec<Event>),
    /// What a check of the audit log found.
    AuditVerified(AuditVerified),
    /// A copy lies beside the vault.
    BackupMade(BackupMade),
    /// What a check of a file found.
    FileVerified(FileVerified),
    /// What came out of a backup.
    Restored(Restored),
}

/// A failure.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Failure {
    /// What went wrong, for programs.
    pub kind: Kind,
    /// The same in one line for people. Holds no value, password, key or share.
    pub message: String,
}

impl Failure {
    /// A failure of `kind`, told as `message`.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

/// Whether there is a vault, and whether its keys are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum State {
    /// There is no vault file.
    NoVault,
    /// There is, and no keys are held.
    Locked,
    /// The keys are held.
    Unlocked,
}

/// The state of the agent and its vault.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Status {
    /// The agent's version.
    pub version: String,
    /// The agent's process id.
    pub pid: u32,
    /// The vault's absolute path.
    pub vault: Vec<u8>,
    /// The vault's id.
    pub vault_id: Option<[u8; 16]>,
    /// Locked or not.
    pub state: State,
    /// Seconds to the automatic lock, while unlocked.
    pub lock_in: Option<u64>,
    /// Secrets that are not deleted, while unlocked.
    pub secrets: Option<u64>,
    /// Revisions, history included, while unlocked.
    pub revisions: Option<u64>,
    /// The number of the key epoch, while unlocked.
    pub epoch: Option<u64>,
    /// What keeps keys out of swap and cores: `memfd_secret`, `mlock` or `none`.
    pub key_memory: String,
}

/// The outcome of [`Request::Unlock`] and [`Request::Init`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Unlocked {
    /// It was unlocked before.
    pub already: bool,
    /// Seconds to the automatic lock.
    pub lock_in: u64,
}

/// A secret without its value.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// Its revision's number, from 1.
    pub rev: u64,
    /// When the first revision was written: milliseconds since 1970 (UTC).
    pub created: i64,
    /// When this revision was written.
    pub updated: i64,
    /// How many bytes the value has.
    pub size: u64,
    /// The other fields.
    pub fields: Fields,
}

/// One revision of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Revision {
    /// Its number, from 1.
    pub rev: u64,
    /// When it was written: milliseconds since 1970 (UTC).
    pub time: i64,
    /// It says that the secret is gone.
    pub deleted: bool,
    /// Nothing supersedes it.
    pub head: bool,
    /// The name at that time.
    pub name: String,
    /// How many bytes the value has.
    pub size: u64,
    /// The id of the revision.
    pub id: [u8; 32],
    /// The node that wrote it.
    pub author: [u8; 16],
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Verified {
    /// Secrets that were checked.
    pub secrets: u64,
    /// Revisions that were checked.
    pub revisions: u64,
    /// What is off, a line each; empty if nothing is.
    pub problems: Vec<String>,
}

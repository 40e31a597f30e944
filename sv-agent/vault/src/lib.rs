//! The vault of `sv`: keys, objects, store. Synchronous, and free of clock,
//! environment, terminal, network and log: times and paths are arguments.
//! `FORMAT.md` beside this crate is the normative text, byte by byte.
//!
//! | module      | holds                                                          |
//! |-------------|----------------------------------------------------------------|
//! | [`limits`]  | every limit, with its reason                                   |
//! | `sys`       | the only unsafe code: key memory, Argon2's arena, stack wiping |
//! | `keymem`    | [`KeyMemory`]: where long-lived keys are                       |
//! | `kdf`       | [`KdfParams`], Argon2id                                        |
//! | `crypto`    | the other primitives under their labels                        |
//! | `codec`     | fixed layouts: reading and writing                             |
//! | `objects/`  | revision, body, epoch, slot, share set, entry, tree, manifest… |
//! | `audit/`    | the log of every use of a secret                               |
//! | `item`      | what the agent sees: names, fields, items                      |
//! | `place`     | the file's place: owner, permissions, the lock                 |
//! | `generation`| the note outside of the vault that shows one put back          |
//! | `beside`    | files beside the vault: copies made, files to read             |
//! | `online`    | the open database, and a copy of it under way                  |
//! | `store`     | SQLite: tables and rows, nothing believed                      |
//! | `inspect`   | the secrets as bytes, for tests only (feature `inspect`)       |
//! | `vault/`    | [`Locked`], [`Vault`]: open, read, write, rotate, recover…     |
#![deny(unsafe_code)]

mod audit;
mod beside;
mod codec;
mod crypto;
mod error;
mod generation;
#[cfg(feature = "inspect")]
pub mod inspect;
mod item;
mod kdf;
mod keymem;
pub mod limits;
mod objects;
mod online;
mod place;
mod store;
mod sys;
mod vault;

pub use audit::{
    Asker, Audit, AuditEvent, AuditPart, AuditQuery, AuditReader, AuditVerification, NewEvent,
};
pub use error::{Error, ErrorKind, Result};
pub use generation::{Generation, Standing};
pub use item::{Change, Counts, Fields, Filter, Item, RevisionInfo};
pub use kdf::KdfParams;
pub use keymem::KeyMemory;
pub use objects::slot::SlotKind;
pub use vault::{
    Locked, Vault,
    backup::{Backup, BackupStep, Made},
    check::{Check, FileReport},
    deal::{PartInfo, SetInfo},
    merge::{CopyKey, Merge, Merged},
    recover::ShareFacts,
    rotate::{Rotated, Rotation},
    slots::{Challenge, NewSlot, SlotInfo, SlotKey},
    standing::StandingInfo,
    verify::Verification,
};

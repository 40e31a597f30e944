//! Files beside the vault: copies that the agent made for a client to take
//! away, and files that a client put there for the agent to read.

use crate::{Error, Result, crypto, place::Place};
use nix::fcntl::{Flock, FlockArg, OFlag};
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::PathBuf,
};

/// What such a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `NAME.backup-X`
    Backup,
    /// `NAME.restore-X`
    Restore,
}

impl Purpose {
    const fn infix(self) -> &'static str {
        match self {
            Self::Backup => ".backup-",
            Self::Restore => ".restore-",
        }
    }
}

/// A file of ours beside the vault. Its lock tells others that it is in use.
pub struct Beside {
    pub path: PathBuf,
    pub name: String,
    pub file: Flock<File>,
}

/// The file called `name`, if that is a name for this purpose.
pub fn find(place: &Place, purpose: Purpose, name: &str) -> Result<PathBuf> {
    let random = place
        .name()
        .to_str()
        .and_then(|vault| name.strip_prefix(vault))
        .and_then(|rest| rest.strip_prefix(purpose.infix()));
    if !random.is_some_and(is_random) {
        return Err(Error::Usage("no such name is used beside a vault"));
    }
    Ok(place.beside(&name[name.len() - purpose.infix().len() - 16..]))
}

fn is_random(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A new file of mode 0600.
pub fn create(place: &Place, purpose: Purpose) -> Result<Beside> {
    let Some(vault) = place.name().to_str() else {
        return Err(Error::Usage("the vault's name is not UTF-8"));
    };
    let random: String = (crypto::random::<8>()?.iter())
        .map(|b| format!("{b:02x}"))
        .collect();
    let suffix = format!("{}{random}", purpose.infix());
    let path = place.beside(&suffix);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits())
        .open(&path)?;
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(file) => Ok(Beside {
            path,
            name: format!("{vault}{suffix}"),
            file,
        }),
        Err((_, e)) => {
            fs::remove_file(&path)?;
            Err(io::Error::from(e).into())
        }
    }
}

/// Removes what nobody holds any more: of agents and clients that were killed.
/// Only whoever has the vault's lock may ask for it.
pub fn clean(place: &Place) -> Result<()> {
    let Some(vault) = place.name().to_str() else {
        return Ok(());
    };
    // Just written by whoever holds the vault: the time, as the disk has it.
    let now = fs::metadata(place.beside(".lock"))?.mtime();
    for entry in fs::read_dir(place.dir())? {
        let name = entry?.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(vault)) else {
            continue;
        };
        for (purpose, age) in [(Purpose::Backup, 0), (Purpose::Restore, FRESH)] {
            // SQLite's journal of an unfinished copy has a longer name.
            let ours = rest
                .strip_prefix(purpose.infix())
                .and_then(|rest| rest.get(..16))
                .is_some_and(is_random);
            if ours {
                remove_unheld(place.beside(rest), now - age)?;
            }
        }
    }
    Ok(())
}

/// Seconds for which a client's file is left alone, held or not: it may have
/// been put there just now, for the agent that is starting.
const FRESH: i64 = 60;

fn remove_unheld(path: PathBuf, newest: i64) -> Result<()> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let gone = |e: &io::Error| e.kind() == io::ErrorKind::NotFound;
    let file = match (OpenOptions::new().read(true))
        .custom_flags(flags.bits())
        .open(&path)
    {
        Ok(file) => file,
        Err(e) if gone(&e) => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    let meta = file.metadata()?;
    if !meta.is_file() || meta.mtime() > newest {
        return Ok(());
    }
    let Ok(_held) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else {
        return Ok(());
    };
    match fs::remove_file(&path) {
        Err(e) if !gone(&e) => Err(e.into()),
        _ => Ok(()),
    }
}

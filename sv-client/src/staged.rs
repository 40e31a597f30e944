//! Files beside the vault: the only place where both the agent, which is in a
//! sandbox, and its client can write. They are held by a lock while in use, so
//! that an agent that starts can tell them from what was left over.

use crate::error::{Error, Result, reason};
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg, OFlag},
    sys::signal::{SigSet, SigmaskHow, Signal},
};
use sha2::{Digest, Sha256};
use std::{
    ffi::{OsStr, OsString},
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};
use sv_proto::message::{BackupMade, Status};

/// A file beside the vault, gone when dropped.
pub struct Staged {
    path: PathBuf,
    name: String,
    /// Its lock says that somebody still needs the file.
    file: Flock<File>,
}

/// The vault file that an agent serves.
#[must_use]
pub fn vault_of(status: &Status) -> &Path {
    Path::new(OsStr::from_bytes(&status.vault))
}

impl Staged {
    /// Puts a copy of `from` beside `vault` for the agent to read. The folder
    /// is made if need be.
    pub fn put(vault: &Path, from: &Path) -> Result<Self> {
        let source = regular(from)?;
        let (folder, name) = parts(vault)?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|e| beside(folder, &e))?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|_| Error::Random)?;
        let name = format!("{name}.restore-{}", data_encoding::HEXLOWER.encode(&random));
        let path = folder.join(&name);
        // A signal would leave a copy that nobody takes away before the next
        // agent starts.
        let mask = block()?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| beside(folder, &e))?;
        let staged = hold(file, path, name);
        let copied = staged.and_then(|mut staged| {
            copy(&source, &mut staged.file).map_err(|side| match side {
                Side::Source(error) => Error::Read {
                    what: "the backup".to_owned(),
                    error,
                },
                Side::Target(error) => beside(folder, &error),
            })?;
            Ok(staged)
        });
        mask.thread_set_mask().map_err(signals)?;
        copied
    }

    /// Takes over a file that the agent made.
    pub fn take(vault: &Path, made: &BackupMade) -> Result<Self> {
        let (folder, vault) = parts(vault)?;
        let ours = (made.file.strip_prefix(vault))
            .and_then(|rest| rest.strip_prefix(".backup-"))
            .is_some_and(|rest| !rest.contains('/'));
        if !ours {
            return Err(Error::Malformed("a backup in another place"));
        }
        let path = folder.join(&made.file);
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(&path)
            .map_err(|e| beside(folder, &e))?;
        let staged = hold(file, path, made.file.clone())?;
        let length = staged.file.metadata().map_err(|e| beside(folder, &e))?;
        if length.len() != made.size {
            return Err(Error::Malformed("a backup of another size"));
        }
        Ok(staged)
    }

    /// Its name in the vault's folder.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it where `target` is, at once or not at all; over what is there
    /// only if `replace`. The bytes must be those of `digest`.
    pub fn deliver(self, target: &Path, replace: bool, digest: &[u8; 32]) -> Result<()> {
        let failed = |error| Error::Write {
            what: "the backup",
            error,
        };
        let (folder, name) = match (target.parent(), target.file_name()) {
            (Some(folder), Some(name)) if !folder.as_os_str().is_empty() => (folder, name),
            (_, Some(name)) => (Path::new("."), name),
            (_, None) => return Err(no_file()),
        };
        let mask = block()?;
        let temporary = folder.join(temporary_name(name)?);
        let result = self
            .fill(&temporary, digest)
            .and_then(|()| settle(&temporary, target, replace).map_err(failed))
            .inspect_err(|_| {
                // Nothing is left to do if this fails as well; the first error is told.
                let _ = fs::remove_file(&temporary);
            })
            .and_then(|()| {
                let synced = File::open(folder).and_then(|folder| folder.sync_all());
                synced.map_err(failed)
            });
        mask.thread_set_mask().map_err(signals)?;
        result
    }

    fn fill(&self, path: &Path, digest: &[u8; 32]) -> Result<()> {
        let failed = |error| Error::Write {
            what: "the backup",
            error,
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        let copied = copy(&self.file, &mut file).map_err(|side| match side {
            Side::Source(e) => Error::Transport(format!("can't read the copy: {}", reason(&e))),
            Side::Target(error) => failed(error),
        })?;
        file.sync_all().map_err(failed)?;
        if copied == *digest {
            Ok(())
        } else {
            Err(Error::Malformed("a backup of another content"))
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // The agent takes what it was given away as well; what is left for any
        // other reason, the next agent removes.
        let _ = fs::remove_file(&self.path);
    }
}

fn hold(file: File, path: PathBuf, name: String) -> Result<Staged> {
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(file) => Ok(Staged { path, name, file }),
        Err((_, e)) => {
            let _ = fs::remove_file(&path);
            Err(beside(&path, &e.into()))
        }
    }
}

/// The folder of the vault, and its name. An agent names files in text.
fn parts(vault: &Path) -> Result<(&Path, &str)> {
    match (vault.parent(), vault.file_name().and_then(OsStr::to_str)) {
        (Some(folder), Some(name)) => Ok((folder, name)),
        _ => Err(Error::usage(
            "the vault's name is not UTF-8",
            "give it another one",
        )),
    }
}

/// A regular file to read from, opened.
fn regular(path: &Path) -> Result<File> {
    let failed = |error| Error::Read {
        what: "the backup".to_owned(),
        error,
    };
    let file = OpenOptions::new()
        .read(true)
        // A pipe would wait for its writer.
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(path)
        .map_err(failed)?;
    if file.metadata().map_err(failed)?.is_file() {
        return Ok(file);
    }
    Err(Error::usage(
        "what was named is not a regular file",
        "name a file that `sv backup` wrote",
    ))
}

fn no_file() -> Error {
    Error::usage("a file is wanted", "sv backup FILE")
}

/// Refuses a target that can't be, before anything is asked of the agent.
pub fn check_target(target: &Path, replace: bool, vault: &Path) -> Result<()> {
    if target.file_name().is_none() {
        return Err(no_file());
    }
    match fs::symlink_metadata(target) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::Write {
            what: "the backup",
            error,
        }),
        Ok(meta) if !meta.is_file() => Err(Error::usage(
            "what was named exists and is not a regular file",
            "name another file",
        )),
        Ok(meta) => {
            let same = |other: fs::Metadata| (other.dev(), other.ino()) == (meta.dev(), meta.ino());
            if fs::metadata(vault).is_ok_and(same) {
                return Err(Error::usage(
                    "this is the vault itself",
                    "name another file for the backup",
                ));
            }
            if replace { Ok(()) } else { Err(exists()) }
        }
    }
}

fn exists() -> Error {
    let error = Error::agent(sv_proto::Kind::Exists, "the file exists already");
    error.hinted("--force replaces it; to read a file of sv 2 as its `backup` did: sv encrypt FILE")
}

enum Side {
    Source(io::Error),
    Target(io::Error),
}

/// Copies all of `from`, from its beginning, and gives its SHA-256.
fn copy(from: &File, to: &mut File) -> std::result::Result<[u8; 32], Side> {
    let mut digest = Sha256::new();
    let mut piece = vec![0; 256 * 1024];
    let mut at = 0;
    loop {
        let n = match from.read_at(&mut piece, at) {
            Ok(0) => return Ok(digest.finalize().into()),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Side::Source(e)),
        };
        digest.update(&piece[..n]);
        to.write_all(&piece[..n]).map_err(Side::Target)?;
        at += n as u64;
    }
}

fn settle(temporary: &Path, target: &Path, replace: bool) -> io::Result<()> {
    if replace {
        return fs::rename(temporary, target);
    }
    // A link, unlike a rename, never replaces what is there.
    match fs::hard_link(temporary, target) {
        Ok(()) => fs::remove_file(temporary),
        Err(e) if no_links(&e) => match fs::symlink_metadata(target) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => fs::rename(temporary, target),
            Err(e) => Err(e),
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        },
        Err(e) => Err(e),
    }
}

/// File systems of memory sticks have no hard links.
fn no_links(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(
        errno,
        Some(Errno::EPERM | Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EMLINK)
    )
}

fn temporary_name(name: &OsStr) -> Result<OsString> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| Error::Random)?;
    let mut temporary = OsString::from(".");
    // The longest name that a folder takes has 255 bytes.
    if name.len() <= 200 {
        temporary.push(name);
        temporary.push(".");
    }
    temporary.push(data_encoding::HEXLOWER.encode(&random));
    Ok(temporary)
}

fn block() -> Result<SigSet> {
    SigSet::from_iter([
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ])
    .thread_swap_mask(SigmaskHow::SIG_BLOCK)
    .map_err(signals)
}

fn signals(error: Errno) -> Error {
    Error::Transport(format!("can't block signals: {}", error.desc()))
}

fn beside(folder: &Path, error: &io::Error) -> Error {
    let text = format!(
        "can't use the vault's folder {}: {}",
        folder.display(),
        reason(error)
    );
    match error.kind() {
        io::ErrorKind::PermissionDenied => Error::Refused(text),
        _ => Error::Transport(text),
    }
}

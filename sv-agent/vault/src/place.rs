//! The vault's place in the file system: whose it is, who serves it.

use crate::{Error, Result};
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::Uid;
use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// A checked place for a vault file.
#[derive(Debug, Clone)]
pub struct Place {
    /// As the user named it, for messages.
    pub shown: PathBuf,
    /// The folder without links.
    dir: PathBuf,
    name: OsString,
}

impl Place {
    /// Checks the folder of `path`: ours, and written by nobody else. With
    /// `create`, makes it first if need be.
    pub fn new(path: &Path, create: bool) -> Result<Self> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Error::NoVault(path.to_owned()));
        };
        if create {
            let made = fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent);
            made.map_err(|e| place_error(parent, e))?;
        }
        let dir = match fs::canonicalize(parent) {
            Ok(dir) => dir,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NoVault(path.to_owned()));
            }
            Err(e) => return Err(place_error(parent, e)),
        };
        let meta = fs::metadata(&dir).map_err(|e| place_error(&dir, e))?;
        if !meta.is_dir() {
            return Err(Error::Insecure(format!(
                "{} is not a folder",
                dir.display()
            )));
        }
        if !ours(&meta) {
            let dir = dir.display();
            return Err(Error::Insecure(format!(
                "the folder {dir} belongs to another user"
            )));
        }
        if meta.mode() & 0o022 != 0 {
            let dir = dir.display();
            return Err(Error::Insecure(format!(
                "the folder {dir} can be written by others"
            )));
        }
        Ok(Self {
            shown: path.to_owned(),
            dir,
            name: name.to_owned(),
        })
    }

    /// The vault file.
    pub fn file(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its name in there.
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// A file beside it: its name with `suffix`.
    pub fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.name.clone();
        name.push(OsStr::new(suffix));
        self.dir.join(name)
    }

    /// Device and inode of the vault file, which must be a regular file of
    /// ours. Permissions that are too wide are narrowed.
    pub fn identity(&self) -> Result<(u64, u64)> {
        let file = self.file();
        let meta = match fs::symlink_metadata(&file) {
            Ok(meta) => meta,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NoVault(self.shown.clone()));
            }
            Err(e) => return Err(place_error(&self.shown, e)),
        };
        let shown = self.shown.display();
        if !meta.is_file() {
            return Err(Error::Insecure(format!("{shown} is not a regular file")));
        }
        if !ours(&meta) {
            return Err(Error::Insecure(format!("{shown} belongs to another user")));
        }
        if meta.mode() & 0o077 != 0 {
            match fs::set_permissions(&file, Permissions::from_mode(0o600)) {
                Err(e) if e.kind() == io::ErrorKind::ReadOnlyFilesystem => {}
                result => result?,
            }
        }
        Ok((meta.dev(), meta.ino()))
    }

    /// Whether the vault file is still the one of `identity`. One system call.
    pub fn still(&self, identity: (u64, u64)) -> bool {
        fs::symlink_metadata(self.file()).is_ok_and(|m| (m.dev(), m.ino()) == identity)
    }

    /// Makes directory entries durable.
    pub fn sync_dir(&self) -> Result<()> {
        Ok(File::open(&self.dir)?.sync_all()?)
    }

    /// Takes the lock that says who serves this vault, and writes `note` into
    /// its file. `None` on a read-only disk, where nobody can write anyway.
    pub fn lock(&self, note: &str) -> Result<Option<Flock<File>>> {
        let path = self.beside(".lock");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits())
            .open(&path);
        let file = match file {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::ReadOnlyFilesystem => return Ok(None),
            Err(e) => return Err(place_error(&path, e)),
        };
        let meta = file.metadata()?;
        if !meta.is_file() || !ours(&meta) {
            let path = path.display();
            return Err(Error::Insecure(format!(
                "{path} is not a file of this user"
            )));
        }
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                file.set_len(0)?;
                file.seek(SeekFrom::Start(0))?;
                file.write_all(note.as_bytes())?;
                Ok(Some(file))
            }
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                let mut note = String::new();
                // Only a hint for the message; a holder that died mid-write
                // leaves it short.
                let mut bytes = Vec::new();
                if (&mut file).take(4096).read_to_end(&mut bytes).is_ok() {
                    note = String::from_utf8_lossy(&bytes).trim().to_owned();
                }
                Err(Error::InUse { note })
            }
            Err((_, e)) => Err(io::Error::from(e).into()),
        }
    }

    /// Whether the disk refuses writes.
    pub fn is_read_only(&self) -> bool {
        // Not by opening the file: closing it again would drop SQLite's locks.
        statvfs(&self.dir).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_RDONLY))
    }
}

fn ours(meta: &Metadata) -> bool {
    meta.uid() == Uid::effective().as_raw()
}

fn place_error(path: &Path, e: io::Error) -> Error {
    let path = path.display();
    if e.raw_os_error() == Some(nix::errno::Errno::ELOOP as i32) {
        return Error::Insecure(format!("{path} is a symbolic link"));
    }
    match e.kind() {
        io::ErrorKind::PermissionDenied => Error::Insecure(format!("no permission for {path}")),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full,
        io::ErrorKind::ReadOnlyFilesystem => Error::ReadOnly,
        _ => Error::Storage(format!("{path}: {e}")),
    }
}

//! The files of the log: `NAME.audit`, and `NAME.audit.000001` … that were
//! full before it. Whose they are, and where the last one ends.

use super::walk::{Found, Walk};
use crate::{Error, Result, audit::record, limits, place::Place};
use nix::{errno::Errno, fcntl::OFlag, unistd::Uid};
use std::{
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

const SUFFIX: &str = ".audit";

/// Where the files are.
#[derive(Debug, Clone)]
pub struct Files {
    place: Place,
    current: PathBuf,
}

/// The last record of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    pub seq: u64,
    pub mac: [u8; 32],
    /// It is an event, not a beginning.
    pub event: bool,
}

/// A file as it was found.
pub struct Tail {
    pub end: Option<End>,
    /// Where what is whole ends.
    pub len: u64,
    /// What follows there.
    pub torn: u64,
}

impl Files {
    pub fn new(place: &Place) -> Self {
        Self {
            place: place.clone(),
            current: place.beside(SUFFIX),
        }
    }

    /// A file that is full, or the one that is written to.
    pub fn path(&self, number: Option<u64>) -> PathBuf {
        match number {
            None => self.current.clone(),
            Some(number) => self.place.beside(&format!("{SUFFIX}.{number:06}")),
        }
    }

    /// Its name without the folder.
    pub fn name(&self, number: Option<u64>) -> String {
        let path = self.path(number);
        path.file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// The numbers of the full ones, ascending.
    pub fn full(&self) -> Result<Vec<u64>> {
        let current = self.path(None);
        let (Some(dir), Some(name)) = (current.parent(), current.file_name()) else {
            return Ok(Vec::new());
        };
        let mut prefix = name.as_bytes().to_vec();
        prefix.push(b'.');
        let mut found = Vec::new();
        for entry in fs::read_dir(dir)? {
            let name = entry?.file_name();
            let number = name
                .as_bytes()
                .strip_prefix(prefix.as_slice())
                .filter(|digits| digits.len() >= 6 && digits.iter().all(u8::is_ascii_digit))
                .and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u64>().ok())
                // No name but the one that `path` gives.
                .filter(|number| name == self.path(Some(*number)).file_name().unwrap_or_default());
            found.extend(number);
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Opens a file for reading; `None` if there is none.
    pub fn read(&self, number: Option<u64>) -> Result<Option<File>> {
        self.open(number, OpenOptions::new().read(true))
    }

    /// Opens the current file for writing; `None` if there is none.
    pub fn write(&self) -> Result<Option<File>> {
        self.open(None, OpenOptions::new().read(true).write(true))
    }

    /// Makes the current file.
    pub fn create(&self) -> Result<File> {
        let path = self.path(None);
        let file = options(OpenOptions::new().read(true).write(true).create_new(true))
            .open(&path)
            .map_err(|e| failed(&path, e))?;
        self.place.sync_dir()?;
        Ok(file)
    }

    fn open(&self, number: Option<u64>, how: &mut OpenOptions) -> Result<Option<File>> {
        let path = self.path(number);
        let file = match options(how).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed(&path, e)),
        };
        let meta = file.metadata()?;
        if !meta.is_file() || meta.uid() != Uid::effective().as_raw() {
            let path = path.display();
            return Err(Error::Insecure(format!(
                "{path} is not a file of this user"
            )));
        }
        if meta.mode() & 0o077 != 0 {
            match file.set_permissions(Permissions::from_mode(0o600)) {
                Err(e) if e.kind() == io::ErrorKind::ReadOnlyFilesystem => {}
                result => result?,
            }
        }
        Ok(Some(file))
    }

    /// Puts the current file behind the full ones. What is in it is on the disk.
    pub fn roll(&self) -> Result<()> {
        let number = self.full()?.last().map_or(1, |n| n + 1);
        let (from, to) = (self.path(None), self.path(Some(number)));
        fs::rename(&from, &to).map_err(|e| failed(&to, e))?;
        self.place.sync_dir()
    }

    /// Gives every file of another vault's log a name that is no log's.
    pub fn put_aside(&self) -> Result<()> {
        let mut all: Vec<Option<u64>> = self.full()?.into_iter().map(Some).collect();
        all.push(None);
        all.retain(|number| fs::symlink_metadata(self.path(*number)).is_ok());
        if all.is_empty() {
            return Ok(());
        }
        let target = |set: u32, number: Option<u64>| match number {
            None => self.place.beside(&format!("{SUFFIX}-old{set}")),
            Some(number) => self.place.beside(&format!("{SUFFIX}-old{set}.{number:06}")),
        };
        let taken = |set: u32| {
            let there = |number| fs::symlink_metadata(target(set, number)).is_ok();
            all.iter().any(|number| there(*number))
        };
        let set = (1..u32::MAX).find(|set| !taken(*set)).unwrap_or(u32::MAX);
        for number in all {
            let (from, to) = (self.path(number), target(set, number));
            fs::rename(&from, &to).map_err(|e| failed(&from, e))?;
        }
        self.place.sync_dir()
    }

    /// Device, inode and length of the current file; `None` if there is none.
    pub fn look(&self) -> Result<Option<(u64, u64, u64)>> {
        match fs::symlink_metadata(&self.current) {
            Ok(meta) => Ok(Some((meta.dev(), meta.ino(), meta.len()))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed(&self.current, e)),
        }
    }
}

/// Neither links are followed nor pipes waited for.
fn options(how: &mut OpenOptions) -> &mut OpenOptions {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    how.mode(0o600).custom_flags(flags.bits())
}

fn failed(path: &Path, e: io::Error) -> Error {
    let path = path.display();
    if e.raw_os_error() == Some(Errno::ELOOP as i32) {
        return Error::Insecure(format!("{path} is a symbolic link"));
    }
    match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full,
        io::ErrorKind::ReadOnlyFilesystem => Error::ReadOnly,
        _ => Error::Storage(format!("{path}: {e}")),
    }
}

/// Finds the last record: at the end, or by looking through the file if that
/// was torn.
pub fn tail(file: &File) -> Result<Tail> {
    let len = file.metadata()?.len();
    let size = usize::try_from(len).map_or(limits::AUDIT_RECORD, |n| n.min(limits::AUDIT_RECORD));
    let mut last = vec![0; size];
    file.read_exact_at(&mut last, len - size as u64)?;
    let end = |record: &record::Record| End {
        seq: record.seq,
        mac: record.mac,
        event: record.kind == record::EVENT,
    };
    if let Some((record, _)) = record::parse_last(&last) {
        return Ok(Tail {
            end: Some(end(&record)),
            len,
            torn: 0,
        });
    }
    let mut walk = Walk::new(file.try_clone()?, 0, len);
    let mut found = Tail {
        end: None,
        len: 0,
        torn: len,
    };
    loop {
        match walk.next()? {
            Found::Record(record) => {
                found.end = Some(end(&record));
                found.len = walk.at();
                found.torn = len - walk.at();
            }
            Found::Bad { .. } => {}
            Found::End => return Ok(found),
        }
    }
}

/// Whether what was torn may be cut: a record at most, or what a crash left
/// without content. Anything else is evidence.
pub fn may_cut(file: &File, tail: &Tail) -> Result<bool> {
    let mut at = tail.len;
    let end = tail.len + tail.torn;
    let mut longest = 0;
    let mut buffer = vec![0; 64 * 1024];
    while at < end {
        let want = usize::try_from(end - at).map_or(buffer.len(), |n| n.min(buffer.len()));
        let got = file.read_at(&mut buffer[..want], at)?;
        if got == 0 {
            break;
        }
        if let Some(last) = buffer[..got].iter().rposition(|b| *b != 0) {
            longest = at + last as u64 + 1 - tail.len;
        }
        at += got as u64;
    }
    Ok(longest <= limits::AUDIT_RECORD as u64)
}

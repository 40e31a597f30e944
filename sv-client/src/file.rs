//! `--out`: a file of mode 0600 that holds the whole value or does not change.

use crate::error::{Error, Result};
use crate::stream::Stream;
use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, open, renameat2},
    sys::{
        signal::{SigSet, SigmaskHow, Signal},
        stat::Mode,
    },
    unistd::linkat,
};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Puts `value` where `path` leads: through a symbolic link, over a regular
/// file, never into a device or a pipe.
pub fn write(path: &Path, value: &[u8]) -> Result<()> {
    if path.as_os_str() == "-" {
        return Err(Error::usage(
            "--out wants a file",
            "leave --out away for standard output",
        ));
    }
    let target = target(path)?;
    replace(&target, value).map_err(|error| Error::Write {
        what: "the file of --out",
        error,
    })
}

fn target(path: &Path) -> Result<PathBuf> {
    let failed = |error| Error::Write {
        what: "the file of --out",
        error,
    };
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
        Err(e) => Err(failed(e)),
        Ok(_) => {
            let path = fs::canonicalize(path).map_err(failed)?;
            if fs::metadata(&path).map_err(failed)?.is_file() {
                return Ok(path);
            }
            Err(Error::usage(
                "the --out file exists and is not a regular file",
                "name another file, or leave --out away for standard output",
            ))
        }
    }
}

/// Puts `value` into a file that must not be there yet, whole or not at all, and
/// so that it stays.
pub fn create(path: &Path, value: &[u8]) -> io::Result<()> {
    match link_unnamed(path, value) {
        // Not everywhere can a file be without a name.
        Err(
            Errno::EOPNOTSUPP
            | Errno::EISDIR
            | Errno::EINVAL
            | Errno::ENOENT
            | Errno::EPERM
            | Errno::EACCES,
        ) => create_renamed(path, value),
        other => Ok(other?),
    }
}

/// A file that gets its name when it is whole: even a program that is killed
/// in between leaves nothing behind.
fn link_unnamed(path: &Path, value: &[u8]) -> nix::Result<()> {
    let errno = |e: io::Error| e.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    let folder = folder(path);
    let flags = OFlag::O_TMPFILE | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let mut file = File::from(open(folder, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
    file.write_all(value).map_err(errno)?;
    file.sync_all().map_err(errno)?;
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    let follow = AtFlags::AT_SYMLINK_FOLLOW;
    linkat(AT_FDCWD, unnamed.as_str(), AT_FDCWD, path, follow)?;
    File::open(folder).and_then(|f| f.sync_all()).map_err(errno)
}

/// The same by way of a file with another name.
fn create_renamed(path: &Path, value: &[u8]) -> io::Result<()> {
    place(path, value, |temporary, path| {
        match renameat2(
            AT_FDCWD,
            temporary,
            AT_FDCWD,
            path,
            RenameFlags::RENAME_NOREPLACE,
        ) {
            // Some file systems do not know how. The name is taken first, then.
            Err(Errno::EINVAL | Errno::ENOSYS) => {
                fill(path, b"")?;
                fs::rename(temporary, path).inspect_err(|_| {
                    // As below: the first error is told.
                    let _ = fs::remove_file(path);
                })
            }
            other => Ok(other?),
        }
    })
}

/// Whether a regular file holds exactly `value`.
#[must_use]
pub fn is(path: &Path, value: &[u8]) -> bool {
    let same = || -> io::Result<bool> {
        if !fs::symlink_metadata(path)?.is_file() {
            return Ok(false);
        }
        let there = Stream::path(path)?.all(value.len() + 1)?;
        Ok(*there == value)
    };
    same().unwrap_or(false)
}

/// Whether files can be made in `folder`.
pub fn probe(folder: &Path) -> io::Result<()> {
    let path = folder.join(temporary_name(std::ffi::OsStr::new("sv"))?);
    fill(&path, b"")?;
    fs::remove_file(&path)
}

fn replace(path: &Path, value: &[u8]) -> io::Result<()> {
    place(path, value, |temporary, path| fs::rename(temporary, path))
}

fn place(
    path: &Path,
    value: &[u8],
    rename: impl FnOnce(&Path, &Path) -> io::Result<()>,
) -> io::Result<()> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))?;
    let folder = folder(path);
    // A signal between the file's creation and its renaming would leave a
    // secret lying about under a name that nobody looks for.
    let mask = SigSet::from_iter([
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ])
    .thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let temporary = folder.join(temporary_name(name)?);
    let result = fill(&temporary, value)
        .and_then(|()| rename(&temporary, path))
        .inspect_err(|_| {
            // Nothing is left to do if this fails as well; the first error is told.
            let _ = fs::remove_file(&temporary);
        })
        .and_then(|()| File::open(folder)?.sync_all());
    mask.thread_set_mask()?;
    result
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn temporary_name(name: &std::ffi::OsStr) -> io::Result<OsString> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| io::Error::other("no random bytes"))?;
    let mut temporary = OsString::from(".");
    // The longest name that a folder takes has 255 bytes.
    if name.len() <= 200 {
        temporary.push(name);
        temporary.push(".");
    }
    temporary.push(data_encoding::HEXLOWER.encode(&random));
    Ok(temporary)
}

fn fill(path: &Path, value: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(value)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn replaces_through_links_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        let link = dir.path().join("link");
        fs::write(&real, b"old").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o644)).unwrap();
        symlink(&real, &link).unwrap();
        write(&link, b"new\0").unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"new\0");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let mode = fs::metadata(&real).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn creates_whole_files_and_replaces_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new");
        create(&path, b"one").unwrap();
        // The other way, for file systems that want it.
        let renamed = dir.path().join("renamed");
        create_renamed(&renamed, b"one").unwrap();
        let error = create_renamed(&renamed, b"two").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        fs::remove_file(&renamed).unwrap();
        let error = create(&path, b"two").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert!(is(&path, b"one"));
        for other in [&b"on"[..], b"onee", b""] {
            assert!(!is(&path, other));
        }
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let dangling = dir.path().join("dangling");
        symlink("nowhere", &dangling).unwrap();
        let error = create(&dangling, b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        symlink(&path, dir.path().join("link")).unwrap();
        assert!(!is(&dir.path().join("link"), b"one"));
        probe(dir.path()).unwrap();
        assert!(probe(&path).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn refuses_what_is_not_a_file() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path(), Path::new("/dev/null"), Path::new("-")] {
            assert_eq!(write(path, b"x").unwrap_err().code(), 2, "{path:?}");
        }
        let dangling = dir.path().join("dangling");
        symlink("nowhere", &dangling).unwrap();
        assert_eq!(write(&dangling, b"x").unwrap_err().code(), 2);
        let missing = dir.path().join("missing/file");
        assert_eq!(write(&missing, b"x").unwrap_err().code(), 2);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

//! The socket: systemd's, or one of our own.
//!
//! Everything is done through the descriptor of a directory that was checked:
//! no name on the way can be swapped between the check and the use.

use crate::{limits, start::StartError, sys};
use nix::{
    errno::Errno,
    fcntl::{AtFlags, Flock, FlockArg, OFlag, open, openat},
    sys::{
        socket::{
            AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, getsockname, getsockopt,
            listen, socket, sockopt,
        },
        stat::{FileStat, Mode, SFlag, fstat, fstatat, stat, umask},
    },
    unistd::{UnlinkatFlags, geteuid, unlinkat},
};
use std::{
    cell::RefCell,
    env,
    ffi::OsString,
    fs::DirBuilder,
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::{ffi::OsStrExt, fs::DirBuilderExt, net::UnixListener},
    },
    path::{Path, PathBuf},
    process,
};

/// The first descriptor of socket activation.
const FIRST: RawFd = 3;

/// Where the agent listens, and how it leaves.
pub(crate) enum Place {
    /// A socket that systemd made, and keeps.
    Systemd,
    /// Our own.
    Own(Own),
}

/// A socket of our own, in a directory of our own.
pub(crate) struct Own {
    path: PathBuf,
    directory: OwnedFd,
    name: OsString,
    /// Device and inode of the directory and of the socket.
    directory_id: (u64, u64),
    socket_id: (u64, u64),
    lock: RefCell<Option<Flock<OwnedFd>>>,
}

/// A directory that was checked, with the lock of a socket in it.
pub(crate) struct Claim {
    path: PathBuf,
    directory: OwnedFd,
    directory_id: (u64, u64),
    name: OsString,
    lock: Flock<OwnedFd>,
}

/// Takes the socket that systemd hands down, if it does. Its path is returned for the notes.
pub(crate) fn activated() -> Result<Option<(UnixListener, Option<PathBuf>)>, StartError> {
    let variable = |name| env::var(name).ok();
    let Some(pid) = variable("LISTEN_PID") else {
        return Ok(None);
    };
    // Meant for another process, whose environment we have inherited.
    if pid.parse() != Ok(process::id()) {
        return Ok(None);
    }
    let count: RawFd = variable("LISTEN_FDS")
        .and_then(|n| n.parse().ok())
        .unwrap_or_default();
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let index = match count {
        0 => return Ok(None),
        1 => 0,
        _ => names
            .split(':')
            .position(|name| name == "sv")
            .and_then(|at| RawFd::try_from(at).ok())
            .filter(|at| *at < count)
            .ok_or(StartError::Activation(
                "several sockets were handed down and none is named sv",
            ))?,
    };
    let mut taken = None;
    for offset in 0..count {
        let fd = sys::inherit(FIRST.saturating_add(offset))
            .map_err(|_| StartError::Activation("a socket that was announced is not there"))?;
        if offset == index {
            taken = Some(fd);
        }
    }
    let fd = taken.ok_or(StartError::Activation("no socket was handed down"))?;
    let address: Result<UnixAddr, Errno> = getsockname(fd.as_raw_fd());
    let listens = getsockopt(&fd, sockopt::AcceptConn).unwrap_or_default();
    let stream = getsockopt(&fd, sockopt::SockType) == Ok(SockType::Stream);
    let (Ok(address), true, true) = (address, listens, stream) else {
        return Err(StartError::Activation(
            "what was handed down is not a listening Unix stream socket",
        ));
    };
    let listener = UnixListener::from(fd);
    nonblocking(&listener)?;
    Ok(Some((listener, address.path().map(Path::to_owned))))
}

fn nonblocking(listener: &UnixListener) -> Result<(), StartError> {
    listener
        .set_nonblocking(true)
        .map_err(|error| StartError::Storage {
            what: "set up the socket".to_owned(),
            error,
        })
}

/// Makes or checks the directory of `path` and takes the lock beside the socket.
pub(crate) fn claim(path: &Path) -> Result<Claim, StartError> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(StartError::Place(format!(
            "{} can't be a socket",
            path.display()
        )));
    };
    let failed = |what: &str, errno: Errno| StartError::Storage {
        what: format!("{what} {}", parent.display()),
        error: errno.into(),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(parent)
        .or_else(|error| match error.kind() {
            // What is there instead is looked at below.
            std::io::ErrorKind::AlreadyExists => Ok(()),
            _ => Err(StartError::Storage {
                what: format!("make the folder {}", parent.display()),
                error,
            }),
        })?;
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_PATH | OFlag::O_CLOEXEC;
    let directory = open(parent, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::ENOTDIR | Errno::ELOOP => insecure(parent, "is a symbolic link or not a folder"),
        other => failed("open the folder", other),
    })?;
    let facts = fstat(&directory).map_err(|e| failed("look at the folder", e))?;
    if facts.st_uid != geteuid().as_raw() {
        return Err(insecure(parent, "belongs to another user"));
    }
    if facts.st_mode & 0o022 != 0 {
        return Err(insecure(parent, "can be written by other users"));
    }
    let lock = lock(path, &directory, name)?;
    Ok(Claim {
        path: path.to_owned(),
        directory,
        directory_id: id(&facts),
        name: name.to_owned(),
        lock,
    })
}

fn lock(
    path: &Path,
    directory: &OwnedFd,
    name: &std::ffi::OsStr,
) -> Result<Flock<OwnedFd>, StartError> {
    let mut lock_name = name.to_owned();
    lock_name.push(".lock");
    let shown = path.with_file_name(&lock_name);
    let failed = |errno: Errno| StartError::Storage {
        what: format!("lock {}", shown.display()),
        error: errno.into(),
    };
    // Nonblocking: whatever is there in its place must not hang the start.
    let flags =
        OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    // Again when the file was removed between opening and locking it.
    for _ in 0..10 {
        let file = openat(
            directory,
            lock_name.as_os_str(),
            flags,
            Mode::from_bits_truncate(0o600),
        )
        .map_err(|errno| match errno {
            Errno::ELOOP => insecure(&shown, "is a symbolic link"),
            Errno::EISDIR | Errno::ENXIO => insecure(&shown, "is not a file"),
            other => failed(other),
        })?;
        let facts = fstat(&file).map_err(failed)?;
        if kind(&facts) != SFlag::S_IFREG {
            return Err(insecure(&shown, "is not a file"));
        }
        if facts.st_uid != geteuid().as_raw() {
            return Err(insecure(&shown, "belongs to another user"));
        }
        let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((_, Errno::EWOULDBLOCK)) => return Err(StartError::Running(path.to_owned())),
            Err((_, errno)) => return Err(failed(errno)),
        };
        match fstatat(
            directory,
            lock_name.as_os_str(),
            AtFlags::AT_SYMLINK_NOFOLLOW,
        ) {
            Ok(now) if id(&now) == id(&facts) => return Ok(lock),
            Ok(_) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
    Err(failed(Errno::ESTALE))
}

impl Claim {
    /// Removes what a dead agent has left, binds and listens.
    pub(crate) fn listen(self) -> Result<(UnixListener, Place), StartError> {
        let shown = self.path.as_path();
        let failed = |errno: Errno| StartError::Storage {
            what: format!("listen on {}", shown.display()),
            error: errno.into(),
        };
        match fstatat(
            &self.directory,
            self.name.as_os_str(),
            AtFlags::AT_SYMLINK_NOFOLLOW,
        ) {
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(failed(errno)),
            Ok(facts) if kind(&facts) != SFlag::S_IFSOCK => {
                return Err(insecure(shown, "is there already and is not a socket"));
            }
            Ok(facts) if facts.st_uid != geteuid().as_raw() => {
                return Err(insecure(shown, "belongs to another user"));
            }
            // With the lock held, nobody listens on it.
            Ok(_) => unlinkat(
                &self.directory,
                self.name.as_os_str(),
                UnlinkatFlags::NoRemoveDir,
            )
            .map_err(failed)?,
        }

        // Through the descriptor: the folder is the one that was checked, and
        // its path may be longer than an address can hold.
        let mut through = format!("/proc/self/fd/{}/", self.directory.as_raw_fd()).into_bytes();
        through.extend_from_slice(self.name.as_bytes());
        let address = UnixAddr::new(through.as_slice()).map_err(|_| {
            StartError::Place(format!(
                "{} has too long a name for a socket",
                shown.display()
            ))
        })?;
        let fd = socket(
            AddressFamily::Unix,
            SockType::Stream,
            SockFlag::SOCK_CLOEXEC,
            None,
        )
        .map_err(failed)?;
        // Mode 0600 from the first moment on.
        let before = umask(Mode::from_bits_truncate(0o177));
        let bound = bind(fd.as_raw_fd(), &address);
        umask(before);
        bound.map_err(failed)?;
        let backlog = Backlog::new(limits::BACKLOG).map_err(failed)?;
        listen(&fd, backlog).map_err(failed)?;
        let facts = fstatat(
            &self.directory,
            self.name.as_os_str(),
            AtFlags::AT_SYMLINK_NOFOLLOW,
        )
        .map_err(failed)?;
        let listener = UnixListener::from(fd);
        nonblocking(&listener)?;
        Ok((
            listener,
            Place::Own(Own {
                path: self.path,
                directory: self.directory,
                name: self.name,
                directory_id: self.directory_id,
                socket_id: id(&facts),
                lock: RefCell::new(Some(self.lock)),
            }),
        ))
    }
}

impl Place {
    /// Whether clients still find the socket.
    pub(crate) fn reachable(&self) -> bool {
        let Self::Own(own) = self else { return true };
        let there = |found: Result<FileStat, Errno>, ours| match found {
            Ok(facts) => id(&facts) == ours,
            // Anything else says nothing about whether it is there.
            Err(errno) => !matches!(errno, Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP),
        };
        let parent = own.path.parent().unwrap_or(Path::new("/"));
        there(stat(parent), own.directory_id) && there(own.socket(), own.socket_id)
    }

    /// Removes the socket, if it is still ours, and then lets the next agent start.
    pub(crate) fn remove(&self) {
        let Self::Own(own) = self else { return };
        if own.socket().is_ok_and(|facts| id(&facts) == own.socket_id)
            && let Err(error) = unlinkat(
                &own.directory,
                own.name.as_os_str(),
                UnlinkatFlags::NoRemoveDir,
            )
        {
            tracing::warn!(%error, "the socket can't be removed");
        }
        own.lock.replace(None);
    }
}

impl Own {
    fn socket(&self) -> Result<FileStat, Errno> {
        fstatat(
            &self.directory,
            self.name.as_os_str(),
            AtFlags::AT_SYMLINK_NOFOLLOW,
        )
    }
}

fn id(facts: &FileStat) -> (u64, u64) {
    (facts.st_dev, facts.st_ino)
}

fn kind(facts: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(facts.st_mode & SFlag::S_IFMT.bits())
}

fn insecure(path: &Path, why: &str) -> StartError {
    StartError::Insecure(format!("{} {why}", path.display()))
}

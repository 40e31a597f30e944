//! The system calls that the standard library lacks. All `unsafe` of the tests is here.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::Path,
    process::Command,
    ptr, thread,
};

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// Sends a signal to one process. 0 only asks whether it is there.
pub fn kill(pid: u32, signal: libc::c_int) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    assert!(pid > 1, "a process of its own");
    // SAFETY: no memory is involved.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// A pseudo-terminal of 24 × 80: the side of the person, the side of the program.
pub fn openpty() -> io::Result<(OwnedFd, OwnedFd)> {
    // SAFETY: no memory is involved; the descriptor is new and owned from here.
    let person = unsafe {
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
        OwnedFd::from_raw_fd(check(libc::posix_openpt(flags))?)
    };
    let fd = person.as_raw_fd();
    let size = libc::winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: `fd` is open; `size` outlives the call that reads it; the last
    // call returns a new descriptor, owned from here.
    let program = unsafe {
        check(libc::grantpt(fd))?;
        check(libc::unlockpt(fd))?;
        check(libc::ioctl(fd, libc::TIOCSWINSZ, &raw const size))?;
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
        OwnedFd::from_raw_fd(check(libc::ioctl(fd, libc::TIOCGPTPEER, flags))?)
    };
    Ok((person, program))
}

/// Makes `command`'s standard input its controlling terminal, in a new session.
pub fn own_terminal(command: &mut Command) {
    // SAFETY: both calls are async-signal-safe and touch no memory.
    unsafe {
        command.pre_exec(|| {
            check(libc::setsid())?;
            check(libc::ioctl(0, libc::TIOCSCTTY, 0))?;
            Ok(())
        });
    }
}

/// Whether the terminal shows what is typed.
pub fn echoes(terminal: &OwnedFd) -> io::Result<bool> {
    // SAFETY: all-zero is a valid termios, and the call fills it.
    let settings = unsafe {
        let mut settings: libc::termios = std::mem::zeroed();
        check(libc::tcgetattr(terminal.as_raw_fd(), &raw mut settings))?;
        settings
    };
    Ok(settings.c_lflag & libc::ECHO != 0)
}

/// Runs `f` in a thread whose every credential is that of uid and gid 65534.
/// The raw calls change the calling thread alone, unlike libc's wrappers.
pub fn as_nobody<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        scope
            .spawn(|| {
                // SAFETY: no memory is involved: the list of groups is empty.
                let (groups, gid, uid) = unsafe {
                    (
                        libc::syscall(libc::SYS_setgroups, 0, ptr::null::<libc::gid_t>()),
                        libc::syscall(libc::SYS_setresgid, 65534, 65534, 65534),
                        libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534),
                    )
                };
                assert_eq!(
                    (groups, gid, uid),
                    (0, 0, 0),
                    "these tests run as root: {}",
                    io::Error::last_os_error()
                );
                f()
            })
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Gives the calling thread, and the processes that it starts from now on, a
/// mount table of their own, which goes with the last of them.
pub fn private_mounts() -> io::Result<()> {
    // SAFETY: the paths are literals that end with NUL; the others may be null.
    unsafe {
        check(libc::unshare(libc::CLONE_NEWNS))?;
        let flags = libc::MS_REC | libc::MS_PRIVATE;
        let root = c"/".as_ptr();
        check(libc::mount(
            ptr::null(),
            root,
            ptr::null(),
            flags,
            ptr::null(),
        ))?;
    }
    Ok(())
}

/// A tmpfs on `at`; `options` as of mount(8). Mounts again if it is one already.
pub fn mount_tmpfs(at: &Path, options: &str, flags: libc::c_ulong) -> io::Result<()> {
    let at = CString::new(at.as_os_str().as_encoded_bytes())?;
    let options = CString::new(options)?;
    let (kind, at) = (c"tmpfs".as_ptr(), at.as_ptr());
    // SAFETY: every pointer is to a string that outlives the call.
    check(unsafe { libc::mount(kind, at, kind, flags, options.as_ptr().cast()) }).map(drop)
}

/// Takes away what is mounted on `at`, at the latest when nothing uses it any more.
pub fn unmount(at: &Path) -> io::Result<()> {
    let at = CString::new(at.as_os_str().as_encoded_bytes())?;
    // SAFETY: the path outlives the call.
    check(unsafe { libc::umount2(at.as_ptr(), libc::MNT_DETACH) }).map(drop)
}

/// Raises the number of files that this process may open to the most it is
/// allowed, and says what that is.
pub fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` outlives both calls.
    unsafe {
        check(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit))?;
        limit.rlim_cur = limit.rlim_max;
        check(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit))?;
    }
    Ok(limit.rlim_cur)
}

/// Reads a byte of another process's memory, wherever it is mapped.
pub fn read_memory(pid: u32) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    let mut byte = 0_u8;
    let local = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    let remote = libc::iovec {
        iov_base: 0x1000 as *mut libc::c_void,
        iov_len: 1,
    };
    // SAFETY: the local buffer is one byte and outlives the call; the remote
    // address is of the other process.
    match unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Takes a copy of another process's descriptor 0.
pub fn take_descriptor(pid: u32) -> io::Result<()> {
    // SAFETY: no memory is involved; what is opened is owned at once.
    unsafe {
        let own = |fd: libc::c_long| match libc::c_int::try_from(fd) {
            Ok(fd) if fd >= 0 => Ok(OwnedFd::from_raw_fd(fd)),
            _ => Err(io::Error::last_os_error()),
        };
        let process = own(libc::syscall(libc::SYS_pidfd_open, pid, 0))?;
        own(libc::syscall(
            libc::SYS_pidfd_getfd,
            process.as_raw_fd(),
            0,
            0,
        ))
        .map(drop)
    }
}

/// Attaches to another process as a debugger does.
pub fn attach(pid: u32) -> io::Result<()> {
    let null = ptr::null_mut::<libc::c_void>();
    // SAFETY: PTRACE_SEIZE takes no addresses.
    match unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, null, null) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

//! One run of the transport's program: no shell, a bare environment,
//! descriptors 0 to 2, an end in time, and no more output than was asked for.

use super::{Node, failed, limits, signals::Held};
use crate::{
    error::{Error, Result},
    output,
    progress::Progress,
    stream::Buffer,
};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{Signal, killpg},
    unistd::{self, AccessFlags, Pid, access},
};
use std::{
    env,
    ffi::{OsStr, OsString},
    fs, io,
    io::Read,
    os::{
        fd::{AsFd, RawFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};
use sv_proto::config::Spelling;
use zeroize::Zeroizing;

/// All of the caller's environment that the program gets.
const ENVIRONMENT: [&str; 10] = [
    "HOME",
    "PATH",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "SSH_AUTH_SOCK",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
];

/// The program, ready to run.
pub struct Program {
    path: PathBuf,
    spelling: Spelling,
    limit: Duration,
}

/// What a run came to. Its exit code says little: of a failure it is 1,
/// whatever failed.
pub struct Run {
    /// Standard output.
    pub out: Zeroizing<Vec<u8>>,
    /// The last line of standard error, shortened and without control characters.
    pub said: String,
    /// How it ended.
    pub status: ExitStatus,
}

impl Program {
    /// Finds it.
    pub fn find(program: &Path, spelling: Spelling) -> Result<Self> {
        let path = if program.is_absolute() {
            Some(program.to_owned()).filter(|file| runs(file))
        } else {
            let path = env::var_os("PATH").unwrap_or_default();
            // A relative folder on PATH would be whatever the caller stands in.
            env::split_paths(&path)
                .filter(|folder| folder.is_absolute())
                .map(|folder| folder.join(program))
                .find(|file| runs(file))
        };
        let path = path.ok_or_else(|| {
            Error::usage(
                format!(
                    "there is no program {} to reach nodes with",
                    program.display()
                ),
                "install it, or name another in the configuration: [transport] program = \"…\"",
            )
        })?;
        drop_inherited()?;
        Ok(Self {
            path,
            spelling,
            limit: limits::RUN,
        })
    }

    /// Puts a file on a node.
    pub fn put(&self, local: &Path, node: &Node, remote: &str, held: &Held) -> Result<Run> {
        let local = local.as_os_str().to_owned();
        let arguments: Vec<OsString> = match self.spelling {
            Spelling::Joined => vec!["put".into(), local, format!("{node}:{remote}").into()],
            Spelling::Apart => vec!["put".into(), node.as_str().into(), local, remote.into()],
        };
        self.run(&arguments, node, held)
    }

    /// Runs a command on a node.
    pub fn exec(&self, node: &Node, command: &str, held: &Held) -> Result<Run> {
        let arguments: [OsString; 3] = ["exec".into(), node.as_str().into(), command.into()];
        self.run(&arguments, node, held)
    }

    fn run<A: AsRef<OsStr>>(&self, arguments: &[A], node: &Node, held: &Held) -> Result<Run> {
        let environment = ENVIRONMENT
            .iter()
            .filter_map(|key| Some((key, env::var_os(key)?)));
        let child = Command::new(&self.path)
            .args(arguments)
            .env_clear()
            .envs(environment)
            .current_dir("/")
            // It and what it starts can be ended together.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| Error::Transport(format!("can't start {}: {e}", self.path.display())))?;
        let mut running = Running(child);
        let result = running.watch(self.limit, held);
        if result.is_err() {
            running.kill();
        }
        result.map_err(|stopped| match stopped {
            Stopped::Interrupted => Error::Interrupted,
            Stopped::TooLong => failed(
                node,
                format!("no answer within {} seconds", self.limit.as_secs()),
            ),
            Stopped::TooMuch => failed(node, "it answers more than was asked for"),
            Stopped::Failed(e) => Error::Transport(format!("reading from the transport: {e}")),
        })
    }
}

/// Why a run was ended from here.
enum Stopped {
    Interrupted,
    TooLong,
    TooMuch,
    Failed(io::Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// A child and what it starts. It does not outlive the value.
struct Running(Child);

impl Running {
    fn watch(&mut self, limit: Duration, held: &Held) -> std::result::Result<Run, Stopped> {
        let mut out = Pipe::new(self.0.stdout.take(), limits::OUTPUT);
        let mut err = Pipe::new(self.0.stderr.take(), limits::MESSAGES);
        let mut deadline = Instant::now() + limit;
        let mut ended = None;
        // Its thread inherits that interruptions wait.
        let mut progress = Progress::new("waiting for another machine");
        loop {
            if ended.is_none() {
                ended = self.0.try_wait()?;
                if ended.is_some() {
                    deadline = deadline.min(Instant::now() + limits::LINGER);
                }
            }
            let open = out.from.is_some() || err.from.is_some();
            if let Some(status) = ended.filter(|_| !open || Instant::now() >= deadline) {
                return Ok(Run {
                    out: out.kept.into_inner(),
                    said: last_line(err.kept.bytes()),
                    status,
                });
            }
            if Instant::now() >= deadline {
                return Err(Stopped::TooLong);
            }
            progress.spin();
            wait(held, &mut out, &mut err)?;
            if out.over {
                return Err(Stopped::TooMuch);
            }
        }
    }

    fn kill(&mut self) {
        let group = i32::try_from(self.0.id()).map(Pid::from_raw);
        if let Ok(group) = group {
            // It may have ended by itself.
            let _ = killpg(group, Signal::SIGKILL);
        }
        let _ = self.0.wait();
    }
}

/// Waits for output, an interruption, or a moment; and reads.
fn wait<O: Read + AsFd, E: Read + AsFd>(
    held: &Held,
    out: &mut Pipe<O>,
    err: &mut Pipe<E>,
) -> std::result::Result<(), Stopped> {
    let (interrupted, from_out, from_err) = {
        let mut fds = vec![PollFd::new(held.as_fd(), PollFlags::POLLIN)];
        fds.extend(out.poll());
        fds.extend(err.poll());
        let tick = PollTimeout::try_from(limits::TICK).unwrap_or(PollTimeout::ZERO);
        match poll(&mut fds, tick) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(io::Error::from(e).into()),
        }
        let mut ready = fds.iter().map(|fd| fd.any().unwrap_or(false));
        let mut next = |open: bool| open && ready.next().unwrap_or(false);
        (
            next(true),
            next(out.from.is_some()),
            next(err.from.is_some()),
        )
    };
    if interrupted {
        return Err(Stopped::Interrupted);
    }
    if from_out {
        out.read()?;
    }
    if from_err {
        err.read()?;
    }
    Ok(())
}

/// One end of a pipe, what came out of it, and whether more did.
struct Pipe<R> {
    from: Option<R>,
    kept: Buffer,
    cap: usize,
    over: bool,
}

impl<R: Read + AsFd> Pipe<R> {
    fn new(from: Option<R>, cap: usize) -> Self {
        Self {
            from,
            kept: Buffer::new(),
            cap,
            over: false,
        }
    }

    fn poll(&self) -> Option<PollFd<'_>> {
        let fd = self.from.as_ref()?.as_fd();
        Some(PollFd::new(fd, PollFlags::POLLIN))
    }

    fn read(&mut self) -> io::Result<()> {
        let Some(from) = &mut self.from else {
            return Ok(());
        };
        let mut piece = Zeroizing::new([0; 16 * 1024]);
        match from.read(&mut *piece) {
            Ok(0) => self.from = None,
            Ok(n) => {
                let room = self.cap.saturating_sub(self.kept.bytes().len());
                self.over |= n > room;
                self.kept.extend(&piece[..n.min(room)]);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }
}

fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    let mut line = output::escape(line.unwrap_or_default()).into_owned();
    if let Some((at, _)) = line.char_indices().nth(limits::MESSAGE) {
        line.truncate(at);
        line.push('…');
    }
    line
}

fn runs(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|m| m.is_file()) && access(file, AccessFlags::X_OK).is_ok()
}

/// Closes the descriptors that this process was started with, apart from the
/// first three. Everything that it opens itself is closed by `exec`; those are not, and
/// a password may be on one.
fn drop_inherited() -> Result<()> {
    const CLOEXEC: u32 = 0o2_000_000;
    let failed = |error| Error::Read {
        what: "the list of open descriptors".to_owned(),
        error,
    };
    let mut inherited: Vec<RawFd> = Vec::new();
    for entry in fs::read_dir("/proc/self/fd").map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let Some(fd) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let info = match fs::read_to_string(format!("/proc/self/fdinfo/{fd}")) {
            Ok(info) => info,
            // That of the list itself, or one that another thread has closed.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(failed(e)),
        };
        let flags = info
            .lines()
            .find_map(|line| line.strip_prefix("flags:"))
            .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
        if fd > 2 && flags.is_none_or(|flags| flags & CLOEXEC == 0) {
            inherited.push(fd);
        }
    }
    for fd in inherited {
        match unistd::close(fd) {
            Ok(()) | Err(Errno::EBADF) => {}
            Err(e) => return Err(failed(e.into())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::fs::PermissionsExt, thread};

    /// A program that runs this script.
    fn program(script: &str, limit: Duration) -> (tempfile::TempDir, Program) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("program");
        // Another thread's child may hold a file that is written to, which then can't be run.
        let fresh = dir.path().join("fresh");
        fs::write(&fresh, format!("#!/bin/bash\n{script}\n")).unwrap();
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(
            Command::new("cp")
                .args([&fresh, &path])
                .status()
                .unwrap()
                .success()
        );
        let program = Program {
            path,
            spelling: Spelling::Joined,
            limit,
        };
        (dir, program)
    }

    fn exec(script: &str, limit: Duration) -> Result<Run> {
        let (_dir, program) = program(script, limit);
        let held = Held::new().unwrap();
        program.exec(&"alpha:22".parse().unwrap(), "do it", &held)
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn arguments_surroundings_and_outcome() {
        drop_inherited().unwrap();
        let run = exec(
            r#"echo "$# $1 $2 $3"; pwd; read -r line; echo "<$line>"
               ls /proc/self/fd; tr '\0' '\n' </proc/self/environ | cut -d= -f1
               echo first >&2; printf 'last \033[31m\n\n' >&2; exit 7"#,
            LONG,
        )
        .unwrap();
        assert_eq!(run.status.code(), Some(7));
        assert_eq!(run.said, "last \\u{1b}[31m");
        let out = String::from_utf8(run.out.to_vec()).unwrap();
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[..3], ["3 exec alpha:22 do it", "/", "<>"]);
        // The fourth is the list itself.
        assert_eq!(lines[3..7], ["0", "1", "2", "3"]);
        for name in &lines[7..] {
            let own = ["PWD", "SHLVL", "_", "OLDPWD"];
            assert!(ENVIRONMENT.contains(name) || own.contains(name), "{name}");
        }
    }

    #[test]
    fn both_spellings() {
        let (_dir, mut program) = program("echo \"$@\"", LONG);
        let held = Held::new().unwrap();
        let node = "alpha".parse().unwrap();
        let put = |program: &Program| {
            let run = program.put(Path::new("/l"), &node, "/r", &held).unwrap();
            String::from_utf8(run.out.to_vec()).unwrap()
        };
        assert_eq!(put(&program), "put /l alpha:/r\n");
        program.spelling = Spelling::Apart;
        assert_eq!(put(&program), "put alpha /l /r\n");
    }

    #[test]
    fn what_hangs_is_ended_with_what_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("pid");
        let script = format!("sleep 600 & echo $! >{}; wait", mark.display());
        let error = exec(&script, Duration::from_millis(500)).err().unwrap();
        assert_eq!(error.code(), 10);
        assert_eq!(error.to_string(), "alpha:22: no answer within 0 seconds");
        let child: u32 = fs::read_to_string(&mark).unwrap().trim().parse().unwrap();
        let end = Instant::now() + LONG;
        while fs::read_to_string(format!("/proc/{child}/stat"))
            .is_ok_and(|stat| !stat.contains(") Z "))
        {
            assert!(Instant::now() < end, "{child} was left behind");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_child_that_holds_the_output_is_not_waited_for() {
        let began = Instant::now();
        let run = exec("echo said; sleep 10 & exit 0", LONG).unwrap();
        assert_eq!(*run.out, *b"said\n");
        assert!(began.elapsed() < Duration::from_secs(8));
    }

    #[test]
    fn more_than_was_asked_for_is_not_taken() {
        let error = exec("cat /dev/zero", LONG).err().unwrap();
        assert_eq!(error.code(), 10);
        assert!(
            error.to_string().ends_with("more than was asked for"),
            "{error}"
        );
        // Messages are cut off, and the rest of them is read.
        let run = exec("head -c 3000000 /dev/zero >&2; echo done", LONG).unwrap();
        assert_eq!(*run.out, *b"done\n");
        assert!(run.said.chars().count() <= limits::MESSAGE + 1);
    }

    #[test]
    fn an_interruption_ends_it() {
        use nix::sys::signal::{SigSet, raise};
        let (_dir, program) = program("sleep 600", LONG);
        let held = Held::new().unwrap();
        // To this thread alone, where it has to wait.
        raise(Signal::SIGTERM).unwrap();
        let began = Instant::now();
        let result = program.exec(&"alpha".parse().unwrap(), "x", &held);
        assert!(matches!(result, Err(Error::Interrupted)));
        assert!(began.elapsed() < LONG);
        // Taken, or it would end the tests when it is no longer held.
        let waiting = SigSet::from_iter([Signal::SIGTERM]);
        assert_eq!(waiting.wait().unwrap(), Signal::SIGTERM);
    }

    #[test]
    fn a_program_that_is_not_there() {
        for name in ["sv-no-such-program", "/nowhere/vssh", "/etc/passwd"] {
            let error = Program::find(Path::new(name), Spelling::Joined)
                .err()
                .unwrap();
            assert_eq!(error.code(), 2, "{name}");
        }
    }
}

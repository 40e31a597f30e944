//! Starting an agent: the program beside this one, else the one on `PATH`,
//! with a clean environment, in its own session.

use crate::error::{Error, Result};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::{AccessFlags, access},
};
use std::{
    env, fs,
    io::{self, Read},
    os::fd::AsFd,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};
use sv_proto::places::Places;

/// All of the caller's environment that an agent gets.
const ENVIRONMENT: [&str; 8] = [
    "HOME",
    "PATH",
    "LANG",
    "XDG_RUNTIME_DIR",
    "XDG_DATA_HOME",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "SV_LOG",
];

/// The exit code of an agent that found another one in its place (`EX_TEMPFAIL`).
const ANOTHER: i32 = 75;

/// How long an agent may take until it listens.
const LIMIT: Duration = Duration::from_secs(10);

/// The line that says so.
const READY: &[u8] = b"ready\n";

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// It listens.
    Ready,
    /// Another agent holds the socket; it may still be starting, or just ending.
    Another,
}

/// Starts an agent and waits until it listens.
pub fn start(places: &Places) -> Result<Started> {
    let program = program().ok_or_else(|| failure(1, "sv-agent is not installed"))?;
    let mut command = Command::new(program);
    command.arg("--detach");
    command.arg("--vault").arg(&places.vault);
    command.arg("--socket").arg(&places.socket);
    if places.config_named || places.config.exists() {
        command.arg("--config").arg(&places.config);
    }
    command.env_clear();
    command.envs(
        ENVIRONMENT
            .iter()
            .filter_map(|k| Some((k, env::var_os(k)?))),
    );
    let child = command
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    wait(child.map_err(|e| failure(1, &format!("can't start sv-agent: {e}")))?)
}

fn failure(code: u8, message: &str) -> Error {
    Error::Start {
        code,
        message: message.to_owned(),
        hint: Some("install sv-agent beside sv, or start it by hand".to_owned()),
    }
}

fn program() -> Option<PathBuf> {
    let beside = env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.join("sv-agent")));
    let path = env::var_os("PATH").unwrap_or_default();
    // A relative folder on PATH would be whatever the caller stands in.
    let on_path = env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("sv-agent"));
    beside.into_iter().chain(on_path).find(|file| {
        fs::metadata(file).is_ok_and(|m| m.is_file()) && access(file, AccessFlags::X_OK).is_ok()
    })
}

fn wait(mut child: Child) -> Result<Started> {
    let broken = |e: io::Error| failure(1, &format!("can't start sv-agent: {e}"));
    let deadline = Instant::now() + LIMIT;
    let mut said = Vec::new();
    if let Some(stdout) = &mut child.stdout {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                child.kill().and_then(|()| child.wait()).map_err(broken)?;
                return Err(Error::Transport(
                    "sv-agent did not start within 10 seconds".to_owned(),
                ));
            }
            let mut ready = [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
            match poll(
                &mut ready,
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX),
            ) {
                Ok(0) | Err(Errno::EINTR) => continue,
                Ok(_) => {}
                Err(e) => return Err(broken(e.into())),
            }
            let mut piece = [0; 64];
            match stdout.read(&mut piece) {
                Ok(0) => break,
                Ok(n) => said.extend_from_slice(&piece[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(broken(e)),
            }
            if said.ends_with(READY) {
                return Ok(Started::Ready);
            }
        }
    }
    let mut text = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        stderr
            .take(64 * 1024)
            .read_to_end(&mut text)
            .map_err(broken)?;
    }
    let status = child.wait().map_err(broken)?;
    if status.code() == Some(ANOTHER) {
        return Ok(Started::Another);
    }
    Err(told(&String::from_utf8_lossy(&text), status))
}

/// What the agent said before it ended, as our own error.
fn told(text: &str, status: ExitStatus) -> Error {
    let last = |prefix: &str| {
        text.lines()
            .filter_map(|line| line.strip_prefix(prefix))
            .next_back()
            .map(str::to_owned)
    };
    let code = status.code().and_then(|c| u8::try_from(c).ok());
    Error::Start {
        code: code.filter(|c| (1..=11).contains(c)).unwrap_or(1),
        message: last("sv: ").unwrap_or_else(|| format!("sv-agent ended at once ({status})")),
        hint: last("hint: "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn what_the_agent_said_is_passed_on() {
        let status = ExitStatus::from_raw(7 << 8);
        let error = told(
            "WARN x\nsv: the folder is a link\nhint: use another\n",
            status,
        );
        assert_eq!(error.to_string(), "the folder is a link");
        assert_eq!(error.hint(), Some("use another"));
        assert_eq!(error.code(), 7);

        let error = told("", ExitStatus::from_raw(9));
        assert_eq!(error.code(), 1);
        assert!(error.to_string().contains("signal"), "{error}");
        assert_eq!(told("", ExitStatus::from_raw(101 << 8)).code(), 1);
    }

    fn shell(script: &str) -> Result<Started> {
        let child = Command::new("/bin/sh")
            .args(["-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait(child)
    }

    #[test]
    fn how_starting_ends() {
        assert_eq!(shell("echo ready").unwrap(), Started::Ready);
        assert_eq!(shell("exit 75").unwrap(), Started::Another);
        let error = shell("echo 'sv: no' >&2; exit 8").unwrap_err();
        assert_eq!((error.code(), error.to_string()), (8, "no".to_owned()));
        assert_eq!(shell("exit 0").unwrap_err().code(), 1);
    }
}

//! What the end-to-end tests share.
//!
//! | module       | holds                                                     |
//! |--------------|-----------------------------------------------------------|
//! | this one     | [`Home`]: a user of its own, [`Agent`]                    |
//! | [`call`]     | one run of a program and what became of it                |
//! | [`client`]   | a client that speaks the protocol itself                  |
//! | [`copies`]   | backups of a vault, and homes made of them                 |
//! | [`terminal`] | `sv` on a pseudo-terminal                                 |
//! | [`upkeep`]   | slots, rotation, shares and backups for such a client     |
//! | [`faults`]   | faults at chosen system calls                             |
//! | [`ordeal`]   | a command that meets every fault                          |
//! | [`base`]     | the vault that it does so with                            |
//! | [`large`]    | vaults of any size                                        |
//! | [`mesh`]     | other hosts, and a program that reaches them              |
//! | [`log`]      | the audit log of a home, from the outside                 |
//! | [`proc`]     | what `/proc` tells about a process                        |
//! | [`random`]   | reproducible pseudo-random numbers                        |
//! | [`share_text`] | shares that no dealer makes                             |
//! | [`shares`]   | shares in files                                           |
//! | [`sys`]      | system calls; the only `unsafe`                           |
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod base;
pub mod call;
pub mod client;
pub mod copies;
pub mod faults;
pub mod large;
pub mod log;
pub mod mesh;
pub mod ordeal;
pub mod proc;
pub mod random;
pub mod share_text;
pub mod shares;
#[allow(unsafe_code)]
pub mod sys;
pub mod terminal;
pub mod upkeep;

pub use call::Call;
use client::Client;
use serde_json::Value;
use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The client under test.
pub const SV: &str = env!("CARGO_BIN_EXE_sv");
/// The agent under test.
pub const AGENT: &str = env!("CARGO_BIN_EXE_sv-agent");
/// The password of every vault that [`Home::init`] makes.
pub const PASSWORD: &str = "correct horse, battery";

/// Asks again and again until there is an answer; panics when it takes too long.
#[track_caller]
pub fn wait_until<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "not within {patience:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A user's world in a folder of its own: home, vault, socket, configuration.
/// When it goes, every process that was started for it goes first.
pub struct Home {
    dir: TempDir,
    /// The folder that holds everything.
    pub root: PathBuf,
    /// The vault file at its default place.
    pub vault: PathBuf,
    /// The socket at its default place.
    pub socket: PathBuf,
    /// The configuration at its default place.
    pub config: PathBuf,
}

impl Home {
    /// An empty home, without a vault.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("sv-test-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .expect("a temporary folder");
        let root = dir.path().canonicalize().expect("its real path");
        for name in ["home", "data", "run", "config", "state"] {
            fs::DirBuilder::new()
                .mode(0o700)
                .create(root.join(name))
                .expect("a folder");
        }
        Self {
            vault: root.join("data/sv/vault.sv"),
            socket: root.join("run/sv/agent.sock"),
            config: root.join("config/sv/config.toml"),
            root,
            dir,
        }
    }

    /// A home with an unlocked vault.
    pub fn with_vault() -> Self {
        let home = Self::new();
        home.init();
        home
    }

    /// Writes the configuration.
    pub fn configure(&self, text: &str) {
        fs::create_dir_all(self.config.parent().expect("a parent")).expect("a folder");
        fs::write(&self.config, text).expect("the configuration");
    }

    /// A command with this home's environment and nothing else.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.root.join("home"))
            .env("XDG_DATA_HOME", self.root.join("data"))
            .env("XDG_RUNTIME_DIR", self.root.join("run"))
            .env("XDG_CONFIG_HOME", self.root.join("config"))
            .env("XDG_STATE_HOME", self.root.join("state"))
            .current_dir(&self.root);
        command
    }

    /// A call of `sv` with these arguments, separated by single spaces.
    pub fn sv(&self, arguments: &str) -> Call {
        self.sv_args(arguments.split(' '))
    }

    /// A call of `sv` with these arguments.
    pub fn sv_args<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Call {
        let mut command = self.command(SV);
        command.args(arguments);
        Call::new(command)
    }

    /// A call of `bash -c script`, in which `$SV` is the client.
    pub fn shell(&self, script: &str) -> Call {
        let mut command = self.command("bash");
        command
            .args(["-c", script])
            .env("SV", SV)
            .env("AGENT", AGENT);
        Call::new(command)
    }

    /// Creates the vault, which leaves it unlocked.
    pub fn init(&self) {
        self.sv("init --password-stdin").line(PASSWORD).ok();
    }

    /// Unlocks the vault.
    pub fn unlock(&self) {
        self.sv("unlock --password-stdin").line(PASSWORD).ok();
    }

    /// Adds a secret whose value is exactly these bytes.
    pub fn add(&self, name: &str, value: &[u8]) {
        self.sv_args(["add", name, "--raw"]).input(value).ok();
    }

    /// The value of a secret.
    pub fn get(&self, name: &str) -> Vec<u8> {
        self.sv_args(["get", name]).ok()
    }

    /// The status, without starting an agent.
    pub fn status(&self) -> Value {
        self.sv("status --json --no-autostart").json()
    }

    /// The agent's process id.
    pub fn pid(&self) -> u32 {
        let status = self.status();
        status["pid"]
            .as_u64()
            .and_then(|pid| u32::try_from(pid).ok())
            .unwrap_or_else(|| panic!("no agent runs: {status}"))
    }

    /// A connection to the agent.
    pub fn connect(&self) -> Client {
        Client::connect(&self.socket).expect("an agent on the socket")
    }

    /// Kills the agent with SIGKILL.
    pub fn kill_agent(&self) {
        proc::end(self.pid());
    }

    /// The command that runs an agent for this home in the foreground.
    pub fn agent_command(&self) -> Command {
        let mut command = self.command(AGENT);
        command
            .arg("--vault")
            .arg(&self.vault)
            .arg("--socket")
            .arg(&self.socket);
        command
    }

    /// Runs an agent in the foreground and waits until it answers.
    pub fn start_agent(&self) -> Agent {
        Agent::start(self, self.agent_command())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // A process may start another while the list is read.
        for _ in 0..100 {
            let left = proc::of(&self.root);
            if left.is_empty() {
                break;
            }
            left.into_iter().for_each(proc::end);
        }
        // The note in the lock file names the agent of the vault, however it was started.
        let mut lock = self.vault.clone().into_os_string();
        lock.push(".lock");
        if let Ok(note) = fs::read_to_string(lock)
            && let Some((pid, socket)) = note.trim().split_once(' ')
            && Path::new(socket).starts_with(&self.root)
            && let Ok(pid) = pid.parse()
            && pid > 1
            && proc::arguments(pid).windows(8).any(|w| w == b"sv-agent")
        {
            proc::end(pid);
        }
    }
}

/// An agent in the foreground; it ends with the value.
pub struct Agent {
    /// The process.
    pub child: Child,
    /// What it writes to standard error.
    pub log: PathBuf,
}

impl Agent {
    /// Starts `command` and waits until something accepts connections on the socket.
    pub fn start(home: &Home, mut command: Command) -> Self {
        let log = home.root.join("agent.log");
        let stderr = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("a log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .expect("the agent starts");
        let mut agent = Self { child, log };
        wait_until("the agent listens", Duration::from_secs(30), || {
            if let Some(status) = agent.child.try_wait().expect("waiting") {
                panic!("the agent ended with {status}: {}", agent.log());
            }
            Client::connect(&home.socket).ok()
        });
        agent
    }

    /// Everything it has written to standard error.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        sys::kill(self.child.id(), signal).expect("a signal");
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        wait_until("the agent ends", Duration::from_secs(30), || {
            self.child.try_wait().expect("waiting")
        })
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It is gone already if the test ended it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every file below `dir` with its content.
pub fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut out = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let kind = entry.file_type().expect("its type");
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                match fs::read(entry.path()) {
                    Ok(bytes) => out.push((entry.path(), bytes)),
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => panic!("{}: {e}", entry.path().display()),
                }
            }
        }
    }
    out.sort();
    out
}

/// Whether `hay` holds `needle`.
pub fn holds(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|w| w == needle)
}

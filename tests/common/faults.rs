//! Faults at chosen system calls: of an agent that runs already, to which `strace`
//! attaches, so that nothing but the one command is counted; or of the client.

use super::{Call as Run, Home, SV, call::Done, wait_until};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Every call that changes a file or makes a change durable.
const CALLS: &str = "pwrite64,pwritev,pwritev2,write,writev,fsync,fdatasync,sync_file_range,\
                     ftruncate,truncate,fallocate,copy_file_range,rename,renameat,renameat2,\
                     link,linkat,unlink,unlinkat,mkdir,mkdirat";

/// How a client speaks with the agent.
const TALK: &str = "connect,sendto,sendmsg,recvfrom,read";

/// With this variable set to `all`, every call is tried with every fault.
const EVERYTHING: &str = "SV_FAULTS";

/// A call that a clean run made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// Which one of that name, from 1.
    pub ordinal: usize,
    /// What it was about, below the home: a path, or several.
    pub path: String,
}

impl Call {
    /// Whether it makes something durable.
    pub fn is_sync(&self) -> bool {
        self.name.contains("sync")
    }

    /// Plain writes go to sockets and counters as well: those to files are
    /// counted by their path.
    fn is_plain(&self) -> bool {
        matches!(self.name.as_str(), "write" | "writev")
    }
}

/// What happens instead of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The agent is killed.
    Kill,
    /// It fails once.
    Eio,
    /// The disk is full from here on.
    Enospc,
}

impl Fault {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Kill, Self::Eio, Self::Enospc];

    /// Whether a system call can fail so.
    fn fits(self, call: &Call) -> bool {
        match self {
            Self::Kill | Self::Eio => true,
            // Taking away makes room.
            Self::Enospc => !call.name.starts_with("unlink") && !call.name.contains("truncate"),
        }
    }
}

/// One fault to try.
#[derive(Debug, Clone)]
pub struct Injection {
    /// Instead of which call.
    pub call: Call,
    /// What.
    pub fault: Fault,
}

impl Injection {
    /// What `strace -e` wants.
    fn expression(&self) -> String {
        let (name, n) = (&self.call.name, self.call.ordinal);
        match self.fault {
            Fault::Kill => format!("inject={name}:signal=KILL:when={n}"),
            Fault::Eio => format!("inject={name}:error=EIO:when={n}"),
            Fault::Enospc => format!("inject={name}:error=ENOSPC:when={n}+"),
        }
    }
}

/// `strace` on a process, until it is told to let go.
pub struct Tracer {
    child: Child,
    log: PathBuf,
}

impl Tracer {
    /// Lists the calls of `pid` that change files.
    pub fn listen(pid: u32, home: &Home) -> Self {
        Self::attach(pid, home, &["-e", &format!("trace={CALLS}")])
    }

    /// Lets a fault happen to `pid`.
    pub fn inject(pid: u32, home: &Home, injection: &Injection) -> Self {
        let call = &injection.call;
        let path = home.root.join(&call.path);
        let mut arguments = vec!["-e".to_owned(), format!("trace={}", call.name)];
        if call.is_plain() {
            arguments.extend(["-P".to_owned(), path.display().to_string()]);
        }
        arguments.extend(["-e".to_owned(), injection.expression()]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Self::attach(pid, home, &arguments)
    }

    fn attach(pid: u32, home: &Home, arguments: &[&str]) -> Self {
        let log = home.root.join("strace.log");
        let child = Command::new("strace")
            .args(["-f", "-qq", "-y", "-s", "0", "-o"])
            .arg(&log)
            .args(["-p", &pid.to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("strace starts");
        let tracer = Self { child, log };
        wait_until("strace has attached", Duration::from_secs(20), || {
            traced(pid, tracer.child.id()).then_some(())
        });
        tracer
    }

    /// Lets go of the process; the calls that were seen, a line each.
    pub fn detach(mut self) -> Vec<String> {
        // It has ended by itself if the process was killed.
        if self.child.try_wait().expect("waiting").is_none() {
            super::sys::kill(self.child.id(), libc::SIGTERM).expect("strace is there");
        }
        self.child.wait().expect("strace ends");
        let text = fs::read_to_string(&self.log).expect("what strace saw");
        fs::remove_file(&self.log).expect("its file goes");
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // Ended already, unless the test failed in between.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether every thread of `pid` is traced by `tracer`.
fn traced(pid: u32, tracer: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return false;
    };
    threads.flatten().all(|thread| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        let by = status.lines().find_map(|l| l.strip_prefix("TracerPid:"));
        by.is_none_or(|by| by.trim() == tracer.to_string())
    })
}

/// The calls in what strace saw that are about files below `root`, each once
/// for the thread that made most of them.
pub fn calls(lines: &[String], root: &Path) -> Vec<Call> {
    let mut counts: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    let mut found = BTreeMap::new();
    let root = format!("{}/", root.display());
    for line in lines {
        // PID  NAME(ARGUMENTS…
        let Some((pid, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        let Some((name, arguments)) = rest.split_once('(') else {
            continue;
        };
        if !CALLS.split(',').any(|call| call == name) {
            continue;
        }
        let mut paths = Vec::new();
        let mut left = arguments;
        while let Some((_, after)) = left.split_once(&root) {
            let end = after.find(['>', '"']).unwrap_or(after.len());
            paths.push(&after[..end]);
            left = &after[end..];
        }
        let plain = matches!(name, "write" | "writev");
        let counted = if plain {
            paths.join(" ")
        } else {
            String::new()
        };
        let count = counts
            .entry((pid.to_owned(), name.to_owned(), counted.clone()))
            .or_default();
        *count += 1;
        if !paths.is_empty() {
            let key = (name.to_owned(), counted, *count);
            found.entry(key).or_insert_with(|| Call {
                name: name.to_owned(),
                ordinal: *count,
                path: paths.join(" "),
            });
        }
    }
    found.into_values().collect()
}

/// Whether every call is to be tried with every fault.
pub fn everything() -> bool {
    std::env::var_os(EVERYTHING).is_some_and(|v| v == "all")
}

/// Everything, or as much as there is time for: rather syncs and changes of
/// names than writes, of both evenly.
pub fn choose(calls: &[Call], tries: usize) -> Vec<Injection> {
    let all: Vec<Injection> = calls
        .iter()
        .flat_map(|call| {
            Fault::ALL
                .into_iter()
                .filter(|fault| fault.fits(call))
                .map(|fault| Injection {
                    call: call.clone(),
                    fault,
                })
        })
        .collect();
    if everything() {
        return all;
    }
    let (writes, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|i| i.call.name.contains("write"));
    let mut chosen = evenly(others, tries * 2 / 3);
    let left = tries.saturating_sub(chosen.len());
    chosen.extend(evenly(writes, left));
    chosen
}

/// At most about `most` of them.
fn evenly(all: Vec<Injection>, most: usize) -> Vec<Injection> {
    let mut stride = all.len().div_ceil(most.max(1)).max(1);
    // Coprime to the number of faults, so that each fault meets each region.
    if stride.is_multiple_of(Fault::ALL.len()) {
        stride += 1;
    }
    all.into_iter().step_by(stride).collect()
}

/// Runs `sv` under `strace`, perhaps with a fault; what became of it, and the
/// calls that were seen.
pub fn client(
    home: &Home,
    arguments: &[&str],
    injection: Option<&Injection>,
) -> (Done, Vec<String>) {
    let log = home.root.join("strace.log");
    let mut command = home.command("strace");
    command.args(["-f", "-qq", "-y", "-s", "0", "-o"]).arg(&log);
    match injection {
        None => command.args(["-e", &format!("trace={CALLS},{TALK}")]),
        Some(injection) => command.args([
            "-e",
            &format!("trace={}", injection.call.name),
            "-e",
            &injection.expression(),
        ]),
    };
    command.arg(SV).args(arguments);
    let done = Run::new(command).run();
    let text = fs::read_to_string(&log).expect("what strace saw");
    fs::remove_file(&log).expect("its file goes");
    (done, text.lines().map(str::to_owned).collect())
}

/// All calls in what strace saw of a client: its one thread does things in order.
pub fn client_calls(lines: &[String]) -> Vec<Call> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let name = |line: &String| {
        let (_, rest) = line.split_once(' ')?;
        Some(rest.trim_start().split_once('(')?.0.to_owned())
    };
    let names = lines.iter().filter_map(name);
    names
        .filter(|name| CALLS.split(',').chain(TALK.split(',')).any(|c| c == name))
        .map(|name| {
            let count = counts.entry(name.clone()).or_default();
            *count += 1;
            Call {
                ordinal: *count,
                path: String::new(),
                name,
            }
        })
        .collect()
}

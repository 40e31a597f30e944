//! Faults at chosen system calls of an agent that runs already. `strace` attaches
//! to it, so that nothing but the one command is counted.

use super::{Agent, Home, client::Client, proc, wait_until};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Every call that changes a file or makes a change durable.
const CALLS: &str = "pwrite64,pwritev,pwritev2,write,writev,fsync,fdatasync,sync_file_range,\
                     ftruncate,truncate,fallocate,copy_file_range,rename,renameat,renameat2,\
                     link,linkat,unlink,unlinkat,mkdir,mkdirat";

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
    const ALL: [Self; 3] = [Self::Kill, Self::Eio, Self::Enospc];

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
        let Injection { call, fault } = injection;
        let (name, n) = (&call.name, call.ordinal);
        let what = match fault {
            Fault::Kill => format!("inject={name}:signal=KILL:when={n}"),
            Fault::Eio => format!("inject={name}:error=EIO:when={n}"),
            Fault::Enospc => format!("inject={name}:error=ENOSPC:when={n}+"),
        };
        let path = home.root.join(&call.path);
        let mut arguments = vec!["-e".to_owned(), format!("trace={name}")];
        if call.is_plain() {
            arguments.extend(["-P".to_owned(), path.display().to_string()]);
        }
        arguments.extend(["-e".to_owned(), what]);
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

/// A vault in a folder of its own, to be copied for each try. No agent serves it.
pub struct Seed {
    home: Home,
}

impl Seed {
    /// Takes over a home whose agent has ended.
    pub fn new(home: Home) -> Self {
        assert!(proc::agents(&home.root).is_empty(), "its agent has ended");
        Self { home }
    }

    /// A copy.
    pub fn copy(&self) -> World {
        let home = Home::new();
        for name in ["data", "state", "config"] {
            copy_folder(&self.home.root.join(name), &home.root.join(name));
        }
        World { home, agent: None }
    }
}

/// Copies files and folders with their permissions.
pub fn copy_folder(from: &Path, to: &Path) {
    match fs::create_dir(to) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => panic!("{}: {e}", to.display()),
        _ => {}
    }
    let mode = fs::metadata(from).expect("a folder").permissions();
    fs::set_permissions(to, mode).expect("its mode");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("its type").is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// One home with its agent, during one try.
pub struct World {
    /// The home.
    pub home: Home,
    agent: Option<Agent>,
}

impl World {
    /// A connection to the agent, which is started if none runs.
    pub fn client(&mut self) -> Client {
        if self.agent.is_none() {
            self.agent = Some(self.home.start_agent());
        }
        self.home.connect()
    }

    /// The agent's process id.
    pub fn pid(&self) -> u32 {
        self.agent.as_ref().expect("an agent runs").child.id()
    }

    /// Whether the agent still runs; forgets one that has ended.
    pub fn is_alive(&mut self) -> bool {
        let gone = match &mut self.agent {
            Some(agent) => agent.child.try_wait().expect("waiting").is_some(),
            None => true,
        };
        if gone {
            self.agent = None;
        }
        !gone
    }

    /// Kills the agent.
    pub fn kill(&mut self) {
        self.agent = None;
    }

    /// What the agents of this world have said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.home.root.join("agent.log")).unwrap_or_default()
    }
}

/// What the one who asked was told.
#[derive(Debug)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It is not done.
    Refused(sv_proto::message::Failure),
    /// Nothing: the agent went away.
    Silence,
}

impl Outcome {
    /// From an answer.
    pub fn of<T>(
        answer: Result<Result<T, sv_proto::message::Failure>, super::client::Gone>,
    ) -> Self {
        match answer {
            Ok(Ok(_)) => Self::Done,
            Ok(Err(failure)) => Self::Refused(failure),
            Err(_) => Self::Silence,
        }
    }

    /// It says itself that it does not know what became of the command.
    pub fn is_unsure(&self) -> bool {
        match self {
            Self::Done => false,
            Self::Refused(failure) => failure.message.contains("not known"),
            Self::Silence => true,
        }
    }
}

/// What a vault turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As before the command.
    Old,
    /// As after it.
    New,
}

/// A command, and what is right afterwards.
pub trait Case: Sync {
    /// What the command learned on its way, for the checks.
    type Kept: Default;

    /// For people.
    fn name(&self) -> &'static str;

    /// About how many tries there is time for, when not everything is tried.
    fn tries(&self) -> usize;

    /// Brings a copy of the seed to the moment before the command.
    fn begin(&self, world: &mut World);

    /// The command.
    fn act(&self, world: &mut World, kept: &mut Self::Kept) -> Outcome;

    /// Reads everything. Panics if it is a mixture.
    fn judge(&self, world: &mut World, kept: &Self::Kept) -> State;

    /// The command once more, whatever became of the first: it finishes.
    fn again(&self, world: &mut World, kept: &mut Self::Kept);
}

/// Lets every fault happen at every call of the command, or at as many as
/// there is time for, and checks what becomes of each.
pub fn matrix<C: Case>(seed: &Seed, command: &C) {
    let begin = Instant::now();
    let mut world = seed.copy();
    command.begin(&mut world);
    let mut kept = C::Kept::default();
    let tracer = Tracer::listen(world.pid(), &world.home);
    let outcome = command.act(&mut world, &mut kept);
    let lines = tracer.detach();
    assert!(matches!(outcome, Outcome::Done), "a clean run: {outcome:?}");
    assert_eq!(command.judge(&mut world, &kept), State::New, "a clean run");
    let calls = calls(&lines, &world.home.root);
    drop(world);
    assert!(
        calls.iter().any(Call::is_sync),
        "a command that changes something syncs: {lines:?}"
    );

    let chosen = choose(&calls, command.tries());
    let next = AtomicUsize::new(0);
    let tally = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(injection) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let told = attempt(seed, command, injection);
                    tally.lock().expect("no worker failed").count(&told);
                }
            });
        }
    });
    let tally = tally.into_inner().expect("no worker failed");
    eprintln!(
        "{}: {} calls, {} faults tried of {}: {tally:?}; {:.1} s",
        command.name(),
        calls.len(),
        chosen.len(),
        Fault::ALL.len() * calls.len(),
        begin.elapsed().as_secs_f64()
    );
    assert!(
        tally.missed * 10 <= chosen.len(),
        "most faults did happen: {tally:?}"
    );
}

/// How the tries came out.
#[derive(Debug, Default)]
struct Tally {
    done: usize,
    refused: usize,
    unsure: usize,
    old: usize,
    new: usize,
    /// The call did not come: runs differ a little.
    missed: usize,
}

impl Tally {
    fn count(&mut self, told: &Told) {
        match told {
            Told::Missed => self.missed += 1,
            Told::Tried(outcome, state) => {
                match outcome {
                    Outcome::Done => self.done += 1,
                    unsure if unsure.is_unsure() => self.unsure += 1,
                    _ => self.refused += 1,
                }
                match state {
                    State::Old => self.old += 1,
                    State::New => self.new += 1,
                }
            }
        }
    }
}

enum Told {
    Missed,
    Tried(Outcome, State),
}

/// Everything, or every sync and change of a name, and of the writes as many
/// as there is time for, evenly.
fn choose(calls: &[Call], tries: usize) -> Vec<Injection> {
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
    if std::env::var_os(EVERYTHING).is_some_and(|v| v == "all") {
        return all;
    }
    let (writes, mut chosen): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|i| i.call.name.contains("write"));
    let room = tries.saturating_sub(chosen.len()).max(tries / 3);
    // Coprime to the number of faults, so that each fault meets each region.
    let mut stride = writes.len().div_ceil(room).max(1);
    if stride.is_multiple_of(3) {
        stride += 1;
    }
    chosen.extend(writes.into_iter().step_by(stride));
    chosen
}

/// Names the fault when a check fails.
struct Context<'a>(&'a str, &'a Injection, PathBuf);

impl Drop for Context<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = fs::read_to_string(&self.2).unwrap_or_default();
            eprintln!("{}, {:?} was that; the agent:\n{log}", self.0, self.1);
        }
    }
}

fn attempt<C: Case>(seed: &Seed, command: &C, injection: &Injection) -> Told {
    let mut world = seed.copy();
    let _context = Context(command.name(), injection, world.home.root.join("agent.log"));
    command.begin(&mut world);
    let mut kept = C::Kept::default();
    let tracer = Tracer::inject(world.pid(), &world.home, injection);
    let outcome = command.act(&mut world, &mut kept);
    // The answer may come before the last of the agent's work.
    if injection.fault == Fault::Kill && matches!(outcome, Outcome::Silence) {
        wait_until("the agent ends", Duration::from_secs(20), || {
            (!world.is_alive()).then_some(())
        });
    }
    let lines = tracer.detach();
    let alive = world.is_alive();
    if alive && !lines.iter().any(|line| line.contains("(INJECTED)")) {
        assert!(matches!(outcome, Outcome::Done), "no fault: {outcome:?}");
        return Told::Missed;
    }
    assert!(
        alive || injection.fault == Fault::Kill,
        "the agent survives a failing disk"
    );
    // What the agent thinks is what is on the disk. Half of the time an agent
    // that went through it goes on, as if nothing had been.
    let goes_on = alive && injection.call.ordinal % 2 == 1;
    let state = if alive {
        let here = command.judge(&mut world, &kept);
        if !goes_on {
            world.kill();
            let there = command.judge(&mut world, &kept);
            assert_eq!(
                here, there,
                "in memory and on the disk; it answered {outcome:?}"
            );
        }
        here
    } else {
        command.judge(&mut world, &kept)
    };
    let committing = injection.call.is_sync() && injection.call.ordinal == 1;
    if committing && injection.fault == Fault::Eio {
        assert!(
            !matches!(outcome, Outcome::Done),
            "a sync that failed can't become a success"
        );
    }
    match &outcome {
        Outcome::Done => assert_eq!(state, State::New, "what was acknowledged holds"),
        Outcome::Refused(failure) => {
            assert_eq!(failure.kind, sv_proto::Kind::Storage, "{failure:?}");
            assert!(
                state == State::Old || outcome.is_unsure(),
                "it said no, and did it: {failure:?}"
            );
        }
        Outcome::Silence => {}
    }
    command.again(&mut world, &mut kept);
    let rerun = command.judge(&mut world, &kept);
    assert_eq!(rerun, State::New, "a rerun finishes");
    if goes_on {
        world.kill();
        let there = command.judge(&mut world, &kept);
        assert_eq!(there, State::New, "a rerun is on the disk");
    }
    Told::Tried(outcome, state)
}

//! A command that meets every fault, and what is checked after each.

use super::{
    Agent, Home,
    client::Client,
    faults::{Call, Fault, Injection, Tracer, calls, choose},
    proc, wait_until,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// A vault in a folder of its own, to be copied for each try. No agent serves it.
pub struct Seed {
    home: Home,
}

impl Seed {
    /// Takes over a home whose agent has ended.
    pub fn new(home: Home) -> Self {
        wait_until("its agent has ended", Duration::from_secs(10), || {
            proc::agents(&home.root).is_empty().then_some(())
        });
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

    /// It says itself that the command may be in force, or that it is although
    /// something that belongs to it is left to do.
    pub fn is_unsure(&self) -> bool {
        match self {
            Self::Done => false,
            Self::Refused(failure) => ["not known", "but then:", "is changed, but"]
                .iter()
                .any(|words| failure.message.contains(words)),
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
    let journal = injection.call.path.ends_with("vault.sv-wal");
    let committing = injection.call.is_sync() && journal && injection.call.ordinal == 1;
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

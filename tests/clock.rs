//! When an unlocked vault locks by itself: the real agent, with its clocks in
//! the hands of the test.

mod common;

use common::{Agent, Home, proc, wait_until};
use std::{
    env, fs,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex},
    time::Duration,
};
use sv_agent::{Args, Clock};

const SECOND: i64 = 1000;
const HOUR: i64 = 3600 * SECOND;
const YEAR: i64 = 365 * 24 * HOUR;

struct Clocks {
    path: PathBuf,
    boot: i64,
    monotonic: i64,
    wall: i64,
}

impl Clocks {
    fn set(&self) {
        let text = format!("{} {} {}", self.boot, self.monotonic, self.wall);
        let fresh = self.path.with_extension("new");
        fs::write(&fresh, text).expect("the clock");
        fs::rename(fresh, &self.path).expect("the clock");
    }

    /// Time passes.
    fn run(&mut self, millis: i64) {
        self.boot += millis;
        self.monotonic += millis;
        self.set();
    }

    /// Time passes while the machine sleeps.
    fn suspend(&mut self, millis: i64) {
        self.boot += millis;
        self.set();
    }
}

fn start(configuration: &str) -> (Home, Agent, Clocks) {
    let home = Home::new();
    home.configure(configuration);
    let clocks = Clocks {
        path: home.root.join("clock"),
        boot: 9 * HOUR,
        monotonic: 5 * HOUR,
        wall: 56 * YEAR,
    };
    clocks.set();
    let this = env::current_exe().expect("this program");
    let mut command = home.command(this);
    command
        .args(["--exact", "the_agent_itself"])
        .env("SV_TEST_CLOCK", &clocks.path);
    let agent = Agent::start(&home, command);
    home.init();
    home.add("canary", b"value");
    (home, agent, clocks)
}

/// Clocks that the test sets: `boottime monotonic wall`, in milliseconds, in a file.
struct FileClock {
    path: PathBuf,
    last: Mutex<[i64; 3]>,
}

impl FileClock {
    fn new(path: PathBuf) -> Self {
        let last = Mutex::default();
        Self { path, last }
    }

    fn read(&self) -> [i64; 3] {
        let mut last = self.last.lock().expect("not poisoned");
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let numbers: Vec<i64> = text.split(' ').flat_map(str::parse).collect();
        if let Ok(numbers) = numbers.try_into() {
            *last = numbers;
        }
        *last
    }

    fn since(&self, which: usize) -> Duration {
        Duration::from_millis(self.read()[which].unsigned_abs())
    }
}

impl Clock for FileClock {
    fn boottime(&self) -> Duration {
        self.since(0)
    }

    fn monotonic(&self) -> Duration {
        self.since(1)
    }

    fn wall(&self) -> i64 {
        self.read()[2]
    }
}

/// The other tests run this one in a process of its own, where it is the
/// agent. By itself it checks the clock that they set.
#[test]
fn the_agent_itself() {
    if let Some(path) = env::var_os("SV_TEST_CLOCK") {
        let clock = Arc::new(FileClock::new(path.into()));
        assert_eq!(sv_agent::run(Args::default(), clock), ExitCode::SUCCESS);
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("clock");
    let clock = FileClock::new(path.clone());
    fs::write(&path, "1 2 -3").expect("the clock");
    let read = |c: &FileClock| {
        (
            c.boottime().as_millis(),
            c.monotonic().as_millis(),
            c.wall(),
        )
    };
    assert_eq!(read(&clock), (1, 2, -3));
    fs::write(&path, "").expect("the clock");
    assert_eq!(read(&clock), (1, 2, -3));
}

fn locked(home: &Home) -> bool {
    let mut client = home.connect();
    client.status().state == sv_proto::message::State::Locked
}

#[test]
fn eight_hours_later_the_first_request_is_refused() {
    let (home, _agent, mut clocks) = start("[agent]\nidle_timeout = \"1h\"\n");
    assert_eq!(home.get("canary"), b"value");
    clocks.run(8 * HOUR);
    home.sv("get canary").fails(3);
    home.unlock();
    assert_eq!(home.get("canary"), b"value");
}

#[test]
fn without_any_request_the_keys_go_as_well() {
    let (home, agent, mut clocks) = start("[agent]\nidle_timeout = \"1h\"\n");
    clocks.run(HOUR - SECOND);
    assert!(!agent.log().contains("locked why"), "{}", agent.log());
    clocks.run(2 * SECOND);
    // No request is made: the agent's own timer notices.
    wait_until("the agent locks", Duration::from_secs(20), || {
        agent.log().contains("why=\"idle\"").then_some(())
    });
    assert!(locked(&home));
}

#[test]
fn only_use_of_the_secrets_extends_the_time() {
    let (home, _agent, mut clocks) = start("[agent]\nidle_timeout = \"1h\"\n");
    for _ in 0..3 {
        clocks.run(50 * 60 * SECOND);
        assert_eq!(home.get("canary"), b"value");
    }
    clocks.run(50 * 60 * SECOND);
    // Neither asking for the state nor a request that fails is use.
    home.sv("status").ok();
    home.sv("get no-such-secret").fails(4);
    clocks.run(11 * 60 * SECOND);
    home.sv("get canary").fails(3);
}

#[test]
fn the_most_is_the_most_however_busy() {
    let (home, _agent, mut clocks) =
        start("[agent]\nidle_timeout = \"1h\"\nmax_unlocked = \"2h\"\n");
    for _ in 0..3 {
        clocks.run(35 * 60 * SECOND);
        assert_eq!(home.get("canary"), b"value");
    }
    clocks.run(16 * 60 * SECOND);
    home.sv("get canary").fails(3);
}

#[test]
fn unlock_for_a_time() {
    let (home, _agent, mut clocks) = start("[agent]\nidle_timeout = \"1h\"\n");
    home.sv("lock").ok();
    home.sv("unlock --password-stdin --for 3h")
        .line(common::PASSWORD)
        .ok();
    clocks.run(2 * HOUR);
    assert_eq!(home.get("canary"), b"value");
    // While unlocked it can only be brought nearer.
    home.sv("unlock --for 5h").ok();
    clocks.run(HOUR - SECOND);
    assert_eq!(home.get("canary"), b"value");
    home.sv("unlock --for 1s").ok();
    clocks.run(SECOND);
    home.sv("get canary").fails(3);
    home.sv("unlock --password-stdin --for 13h")
        .line(common::PASSWORD)
        .fails(2);
}

#[test]
fn suspended_time_counts_and_a_suspend_locks() {
    let (home, _agent, mut clocks) = start("");
    clocks.suspend(SECOND / 2);
    assert_eq!(home.get("canary"), b"value");
    clocks.suspend(5 * SECOND);
    home.sv("get canary").fails(3);

    let (home, _agent, mut clocks) =
        start("[agent]\nidle_timeout = \"1h\"\nlock_on_suspend = false\n");
    clocks.suspend(HOUR - SECOND);
    assert_eq!(home.get("canary"), b"value");
    clocks.suspend(HOUR);
    home.sv("get canary").fails(3);
}

#[test]
fn the_wall_clock_changes_nothing() {
    let (home, agent, mut clocks) = start("[agent]\nidle_timeout = \"1h\"\n");
    for wall in [clocks.wall - YEAR, 0, -YEAR, clocks.wall + 100 * YEAR] {
        clocks.wall = wall;
        clocks.set();
        assert_eq!(home.get("canary"), b"value");
        assert_eq!(home.status()["lock_in"], 3600);
    }
    home.add("from-another-century", b"x");
    assert!(proc::alive(agent.child.id()));
    // And back in time it still locks when its time has come.
    clocks.wall = 0;
    clocks.run(HOUR);
    home.sv("get canary").fails(3);
}

#[test]
fn a_stopped_agent_refuses_when_it_wakes() {
    // The kernel's own clocks this time.
    let home = Home::new();
    home.configure("[agent]\nidle_timeout = \"2s\"\n");
    home.init();
    home.add("canary", b"value");
    let pid = home.pid();
    assert_eq!(home.get("canary"), b"value");
    common::sys::kill(pid, libc::SIGSTOP).expect("a signal");
    std::thread::sleep(Duration::from_millis(2300));
    common::sys::kill(pid, libc::SIGCONT).expect("a signal");
    home.sv("get canary").fails(3);
}

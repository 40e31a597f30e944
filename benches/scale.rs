//! What a secret costs among ten and among a million, side by side:
//!
//!     cargo bench --bench scale            a million
//!     cargo bench --bench scale -- 100000  another number
//!
//! Prints medians and their ratio; asserts nothing but right answers.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Call, Home, PASSWORD, SV, large, proc, random::Random};
use std::{
    process::Command,
    time::{Duration, Instant},
};

struct Vault {
    home: Home,
    count: u32,
    random: Random,
}

impl Vault {
    fn new(count: u32) -> Self {
        let home = Home::new();
        let start = Instant::now();
        large::generate(&home.vault, PASSWORD, count).expect("a vault");
        let size = std::fs::metadata(&home.vault).expect("the file").len();
        println!(
            "{count} secrets of 300 bytes: made in {:.1} s, {:.1} MB",
            start.elapsed().as_secs_f64(),
            size as f64 / 1e6
        );
        home.sv("status").ok();
        let random = Random::new(u64::from(count));
        Self {
            home,
            count,
            random,
        }
    }

    fn any(&mut self) -> u32 {
        self.random.below(u64::from(self.count)) as u32
    }

    /// Lock, then the time of an unlock and of the first get after it.
    fn unlock(&mut self) -> (Duration, Duration) {
        self.home.sv("lock").ok();
        let mut client = self.home.connect();
        let start = Instant::now();
        client.unlock(PASSWORD.as_bytes()).expect("unlocked");
        let unlocked = start.elapsed();
        let i = self.any();
        let start = Instant::now();
        let value = client.get(&large::name(i)).expect("a value");
        let first = start.elapsed();
        assert_eq!(value, large::value(i));
        (unlocked, first)
    }

    /// Round trips on one connection.
    fn gets(&mut self, n: usize) -> Vec<Duration> {
        let mut client = self.home.connect();
        (0..n)
            .map(|_| {
                let i = self.any();
                let name = large::name(i);
                let start = Instant::now();
                let value = client.get(&name).expect("a value");
                let took = start.elapsed();
                assert_eq!(value, large::value(i));
                took
            })
            .collect()
    }

    /// Whole processes of `sv get`.
    fn processes(&mut self, n: usize) -> Vec<Duration> {
        (0..n)
            .map(|_| {
                let i = self.any();
                // Without a working folder, since that would make a fork of
                // this large process out of what else is a plain spawn.
                let mut command = Command::new(SV);
                command.env_clear().args(["get", &large::name(i)]);
                for (key, value) in self.home.command(SV).get_envs() {
                    command.env(key, value.unwrap_or_default());
                }
                let start = Instant::now();
                let output = command.output().expect("sv runs");
                let took = start.elapsed();
                assert_eq!(output.stdout, large::value(i));
                took
            })
            .collect()
    }

    fn resident(&self) -> u64 {
        proc::resident(self.home.pid()).expect("its memory")
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

fn row(what: &str, small: Vec<Duration>, large: Vec<Duration>) {
    let (small, large) = (median(small), median(large));
    println!(
        "{what:<24} {small:>10.1} µs {large:>10.1} µs   {:.2}",
        large / small
    );
}

fn main() {
    let count = std::env::args()
        .find_map(|a| a.parse().ok())
        .unwrap_or(1_000_000);
    let mut vaults = [Vault::new(10), Vault::new(count)];
    let [mut unlocks, mut firsts, mut gets, mut processes] =
        [(); 4].map(|()| [Vec::new(), Vec::new()]);
    // In turn, so that a machine that drifts does so for both.
    for _ in 0..11 {
        for (which, vault) in vaults.iter_mut().enumerate() {
            let (unlocked, first) = vault.unlock();
            unlocks[which].push(unlocked);
            firsts[which].push(first);
        }
    }
    for _ in 0..10 {
        for (which, vault) in vaults.iter_mut().enumerate() {
            gets[which].extend(vault.gets(2_000));
            processes[which].extend(vault.processes(50));
        }
    }
    println!("{:<24} {:>13} {:>13}   ratio", "medians", 10, count);
    let take = |pair: [Vec<Duration>; 2], what| {
        let [small, large] = pair;
        row(what, small, large);
    };
    take(unlocks, "unlock");
    take(firsts, "first get");
    take(gets, "get, one connection");
    take(processes, "sv get, whole process");
    for vault in &vaults {
        let kib = vault.resident() / 1024;
        println!("agent's memory, {} secrets: {kib} KiB", vault.count);
    }
    let start = Instant::now();
    let listed = Call::new({
        let mut command = vaults[1].home.command(SV);
        command.arg("list");
        command
    })
    .patience(Duration::from_secs(120))
    .ok();
    let lines = listed.iter().filter(|b| **b == b'\n').count();
    println!(
        "first list of {lines}: {:.2} s",
        start.elapsed().as_secs_f64()
    );
}

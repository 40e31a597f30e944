//! What the audit log adds to the time of a `get`, as root:
//!
//!     cargo bench --bench audit
//!
//! Two vaults that are the same but for one thing: the disk of the second is
//! read-only, where nothing is logged. Prints medians and their ratio; asserts
//! nothing but right answers.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Home, PASSWORD, SV, large, random::Random, sys};
use std::{
    process::Command,
    time::{Duration, Instant},
};

const SECRETS: u32 = 10_000;

struct Vault {
    home: Home,
    random: Random,
}

impl Vault {
    fn new(logged: bool) -> Self {
        let home = Home::new();
        let disk = home.root.join("data/sv");
        std::fs::create_dir_all(&disk).expect("a folder");
        sys::mount_tmpfs(&disk, "mode=0700,size=512m", 0).expect("a tmpfs");
        large::generate(&home.vault, PASSWORD, SECRETS).expect("a vault");
        if !logged {
            sys::mount_tmpfs(&disk, "", libc::MS_REMOUNT | libc::MS_RDONLY).expect("read-only");
        }
        home.unlock();
        Self {
            home,
            random: Random::new(1),
        }
    }

    fn any(&mut self) -> u32 {
        u32::try_from(self.random.below(SECRETS.into())).expect("small")
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
}

impl Drop for Vault {
    fn drop(&mut self) {
        self.home.sv("agent stop").ok();
        sys::unmount(&self.home.root.join("data/sv")).expect("it was mounted");
    }
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

fn main() {
    sys::private_mounts().expect("this runs as root");
    let mut vaults = [Vault::new(false), Vault::new(true)];
    let [mut gets, mut processes] = [(); 2].map(|()| [Vec::new(), Vec::new()]);
    // In turn, so that a machine that drifts does so for both.
    for _ in 0..20 {
        for (which, vault) in vaults.iter_mut().enumerate() {
            gets[which].extend(vault.gets(2_000));
            processes[which].extend(vault.processes(50));
        }
    }
    println!("{:<24} {:>13} {:>13}   ratio", "medians", "without", "with");
    for (what, [without, with]) in [
        ("get, one connection", &mut gets),
        ("sv get, whole process", &mut processes),
    ] {
        let (without, with) = (median(without), median(with));
        println!(
            "{what:<24} {without:>10.1} µs {with:>10.1} µs   {:.3}",
            with / without
        );
    }
}

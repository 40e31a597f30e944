//! A large vault costs what a small one costs. Times are for the benchmark of
//! the same name; here is what does not depend on the machine.

mod common;

use common::{Home, PASSWORD, large, proc, random::Random};
use std::collections::HashSet;

const SECRETS: u32 = 30_000;

#[test]
fn thirty_thousand_secrets() {
    let home = Home::new();
    large::generate(&home.vault, PASSWORD, SECRETS).expect("a vault");
    home.unlock();
    let pid = home.pid();
    let mut client = home.connect();
    let mut random = Random::new(7);
    for _ in 0..3_000 {
        let i = random.below(u64::from(SECRETS)) as u32;
        assert_eq!(
            client.get(&large::name(i)).expect("a value"),
            large::value(i)
        );
    }
    let resident = proc::resident(pid).expect("its memory");
    eprintln!(
        "resident after unlock and 3,000 gets: {} KiB",
        resident / 1024
    );
    assert!(resident < 64 << 20, "{resident} bytes");

    let listed = home.sv("list").ok();
    let listed = String::from_utf8(listed).expect("UTF-8");
    let listed: Vec<&str> = listed.lines().collect();
    assert!(listed.is_sorted());
    let all: HashSet<String> = (0..SECRETS).map(large::name).collect();
    assert_eq!(listed.len(), all.len());
    assert!(listed.iter().all(|name| all.contains(*name)));
    let found = home.sv("search KEY-0012345").ok();
    assert_eq!(found, format!("{}\n", large::name(12_345)).into_bytes());
    home.sv("verify").ok();
}

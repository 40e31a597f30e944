//! An agent that is killed at random moments under writing clients loses
//! nothing that it acknowledged, and tears nothing that it did not.

mod common;

use common::{
    Home, PASSWORD,
    client::{self, Client},
    proc,
    random::Random,
    wait_until,
};
use std::{
    collections::BTreeMap,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};
use sv_proto::{Kind, Request};

const KILLS: u64 = 210;
const WRITERS: u64 = 3;
const NAMES: u64 = 60;

/// What one writer knows of its secrets: the value, or that there is none.
type Known = BTreeMap<String, Option<Vec<u8>>>;

/// A write whose answer never came: the name and what it would have made of it.
type Pending = Option<(String, Option<Vec<u8>>)>;

/// Writes until the agent goes away. Counts what was acknowledged.
fn write(home: &Home, random: &mut Random, known: &mut Known, writer: u64) -> (Pending, u64) {
    let mut acknowledged = 0;
    let Ok(mut client) = Client::connect(&home.socket) else {
        return (None, 0);
    };
    loop {
        let name = format!("w{writer}/n{}", random.below(NAMES));
        let size = match random.below(20) {
            0 => random.below(200_000),
            _ => 1 + random.below(2000),
        };
        let value = random.bytes(usize::try_from(size).expect("small"));
        let there = known.get(&name).is_some_and(Option::is_some);
        let (request, after) = match (there, random.below(8)) {
            (false, _) => (client::add(&name, &value), Some(value)),
            (true, 0) => (
                Request::Delete {
                    name: name.clone(),
                    purge: false,
                },
                None,
            ),
            (true, 1) => (
                Request::Delete {
                    name: name.clone(),
                    purge: true,
                },
                None,
            ),
            (true, _) => (client::update(&name, &value), Some(value)),
        };
        match client.try_ask(request) {
            Ok(Ok(_)) => {
                known.insert(name, after);
                acknowledged += 1;
            }
            // On its way down it may have locked already.
            Ok(Err(failure)) if failure.kind == Kind::Locked => return (None, acknowledged),
            Ok(Err(failure)) => panic!("{name}: {failure:?}"),
            Err(client::Gone(_)) => return (Some((name, after)), acknowledged),
        }
    }
}

/// Every secret is as known; a pending write has happened wholly or not at all.
fn check(client: &mut Client, known: &mut Known, pending: Pending) -> u64 {
    let mut read = |name: &str| match client.get(name) {
        Ok(value) => Some(value),
        Err(failure) => {
            assert_eq!(failure.kind, Kind::NoSecret, "{name}: {failure:?}");
            None
        }
    };
    let mut kept = 0;
    if let Some((name, after)) = pending {
        let now = read(&name);
        let before = known.get(&name).cloned().flatten();
        assert!(
            now == before || now == after,
            "{name}: neither the old nor the new"
        );
        kept = u64::from(now == after && now != before);
        known.insert(name, now);
    }
    for (name, value) in &*known {
        assert!(
            read(name) == *value,
            "{name}: what was acknowledged is lost"
        );
    }
    kept
}

#[test]
fn nothing_acknowledged_is_lost() {
    let home = Home::with_vault();
    let begin = Instant::now();
    let mut random = Random::new(0xC0FFEE);
    let mut known: Vec<Known> = (0..WRITERS).map(|_| Known::new()).collect();
    let mut writers: Vec<Random> = (0..WRITERS).map(|w| Random::new(1000 + w)).collect();
    let (mut acknowledged, mut pending_kept, mut early) = (0, 0, 0);

    for round in 0..KILLS {
        let pid = home.connect().status().pid;
        let delay = Duration::from_micros(1000 + random.below(59_000));
        let outcomes: Vec<(Pending, u64)> = thread::scope(|scope| {
            let running: Vec<_> = known
                .iter_mut()
                .zip(&mut writers)
                .zip(0..)
                .map(|((known, random), writer)| {
                    let home = &home;
                    scope.spawn(move || write(home, random, known, writer))
                })
                .collect();
            thread::sleep(delay);
            proc::end(pid);
            running
                .into_iter()
                .map(|w| w.join().expect("a writer"))
                .collect()
        });
        acknowledged += outcomes.iter().map(|(_, n)| n).sum::<u64>();

        // Now and then it dies on its way up as well.
        if round % 10 == 9 {
            let mut unlock = home.command(common::SV);
            unlock.args(["unlock", "--password-stdin"]);
            unlock
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let mut unlock = unlock.spawn().expect("sv starts");
            let mut pipe = unlock.stdin.take().expect("a pipe");
            std::io::Write::write_all(&mut pipe, format!("{PASSWORD}\n").as_bytes())
                .expect("the password");
            drop(pipe);
            let pid = wait_until("an agent comes up", Duration::from_secs(20), || {
                proc::agents(&home.root).first().copied()
            });
            thread::sleep(Duration::from_micros(random.below(150_000)));
            proc::end(pid);
            unlock.wait().expect("sv ends");
            early += 1;
        }

        home.unlock();
        let mut client = home.connect();
        for (known, (pending, _)) in known.iter_mut().zip(outcomes) {
            pending_kept += check(&mut client, known, pending);
        }
        if round % 30 == 29 {
            home.sv("verify").ok();
        }
    }
    home.sv("verify").ok();
    let there = known
        .iter()
        .flat_map(BTreeMap::values)
        .filter(|v| v.is_some())
        .count();
    assert_eq!(home.connect().items().len(), there, "not one too many");
    assert!(
        acknowledged > KILLS,
        "the writers did write: {acknowledged}"
    );
    eprintln!(
        "{KILLS} kills under {WRITERS} writers and {early} while starting: {acknowledged} \
         acknowledged writes, none lost; {pending_kept} unacknowledged ones were kept whole; {:.1} s",
        begin.elapsed().as_secs_f64()
    );
}

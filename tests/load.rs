//! Many clients at once.

mod common;

use common::{Home, random::Random};
use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

const CLIENTS: u64 = 64;
const GETS: u64 = 1000;
const ADDS: u64 = 10;
const PROGRAMS: u64 = 4;
const CALLS: u64 = 50;

fn value(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let size = 1 + random.below(1000);
    random.bytes(usize::try_from(size).expect("small"))
}

#[test]
fn sixty_four_clients() {
    let home = Home::with_vault();
    let mut client = home.connect();
    for i in 0..100 {
        client
            .add(&format!("shared/{i}"), &value(i))
            .expect("added");
    }
    let start = Barrier::new(usize::try_from(CLIENTS + PROGRAMS).expect("small"));
    let begin = Instant::now();
    let mut times: Vec<Duration> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|c| {
                let (home, start) = (&home, &start);
                scope.spawn(move || {
                    let mut client = home.connect();
                    let mut random = Random::new(c);
                    let mut times = Vec::new();
                    start.wait();
                    for i in 0..GETS {
                        if i % (GETS / ADDS) == 0 {
                            let n = i / (GETS / ADDS);
                            let own = format!("own/{c}/{n}");
                            let rev = client.add(&own, &value(c * 1000 + n)).expect("added");
                            assert_eq!(rev, 1, "{own}");
                        }
                        // Shared ones, and every other one's own once it has written it.
                        let begin = Instant::now();
                        let n = random.below(100);
                        let got = client.get(&format!("shared/{n}")).expect("the value");
                        times.push(begin.elapsed());
                        assert!(got == value(n), "shared/{n}");
                    }
                    for n in 0..ADDS {
                        let got = client.get(&format!("own/{c}/{n}")).expect("the value");
                        assert!(got == value(c * 1000 + n), "own/{c}/{n}");
                    }
                    times
                })
            })
            .collect();
        let programs: Vec<_> = (0..PROGRAMS)
            .map(|p| {
                let (home, start) = (&home, &start);
                scope.spawn(move || {
                    start.wait();
                    for i in 0..CALLS {
                        let n = (p * CALLS + i) % 100;
                        assert!(home.get(&format!("shared/{n}")) == value(n), "shared/{n}");
                        if i % 5 == 0 {
                            home.add(&format!("program/{p}/{i}"), &value(p * 7 + i));
                        }
                    }
                })
            })
            .collect();
        for program in programs {
            program.join().expect("no call of sv failed");
        }
        clients
            .into_iter()
            .flat_map(|c| c.join().expect("no request failed"))
            .collect()
    });
    let all = begin.elapsed();

    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_micros();
    eprintln!(
        "{CLIENTS} clients, {GETS} gets and {ADDS} adds each, beside {PROGRAMS} × {CALLS} runs of sv: {:.1} s; \
         get µs: median {}, p99 {}, most {}",
        all.as_secs_f64(),
        at(50),
        at(99),
        at(100)
    );
    let items = client.items();
    let wanted = 100 + CLIENTS * ADDS + PROGRAMS * CALLS.div_ceil(5);
    assert_eq!(u64::try_from(items.len()).expect("small"), wanted);
    assert!(items.iter().all(|i| i.rev == 1));
    // Everything is on disk as well.
    home.kill_agent();
    home.unlock();
    let mut client = home.connect();
    for c in 0..CLIENTS {
        for n in 0..ADDS {
            let got = client.get(&format!("own/{c}/{n}")).expect("the value");
            assert!(got == value(c * 1000 + n), "own/{c}/{n}, after a crash");
        }
    }
    home.sv("verify").ok();
}

//! Guessing the password over the socket: ever slower, and one arena at a time.

mod common;

use common::{
    Home, PASSWORD,
    client::{self, Client},
    proc,
};
use std::{
    net::Shutdown,
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};
use sv_proto::{Kind, Request, Response, Secret};

const MIB: u64 = 1 << 20;

#[test]
fn each_wrong_password_waits_longer() {
    let home = Home::with_vault();
    home.sv("lock").ok();
    let mut times = Vec::new();
    for i in 1..=8_u32 {
        // A new connection each time: the delay is not the connection's.
        let mut client = home.connect();
        let begin = Instant::now();
        assert_eq!(client::kind(client.unlock(b"wrong")), Kind::WrongPassword);
        times.push(begin.elapsed());
        assert!(
            times[times.len() - 1] >= Duration::from_millis(100) * i,
            "{times:?}"
        );
        assert!(client.status().lock_in.is_none());
    }
    eprintln!("wrong passwords in a row took {times:?}");
    assert!(
        times[7] > times[0] + Duration::from_millis(500),
        "{times:?}"
    );

    // The right one does not pay for it, and ends it.
    let begin = Instant::now();
    home.unlock();
    assert!(begin.elapsed() < Duration::from_secs(5));
    home.sv("lock").ok();
    let mut client = home.connect();
    let begin = Instant::now();
    assert_eq!(client::kind(client.unlock(b"wrong")), Kind::WrongPassword);
    let again = begin.elapsed();
    assert!(
        again < times[7],
        "it begins anew: {again:?} after {times:?}"
    );

    // The old password of passwd is a guess as well.
    home.unlock();
    let mut client = home.connect();
    let mut guess = |_: u32| {
        let begin = Instant::now();
        let answer = client.ask(Request::Passwd {
            old: Secret::new(b"wrong".to_vec()),
            new: Secret::new(b"new".to_vec()),
        });
        assert_eq!(client::kind(answer), Kind::WrongPassword);
        begin.elapsed()
    };
    for i in 1..=4 {
        let time = guess(i);
        assert!(time >= Duration::from_millis(100) * i, "{i}: {time:?}");
    }
    home.sv("lock").ok();
    home.unlock();
}

#[test]
fn others_are_served_while_a_guess_waits() {
    let home = Home::with_vault();
    home.add("a", b"1");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        // Guesses at passwd while the vault is unlocked.
        scope.spawn(|| {
            let mut client = home.connect();
            while !stop.load(Relaxed) {
                let answer = client.ask(Request::Passwd {
                    old: Secret::new(b"wrong".to_vec()),
                    new: Secret::new(b"new".to_vec()),
                });
                assert_eq!(client::kind(answer), Kind::WrongPassword);
            }
        });
        let mut client = home.connect();
        let mut slowest = Duration::ZERO;
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(2) {
            let asked = Instant::now();
            let value = client.get("a");
            slowest = slowest.max(asked.elapsed());
            assert_eq!(value.expect("the value"), b"1");
        }
        stop.store(true, Relaxed);
        eprintln!("slowest get beside guesses: {slowest:?}");
        assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    });
}

/// The most resident memory of `pid` while `work` runs.
fn peak(pid: u32, work: impl FnOnce()) -> u64 {
    let stop = AtomicBool::new(false);
    let most = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                most.fetch_max(proc::resident(pid).expect("the agent lives"), Relaxed);
                thread::sleep(Duration::from_millis(2));
            }
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        stop.store(true, Relaxed);
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    most.load(Relaxed)
}

fn send_unlock(home: &Home, password: &str) -> Client {
    let mut client = home.connect();
    client
        .send(Request::Unlock {
            password: Secret::new(password.into()),
            seconds: None,
        })
        .expect("sent");
    client
}

#[test]
fn a_hundred_at_once_hold_one_arena() {
    let home = Home::with_vault();
    home.add("a", b"1");
    home.sv("lock").ok();
    let pid = home.pid();
    let before = proc::resident(pid).expect("its memory");

    // A hundred guesses, of which ten turns are watched. Nobody knows whose.
    let most = peak(pid, || {
        let guesses: Vec<Client> = (0..100)
            .map(|i| send_unlock(&home, &format!("wrong {i}")))
            .collect();
        let (send, answers) = mpsc::channel();
        thread::scope(|scope| {
            let streams: Vec<_> = guesses
                .iter()
                .map(|g| g.stream.try_clone().expect("a descriptor"))
                .collect();
            for mut guess in guesses {
                let send = send.clone();
                // Most are cut off before their turn.
                scope.spawn(move || guess.receive(1).map(|answer| send.send(answer)));
            }
            for _ in 0..10 {
                let answer = answers
                    .recv_timeout(Duration::from_secs(60))
                    .expect("an answer");
                assert!(
                    matches!(&answer[0], Response::Failed(f) if f.kind == Kind::WrongPassword),
                    "{answer:?}"
                );
            }
            for stream in streams {
                stream.shutdown(Shutdown::Both).expect("it was open");
            }
        });
    });
    let growth = most.saturating_sub(before);
    eprintln!(
        "100 wrong passwords at once: {} KiB, {} KiB more than before",
        most / 1024,
        growth / 1024
    );
    assert!(growth > 48 * MIB, "an arena was seen: {growth}");
    assert!(growth < 2 * 64 * MIB, "more than one arena: {growth}");

    // The guessers are gone: nobody waits behind their places in the queue.
    let begin = Instant::now();
    home.unlock();
    let waited = begin.elapsed();
    eprintln!("the right password after that took {waited:?}");
    assert!(waited < Duration::from_secs(10), "{waited:?}");
    assert_eq!(home.get("a"), b"1");
    home.sv("lock").ok();

    // A hundred right ones.
    let before = proc::resident(pid).expect("its memory");
    let most = peak(pid, || {
        let mut clients: Vec<Client> = (0..100).map(|_| send_unlock(&home, PASSWORD)).collect();
        for client in &mut clients {
            let answer = client.receive(1).expect("an answer");
            assert!(matches!(&answer[0], Response::Unlocked(_)), "{answer:?}");
        }
    });
    let growth = most.saturating_sub(before);
    assert!(growth < 2 * 64 * MIB, "more than one arena: {growth}");
    assert_eq!(home.get("a"), b"1");

    // The arena is given back.
    let after = proc::resident(pid).expect("its memory");
    assert!(after < before + 16 * MIB, "{after} after {before}");
    assert_eq!(home.pid(), pid);
}

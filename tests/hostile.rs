//! Clients of the same user that mean harm: honest ones hardly notice.

mod common;

use common::{Home, SV, proc, random::Random, sys, wait_until};
use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    process::Stdio,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

/// In all, over the whole attack.
const CONNECTIONS: u64 = 10_000;
/// Honest calls that are measured at the least.
const HONEST: usize = 400;

const MIB: u64 = 1 << 20;

/// What the attackers share.
struct Attack<'a> {
    home: &'a Home,
    opened: AtomicU64,
    stop: AtomicBool,
}

impl Attack<'_> {
    /// A connection, as soon as the agent's queue has a place for it.
    fn open(&self) -> Option<UnixStream> {
        while !self.stop.load(Relaxed) {
            match UnixStream::connect(&self.home.socket) {
                Ok(stream) => {
                    self.opened.fetch_add(1, Relaxed);
                    stream
                        .set_write_timeout(Some(Duration::from_millis(200)))
                        .expect("a time");
                    stream
                        .set_read_timeout(Some(Duration::from_millis(200)))
                        .expect("a time");
                    return Some(stream);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    thread::sleep(Duration::from_millis(1));
                }
                Err(e) => panic!("the agent can't be reached any more: {e}"),
            }
        }
        None
    }

    /// Opens and holds as many as it may: they say nothing.
    fn silent(&self, most: usize) {
        let mut held = std::collections::VecDeque::new();
        while let Some(stream) = self.open() {
            held.push_back(stream);
            if held.len() > most {
                held.pop_front();
            }
        }
    }

    /// Many that send a byte of a good frame from time to time.
    fn slow(&self, many: usize) {
        let frame = b"\x40\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0";
        let mut senders: Vec<(UnixStream, usize)> = Vec::new();
        while !self.stop.load(Relaxed) {
            while senders.len() < many {
                match self.open() {
                    Some(stream) => senders.push((stream, 0)),
                    None => return,
                }
            }
            senders.retain_mut(|(stream, sent)| {
                let byte = frame[*sent % frame.len()];
                *sent += 1;
                // The agent may have closed it.
                *sent < 100 && stream.write_all(&[byte]).is_ok()
            });
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Frames that announce the impossible, and garbage of all kinds.
    fn garbage(&self, seed: u64) {
        let mut random = Random::new(seed);
        while let Some(mut stream) = self.open() {
            let bytes = match random.below(5) {
                0 => b"\xff\xff\xff\xff".to_vec(),
                1 => b"\0\0\0\0".to_vec(),
                2 => [&b"\xff\xff\xff\xff"[..], &random.bytes(5000)].concat(),
                // A good header, then a body that is none.
                3 => {
                    let mut frame = b"\x4c\0\0\0\x01\0\0\0\x07\0\0\0\0\0\0\0".to_vec();
                    frame.extend(random.bytes(64));
                    frame
                }
                _ => {
                    let n = 1 + random.below(20_000);
                    random.bytes(usize::try_from(n).expect("small"))
                }
            };
            // It may close at the first byte, and need not answer.
            let _ = stream.write_all(&bytes);
            let mut answer = [0; 4096];
            let _ = stream.read(&mut answer);
        }
    }

    /// Frames of the largest size whose end never comes.
    fn half(&self) {
        let mut held = std::collections::VecDeque::new();
        let body = vec![0; 1 << 20];
        while let Some(mut stream) = self.open() {
            let _ = stream.write_all(b"\0\0\x20\0\x01\0\0\0\x01\0\0\0\0\0\0\0");
            let _ = stream.write_all(&body);
            held.push_back(stream);
            if held.len() > 30 {
                held.pop_front();
            }
        }
    }

    /// Asks for much and reads nothing.
    fn deaf(&self) {
        let mut held = std::collections::VecDeque::new();
        let frame = sv_proto::frame::encode(
            1,
            0,
            &sv_proto::Envelope {
                vault: None,
                request: common::client::get("large"),
            },
        )
        .expect("a frame");
        while let Some(mut stream) = self.open() {
            for _ in 0..50 {
                if stream.write_all(&frame).is_err() {
                    break;
                }
            }
            held.push_back(stream);
            if held.len() > 50 {
                held.pop_front();
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn honest_clients_are_served_during_an_attack() {
    let limit = sys::raise_open_files().expect("a limit");
    let home = Home::with_vault();
    let value = Random::new(1).bytes(300);
    home.add("honest", &value);
    home.add("large", &Random::new(2).bytes(1 << 20));
    for _ in 0..20 {
        home.get("large");
    }
    let pid = home.pid();
    let before = proc::resident(pid).expect("its memory");
    let attack = Attack {
        home: &home,
        opened: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    };
    let peak = AtomicU64::new(before);
    let begin = Instant::now();

    let attack = &attack;
    let silent = usize::try_from(limit / 4).expect("a number").min(4000);
    let mut times = thread::scope(|scope| {
        scope.spawn(move || attack.silent(silent));
        scope.spawn(|| attack.slow(300));
        scope.spawn(|| attack.garbage(1));
        scope.spawn(|| attack.garbage(2));
        scope.spawn(|| attack.half());
        scope.spawn(|| attack.deaf());
        scope.spawn(|| {
            while !attack.stop.load(Relaxed) {
                peak.fetch_max(proc::resident(pid).expect("the agent lives"), Relaxed);
                thread::sleep(Duration::from_millis(20));
            }
        });
        let honest = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut times = Vec::new();
            while times.len() < HONEST || attack.opened.load(Relaxed) < CONNECTIONS {
                let mut command = home.command(SV);
                command.args(["get", "honest"]).stdin(Stdio::null());
                let begin = Instant::now();
                let out = command.output().expect("sv runs");
                times.push(begin.elapsed());
                let err = String::from_utf8_lossy(&out.stderr);
                assert!(
                    out.status.success(),
                    "call {}: {} {err}",
                    times.len(),
                    out.status
                );
                assert!(out.stdout == value, "call {}: the value", times.len());
                assert!(begin.elapsed() < Duration::from_secs(60));
            }
            times
        }));
        attack.stop.store(true, Relaxed);
        honest.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });

    let opened = attack.opened.load(Relaxed);
    times.sort_unstable();
    let at = |permille: usize| times[(times.len() - 1) * permille / 1000];
    let growth = peak.load(Relaxed).saturating_sub(before);
    eprintln!(
        "{opened} hostile connections in {:.1} s; {} honest runs of sv get: median {:.1} ms, p99 {:.1} ms, \
         most {:.1} ms; the agent grew from {} KiB by {} KiB at most",
        begin.elapsed().as_secs_f64(),
        times.len(),
        at(500).as_secs_f64() * 1e3,
        at(990).as_secs_f64() * 1e3,
        at(1000).as_secs_f64() * 1e3,
        before / 1024,
        growth / 1024,
    );
    assert!(opened >= CONNECTIONS);
    assert_eq!(home.pid(), pid, "the same agent");
    assert!(growth < 16 * MIB, "memory grew by {growth} bytes");
    assert!(at(990) < Duration::from_millis(100), "p99 {:?}", at(990));

    // Afterwards nothing is left of it.
    wait_until("the connections are gone", Duration::from_secs(30), || {
        (proc::descriptors(pid).expect("its descriptors").len() < 40).then_some(())
    });
    assert_eq!(home.get("honest"), value);
    home.sv("verify").ok();
}

#[test]
fn each_kind_of_nonsense_ends_its_own_connection_only() {
    let home = Home::with_vault();
    home.add("a", b"1");
    let mut honest = home.connect();
    let endings: [(&str, &[u8]); 6] = [
        ("a huge length", b"\xff\xff\xff\xff"),
        (
            "a length below the header",
            b"\x0b\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0",
        ),
        (
            "a length just too large",
            b"\x01\0\x20\0\x01\0\0\0\x01\0\0\0\0\0\0\0",
        ),
        (
            "a body of nothing",
            b"\x0c\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0",
        ),
        (
            "an unknown request",
            b"\x11\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\xff\0\0\0",
        ),
        (
            "unknown flags",
            b"\x10\0\0\0\x01\0\x80\0\x01\0\0\0\0\0\0\0\0\0\0\0",
        ),
    ];
    for (what, bytes) in endings {
        let mut stream = UnixStream::connect(&home.socket).expect("connected");
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a time");
        stream.write_all(bytes).expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("the end");
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(e) => assert_eq!(e.kind(), io::ErrorKind::ConnectionReset, "{what}"),
        }
        assert_eq!(honest.get("a").expect("the value"), b"1", "after {what}");
    }
    // Half a frame: closed when its time is over, and no sooner lost to others.
    let mut stream = UnixStream::connect(&home.socket).expect("connected");
    stream
        .set_read_timeout(Some(Duration::from_secs(40)))
        .expect("a time");
    stream.write_all(b"\x40\0\0\0\x01\0").expect("sent");
    let begin = Instant::now();
    let mut answer = Vec::new();
    let closed = stream.read_to_end(&mut answer);
    let closed = closed.map_or_else(|e| e.kind() == io::ErrorKind::ConnectionReset, |_| true);
    assert!(closed, "an unfinished frame has a deadline");
    assert!(begin.elapsed() < Duration::from_secs(30));
    assert_eq!(honest.get("a").expect("the value"), b"1");
}

#[test]
fn hostile_encodings_cost_nothing() {
    // Lengths inside a body that ask for more than there is.
    let home = Home::with_vault();
    let pid = home.pid();
    home.add("a", b"1");
    let before = proc::resident(pid).expect("its memory");
    let mut random = Random::new(3);
    for variant in 0..20_u32 {
        for length in [u64::MAX, 1 << 40, 1 << 31, 2 << 20] {
            let mut body = vec![0];
            body.extend(variant.to_le_bytes());
            body.extend(length.to_le_bytes());
            body.extend(random.bytes(40));
            let mut frame = u32::try_from(body.len() + 12)
                .expect("small")
                .to_le_bytes()
                .to_vec();
            frame.extend(b"\x01\0\0\0\x09\0\0\0\0\0\0\0");
            frame.extend(body);
            let mut stream = UnixStream::connect(&home.socket).expect("connected");
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .expect("a time");
            stream.write_all(&frame).expect("sent");
            stream.shutdown(std::net::Shutdown::Write).expect("the end");
            let mut answer = Vec::new();
            match stream.read_to_end(&mut answer) {
                Ok(_) => {}
                Err(e) => assert_eq!(e.kind(), io::ErrorKind::ConnectionReset, "{variant}"),
            }
        }
    }
    let growth = proc::resident(pid)
        .expect("the agent lives")
        .saturating_sub(before);
    assert!(growth < 4 * MIB, "{growth}");
    assert_eq!(home.pid(), pid);
    // Nothing of it was a request.
    assert_eq!(home.get("a"), b"1");
    assert_eq!(home.sv("list").text(), "a\n");
}

//! New keys for a vault that is in use: who is served meanwhile, and what becomes
//! of it when it is interrupted, killed, or the disk is full.

mod common;

use common::{
    Home, PASSWORD,
    client::Client,
    large, proc,
    random::Random,
    sys,
    upkeep::{self, epoch, rotated},
    wait_until,
};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::DirBuilderExt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};
use sv_proto::{Kind, Request, Response, frame, message::State};

/// A home with a vault of `count` secrets, served and unlocked.
fn large_home(count: u32) -> Home {
    let home = Home::new();
    let dir = home.vault.parent().expect("a folder");
    private_folder(dir);
    large::generate(&home.vault, PASSWORD, count).expect("a vault");
    home.unlock();
    home
}

fn private_folder(at: &Path) {
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700).create(at).expect("a folder");
}

/// The numbers of the secrets that are read or written in between.
fn some(random: &mut Random, count: u32) -> u32 {
    u32::try_from(random.below(u64::from(count))).expect("small")
}

/// Asks for new keys and waits until that is well under way.
fn begin_rotation(client: &mut Client) -> u64 {
    let id = client.send(Request::Rotate { passwords: None });
    let id = id.expect("an agent");
    let (header, body) = frame::read(&mut client.stream).expect("a frame");
    assert_ne!(header.flags & frame::MORE, 0, "more follows");
    let response = sv_proto::codec::decode(&body).expect("a response");
    assert!(
        matches!(response, Response::Progress { .. }),
        "{response:?}"
    );
    id
}

/// How the rotation came out that [`begin_rotation`] began.
fn end_rotation(client: &mut Client, id: u64) -> Result<u64, Kind> {
    let mut frames = client.receive(id).expect("an answer");
    match frames.pop() {
        Some(Response::Rotated(rotated)) => Ok(rotated.epoch),
        Some(Response::Failed(failure)) => Err(failure.kind),
        other => panic!("rotate: {other:?}"),
    }
}

#[test]
fn readers_are_served_and_writers_wait() {
    const COUNT: u32 = 30_000;
    let home = large_home(COUNT);
    let mut rotator = home.connect();
    let first = epoch(&mut rotator);
    let id = begin_rotation(&mut rotator);
    let over = AtomicBool::new(false);
    let (mut times, waited) = thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|seed| {
                let (home, over) = (&home, &over);
                scope.spawn(move || {
                    let mut client = home.connect();
                    let mut random = Random::new(seed);
                    let mut times = Vec::new();
                    while !over.load(Ordering::Relaxed) {
                        let i = some(&mut random, COUNT);
                        let begin = Instant::now();
                        let value = client.get(&large::name(i)).expect("readers are served");
                        times.push(begin.elapsed());
                        assert!(value == large::value(i), "{i}");
                    }
                    times
                })
            })
            .collect();
        let writers: Vec<_> = (0..3)
            .map(|i| {
                let home = &home;
                scope.spawn(move || {
                    let mut client = home.connect();
                    let begin = Instant::now();
                    let name = format!("written-{i}");
                    client.add(&name, name.as_bytes()).expect("writers wait");
                    client
                        .update(&large::name(i), b"changed")
                        .expect("all of them");
                    begin.elapsed()
                })
            })
            .collect();
        assert_eq!(end_rotation(&mut rotator, id), Ok(first + 1));
        let waited: Vec<_> = writers
            .into_iter()
            .map(|w| w.join().expect("a writer"))
            .collect();
        over.store(true, Ordering::Relaxed);
        let times: Vec<Duration> = readers
            .into_iter()
            .flat_map(|r| r.join().expect("a reader"))
            .collect();
        (times, waited)
    });
    times.sort();
    let p99 = times[times.len() * 99 / 100];
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    eprintln!(
        "{} reads during a rotation of {COUNT} secrets: median {median:?}, p99 {p99:?}, \
         worst {worst:?}; writers waited {waited:?}",
        times.len()
    );
    assert!(times.len() > 200, "readers were served meanwhile");
    assert!(p99 < Duration::from_millis(100), "{p99:?}");
    let mut client = home.connect();
    for i in 0..3 {
        let name = format!("written-{i}");
        assert_eq!(client.get(&name).expect("a value"), name.as_bytes());
        assert_eq!(client.get(&large::name(i)).expect("a value"), b"changed");
    }
    upkeep::sound(&mut client);
    assert_eq!(client.items().len(), COUNT as usize + 3);
}

#[test]
fn locking_ends_it_without_a_trace() {
    const COUNT: u32 = 20_000;
    let home = large_home(COUNT);
    let mut other = home.connect();
    let first = epoch(&mut other);
    let check = |other: &mut Client| {
        other.unlock(PASSWORD.as_bytes()).expect("unlocked");
        assert_eq!(epoch(other), first);
        for i in [0, 777, COUNT - 1] {
            let value = other.get(&large::name(i)).expect("a value");
            assert!(value == large::value(i));
        }
        upkeep::sound(other);
    };
    for round in 0..3 {
        let mut rotator = home.connect();
        let id = begin_rotation(&mut rotator);
        upkeep::lock(&mut other);
        assert_eq!(other.status().state, State::Locked);
        assert_eq!(end_rotation(&mut rotator, id), Err(Kind::Locked), "{round}");
        check(&mut other);
        // Nothing waits for a rotation that is no more.
        let name = format!("after-{round}");
        other.add(&name, b"x").expect("a secret");
    }
    let mut rotator = home.connect();
    begin_rotation(&mut rotator);
    home.sv("agent stop").ok();
    home.sv("agent start").ok();
    let mut other = home.connect();
    check(&mut other);
    assert_eq!(rotated(&mut other), first + 1);
    upkeep::sound(&mut other);
}

#[test]
fn a_client_that_goes_away_stops_nothing() {
    const COUNT: u32 = 20_000;
    let home = large_home(COUNT);
    let mut other = home.connect();
    let first = epoch(&mut other);
    let mut rotator = home.connect();
    begin_rotation(&mut rotator);
    drop(rotator);
    wait_until("new keys", Duration::from_secs(60), || {
        (epoch(&mut other) == first + 1).then_some(())
    });
    other.add("after", b"x").expect("a secret");
    upkeep::sound(&mut other);
    // Two at once: one after the other.
    let mut rotators = [home.connect(), home.connect()];
    let ids: Vec<u64> = rotators
        .iter_mut()
        .map(|r| {
            r.send(Request::Rotate { passwords: None })
                .expect("an agent")
        })
        .collect();
    let mut epochs: Vec<u64> = rotators
        .iter_mut()
        .zip(ids)
        .map(|(r, id)| end_rotation(r, id).expect("new keys"))
        .collect();
    epochs.sort_unstable();
    assert_eq!(epochs, [first + 2, first + 3]);
    upkeep::sound(&mut other);
}

const KILLS: u64 = 20;

#[test]
fn killed_at_random_moments() {
    const COUNT: u32 = 2_000;
    let home = large_home(COUNT);
    let mut client = home.connect();
    let mut known: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for i in 0..COUNT {
        known.insert(large::name(i), large::value(i));
    }
    for i in 0..40 {
        for rev in 0..3 {
            let value = format!("{i} {rev}").into_bytes();
            let name = large::name(i * 31);
            client.update(&name, &value).expect("a revision");
            known.insert(name, value);
        }
    }
    let with_history: Vec<String> = (0..40).map(|i| large::name(i * 31)).collect();
    let histories = |client: &mut Client| {
        let of = |name: &String| match client.ask(Request::History { name: name.clone() }) {
            Ok(Response::Revisions(list)) => list,
            other => panic!("a history: {other:?}"),
        };
        with_history.iter().map(of).collect::<Vec<_>>()
    };
    let before = histories(&mut client);
    let begin = Instant::now();
    rotated(&mut client);
    let whole = begin.elapsed();

    let mut random = Random::new(0x0107);
    let (mut old, mut new) = (0, 0);
    for round in 0..KILLS {
        let was = epoch(&mut client);
        let pid = home.pid();
        let most = u64::try_from(whole.as_micros()).expect("short") * 11 / 10;
        let id = client.send(Request::Rotate { passwords: None });
        id.expect("an agent");
        // The end is short, and is where it counts.
        let moment = match round % 2 {
            0 => random.below(most),
            _ => most * 3 / 4 + random.below(most / 4),
        };
        thread::sleep(Duration::from_micros(moment));
        proc::end(pid);

        home.unlock();
        client = home.connect();
        match epoch(&mut client) {
            now if now == was => old += 1,
            now if now == was + 1 => new += 1,
            now => panic!("round {round}: epoch {now} after {was}"),
        }
        for (name, value) in &known {
            assert!(client.get(name).expect("a value") == *value, "{name}");
        }
        assert_eq!(histories(&mut client), before, "round {round}");
        upkeep::sound(&mut client);
        // A rerun finishes, and the vault can be written.
        if round % 4 == 3 {
            rotated(&mut client);
            let name = large::name(some(&mut random, COUNT));
            if !with_history.contains(&name) {
                client.update(&name, b"in between").expect("a revision");
                known.insert(name, b"in between".to_vec());
            }
        }
    }
    rotated(&mut client);
    assert_eq!(client.items().len(), COUNT as usize);
    eprintln!(
        "{KILLS} kills during rotations of {whole:?}: {old} times the old keys, {new} times \
         the new ones; {:.1} s",
        begin.elapsed().as_secs_f64()
    );
    assert!(old > 0, "most kills come in the middle");
}

#[test]
fn an_almost_full_disk() {
    sys::private_mounts().expect("mounts of its own");
    let home = Home::new();
    let at = home.vault.parent().expect("a folder").to_owned();
    private_folder(&at);
    sys::mount_tmpfs(&at, "mode=0700,size=24m", 0).expect("a tmpfs");
    large::generate(&home.vault, PASSWORD, 3_000).expect("a vault");
    home.unlock();
    let mut client = home.connect();
    let first = epoch(&mut client);
    // Leaves a few dozen KiB.
    let filler = at.join("filler");
    let mut size = 24 << 20;
    while size > 16_384 && fs::write(&filler, vec![1; size]).is_err() {
        size -= 16_384;
    }
    home.sv("rotate").fails(10);
    assert_eq!(epoch(&mut client), first);
    // Not all of them: the log of who read takes some room as well.
    for i in (0..3_000).step_by(20) {
        let value = client.get(&large::name(i)).expect("a value");
        assert!(value == large::value(i), "{i}");
    }
    upkeep::sound(&mut client);
    home.kill_agent();
    home.unlock();
    let mut client = home.connect();
    assert_eq!(epoch(&mut client), first);
    upkeep::sound(&mut client);
    fs::remove_file(&filler).expect("room");
    assert_eq!(rotated(&mut client), first + 1);
    for i in 0..3_000 {
        let value = client.get(&large::name(i)).expect("a value");
        assert!(value == large::value(i), "{i}");
    }
    upkeep::sound(&mut client);
    drop(client);
    home.sv("agent stop").ok();
    sys::unmount(&at).expect("it was mounted");
}

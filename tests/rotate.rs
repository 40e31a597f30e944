//! New keys for a vault that is in use: what survives, what no longer opens, and
//! what becomes of it when it is interrupted.

mod common;

use common::{
    Home, PASSWORD,
    client::{self, Client},
    faults::copy_folder,
    large, proc,
    random::Random,
    sys,
    upkeep::{self, Dealt, Dump, key_file, password},
    wait_until,
};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};
use sv_proto::{
    Kind, Request, Response, Secret, frame,
    message::{SetState, State},
};
use sv_vault_core::inspect;

const NEW_PASSWORD: &str = "a new one with the new keys";

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
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700).create(at).expect("a folder");
}

fn epoch(client: &mut Client) -> u64 {
    client.status().epoch.expect("unlocked")
}

/// A vault of a few secrets with histories, a key file and shares.
fn furnished() -> (Home, Dealt) {
    let home = Home::with_vault();
    let mut client = home.connect();
    for i in 0..30 {
        let name = format!("secret-{i}");
        client
            .add(&name, format!("{i} first").as_bytes())
            .expect("a secret");
        for rev in 0..i % 13 {
            let value = format!("{i} {rev}");
            client.update(&name, value.as_bytes()).expect("a revision");
        }
    }
    let renamed = Request::Rename {
        old: "secret-7".to_owned(),
        new: "renamed".to_owned(),
    };
    client.ask(renamed).expect("another name");
    for (name, purge) in [("secret-8", false), ("secret-9", true)] {
        let name = name.to_owned();
        client
            .ask(Request::Delete { name, purge })
            .expect("deleted");
    }
    let added = Request::SlotAdd {
        present: password(PASSWORD),
        new: key_file(),
        label: "in the safe".to_owned(),
    };
    upkeep::slots(&mut client, added).expect("a key file");
    let shares = upkeep::distributed(&mut client, 2, 3);
    (home, shares)
}

fn rotated(client: &mut Client) -> u64 {
    let rotated = upkeep::rotate(client).expect("an agent").expect("new keys");
    assert_eq!(epoch(client), rotated.epoch);
    rotated.epoch
}

#[test]
fn what_survives() {
    let (home, shares) = furnished();
    let mut client = home.connect();
    let names: Vec<String> = (0..30).map(|i| format!("secret-{i}")).collect();
    let before = Dump::of(&mut client, &names);
    let slots = upkeep::slots(&mut client, Request::Slots).expect("slots");
    let first = epoch(&mut client);
    for round in 1..=3 {
        assert_eq!(rotated(&mut client), first + round);
        // Ids, authors, times, numbers and values of all revisions.
        assert!(Dump::of(&mut client, &names) == before, "round {round}");
        let now = upkeep::slots(&mut client, Request::Slots).expect("slots");
        assert_eq!(now, slots, "the same slots, ids and labels");
        upkeep::sound(&mut client);
        upkeep::drill(&mut client, shares.enough()).expect("the shares are good");
        assert!(upkeep::opens(&mut client, key_file()));
        assert!(upkeep::opens(&mut client, password(PASSWORD)));
        assert!(Dump::of(&mut client, &names) == before, "unlocked anew");
    }
    home.kill_agent();
    home.unlock();
    let mut client = home.connect();
    assert!(Dump::of(&mut client, &names) == before, "another agent");
    // Everything goes on.
    client.add("later", b"1").expect("a secret");
    client.update("secret-5", b"2").expect("a revision");
    let revert = Request::Revert {
        name: "secret-8".to_owned(),
        rev: 1,
    };
    client.ask(revert).expect("back from the dead");
    assert_eq!(client.get("secret-8").expect("a value"), b"8 first");
    let dealing = upkeep::set(&mut client, SetState::Active).expect("the set");
    assert_eq!(dealing.set, shares.set);
    home.sv("verify").ok();
}

#[test]
fn old_shares_recover_after_a_rotation() {
    let (home, shares) = furnished();
    let mut client = home.connect();
    rotated(&mut client);
    client
        .add("later", b"written under the new keys")
        .expect("a secret");
    rotated(&mut client);
    let before = Dump::of(&mut client, &[]);
    upkeep::lock(&mut client);
    let done = upkeep::recover(&mut client, shares.enough(), NEW_PASSWORD);
    done.expect("an agent").expect("the old shares");
    assert!(Dump::of(&mut client, &[]) == before);
    upkeep::sound(&mut client);
    assert!(!upkeep::opens(&mut client, key_file()));
    assert!(!upkeep::opens(&mut client, password(PASSWORD)));
    assert!(upkeep::opens(&mut client, password(NEW_PASSWORD)));
}

/// Copies the vault while no agent serves it.
fn copy_of(home: &Home, name: &str) -> std::path::PathBuf {
    home.sv("agent stop").ok();
    let dir = home.root.join(name);
    copy_folder(home.vault.parent().expect("a folder"), &dir);
    home.unlock();
    dir.join("vault.sv")
}

/// All bytes of the vault's files.
fn bytes_of(vault: &Path) -> Vec<u8> {
    common::files(vault.parent().expect("a folder"))
        .into_iter()
        .filter(|(path, _)| !path.to_string_lossy().contains(".audit"))
        .flat_map(|(_, bytes)| bytes)
        .collect()
}

#[test]
fn earlier_keys_open_nothing_written_later() {
    let (home, _) = furnished();
    let old = copy_of(&home, "old");
    let earlier = inspect::secrets(&old, PASSWORD.as_bytes()).expect("its keys");
    let (opened, all) = inspect::opened(&old, &earlier).expect("a vault");
    // All but the wrap for the recovery key.
    assert_eq!(opened + 1, all, "of their own vault they open everything");
    let replaced = inspect::wrapped(&old).expect("its wraps");

    let mut client = home.connect();
    rotated(&mut client);
    // What was replaced is not left over anywhere, though the agent still runs.
    let now = bytes_of(&home.vault);
    for wrap in &replaced {
        assert!(!common::holds(&now, wrap), "a replaced key is still there");
    }
    client.add("later", b"a new secret").expect("a secret");
    client
        .update("secret-5", b"a new value")
        .expect("a revision");
    let new = copy_of(&home, "new");
    let (opened, now) = inspect::opened(&new, &earlier).expect("a vault");
    assert_eq!(now, all + 2, "two revisions more");
    assert_eq!(opened, 0, "not one key");
    let later = inspect::secrets(&new, PASSWORD.as_bytes()).expect("its keys");
    let (opened, all) = inspect::opened(&new, &later).expect("a vault");
    assert_eq!(opened + 1, all);
    for (name, secret) in &earlier {
        let kept = later.iter().any(|(_, other)| other == secret);
        // The slots stay as they are: what opens them is not the vault's.
        assert_eq!(kept, name.starts_with("slot "), "{name}");
    }
    // The old copy is what it was.
    let before = bytes_of(&old);
    assert!(replaced.iter().all(|wrap| common::holds(&before, wrap)));
}

#[test]
fn a_leaked_password_ends_with_the_keys() {
    let (home, _) = furnished();
    let old = copy_of(&home, "old");
    let earlier = inspect::secrets(&old, PASSWORD.as_bytes()).expect("its keys");
    let before = Dump::of(&mut home.connect(), &[]);

    home.sv("rotate --password --password-stdin")
        .input(format!("wrong\n{NEW_PASSWORD}\n").as_bytes())
        .fails(6);
    home.sv("rotate --password --password-stdin")
        .input(format!("{PASSWORD}\n{NEW_PASSWORD}\n").as_bytes())
        .ok();
    home.sv("lock").ok();
    home.sv("unlock --password-stdin").line(PASSWORD).fails(6);
    home.sv("unlock --password-stdin").line(NEW_PASSWORD).ok();
    let mut client = home.connect();
    assert!(Dump::of(&mut client, &[]) == before);
    assert!(
        upkeep::opens(&mut client, key_file()),
        "the other slot stays"
    );
    let slots = upkeep::slots(&mut client, Request::Slots).expect("slots");
    assert_eq!(slots.len(), 2);
    upkeep::sound(&mut client);
    home.sv("agent stop").ok();

    inspect::secrets(&home.vault, PASSWORD.as_bytes()).expect_err("no slot opens");
    let (opened, _) = inspect::opened(&home.vault, &earlier).expect("a vault");
    assert_eq!(opened, 0);
    // The copy from before still opens: it can't be otherwise.
    let copied = home.sv_args(["--vault", old.to_str().expect("UTF-8")]);
    let copied = copied.arg("unlock").arg("--password-stdin");
    let socket = home.root.join("run/other.sock");
    copied.arg("--socket").arg(&socket).line(PASSWORD).ok();
    let stop = home.sv_args(["agent", "stop", "--socket"]).arg(&socket);
    stop.ok();
}

#[test]
fn new_shares_with_new_keys() {
    let (home, shares) = furnished();
    let out = home.root.join("out");
    private_folder(&out);
    let before = epoch(&mut home.connect());
    home.sv("rotate --shares=5 --threshold 3 --out out").ok();
    let mut client = home.connect();
    assert!(epoch(&mut client) > before);
    let failure = upkeep::drill(&mut client, shares.enough()).expect_err("retired");
    assert_eq!(failure.kind, Kind::WrongShare, "{failure:?}");
    home.sv("recover --drill out/share-1-of-5.sv out/share-3-of-5.sv out/share-5-of-5.sv")
        .ok();
    home.sv("recover --drill out/share-1-of-5.sv out/share-3-of-5.sv")
        .fails(6);
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
        thread::sleep(Duration::from_micros(random.below(most)));
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
    for i in 0..3_000 {
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

#[test]
fn only_the_unlocked_vault_gets_new_keys() {
    let home = Home::with_vault();
    home.sv("lock").ok();
    home.sv("rotate").fails(3);
    let mut client = home.connect();
    let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
    let passwords = Some((secret(PASSWORD), secret(NEW_PASSWORD)));
    let refused = client.ask(Request::Rotate { passwords });
    assert_eq!(client::kind(refused), Kind::Locked);
    home.unlock();
    let first = epoch(&mut client);
    let passwords = Some((secret("wrong"), secret(NEW_PASSWORD)));
    let refused = client.ask(Request::Rotate { passwords });
    assert_eq!(client::kind(refused), Kind::WrongPassword);
    assert_eq!(epoch(&mut client), first);
    // Nothing to renew but the keys.
    let told = home.sv("rotate --json").json();
    assert_eq!(told["epoch"], first + 1);
    assert_eq!(told["secrets"], 0);
}

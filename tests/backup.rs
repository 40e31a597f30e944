//! `sv backup` and `sv verify FILE` with the two real programs: what was
//! acknowledged is in the copy, and nothing that goes wrong leaves a trace.

mod common;

use common::{
    Home, PASSWORD,
    client::{self, Client},
    copies::{backup, restored, tidy, with_file},
    files, large, proc,
    random::Random,
    sys, wait_until,
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[test]
fn a_copy_while_four_write() {
    const WRITERS: usize = 4;
    const NAMES: u64 = 7;
    let home = Home::with_vault();
    for n in 0..300 {
        home.connect()
            .add(&format!("ballast/{n}"), &[b'x'; 3000])
            .expect("added");
    }
    let stop = AtomicBool::new(false);
    let told: Vec<AtomicU64> = (0..WRITERS).map(|_| AtomicU64::new(0)).collect();
    let (copies, last) = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|w| {
                let (home, stop, told) = (&home, &stop, &told[w]);
                // Each counts, and writes the number to one name after the other.
                scope.spawn(move || {
                    let mut client = home.connect();
                    let mut n = 0;
                    while !stop.load(Ordering::Relaxed) {
                        n += 1;
                        let name = format!("w{w}/n{}", n % NAMES);
                        let value = n.to_string();
                        let done = match n > NAMES {
                            true => client.update(&name, value.as_bytes()),
                            false => client.add(&name, value.as_bytes()),
                        };
                        done.expect("written");
                        told.store(n, Ordering::SeqCst);
                    }
                    n
                })
            })
            .collect();
        wait_until("they write", Duration::from_secs(30), || {
            told.iter()
                .all(|n| n.load(Ordering::SeqCst) > 2 * NAMES)
                .then_some(())
        });
        let mut copies = Vec::new();
        for i in 0..3 {
            let before: Vec<u64> = told.iter().map(|n| n.load(Ordering::SeqCst)).collect();
            let file = backup(&home, &format!("copy{i}.sv"));
            let after: Vec<u64> = told.iter().map(|n| n.load(Ordering::SeqCst)).collect();
            copies.push((file, before, after));
        }
        stop.store(true, Ordering::Relaxed);
        let last: Vec<u64> = writers
            .into_iter()
            .map(|w| w.join().expect("a writer"))
            .collect();
        (copies, last)
    });
    tidy(&home);
    home.sv("verify").ok();
    let mut meanwhile = 0;
    for (file, before, after) in &copies {
        assert_eq!(mode(file), 0o600);
        with_file(&home, &["verify"], file).ok();
        let copy = restored(file);
        copy.sv("verify").ok();
        let mut client = copy.connect();
        for w in 0..WRITERS {
            let value = |client: &mut Client, name: &str| -> u64 {
                let value = client.get(name).expect("it is there");
                String::from_utf8(value)
                    .expect("text")
                    .parse()
                    .expect("a number")
            };
            let found: Vec<u64> = (0..NAMES)
                .map(|n| value(&mut client, &format!("w{w}/n{n}")))
                .collect();
            let newest = *found.iter().max().expect("some");
            // What was acknowledged before is in it, and one moment of each writer:
            // the last NAMES numbers up to the newest.
            assert!(newest >= before[w], "{newest} < {}", before[w]);
            assert!(newest <= after[w] + 1, "{newest} > {}", after[w]);
            for n in 0..NAMES {
                let behind = (newest + NAMES - n) % NAMES;
                let at = usize::try_from(n).expect("small");
                assert_eq!(found[at], newest - behind, "w{w}/n{n} of {newest}");
            }
            meanwhile += newest - before[w];
        }
        assert_eq!(client.items().len(), 300 + WRITERS * NAMES as usize);
    }
    eprintln!("{meanwhile} writes came into three copies while they were made; {last:?} in all");
    assert!(meanwhile > 0, "they wrote meanwhile");
}

#[test]
fn what_is_said_of_a_copy() {
    let home = Home::with_vault();
    home.add("a", b"1");
    home.add("b", b"2");
    let file = home.root.join("copy.sv");
    let made = with_file(&home, &["backup", "--json"], &file).json();
    let bytes = fs::read(&file).expect("the copy");
    assert_eq!(made["size"], bytes.len());
    assert_eq!(made["secrets"], 2);
    let status = home.status();
    assert_eq!(made["vault_id"], status["vault_id"]);
    assert!(status["backup"].is_string(), "{status}");
    let sum = home
        .command("sha256sum")
        .arg(&file)
        .output()
        .expect("sha256sum");
    let sum = String::from_utf8(sum.stdout).expect("text");
    assert_eq!(made["sha256"], sum[..64]);

    let told = with_file(&home, &["verify", "--json"], &file).json();
    assert_eq!(told["ok"], true);
    assert_eq!(told["generation"], made["generation"]);
    assert_eq!(
        (&told["secrets"], &told["revisions"]),
        (&2.into(), &2.into())
    );
    assert_eq!(
        (&told["slots"], &told["shares"]),
        (&true.into(), &false.into())
    );
    let text = with_file(&home, &["verify"], &file).text();
    assert!(
        text.starts_with("all is well: 2 secrets, 2 revisions\n"),
        "{text}"
    );
    // It has neither names nor values in it.
    for needle in [&b"SQLite format 3"[..], b"control"] {
        assert!(common::holds(&bytes, needle), "a database");
    }
    // No agent, no vault, no trace: a copy can be checked anywhere.
    let away = Home::new();
    with_file(&away, &["verify"], &file).ok();
    assert!(!away.vault.exists());
    tidy(&away);
    // The password of that time opens it as it is.
    let direct = home.root.join("direct");
    fs::create_dir(&direct).expect("a folder");
    fs::set_permissions(&direct, fs::Permissions::from_mode(0o700)).expect("a mode");
    let place = direct.join("vault.sv");
    fs::copy(&file, &place).expect("a copy");
    let other = Home::new();
    let vault = place.to_str().expect("text");
    other
        .sv_args(["--vault", vault, "unlock", "--password-stdin"])
        .line(PASSWORD)
        .ok();
    assert_eq!(other.sv_args(["--vault", vault, "get", "b"]).ok(), b"2");
}

#[test]
fn files_that_are_there() {
    let home = Home::with_vault();
    home.add("a", b"1");
    let file = home.root.join("copy.sv");
    fs::write(&file, b"precious").expect("a file");
    let said = with_file(&home, &["backup"], &file).fails(5);
    assert!(
        said.contains("--force") && said.contains("sv encrypt"),
        "{said}"
    );
    assert_eq!(fs::read(&file).expect("the file"), b"precious");
    with_file(&home, &["backup", "--force"], &file).ok();
    with_file(&home, &["verify"], &file).ok();
    assert_eq!(mode(&file), 0o600);

    // Never over the vault itself, whatever it is called.
    let link = home.root.join("link.sv");
    fs::hard_link(&home.vault, &link).expect("a link");
    for target in [&home.vault, &link] {
        with_file(&home, &["backup", "--force"], target).fails(2);
    }
    fs::remove_file(&link).expect("removed");
    let dangling = home.root.join("dangling.sv");
    std::os::unix::fs::symlink("nowhere", &dangling).expect("a link");
    for target in [
        Path::new("/dev/null"),
        &home.root,
        &dangling,
        Path::new(".."),
    ] {
        for force in [&["backup"][..], &["backup", "--force"]] {
            with_file(&home, force, target).fails(2);
        }
    }
    with_file(&home, &["backup"], &home.root.join("no/folder.sv")).fails(2);
    let said = with_file(&home, &["backup", "--no-slots"], &home.root.join("n.sv")).fails(4);
    assert!(said.contains("sv distribute"), "{said}");
    home.sv("lock").ok();
    with_file(&home, &["backup"], &home.root.join("n.sv")).fails(3);
    let left: Vec<_> = fs::read_dir(&home.root)
        .expect("a folder")
        .map(|e| e.expect("an entry").file_name())
        .filter(|n| n.to_string_lossy().contains(".sv"))
        .collect();
    assert_eq!(left.len(), 2, "copy.sv and dangling.sv: {left:?}");
    tidy(&home);
}

/// A tmpfs that goes with the value. The calling thread has to have its own mounts.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(at: &Path, options: &str) -> Self {
        sys::private_mounts().expect("these tests run as root");
        fs::create_dir_all(at).expect("a folder");
        sys::mount_tmpfs(at, options, 0).expect("a tmpfs");
        Self(at.to_owned())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        sys::unmount(&self.0).expect("it was mounted");
    }
}

#[test]
fn no_room() {
    let home = Home::new();
    let disk = Tmpfs::mount(&home.root.join("data/sv"), "mode=0700,size=4m");
    home.init();
    let mut random = Random::new(3);
    for i in 0..12 {
        home.add(&format!("n{i}"), &random.bytes(100_000));
    }
    // The newest changes move into the file.
    home.sv("lock").ok();
    home.unlock();
    let names = home.sv("list").text();
    // No second copy fits beside the vault …
    let filler = disk.0.join("filler");
    fs::write(&filler, vec![1; 2 << 20]).expect("a file");
    let file = home.root.join("copy.sv");
    with_file(&home, &["backup"], &file).fails(10);
    tidy(&home);
    assert!(!file.exists());
    assert_eq!(home.sv("list").text(), names);
    fs::remove_file(&filler).expect("room");
    with_file(&home, &["backup"], &file).ok();
    // … nor where it is to go, nor for the client's own copy of it.
    let stick = Tmpfs::mount(&home.root.join("stick"), "size=512k");
    with_file(&home, &["backup"], &stick.0.join("copy.sv")).fails(10);
    assert_eq!(files(&stick.0), []);
    fs::write(&filler, vec![1; 2 << 20]).expect("a file");
    with_file(&home, &["restore"], &file).fails(10);
    with_file(&home, &["verify"], &file).fails(10);
    tidy(&home);
    assert_eq!(home.sv("list").text(), names);
    fs::remove_file(&filler).expect("room");
    home.sv("verify").ok();

    // A vault that is put together on a full disk is as it was, or whole.
    home.sv("agent stop").ok();
    let other = restored(&file);
    for i in 0..12 {
        other.add(&format!("more{i}"), &random.bytes(100_000));
    }
    let more = backup(&other, "more.sv");
    home.unlock();
    with_file(&home, &["restore"], &more).fails(10);
    assert_eq!(home.sv("list").text(), names);
    tidy(&home);
    home.sv("verify").ok();
    sys::mount_tmpfs(&disk.0, "size=64m", libc::MS_REMOUNT).expect("more room");
    let answer = with_file(&home, &["restore", "--json"], &more).json();
    assert_eq!(answer["secrets"], 12);
    home.sv("verify").ok();
    tidy(&home);
}

#[test]
fn readers_and_writers_are_served_meanwhile() {
    let home = Home::new();
    large::generate(&home.vault, PASSWORD, 20_000).expect("a vault");
    home.unlock();
    let empty = backup(&home, "copy.sv");
    let stop = AtomicBool::new(false);
    let slowest = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut client = home.connect();
            let mut random = Random::new(1);
            let mut slowest = Duration::ZERO;
            while !stop.load(Ordering::Relaxed) {
                let i = u32::try_from(random.below(20_000)).expect("small");
                let start = std::time::Instant::now();
                let value = client.get(&large::name(i)).expect("a value");
                slowest = slowest.max(start.elapsed());
                assert!(value == large::value(i));
            }
            slowest
        });
        let mut writer = home.connect();
        for i in 0..3 {
            backup(&home, &format!("copy{i}.sv"));
            writer
                .ask(client::add(&format!("w{i}"), b"x"))
                .expect("added");
        }
        with_file(&home, &["restore"], &empty).ok();
        stop.store(true, Ordering::Relaxed);
        reader.join().expect("a reader")
    });
    eprintln!("the slowest get beside three backups and a restore: {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert!(proc::agents(&home.root).len() == 1);
}

//! Shares and backups on other hosts, through the real programs.

mod common;

use common::{
    Call, Home, PASSWORD, SV, holds,
    mesh::{self, Kind, Mesh, PLAIN},
};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

const FIVE: [&str; 5] = ["one", "two", "three", "four", "five"];
const ALL: &str = "one,two,three,four,five";
const SHARES: &str = "/root/.local/share/sv/shares";
const NEW: &str = "a new password";

fn configured(home: &Home, program: &Path) {
    home.configure(&format!(
        "[transport]\nprogram = \"{}\"\n",
        program.display()
    ));
}

/// A home with an unlocked vault of one secret, and these hosts.
fn world_of(hosts: &[(&str, Kind)]) -> (Home, Mesh) {
    let home = Home::new();
    let mesh = Mesh::of(&home.root.join("mesh"), hosts);
    configured(&home, &mesh.vssh());
    home.init();
    home.add("a", b"canary-value");
    (home, mesh)
}

fn world(names: &[&str]) -> (Home, Mesh) {
    let hosts: Vec<_> = names.iter().map(|name| (*name, PLAIN)).collect();
    world_of(&hosts)
}

/// Another machine, which has nothing but a copy of a vault.
fn elsewhere(copy: &Path, mesh: &Mesh) -> Home {
    let home = Home::new();
    configured(&home, &mesh.vssh());
    let folder = home.vault.parent().expect("a folder");
    fs::create_dir(folder).expect("a folder");
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).expect("a mode");
    fs::copy(copy, &home.vault).expect("a copy");
    fs::set_permissions(&home.vault, fs::Permissions::from_mode(0o600)).expect("a mode");
    home
}

/// The files of shares on a host.
fn shares(mesh: &Mesh, name: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(mesh.at(name, SHARES))
        .map(|entries| entries.map(|e| e.expect("an entry").path()).collect())
        .unwrap_or_default();
    files.sort();
    files
}

/// The exit code, the standard error, and what each node came up with.
fn verify(home: &Home, arguments: &str) -> (i32, String, Vec<(String, String)>) {
    let done = home
        .sv(&format!("collect --verify --json{arguments}"))
        .run();
    let code = done.code();
    let document: Value = serde_json::from_slice(&done.out).expect("a document");
    let text = |row: &Value, key: &str| row[key].as_str().expect("text").to_owned();
    let rows = document["shares"].as_array().expect("a list");
    let rows = rows
        .iter()
        .map(|row| (text(row, "node"), text(row, "state")));
    assert_eq!(document["ok"], code == 0);
    (code, done.err, rows.collect())
}

fn states<'a>(states: &[(&'a str, &'a str)]) -> Vec<(String, String)> {
    let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    states.iter().map(own).collect()
}

fn dealing(home: &Home) -> Value {
    home.sv("shares --json").json()
}

#[test]
fn any_three_of_five_nodes_recover() {
    let (home, mesh) = world(&FIVE);
    home.sv("backup before.sv").ok();
    home.sv(&format!("distribute --to {ALL}")).ok();
    for name in FIVE {
        let files = shares(&mesh, name);
        assert_eq!(files.len(), 1, "{name}");
        assert_eq!(mesh::mode(&files[0]), 0o600);
        assert_eq!(mesh::mode(&mesh.at(name, SHARES)), 0o700);
    }
    let known = dealing(&home);
    assert_eq!(known["state"], "active");
    for (share, name) in known["shares"].as_array().expect("a list").iter().zip(FIVE) {
        assert_eq!(
            (&share["kind"], &share["holder"]),
            (&"node".into(), &name.into())
        );
    }
    let (code, _, rows) = verify(&home, "");
    assert_eq!((code, rows.len()), (0, 5));

    home.sv("backup copy.sv").ok();
    let copy = home.root.join("copy.sv");
    for three in ["one two three", "five,three,one", "four two five"] {
        let other = elsewhere(&copy, &mesh);
        other
            .sv(&format!("collect {three} --recover --password-stdin"))
            .line(NEW)
            .ok();
        assert_eq!(other.get("a"), b"canary-value", "{three}");
        other.sv("lock").ok();
        other.sv("unlock --password-stdin").line(PASSWORD).fails(6);
        other.sv("unlock --password-stdin").line(NEW).ok();
        // The shares stay good, and what held them is known no more.
        other
            .sv("collect two three four --recover --password-stdin")
            .line(NEW)
            .ok();
    }
    let other = elsewhere(&copy, &mesh);
    // A locked vault does not know the nodes; two are too few; a name is a name.
    other
        .sv("collect --recover --password-stdin")
        .line(NEW)
        .fails(2);
    let done = other
        .sv("collect one two --recover --password-stdin")
        .line(NEW)
        .run();
    assert_eq!(done.code(), 4, "{}", done.err);
    assert!(done.err.contains("2 of 3 shares came back"), "{}", done.err);
    for wrong in [
        "collect one",
        "collect --out x --verify",
        "collect --recover --out x",
    ] {
        other.sv(wrong).fails(2);
    }
    for wrong in ["collect -- -one --verify", "collect one:x --verify"] {
        other.sv(wrong).fails(2);
    }
    // A file each, for `sv recover`.
    let files = other.sv("collect one four five --out came").text();
    let files: Vec<&str> = files.lines().collect();
    assert_eq!(files.len(), 3);
    for file in &files {
        assert_eq!(mesh::mode(Path::new(file)), 0o600);
    }
    assert_eq!(mesh::mode(&other.root.join("came")), 0o700);
    other
        .sv_args([&["recover"], &files[..], &["--password-stdin"]].concat())
        .line(NEW)
        .ok();
    assert_eq!(other.get("a"), b"canary-value");
    // Shares of today open no copy from before they were dealt.
    let before = elsewhere(&home.root.join("before.sv"), &mesh);
    let done = before
        .sv("collect one two three --recover --password-stdin")
        .line(NEW)
        .run();
    assert_eq!(done.code(), 4, "{}", done.err);
}

#[test]
fn a_node_that_is_down_is_served_later() {
    let full = Kind { space: 64, ..PLAIN };
    let hosts = [
        ("one", PLAIN),
        ("two", PLAIN),
        ("three", PLAIN),
        ("four", PLAIN),
        ("five", full),
    ];
    let (home, mesh) = world_of(&hosts);
    mesh.unplug("three");
    let mut filler = vec![0; 64 * 1024];
    while fs::write(mesh.at("five", "/root/filler"), &filler).is_err() {
        filler.truncate(filler.len() - 4096);
    }
    let done = home.sv(&format!("distribute --to {ALL}")).run();
    assert_eq!(done.code(), 10, "{}", done.err);
    for told in [
        "share 3 of 5: three: ",
        "share 5 of 5: five: ",
        "2 of 5 shares could not be delivered",
        &format!("sv distribute --resume --to {ALL}"),
    ] {
        assert!(done.err.contains(told), "{told}: {}", done.err);
    }
    for (name, there) in FIVE.into_iter().zip([1, 1, 0, 1, 0]) {
        assert_eq!(shares(&mesh, name).len(), there, "{name}");
    }
    assert_eq!(dealing(&home)["pending"]["state"], "pending");
    home.sv("collect --verify").fails(4);

    // Room is made; one is still away, and the set comes into force without it.
    fs::remove_file(mesh.at("five", "/root/filler")).expect("room");
    let done = home.sv(&format!("distribute --resume --to {ALL}")).run();
    assert_eq!(done.code(), 10, "{}", done.err);
    assert_eq!(shares(&mesh, "five").len(), 1);
    home.sv("distribute --commit").ok();
    let known = dealing(&home);
    assert_eq!(
        (&known["state"], &known["waiting"]),
        (&"active".into(), &1.into())
    );
    mesh.plug("three");
    home.sv("distribute --resume --to three").ok();
    assert_eq!(dealing(&home)["waiting"], 0);
    let (code, _, rows) = verify(&home, "");
    assert_eq!((code, rows.len()), (0, 5));

    // Away when they are asked.
    mesh.unplug("two");
    let (code, err, rows) = verify(&home, " one two");
    assert_eq!(code, 10);
    assert!(err.contains("two"), "{err}");
    assert_eq!(rows, states(&[("one", "whole"), ("two", "unreachable")]));
    let done = home.sv("collect two one three four --out came").run();
    assert_eq!(done.code(), 0, "{}", done.err);
    assert!(
        done.err.contains("warning: two: unreachable"),
        "{}",
        done.err
    );
    assert_eq!(String::from_utf8_lossy(&done.out).lines().count(), 3);
}

#[test]
fn a_node_that_changed_or_lost_its_share_is_found_out() {
    let (home, mesh) = world(&FIVE);
    home.sv(&format!("distribute --to {ALL} --threshold 2"))
        .ok();
    let file = |name| shares(&mesh, name).remove(0);
    let good = fs::read(file("two")).expect("a share");

    let mut changed = good.clone();
    let at = changed.len() / 2;
    changed[at] = if changed[at] == b'q' { b'p' } else { b'q' };
    let other = fs::read(file("one")).expect("a share");
    for wrong in [
        &changed[..],
        &other,
        b"",
        b"\xff\xfe",
        &[b'x'; 5000],
        &good[..40],
    ] {
        fs::write(file("two"), wrong).expect("written");
        let (code, err, rows) = verify(&home, "");
        assert_eq!(code, 8, "{err}");
        assert!(err.contains("two"), "{err}");
        assert_eq!(rows[0].1, "whole");
        assert_eq!(rows[1], ("two".to_owned(), "changed".to_owned()));
    }
    // It is named, and the others do without it.
    fs::write(file("two"), &changed).expect("written");
    let done = home.sv("collect two three four --out came").run();
    assert_eq!(done.code(), 0, "{}", done.err);
    assert!(done.err.contains("warning: two: changed"), "{}", done.err);
    let done = home.sv("collect two three --out less").run();
    assert_eq!(done.code(), 8, "{}", done.err);
    assert!(done.err.contains("1 of 2 shares came back"), "{}", done.err);

    fs::write(file("two"), &good).expect("written");
    fs::remove_file(file("three")).expect("removed");
    let (code, _, rows) = verify(&home, "");
    assert_eq!(code, 4);
    assert_eq!(rows[2], ("three".to_owned(), "missing".to_owned()));
    // What others may read is told, and is no failure.
    fs::set_permissions(file("one"), fs::Permissions::from_mode(0o644)).expect("a mode");
    let table = home.sv("collect --verify one").text();
    assert_eq!(table, "one\t1\twhole\tothers can read it there\n");
    home.sv("collect --verify six").fails(2);
    home.sv("lock").ok();
    home.sv("collect --verify").fails(3);
}

#[test]
fn a_node_is_replaced_and_its_share_worthless() {
    let (home, mut mesh) = world(&["one", "two", "three"]);
    home.sv("distribute --to one,two,three --threshold 2").ok();
    home.sv("backup old.sv").ok();
    mesh.add("four", PLAIN);
    // Lost for good.
    mesh.unplug("two");
    home.sv("distribute --replace five=four").fails(2);
    home.sv("distribute --replace two=four").ok();
    let (code, _, rows) = verify(&home, "");
    assert_eq!(code, 0);
    assert_eq!(
        rows,
        states(&[("one", "whole"), ("four", "whole"), ("three", "whole")])
    );
    mesh.plug("two");
    home.sv("backup new.sv").ok();
    let other = elsewhere(&home.root.join("new.sv"), &mesh);
    let done = other
        .sv("collect one two --recover --password-stdin")
        .line(NEW)
        .run();
    assert_eq!(done.code(), 4, "{}", done.err);
    other
        .sv("collect one four --recover --password-stdin")
        .line(NEW)
        .ok();
    // A copy of that time is opened by the shares of that time, which the nodes still have.
    let old = elsewhere(&home.root.join("old.sv"), &mesh);
    old.sv("collect one two --recover --password-stdin")
        .line(NEW)
        .ok();
    assert_eq!(old.get("a"), b"canary-value");
}

#[test]
fn nothing_of_a_share_is_seen_on_the_way() {
    let (home, mesh) = world(&["one", "two"]);
    let trace = home.root.join("distribute.trace");
    let mut command = home.command("strace");
    command
        .args(["-f", "-v", "-s", "99999", "-e"])
        .arg("trace=execve,mkdir,rmdir,unlink,unlinkat")
        .arg("-o")
        .arg(&trace)
        .args([SV, "distribute", "--to", "one,two"])
        .env("TOKEN", "canary-of-the-environment");
    Call::new(command).ok();
    let texts: Vec<Vec<u8>> = ["one", "two"]
        .iter()
        .map(|name| fs::read(&shares(&mesh, name)[0]).expect("a share"))
        .map(|text| text.trim_ascii().to_vec())
        .collect();
    let calls = fs::read(&trace).expect("the trace");
    assert!(holds(&calls, b"sha256sum"));
    for text in &texts {
        assert!(text.len() > 100);
        // Neither all of it nor a part, in the argument or environment of any program.
        for part in text.chunks(20).filter(|part| part.len() == 20) {
            assert!(!holds(&calls, part));
            assert!(!holds(mesh.audit().as_bytes(), part));
        }
    }
    let text = String::from_utf8_lossy(&calls);
    for line in text.lines().filter(|line| line.contains("execve(")) {
        assert!(
            line.contains(SV) || !line.contains("canary-of-the-env"),
            "{line}"
        );
    }
    // The file for `vssh` was in memory, and is gone.
    let of = |call: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.contains("\"/dev/shm/sv-"));
        lines
            .filter(|line| line.contains(call))
            .filter_map(|line| Some(line.split('"').nth(1)?.to_owned()))
            .collect()
    };
    let (made, removed) = (of("mkdir("), of("rmdir("));
    assert!(made.len() == 2 && made == removed, "{made:?} {removed:?}");
    // Nor is it anywhere else, here or there.
    for text in &texts {
        let mut seen = 0;
        let here = common::files(&home.root).into_iter();
        let there = ["one", "two"].into_iter().flat_map(|name| mesh.files(name));
        for (path, content) in here.chain(there) {
            if holds(&content, text) {
                assert!(
                    path.to_string_lossy().contains(SHARES),
                    "{}",
                    path.display()
                );
                seen += 1;
            }
        }
        assert_eq!(seen, 1);
    }
}

#[test]
fn backups_on_nodes() {
    let (home, mesh) = world(&["one", "two"]);
    // Nothing would open them.
    let err = home.sv("backup --to one").fails(4);
    assert!(err.contains("sv distribute"), "{err}");
    home.sv("distribute --to one,two --threshold 2").ok();
    for wrong in [
        "backup",
        "backup x --to one",
        "backup --to one,one",
        "backup --to one --keep 0",
    ] {
        home.sv(wrong).fails(2);
    }
    let id = home.status()["vault_id"].as_str().expect("text").to_owned();
    let folder = format!("/root/.local/share/sv/backups/{id}");
    let there = |name: &str| -> Vec<PathBuf> {
        let entries = fs::read_dir(mesh.at(name, &folder)).expect("the folder");
        let mut files: Vec<_> = entries.map(|e| e.expect("an entry").path()).collect();
        files.sort();
        files
    };
    for n in 0..3 {
        home.add(&format!("more/{n}"), b"2");
        let document = home.sv("backup --to one,two --keep 2 --json").json();
        assert_eq!(document["ok"], true);
        assert_eq!(document["nodes"][1]["node"], "two");
        assert_eq!(document["nodes"][1]["stored"], true);
        assert_eq!(document["nodes"][0]["removed"], u64::from(n == 2));
        let name = document["file"].as_str().expect("text");
        let file = mesh.at("one", &folder).join(name);
        assert_eq!(mesh::mode(&file), 0o600);
        assert_eq!(
            fs::read(&file).expect("it").len() as u64,
            document["size"].as_u64().expect("a number")
        );
    }
    assert_eq!((there("one").len(), there("two").len()), (2, 2));
    let vault_folder = home.vault.parent().expect("a folder");
    let left = common::files(vault_folder);
    let left = left
        .iter()
        .any(|(path, _)| path.to_string_lossy().contains(".backup-"));
    assert!(!left, "the copy beside the vault is gone");

    mesh.unplug("one");
    let done = home.sv("backup --to one,two --keep 2").run();
    assert_eq!(done.code(), 10, "{}", done.err);
    assert!(done.err.contains("warning: one: "), "{}", done.err);
    assert!(
        done.err.contains("sv: not everything was done on one"),
        "{}",
        done.err
    );
    mesh.plug("one");

    // No password opens it, and shares do.
    let newest = there("two").pop().expect("a backup");
    home.sv_args(["verify".as_ref(), newest.as_os_str()]).ok();
    let other = elsewhere(&newest, &mesh);
    other.sv("unlock --password-stdin").line(PASSWORD).fails(6);
    other
        .sv("collect one two --recover --password-stdin")
        .line(NEW)
        .ok();
    assert_eq!(other.get("a"), b"canary-value");
    assert_eq!(other.get("more/2"), b"2");
}

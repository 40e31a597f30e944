//! Dealing shares: every place that they can go to, and what happens when one of
//! them can't be reached.

mod common;

use common::{
    Home,
    shares::{dealt, drill, files, mode, names, set, shows, text},
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

const NATIVE: &str = "age155y8vjqsg8km8f553dmpz0pwqvhpvlhkmc96evwfcjvg9ye3gy7svccclv";

/// The keys of holders that the unit tests of the client use as well.
fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("sv-client/src/age/vectors")
        .join(name)
}

#[test]
fn files_that_nobody_else_reads() {
    let home = Home::with_vault();
    assert_eq!(set(&home)["set"], Value::Null);
    let done = home.sv("distribute --out shares").run();
    assert_eq!(done.code(), 0, "{}", done.err);
    assert!(done.out.is_empty());
    assert!(
        done.err.contains("hint: sv recover --drill"),
        "{}",
        done.err
    );

    let folder = home.root.join("shares");
    let shares = files(&folder, 5, "sv");
    assert_eq!(names(&folder).len(), 5);
    assert_eq!(mode(&folder), 0o700);
    let texts: Vec<String> = shares.iter().map(|path| text(path)).collect();
    for (path, text) in shares.iter().zip(&texts) {
        assert_eq!(mode(path), 0o600);
        assert!(!done.err.contains(text.as_str()));
    }
    let found = set(&home);
    assert_eq!(found["state"], "active");
    assert_eq!(
        (&found["threshold"], &found["count"]),
        (&3.into(), &5.into())
    );
    assert_eq!(found["waiting"], 0);
    assert_eq!(found["shares"][4]["index"], 5);
    assert_eq!(found["shares"][4]["kind"], "file");
    let holder = found["shares"][4]["holder"].as_str().expect("a holder");
    assert_eq!(Path::new(holder), shares[4]);
    assert!(found["shares"][4]["delivered"].is_string());
    assert!(!shows(&found.to_string(), &texts));
    let table = home.sv("shares").text();
    assert!(table.contains(holder) && !shows(&table, &texts));

    assert_eq!(drill(&home, &shares[..3]), 0);
    assert_eq!(drill(&home, &shares[2..]), 0);
    assert_eq!(drill(&home, &shares[..2]), 6);
    // The next set retires this one.
    let others = dealt(&home, "others", 2, 3);
    assert_eq!(drill(&home, &others[1..]), 0);
    assert_eq!(drill(&home, &shares[..3]), 6);
}

#[test]
fn a_document_about_it() {
    let home = Home::with_vault();
    let document = home
        .sv("distribute --out shares --shares 3 --threshold 2 --json")
        .json();
    assert_eq!(document["state"], "active");
    assert_eq!(document["failures"], serde_json::json!([]));
    assert_eq!(document["shares"][2]["kind"], "file");
    assert!(!document.to_string().contains("svshare"));
    assert_eq!(document["set"], set(&home)["set"]);
    // Locked, nothing of it is told.
    home.sv("lock").ok();
    home.sv("shares").fails(3);
    home.sv("distribute --out other").fails(3);
    assert!(!home.root.join("other").exists());
}

#[test]
fn a_file_is_never_overwritten() {
    let home = Home::with_vault();
    let folder = home.root.join("shares");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("share-3-of-5.sv"), "mine").expect("a file");
    let error = home.sv("distribute --out shares").fails(5);
    assert!(error.contains("share-3-of-5.sv"), "{error}");
    assert_eq!(names(&folder), ["share-3-of-5.sv"]);
    assert_eq!(set(&home)["pending"], Value::Null, "nothing was dealt");
    // A link that leads nowhere is there as well.
    fs::remove_file(folder.join("share-3-of-5.sv")).expect("removed");
    std::os::unix::fs::symlink("nowhere", folder.join("share-1-of-5.sv")).expect("a link");
    home.sv("distribute --out shares").fails(5);
    // Other names are free.
    home.sv("distribute --out shares --shares 4").ok();
    assert_eq!(names(&folder).len(), 5);
    assert_eq!(
        fs::read_link(folder.join("share-1-of-5.sv")).expect("the link"),
        Path::new("nowhere")
    );
}

#[test]
fn folders_that_can_not_be_written() {
    let home = Home::with_vault();
    fs::write(home.root.join("file"), "").expect("a file");
    for folder in ["file", "missing/folder", "/proc"] {
        home.sv(&format!("distribute --out {folder}")).fails(2);
        assert_eq!(set(&home)["pending"], Value::Null, "{folder}");
    }
}

#[test]
fn what_makes_no_sense() {
    let home = Home::with_vault();
    fs::write(home.root.join("nobody"), "# nobody\n").expect("a file");
    fs::write(home.root.join("mixed"), format!("{NATIVE}\nx\n")).expect("a file");
    let rsa = fs::read_to_string(vector("rsa.pub")).expect("a key");
    let own = |arguments: &[&str], told: &str| {
        let error = home.sv_args(arguments).fails(2);
        let line = error.lines().next().unwrap_or_default();
        assert_eq!(line, format!("sv: {told}"), "{arguments:?}");
    };
    let case = |line: &str, told: &str| own(&line.split(' ').collect::<Vec<_>>(), told);
    case(
        "distribute",
        "standard output is not a terminal that could show shares",
    );
    case(
        "distribute --no-input",
        "shares are shown after a key press, and --no-input forbids to wait for one",
    );
    case(
        "distribute --out a --paper b",
        "--out and --paper can't be used together",
    );
    case(
        "distribute --out a --stdout",
        "--out and --stdout can't be used together",
    );
    case(
        "distribute --to a,b --stdout",
        "--to and --stdout can't be used together",
    );
    case("distribute --out a --format pdf", "--format is for --paper");
    case(
        "distribute --paper a --format doc",
        "--format: wants html, svg or pdf",
    );
    case(
        "distribute --out -",
        "shares want a folder to be written into",
    );
    case(
        "distribute --shares 1 --out a",
        "--shares: wants a number from 2 to 255",
    );
    case(
        "distribute --shares 256 --out a",
        "--shares: wants a number from 2 to 255",
    );
    case(
        "distribute --threshold 1 --out a",
        "--threshold: wants a number from 2 to 255",
    );
    case(
        "distribute --shares 3 --threshold 4 --out a",
        "4 of 3 shares can't be needed",
    );
    case(
        "distribute --cancel --resume",
        "--cancel goes with no other option",
    );
    case(
        "distribute --cancel --out a",
        "--cancel goes with no other option",
    );
    case(
        "distribute --resume --shares 5 --out a",
        "--resume delivers shares of a set whose size is settled",
    );
    case(
        "distribute --commit --shares 5",
        "--commit alone puts a set into force whose size is settled",
    );
    case("distribute --replace a", "--replace: wants NODE=NEW");
    case(
        "distribute --replace a=b --out c",
        "--replace goes with no other option",
    );
    case(
        &format!("distribute --recipient {NATIVE}"),
        "--recipient says for whom, but not where to",
    );
    case(
        &format!("distribute --recipient {NATIVE} --paper a"),
        "--recipient encrypts to files or to standard output",
    );
    case(
        &format!("distribute --recipient {NATIVE} --out a"),
        "shares go to 2 to 255 holders",
    );
    case(
        &format!("distribute --recipient {NATIVE},{NATIVE}x --out a"),
        "recipient 2 is not a whole age1 key",
    );
    case(
        "distribute --recipient missing --out a",
        "can't read the file of recipient 1: No such file or directory",
    );
    case(
        "distribute --recipient nobody --out a",
        "the file of recipient 1 names nobody",
    );
    case(
        "distribute --recipient mixed --out a",
        "the file of recipient 1: line 2 is not a key to encrypt to",
    );
    own(
        &["distribute", "--out", "a", "--recipient", rsa.trim()],
        "recipient 1 is an RSA key, which is not supported",
    );
    own(
        &[
            "distribute",
            "--out",
            "a",
            "--recipient",
            "AGE-SECRET-KEY-1XXX",
        ],
        "recipient 1 is a private key; its public one is wanted",
    );
    case("distribute --out a --out b", "--out was given twice");
    for line in ["distribute --json", "distribute --stdout --json"] {
        let done = home.sv(line).run();
        let error: Value = serde_json::from_str(&done.err).expect("a document");
        assert_eq!(
            (done.code(), &error["kind"]),
            (2, &"usage".into()),
            "{line}"
        );
    }
    assert!(!home.root.join("a").exists());
    assert_eq!(set(&home)["pending"], Value::Null);
    home.sv("distribute --cancel").fails(4);
    home.sv("distribute --commit").fails(4);
    home.sv("distribute --resume --out a").fails(4);
    home.sv("distribute --replace a=b").fails(4);
    Home::new().sv("distribute --out a").fails(4);
}

#[test]
fn each_share_for_its_holder_alone() {
    let home = Home::with_vault();
    let ssh = fs::read_to_string(vector("ed25519.pub")).expect("a key");
    let own = fs::read_to_string(vector("native")).expect("a key");
    let native = own
        .lines()
        .find_map(|line| line.split_once("public key: "))
        .expect("its public key")
        .1;
    fs::write(home.root.join("team"), format!("# others\n{NATIVE}\n")).expect("a file");
    home.sv_args([
        "distribute",
        "--threshold=2",
        "--out=for-them",
        "--recipient",
        ssh.trim(),
        "--recipient",
        &format!("{native},team"),
    ])
    .ok();
    let shares = files(&home.root.join("for-them"), 3, "age");
    for path in &shares {
        assert_eq!(mode(path), 0o600);
        let content = fs::read_to_string(path).expect("ASCII");
        assert!(content.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"));
        assert!(!content.contains("svshare"));
    }
    let found = set(&home);
    assert_eq!(found["count"], 3);
    assert_eq!(found["shares"][0]["kind"], "recipient");
    assert_eq!(found["shares"][0]["holder"], ssh.trim());
    assert_eq!(found["shares"][1]["holder"], native);

    let drill = |shares: &[&PathBuf], identities: &[&str]| {
        let mut arguments = vec!["recover".into(), "--drill".into()];
        arguments.extend(shares.iter().map(|path| path.as_os_str().to_owned()));
        for identity in identities {
            arguments.push("--identity".into());
            arguments.push(vector(identity).into());
        }
        home.sv_args(arguments)
    };
    drill(&[&shares[0], &shares[1]], &["ed25519", "native"]).ok();
    // Nobody reads another's.
    drill(&[&shares[0], &shares[2]], &["ed25519", "native"]).fails(6);
    drill(&[&shares[0], &shares[1]], &["ed25519"]).fails(6);
    let error = drill(&[&shares[0], &shares[1]], &[]).fails(2);
    assert!(error.contains("--identity"), "{error}");
    for (identity, told) in [("passphrase", "passphrase"), ("rsa", "RSA")] {
        let error = drill(&[&shares[0]], &[identity]).fails(2);
        assert!(error.contains(told), "{error}");
    }

    // To standard output, for mail.
    let mail = home
        .sv_args([
            "distribute",
            "--stdout",
            "--recipient",
            native,
            "--recipient",
            native,
        ])
        .run();
    assert!(mail.err.contains("one and the same"), "{}", mail.err);
    let mail = String::from_utf8(mail.ok()).expect("ASCII");
    assert_eq!(mail.matches("BEGIN AGE").count(), 2);
    assert!(!mail.contains("svshare"));
}

#[test]
fn a_line_each_on_standard_output() {
    let home = Home::with_vault();
    let lines = home
        .sv("distribute --stdout --shares 4 --threshold 2")
        .text();
    let shares: Vec<&str> = lines.lines().collect();
    assert_eq!(shares.len(), 4);
    assert!(shares.iter().all(|share| share.starts_with("svshare")));
    let input = format!("{}\n# a remark\n\n{}\n", shares[3], shares[1]);
    home.sv("recover --drill -").input(input.as_bytes()).ok();
    assert_eq!(set(&home)["shares"][0]["kind"], "shown");

    // Nobody reads: what was not written waits.
    let done = home
        .shell("$SV distribute --stdout --shares 255 --threshold 2 | head -n 1 >/dev/null; exit ${PIPESTATUS[0]}")
        .run();
    assert_eq!(done.code(), 141, "{}", done.err);
    let pending = &set(&home)["pending"];
    assert_eq!(pending["count"], 255);
    assert!(pending["waiting"].as_u64().expect("a number") > 0);
    assert_eq!(set(&home)["count"], 4, "the earlier set is in force");
    home.sv("recover --drill -").input(input.as_bytes()).ok();
}

#[test]
fn sheets_of_paper() {
    let home = Home::with_vault();
    for format in ["html", "svg", "pdf"] {
        home.sv(&format!(
            "distribute --paper {format} --format {format} --shares 3 --threshold 2"
        ))
        .ok();
        for path in files(&home.root.join(format), 3, format) {
            assert_eq!(mode(&path), 0o600);
            assert!(fs::metadata(&path).expect("a sheet").len() > 1000);
        }
        assert_eq!(set(&home)["shares"][0]["kind"], "paper");
    }
    home.sv("distribute --paper default").ok();
    assert_eq!(names(&home.root.join("default"))[0], "share-1-of-5.html");
}

#[test]
fn new_shares_with_new_keys() {
    let home = Home::with_vault();
    home.add("a", b"1");
    let old = dealt(&home, "old", 2, 3);
    home.sv("rotate").ok();
    assert_eq!(drill(&home, &old[..2]), 0, "shares survive a rotation");
    home.sv("rotate --shares=2 --threshold 2 --out new").ok();
    assert_eq!(drill(&home, &files(&home.root.join("new"), 2, "sv")), 0);
    assert_eq!(drill(&home, &old[..2]), 6);
    assert_eq!(home.get("a"), b"1");
    home.sv("rotate --out other").fails(2);
    home.sv("rotate --threshold 2 --out other").fails(2);
    home.sv("rotate --shares").fails(2);
    home.sv("rotate --shares=1 --out other").fails(2);
    home.sv("rotate --shares --out newest").ok();
    assert_eq!(names(&home.root.join("newest")).len(), 5);
}

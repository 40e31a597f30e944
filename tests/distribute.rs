//! Dealing shares: every place that they can go to, and what happens when one of
//! them can't be reached.

mod common;

use common::{
    Call, Home, SV,
    shares::{dealt, drill, files, shows, text},
    terminal::Terminal,
};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

const NATIVE: &str = "age155y8vjqsg8km8f553dmpz0pwqvhpvlhkmc96evwfcjvg9ye3gy7svccclv";

fn mode(path: &Path) -> u32 {
    let info = fs::symlink_metadata(path).expect("it is there");
    info.permissions().mode() & 0o7777
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

fn set(home: &Home) -> Value {
    home.sv("shares --json").json()
}

/// `sv` under strace, which makes some of its system calls fail.
fn injected(home: &Home, fault: &str, arguments: &str) -> Call {
    let mut command = home.command("strace");
    command
        .args(["-o", "/dev/null", "-e", "trace=renameat2,fsync"])
        .args(["-e", &format!("inject={fault}"), "--", SV])
        .args(arguments.split(' '));
    Call::new(command)
}

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
fn what_could_not_be_delivered_is_resumed() {
    let home = Home::with_vault();
    let old = dealt(&home, "old", 2, 3);
    let done = injected(
        &home,
        "renameat2:error=ENOSPC:when=2..3",
        "distribute --out new",
    )
    .run();
    assert_eq!(done.code(), 10, "{}", done.err);
    let lines: Vec<&str> = done.err.lines().collect();
    assert!(
        lines[0].starts_with("warning: share 2 of 5: can't write "),
        "{}",
        done.err
    );
    assert!(
        lines[0].ends_with("share-2-of-5.sv: No space left on device"),
        "{}",
        done.err
    );
    assert!(
        lines[1].starts_with("warning: share 3 of 5: "),
        "{}",
        done.err
    );
    assert!(
        lines[2].starts_with("sv: 2 of 5 shares could not be delivered"),
        "{}",
        done.err
    );
    assert!(
        lines[3].starts_with("hint: sv distribute --resume --out "),
        "{}",
        done.err
    );
    assert!(lines[3].contains("--commit"), "{}", done.err);
    assert_eq!(lines.len(), 4);
    let folder = home.root.join("new");
    assert_eq!(
        names(&folder),
        ["share-1-of-5.sv", "share-4-of-5.sv", "share-5-of-5.sv"],
        "and no half one"
    );

    // What was in force still is.
    let found = set(&home);
    assert_eq!(
        (&found["count"], &found["pending"]["waiting"]),
        (&3.into(), &2.into())
    );
    assert_eq!(drill(&home, &old[..2]), 0);
    let new = files(&folder, 5, "sv");
    let some = [new[0].clone(), new[3].clone(), new[4].clone()];
    assert_eq!(drill(&home, &some), 6, "not in force yet");
    let error = home.sv("distribute --out other").fails(5);
    assert!(
        error.contains("--resume") && error.contains("--cancel"),
        "{error}"
    );
    let status = home.sv("status").run();
    assert!(
        status.err.contains("warning: a share set is dealt"),
        "{}",
        status.err
    );
    status.ok();

    // A document tells the same.
    let done = injected(
        &home,
        "renameat2:error=EIO:when=1",
        "distribute --resume --out new --json",
    )
    .run();
    assert_eq!(done.code(), 10);
    let document: Value = serde_json::from_slice(&done.out).expect("a document");
    assert_eq!(document["failures"][0]["index"], 2);
    assert_eq!(document["waiting"], 1);
    let error: Value = serde_json::from_str(&done.err).expect("a document");
    assert_eq!(
        (&error["kind"], &error["exit"]),
        (&"partial".into(), &10.into())
    );

    home.sv("distribute --resume --out new").ok();
    assert_eq!(names(&folder).len(), 5);
    assert_eq!(drill(&home, &new[1..4]), 0);
    assert_eq!(drill(&home, &old[..2]), 6, "retired");
    assert_eq!(set(&home)["pending"], Value::Null);
}

#[test]
fn a_share_that_was_written_and_not_confirmed() {
    let home = Home::with_vault();
    // After the file of share 2 has its name: one sync for the folder that is
    // tried, and two for each share.
    let done = injected(&home, "fsync:signal=KILL:when=5", "distribute --out new").run();
    assert_eq!(done.code(), 137, "{}", done.err);
    let folder = home.root.join("new");
    assert_eq!(names(&folder), ["share-1-of-5.sv", "share-2-of-5.sv"]);
    assert_eq!(set(&home)["pending"]["waiting"], 4);
    let second = text(&folder.join("share-2-of-5.sv"));
    home.sv("distribute --resume --out new").ok();
    assert_eq!(names(&folder).len(), 5);
    assert_eq!(text(&folder.join("share-2-of-5.sv")), second);
    assert_eq!(drill(&home, &files(&folder, 5, "sv")[..3]), 0);

    // Another file of that name is not taken for it, and not touched.
    let done = injected(&home, "fsync:signal=KILL:when=5", "distribute --out third").run();
    assert_eq!(done.code(), 137, "{}", done.err);
    let third = home.root.join("third");
    fs::write(third.join("share-2-of-5.sv"), "mine").expect("a file");
    let done = home.sv("distribute --resume --out third").run();
    assert_eq!(done.code(), 10, "{}", done.err);
    assert!(
        done.err.contains("share-2-of-5.sv exists already"),
        "{}",
        done.err
    );
    assert_eq!(
        fs::read(third.join("share-2-of-5.sv")).expect("mine"),
        b"mine"
    );
}

#[test]
fn into_force_without_some() {
    let home = Home::with_vault();
    let old = dealt(&home, "old", 2, 3);
    injected(
        &home,
        "renameat2:error=ENOSPC:when=2..4",
        "distribute --out new",
    )
    .ends_with(10);
    // Two are not enough to open the vault.
    let error = home.sv("distribute --commit").fails(10);
    assert!(
        error.contains("2 of 5 shares are delivered, and 3 open"),
        "{error}"
    );
    assert_eq!(drill(&home, &old[..2]), 0);
    injected(
        &home,
        "renameat2:error=ENOSPC:when=2..3",
        "distribute --resume --out new",
    )
    .ends_with(10);
    let done = home.sv("distribute --commit").run();
    assert!(
        done.err.contains("2 shares are not delivered yet"),
        "{}",
        done.err
    );
    done.ok();
    let found = set(&home);
    assert_eq!((&found["count"], &found["waiting"]), (&5.into(), &2.into()));
    assert_eq!(found["pending"], Value::Null);
    let new = files(&home.root.join("new"), 5, "sv");
    let there: Vec<PathBuf> = new.iter().filter(|path| path.exists()).cloned().collect();
    assert_eq!(there.len(), 3);
    assert_eq!(drill(&home, &there), 0);
    assert_eq!(drill(&home, &old[..2]), 6);
    let status = home.sv("status --json").json();
    assert_eq!(status["shares_waiting"], 2);
    assert!(status["warnings"].to_string().contains("shares_waiting"));
    // The others wait on, also after other keys came into force.
    home.sv("rotate").ok();
    home.sv("distribute --resume --out new").ok();
    assert_eq!(set(&home)["waiting"], 0);
    for three in [&new[..3], &new[2..]] {
        assert_eq!(drill(&home, three), 0);
    }

    // All in one command.
    let done = injected(
        &home,
        "renameat2:error=ENOSPC:when=1",
        "distribute --out all --commit",
    )
    .run();
    assert_eq!(done.code(), 10, "{}", done.err);
    assert!(done.err.contains("in force all the same"), "{}", done.err);
    assert_eq!(set(&home)["waiting"], 1);
    assert_eq!(
        drill(&home, &files(&home.root.join("all"), 5, "sv")[1..4]),
        0
    );
}

#[test]
fn a_set_is_forgotten() {
    let home = Home::with_vault();
    let old = dealt(&home, "old", 2, 3);
    injected(
        &home,
        "renameat2:error=ENOSPC:when=1",
        "distribute --out new",
    )
    .ends_with(10);
    let done = home.sv("distribute --cancel").run();
    assert!(done.err.contains("4 shares of it went out"), "{}", done.err);
    done.ok();
    assert_eq!(set(&home)["pending"], Value::Null);
    assert_eq!(drill(&home, &old[1..]), 0);
    let new = files(&home.root.join("new"), 5, "sv");
    assert_eq!(drill(&home, &new[1..4]), 6);
    home.sv("distribute --resume --out new").fails(4);
    dealt(&home, "newest", 2, 2);
}

const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";
const CLEAR: &str = "\x1b[2J\x1b[H";

/// The shares on a page.
fn shares_in(page: &str) -> Vec<&str> {
    page.split_whitespace()
        .filter(|word| word.starts_with("svshare"))
        .collect()
}

#[test]
fn one_at_a_time_on_a_terminal() {
    let home = Home::with_vault();
    let mut terminal = Terminal::start(&home, &["distribute", "--shares=3", "--threshold=2"]);
    for index in 1..=3 {
        terminal.expect(&format!("share {index} of 3 of vault.sv comes next"));
        assert!(!terminal.echoes());
        assert_eq!(shares_in(&terminal.shown()).len(), index - 1, "not yet");
        terminal.type_keys(b" ");
        terminal.expect("counts it as handed over");
        assert_eq!(shares_in(&terminal.shown()).len(), index);
        terminal.type_keys(b"x");
    }
    let (code, shown) = terminal.finish();
    assert_eq!(code, 0, "{shown}");

    // Everything is on the other screen, which was cleared before it was left.
    assert_eq!(shown.matches(ENTER).count(), 1, "{shown:?}");
    assert_eq!(shown.matches(LEAVE).count(), 1, "{shown:?}");
    let (before, rest) = shown.split_once(ENTER).expect("a screen of its own");
    let (inside, after) = rest.split_once(LEAVE).expect("and back");
    assert!(shares_in(before).is_empty() && shares_in(after).is_empty());
    assert!(inside.ends_with(CLEAR), "{inside:?}");
    let pages: Vec<&str> = inside.split(CLEAR).collect();
    let shares: Vec<&str> = pages.iter().flat_map(|page| shares_in(page)).collect();
    assert_eq!(shares.len(), 3);
    for page in &pages {
        assert!(shares_in(page).len() <= 1, "never two at once");
        assert!(
            page.matches('\n').count() < 20,
            "it scrolls nothing away: {page}"
        );
        let widest = page.lines().filter(|l| !l.starts_with("svshare"));
        assert!(
            widest.map(|l| l.chars().count()).max() <= Some(80),
            "{page}"
        );
    }
    let input = format!("{}\n{}\n", shares[2], shares[0]);
    home.sv("recover --drill -").input(input.as_bytes()).ok();
    assert_eq!(set(&home)["shares"][1]["holder"], "terminal");

    // The words on a page are the same share.
    let page = pages
        .iter()
        .find(|p| p.contains("Share 2 of 3") && !shares_in(p).is_empty());
    let (_, words) = page
        .expect("page 2")
        .split_once("these words:")
        .expect("words");
    let (words, _) = words.split_once("Any key").expect("their end");
    let words: Vec<&str> = words
        .split_whitespace()
        .filter(|word| word.bytes().all(|b| b.is_ascii_alphabetic()))
        .collect();
    let input = format!("{}\n{}\n", words.join(" "), shares[0]);
    home.sv("recover --drill -").input(input.as_bytes()).ok();
}

#[test]
fn an_interruption_leaves_the_rest_waiting() {
    let home = Home::with_vault();
    let line = ["distribute", "--shares=3", "--threshold=2"];
    let mut terminal = Terminal::start(&home, &line);
    terminal.expect("share 1 of 3");
    terminal.type_keys(b" ");
    terminal.expect("counts it as handed over");
    terminal.type_keys(b" ");
    terminal.expect("share 2 of 3");
    terminal.type_keys(b" ");
    terminal.expect("counts it as handed over");
    // Seen, and not confirmed.
    terminal.type_keys(b"\x03");
    let (code, shown) = terminal.finish();
    assert_eq!(code, 130, "{shown}");
    let (inside, after) = shown.split_once(LEAVE).expect("the screen is left");
    assert!(inside.ends_with(CLEAR), "{inside:?}");
    assert!(shares_in(after).is_empty());
    assert!(after.contains("hint: sv distribute --resume"), "{after}");
    let pending = set(&home)["pending"].clone();
    assert_eq!(pending["waiting"], 2);
    assert_eq!(pending["shares"][0]["kind"], "shown");

    let mut terminal = Terminal::start(&home, &["distribute", "--resume"]);
    terminal.expect("share 2 of 3 of vault.sv comes next");
    terminal.type_keys(b" ");
    terminal.expect("counts it as handed over");
    terminal.type_keys(b" ");
    terminal.expect("share 3 of 3 of vault.sv comes next");
    terminal.type_keys(b" ");
    terminal.expect("counts it as handed over");
    terminal.type_keys(b" ");
    let (code, shown) = terminal.finish();
    assert_eq!(code, 0, "{shown}");
    assert_eq!(set(&home)["state"], "active");
    assert_eq!(set(&home)["waiting"], 0);
}

#[test]
fn where_no_page_can_be_shown() {
    let home = Home::with_vault();
    let (code, shown) = Terminal::start(&home, &["distribute", "--no-input"]).finish();
    assert_eq!(code, 2, "{shown}");
    let (code, shown) = Terminal::start(&home, &["distribute", "--stdout"]).finish();
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("one at a time"), "{shown}");
    assert_eq!(set(&home)["pending"], Value::Null);
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

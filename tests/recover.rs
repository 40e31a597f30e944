//! Opening the vault with shares: from files, standard input and prompts, alone
//! and with others.

mod common;

use common::{
    Home, PASSWORD,
    shares::{dealt, drill, locked, mistyped, path, shows, text, unlocks},
    terminal::Terminal,
};
use std::fs;

const NEW: &str = "a new password";

#[test]
fn files_and_a_new_password() {
    let (home, shares) = locked();
    let done = home
        .sv_args([
            "recover",
            path(&shares[2]),
            path(&shares[0]),
            "--password-stdin",
        ])
        .line(NEW)
        .run();
    let texts: Vec<String> = shares.iter().map(|path| text(path)).collect();
    assert!(!shows(&done.err, &texts) && !done.err.contains(NEW));
    assert!(done.ok().is_empty());
    // It is unlocked, and nothing else opens it any more.
    assert_eq!(home.get("service/key"), b"the value");
    assert!(!unlocks(&home, PASSWORD));
    assert!(unlocks(&home, NEW));
    assert_eq!(home.get("service/key"), b"the value");
    home.add("later", b"1");
    home.sv("verify").ok();
    // The shares still do, and none of them waits here.
    assert_eq!(drill(&home, &shares[1..]), 0);
    let found = home.sv("shares --json").json();
    assert_eq!(
        (&found["state"], &found["waiting"]),
        (&"active".into(), &0.into())
    );
    assert!(found["verified"].is_string());
    home.sv("distribute --resume --out new").fails(4);
    let document = home
        .sv_args([
            "recover",
            path(&shares[0]),
            path(&shares[1]),
            "--password-stdin",
            "--json",
        ])
        .line("another")
        .json();
    assert_eq!(document["already"], false);
    assert!(unlocks(&home, "another"));
    assert_eq!(home.get("later"), b"1");
}

#[test]
fn a_copy_of_the_vault_is_all_it_takes() {
    let (home, shares) = locked();
    home.sv("agent stop").ok();
    let other = Home::new();
    let copy = other.root.join("copy.sv");
    fs::copy(&home.vault, &copy).expect("a copy");
    let line = format!("--vault {} recover", path(&copy));
    other
        .sv(&line)
        .arg(&shares[0])
        .arg(&shares[1])
        .arg("--password-stdin")
        .line(NEW)
        .ok();
    let value = other
        .sv(&format!("--vault {} get service/key", path(&copy)))
        .ok();
    assert_eq!(value, b"the value");
    // The vault that it was copied from is as it was.
    home.unlock();
    assert_eq!(home.get("service/key"), b"the value");
}

#[test]
fn what_is_wrong_with_a_share_is_said_and_changes_nothing() {
    let (home, shares) = locked();
    let before = fs::read(&home.vault).expect("the vault");
    let good = text(&shares[0]);
    let file = |name: &str, text: &str| {
        fs::write(home.root.join(name), text).expect("a file");
    };
    file("mistyped", &mistyped(&good));
    file("cut", &good[..good.len() - 8]);
    file("other", "not a share at all\n");
    file("empty", "\n# nothing\n");
    file("huge", &"x".repeat(2 * 1024 * 1024));
    file("again", &format!("{}\n", good.to_uppercase()));
    let elsewhere = Home::with_vault();
    dealt(&elsewhere, "shares", 2, 3);
    file(
        "elsewhere",
        &text(&elsewhere.root.join("shares/share-2-of-3.sv")),
    );

    let first = "shares/share-1-of-3.sv";
    for (files, code, told) in [
        (
            vec!["mistyped"],
            8,
            "mistyped: the share has a typing mistake at character",
        ),
        (
            vec![first, "mistyped"],
            8,
            "mistyped: the share has a typing mistake",
        ),
        (vec!["cut"], 8, "cut: a part of the share is missing"),
        (vec!["other"], 8, "other: this is not a share"),
        (vec!["empty"], 8, "empty: there is no share in it"),
        (vec!["huge"], 8, "huge: this is too large to be a share"),
        (vec![first], 6, "1 share is there, and 2 are needed"),
        (
            vec![first, first],
            6,
            "shares/share-1-of-3.sv: share 1 was given before, in shares/share-1-of-3.sv",
        ),
        (vec![first, "again"], 6, "again: share 1 was given before"),
        (vec!["elsewhere"], 6, "elsewhere: "),
        (
            vec![first, "missing"],
            2,
            "can't read missing: No such file or directory",
        ),
    ] {
        for command in [
            &["recover", "--password-stdin"][..],
            &["recover", "--drill"],
        ] {
            let error = home
                .sv_args([command, &files].concat())
                .line(NEW)
                .fails(code);
            assert!(
                error.starts_with(&format!("sv: {told}")),
                "{files:?}: {error}"
            );
            assert!(!shows(&error, std::slice::from_ref(&good)), "{error}");
        }
    }
    assert_eq!(home.status()["locked"], true);
    assert_eq!(fs::read(&home.vault).expect("the vault"), before);

    // A retired set, and one that is not in force.
    home.unlock();
    dealt(&home, "newer", 2, 3);
    let error = home
        .sv_args(["recover", "--drill", first, "newer/share-2-of-3.sv"])
        .fails(6);
    assert!(error.starts_with(&format!("sv: {first}: ")), "{error}");
    assert!(unlocks(&home, PASSWORD));
}

#[test]
fn what_makes_no_sense() {
    let (home, _) = locked();
    let first = "shares/share-1-of-3.sv";
    for (line, told) in [
        (
            format!("recover {first} - --password-stdin"),
            "standard input is claimed twice, by - and --password-stdin",
        ),
        (
            format!("recover {first} - --password-fd 0"),
            "standard input is claimed twice, by - and --password-fd 0",
        ),
        (
            "recover - - --drill".to_owned(),
            "standard input was named twice",
        ),
        (
            "recover".to_owned(),
            "a share is needed, and there is no terminal to ask on",
        ),
        (
            "recover --drill --start".to_owned(),
            "--drill and --start can't be used together",
        ),
        (
            "recover --status --cancel".to_owned(),
            "--status and --cancel can't be used together",
        ),
        (
            format!("recover --start {first}"),
            "--start goes without files of shares",
        ),
        (
            "recover --status --identity x".to_owned(),
            "--status goes without --identity",
        ),
        (
            "recover --drill --password-stdin".to_owned(),
            "--drill goes without a password",
        ),
        ("recover --for 1h".to_owned(), "--start is missing"),
        (
            "recover --start --for 2d".to_owned(),
            "--for: wants a day at most",
        ),
        (
            "recover --start --for soon".to_owned(),
            "--for: not a duration; write 90s, 15m, 8h, 1h30m or 7d",
        ),
        (
            format!("recover {first} --identity missing"),
            "can't read the identity missing: No such file or directory",
        ),
        (
            format!("recover {first} --identity {first}"),
            "the identity shares/share-1-of-3.sv is not a file of private keys",
        ),
        ("share release".to_owned(), "--for is missing"),
        (
            format!("share release {first} --for x"),
            "--for: this is not the key of a recovery",
        ),
    ] {
        let error = home.sv(&line).fails(2);
        assert_eq!(
            error.lines().next(),
            Some(&*format!("sv: {told}")),
            "{line}"
        );
    }
    let share = text(&home.root.join(first));
    for arguments in [
        &["recover", &share][..],
        &["share", "release", &share, "--for", "x"],
    ] {
        let error = home.sv_args(arguments).fails(2);
        assert!(error.contains("never an argument"), "{error}");
        assert!(!shows(&error, std::slice::from_ref(&share)), "{error}");
    }
    Home::new()
        .sv("recover a b --password-stdin")
        .line(NEW)
        .fails(4);
    for line in [
        "recover --status",
        "recover --cancel",
        "recover --submit shares/share-1-of-3.sv",
    ] {
        let error = home.sv(line).fails(4);
        assert!(error.contains("hint: sv recover --start"), "{error}");
    }
    home.sv("recover --finish --password-stdin")
        .line(NEW)
        .fails(4);
    assert!(unlocks(&home, PASSWORD));
}

#[test]
fn standard_input_holds_several() {
    let (home, shares) = locked();
    let both = format!("# ours\n{}\n\n{}\n", text(&shares[1]), text(&shares[2]));
    home.sv("recover --drill -").input(both.as_bytes()).ok();
    let one = text(&shares[1]);
    let first = path(&shares[0]);
    home.sv_args(["recover", "--drill", "-", first])
        .line(&one)
        .ok();
    // The password then has a descriptor of its own.
    fs::write(home.root.join("password"), NEW).expect("a file");
    home.shell("exec $SV recover - --password-fd 3 3<password")
        .input(both.as_bytes())
        .ok();
    assert!(unlocks(&home, NEW));
}

#[test]
fn more_than_enough_is_checked_as_well() {
    let (home, shares) = locked();
    let all: Vec<&str> = shares.iter().map(|p| path(p)).collect();
    let document = home
        .sv_args([&["recover", "--drill", "--json"], &all[..]].concat())
        .json();
    assert_eq!(document["ok"], true);
    assert_eq!(document["shares"], serde_json::json!([1, 2, 3]));
    fs::write(&shares[2], mistyped(&text(&shares[0]))).expect("a file");
    home.sv_args([&["recover", "--drill"], &all[..]].concat())
        .fails(8);
    assert_eq!(home.status()["locked"], true, "a drill unlocks nothing");
}

#[test]
fn asked_for_one_by_one() {
    let (home, shares) = locked();
    let texts: Vec<String> = shares.iter().map(|path| text(path)).collect();
    let mut terminal = Terminal::start(&home, &["recover"]);
    terminal.answer_hidden("share 1:", "");
    terminal.expect("^C ends");
    terminal.answer_hidden("share 1:", &mistyped(&texts[1]));
    terminal.expect("typing mistake at character");
    terminal.answer_hidden("share 1:", &texts[1]);
    terminal.expect("2 shares are needed");
    terminal.answer_hidden("share 2 of 2:", &texts[1]);
    terminal.expect("share 2 was given before");
    terminal.answer_hidden("share 2 of 2:", "what");
    terminal.expect("this is not a share");
    terminal.answer_hidden("share 2 of 2:", &texts[0]);
    terminal.answer_hidden("new password", NEW);
    terminal.answer_hidden("again", NEW);
    let (code, shown) = terminal.finish();
    assert_eq!(code, 0, "{shown}");
    assert!(!shows(&shown, &texts) && !shown.contains(NEW), "{shown}");
    assert!(!shown.contains("svshare"), "{shown}");
    assert_eq!(home.get("service/key"), b"the value");
    assert!(unlocks(&home, NEW));
}

#[test]
fn a_mistyped_word_is_named_to_whoever_types() {
    let (home, shares) = locked();
    let share = match sv_shares::Share::parse(text(&shares[0]).as_bytes()) {
        Ok(sv_shares::Parsed::Share(share)) => share.to_words(),
        other => panic!("{other:?}"),
    };
    let mut words: Vec<String> = share.split(' ').map(str::to_owned).collect();
    let meant = words[6].clone();
    words[6] = format!("{}x{}", &meant[..2], &meant[2..]);
    let mut terminal = Terminal::start(&home, &["recover", "--drill"]);
    terminal.answer_hidden("share 1:", &words.join(" "));
    terminal.expect("word 7 of the share is mistyped; was it ");
    terminal.expect("again");
    terminal.answer_hidden("share 1:", &share);
    terminal.answer_hidden("share 2 of 2:", &text(&shares[2]));
    terminal.expect("shares 1, 3 open the vault");
    let (code, shown) = terminal.finish();
    assert_eq!(code, 0, "{shown}");
    // In a file the word is not told: errors end up in logs.
    fs::write(home.root.join("words"), words.join(" ")).expect("a file");
    let error = home.sv("recover --drill words").fails(8);
    assert!(
        error.contains("word 7") && !error.contains(&meant),
        "{error}"
    );
}

#[test]
fn interrupted_at_a_prompt() {
    let (home, shares) = locked();
    let before = fs::read(&home.vault).expect("the vault");
    for answers in [0, 1, 2] {
        let mut terminal = Terminal::start(&home, &["recover"]);
        for share in &shares[..answers] {
            terminal.answer_hidden("share", &text(share));
        }
        terminal.expect(if answers < 2 { "share" } else { "new password" });
        terminal.expect_hidden();
        terminal.type_keys(b"\x03");
        let (code, shown) = terminal.finish();
        assert_eq!(code, 130, "{shown}");
    }
    let (code, shown) = Terminal::start(&home, &["recover", "--no-input"]).finish();
    assert_eq!(code, 2, "{shown}");
    assert_eq!(fs::read(&home.vault).expect("the vault"), before);
    assert!(unlocks(&home, PASSWORD));
}

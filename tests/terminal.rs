//! What a person at a terminal sees and types.

mod common;

use common::{Home, PASSWORD, proc, terminal::Terminal};

const CTRL_C: &[u8] = b"\x03";

#[test]
fn init_asks_twice_and_shows_nothing() {
    let home = Home::new();
    let mut terminal = Terminal::start(&home, &["init"]);
    terminal.answer_hidden("password", "typed-password");
    terminal.answer_hidden("again", "typed-password");
    let (code, shown) = terminal.finish();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("typed-password"), "{shown}");
    assert_eq!(home.status()["locked"], false);
    home.sv("lock").ok();
    home.sv("unlock --password-stdin")
        .line("typed-password")
        .ok();
}

#[test]
fn two_different_passwords_make_no_vault() {
    let home = Home::new();
    let mut terminal = Terminal::start(&home, &["init"]);
    for _ in 0..3 {
        terminal.answer_hidden("password", "typed-password");
        terminal.answer_hidden("again", "typed-otherwise");
        terminal.expect("differ");
    }
    let (code, shown) = terminal.finish();
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("sv: "), "{shown}");
    assert!(!shown.contains("typed-"), "{shown}");
    assert!(!home.vault.exists());

    // A slip can be mended.
    let mut terminal = Terminal::start(&home, &["init"]);
    terminal.answer_hidden("password", "typed-password");
    terminal.answer_hidden("again", "typed-otherwise");
    terminal.answer_hidden("password", "typed-at-last");
    terminal.answer_hidden("again", "typed-at-last");
    let (code, shown) = terminal.finish();
    assert_eq!(code, 0, "{shown}");
    home.sv("lock").ok();
    home.sv("unlock --password-stdin")
        .line("typed-at-last")
        .ok();
}

#[test]
fn unlock_asks_once() {
    let home = Home::with_vault();
    home.sv("lock").ok();
    let mut terminal = Terminal::start(&home, &["unlock"]);
    terminal.answer_hidden("password", "typed-wrongly");
    let (code, shown) = terminal.finish();
    assert_eq!(code, 6, "{shown}");
    assert!(!shown.contains("typed-wrongly"), "{shown}");

    let mut terminal = Terminal::start(&home, &["unlock"]);
    terminal.answer_hidden("password", PASSWORD);
    let (code, shown) = terminal.finish();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains(PASSWORD), "{shown}");
    assert_eq!(home.status()["locked"], false);
}

#[test]
fn passwd_asks_for_the_old_and_twice_for_the_new() {
    let home = Home::with_vault();
    let mut terminal = Terminal::start(&home, &["passwd"]);
    terminal.answer_hidden("password", PASSWORD);
    terminal.answer_hidden("password", "typed-password");
    terminal.answer_hidden("again", "typed-password");
    let (code, shown) = terminal.finish();
    assert_eq!(code, 0, "{shown}");
    assert!(
        !shown.contains("typed-password") && !shown.contains(PASSWORD),
        "{shown}"
    );
    home.sv("lock").ok();
    home.sv("unlock --password-stdin")
        .line("typed-password")
        .ok();
}

#[test]
fn a_value_is_typed_unseen() {
    let home = Home::with_vault();
    let mut terminal = Terminal::start(&home, &["add", "a"]);
    terminal.answer_hidden("a", "typed-value");
    let (code, shown) = terminal.finish();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("typed-value"), "{shown}");
    assert_eq!(home.get("a"), b"typed-value");

    let mut terminal = Terminal::start(&home, &["update", "a", "--tag", "t", "--value"]);
    terminal.answer_hidden("a", "typed-again");
    let (code, shown) = terminal.finish();
    assert_eq!(code, 0, "{shown}");
    assert_eq!(home.get("a"), b"typed-again");

    // With a field and without --value nothing is asked.
    let terminal = Terminal::start(&home, &["update", "a", "--tag", "u"]);
    assert_eq!(terminal.finish().0, 0);
    assert_eq!(home.get("a"), b"typed-again");
}

#[test]
fn no_prompt_where_none_is_wanted() {
    let home = Home::with_vault();
    home.add("a", b"1");
    for arguments in [
        &["add", "b", "--no-input"][..],
        &["delete", "a", "--no-input"],
        &["passwd", "--no-input"],
    ] {
        let (code, shown) = Terminal::start(&home, arguments).finish();
        assert_eq!(code, 2, "{arguments:?}: {shown}");
    }
    home.sv("lock").ok();
    let (code, shown) = Terminal::start(&home, &["unlock", "--no-input"]).finish();
    assert_eq!(code, 2, "{shown}");
    // A locked vault never leads to a prompt.
    let (code, shown) = Terminal::start(&home, &["get", "a"]).finish();
    assert_eq!(code, 3, "{shown}");
    assert!(shown.contains("sv unlock"), "{shown}");
}

#[test]
fn delete_asks() {
    let home = Home::with_vault();
    home.add("folder/a", b"1");
    for answer in ["n", "", "what"] {
        let mut terminal = Terminal::start(&home, &["delete", "folder/a"]);
        terminal.expect("folder/a");
        terminal.expect("?");
        terminal.type_line(answer);
        let (code, shown) = terminal.finish();
        assert_eq!(code, 1, "{answer:?}: {shown}");
        assert_eq!(home.get("folder/a"), b"1");
    }
    let mut terminal = Terminal::start(&home, &["delete", "folder/a"]);
    terminal.expect("?");
    terminal.type_line("y");
    let (code, shown) = terminal.finish();
    assert_eq!(code, 0, "{shown}");
    home.sv("get folder/a").fails(4);

    home.add("b", b"1");
    let (code, shown) = Terminal::start(&home, &["delete", "b", "--yes"]).finish();
    assert_eq!((code, shown.contains('?')), (0, false), "{shown}");
}

#[test]
fn get_on_a_terminal() {
    let home = Home::with_vault();
    home.add("plain", "värde 値".as_bytes());
    home.add("lines", b"a\nb\n");
    let (code, shown) = Terminal::start(&home, &["get", "plain"]).finish();
    assert_eq!(
        (code, shown.as_str()),
        (0, "värde 値\r\n"),
        "a newline is added"
    );

    let unsafe_ones: [&[u8]; 6] = [
        b"a\x1b[31mb",
        b"a\0b",
        b"\xff\xfe",
        b"bell\x07",
        b"\x7f",
        b"csi\xc2\x9b1m",
    ];
    for value in unsafe_ones {
        home.sv("update plain --raw").input(value).ok();
        let (code, shown) = Terminal::start(&home, &["get", "plain"]).finish();
        assert_eq!(code, 1, "{value:?}: {shown:?}");
        assert!(!common::holds(shown.as_bytes(), value), "{shown:?}");
        assert!(shown.contains("--raw"), "the way out is told: {shown:?}");
        let (code, shown) = Terminal::start(&home, &["get", "plain", "--raw"]).finish();
        assert_eq!(code, 0, "{value:?}: {shown:?}");
        if std::str::from_utf8(value).is_ok() {
            assert!(
                shown.contains(std::str::from_utf8(value).expect("UTF-8")),
                "{shown:?}"
            );
        }
    }
    let (code, shown) = Terminal::start(&home, &["get", "lines"]).finish();
    assert_eq!(code, 0, "lines are text: {shown:?}");
    assert!(shown.starts_with("a\r\nb\r\n"), "{shown:?}");
}

#[test]
fn names_cannot_turn_the_terminal_around() {
    let home = Home::with_vault();
    let name = "safe\u{202e}gpj.exe\u{2066}\u{200f}";
    home.sv_args(["add", name, "--note", "no\u{202e}te\x1b[31m"])
        .input(b"v")
        .ok();
    assert_eq!(
        home.sv("list").text(),
        format!("{name}\n"),
        "exact where no terminal is"
    );
    for arguments in [
        &["list"][..],
        &["list", "--long"],
        &["search", "safe"],
        &["show", name],
        &["history", name],
        // Errors, which need not repeat it.
        &["get", "\u{202e}missing"],
        &["list", "--non\u{202e}sense"],
        &["non\u{202e}sense"],
    ] {
        let (code, shown) = Terminal::start(&home, arguments).finish();
        assert!(
            code != 0 || shown.contains("safe"),
            "{arguments:?}: {shown:?}"
        );
        assert!(!shown.trim().is_empty(), "{arguments:?}");
        for hidden in ["\u{202e}", "\u{2066}", "\u{200f}", "\x1b[31m"] {
            assert!(!shown.contains(hidden), "{arguments:?}: {shown:?}");
        }
    }
}

#[test]
fn no_colour_where_none_is_wanted() {
    let home = Home::with_vault();
    home.add("a", b"1");
    home.configure("client.color = \"always\"\n");
    for arguments in [
        &["list", "--long"][..],
        &["status"],
        &["get", "missing"],
        &["show", "a"],
        &["--help"],
        &["history", "a"],
        &["verify"],
    ] {
        let terminal = Terminal::start_with(&home, arguments, &[("NO_COLOR", "1")]);
        let (_, shown) = terminal.finish();
        assert!(!shown.contains("\x1b["), "{arguments:?}: {shown:?}");
        assert!(!shown.is_empty(), "{arguments:?}");
    }
    // Nor in a pipe by itself.
    home.configure("client.color = \"auto\"\n");
    let done = home.sv("get missing").run();
    assert!(!done.err.contains('\x1b'), "{:?}", done.err);
    assert!(!home.sv("status").text().contains('\x1b'));
}

#[test]
fn interrupted_at_a_prompt() {
    let home = Home::with_vault();
    home.add("a", b"1");
    home.sv("lock").ok();
    let mut terminal = Terminal::start(&home, &["unlock"]);
    terminal.expect("password");
    terminal.expect_hidden();
    terminal.type_keys(b"typed-half");
    terminal.type_keys(CTRL_C);
    let (code, shown) = terminal.finish();
    assert_eq!(code, 130, "{shown}");
    assert!(!shown.contains("typed-half"), "{shown}");
    assert_eq!(home.status()["locked"], true);

    home.unlock();
    let mut terminal = Terminal::start(&home, &["delete", "a"]);
    terminal.expect("?");
    terminal.type_keys(CTRL_C);
    let (code, shown) = terminal.finish();
    assert_eq!(code, 130, "{shown}");
    let mut terminal = Terminal::start(&home, &["add", "b"]);
    terminal.expect("b");
    terminal.expect_hidden();
    terminal.type_keys(CTRL_C);
    let (code, shown) = terminal.finish();
    assert_eq!(code, 130, "{shown}");
    assert_eq!(home.sv("list").text(), "a\n");

    // Before there is a vault, nothing is left of the attempt.
    let other = Home::new();
    let mut terminal = Terminal::start(&other, &["init"]);
    terminal.expect("password");
    terminal.expect_hidden();
    terminal.type_keys(CTRL_C);
    let (code, shown) = terminal.finish();
    assert_eq!(code, 130, "{shown}");
    assert!(!other.vault.exists());
}

#[test]
fn the_agent_outlives_the_terminal() {
    let home = Home::with_vault();
    home.sv("agent stop").ok();
    let mut terminal = Terminal::start(&home, &["unlock"]);
    terminal.answer_hidden("password", PASSWORD);
    assert_eq!(terminal.finish().0, 0);
    // The session's leader was killed and its terminal closed.
    let pid = home.pid();
    let stat = proc::stat(pid).expect("the agent");
    assert_eq!(stat[3], pid.to_string(), "a session of its own");
    assert_eq!(stat[4], "0", "no terminal");
    assert_eq!(home.status()["locked"], false);
}

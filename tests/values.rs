//! How values, passwords and fields come in, and how values go out.

mod common;

use common::{Home, PASSWORD, random::Random};
use std::{fs, os::unix::fs::PermissionsExt};

const MIB: usize = 1024 * 1024;

#[test]
fn the_newline_rules() {
    let home = Home::with_vault();
    let cases: [(&str, &[u8], &[u8]); 7] = [
        ("one-newline", b"abc\n", b"abc"),
        ("none", b"abc", b"abc"),
        ("many-lines", b"a\nb\n", b"a\nb\n"),
        ("two-at-the-end", b"a\n\n", b"a\n\n"),
        ("inside-only", b"a\nb", b"a\nb"),
        ("not-text", b"\xff\n", b"\xff\n"),
        ("other-space", b" a\t\n", b" a\t"),
    ];
    for (name, given, kept) in cases {
        home.sv_args(["add", name]).input(given).ok();
        assert_eq!(home.get(name), kept, "{name}, bare");
        home.sv_args(["update", name, "--stdin"]).input(given).ok();
        assert_eq!(home.get(name), kept, "{name}, --stdin");
        home.sv_args(["update", name, "--raw"]).input(given).ok();
        assert_eq!(home.get(name), given, "{name}, --raw");
        let file = home.root.join("value");
        fs::write(&file, given).expect("a file");
        home.sv_args(["update", name, "--file", "value"]).ok();
        assert_eq!(home.get(name), given, "{name}, --file");
    }
}

#[test]
fn empty_values_want_a_word() {
    let home = Home::with_vault();
    home.sv("add a").input(b"").fails(2);
    home.sv("add a").input(b"\n").fails(2);
    home.sv("add a --file /dev/null").fails(2);
    home.sv("get a").fails(4);
    home.sv("add a --allow-empty").input(b"").ok();
    assert_eq!(home.get("a"), b"");
    home.sv("update a").input(b"x").ok();
    home.sv("update a").input(b"").fails(2);
    assert_eq!(home.get("a"), b"x");
    home.sv("update a --allow-empty").input(b"").ok();
    assert_eq!(home.get("a"), b"");
}

#[test]
fn a_mebibyte_and_not_a_byte_more() {
    let home = Home::with_vault();
    let mut value = Random::new(1).bytes(MIB + 1);
    home.sv("add large --raw").input(&value).fails(2);
    let file = home.root.join("value");
    fs::write(&file, &value).expect("a file");
    home.sv("add large --file value").fails(2);
    home.sv("add endless --file /dev/zero").fails(2);
    assert_eq!(home.sv("list").ok(), b"");
    value.pop();
    home.add("large", &value);
    assert!(home.get("large") == value);
    // A line of text of the largest size: the newline does not count.
    let text = vec![b'x'; MIB];
    home.sv("add text").input(&[&text[..], b"\n"].concat()).ok();
    assert!(home.get("text") == text);
}

#[test]
fn generated_values() {
    let home = Home::with_vault();
    assert_eq!(home.sv("add silent --generate").ok(), b"", "not printed");
    let silent = home.sv("get silent").text();
    assert!(silent.len() >= 16, "long enough to be a secret");
    assert!(silent.bytes().all(|b| b.is_ascii_graphic()));
    home.sv("add forty --generate=40").ok();
    let forty = home.sv("get forty").text();
    assert_eq!(forty.len(), 40);
    let shown = home.sv("add shown --generate=24 --print").text();
    assert_eq!(shown.trim_end_matches('\n'), home.sv("get shown").text());
    home.sv("update shown --generate=24").ok();
    assert_ne!(shown.trim_end_matches('\n'), home.sv("get shown").text());
    home.sv("add none --generate=0").fails(2);
    home.sv("add none --generate=many").fails(2);
    home.sv("add none --generate --file value").fails(2);
    home.sv("add none --generate --stdin").input(b"x").fails(2);
    home.sv("get none").fails(4);
}

#[test]
fn standard_input_has_one_consumer() {
    let home = Home::with_vault();
    let err = home.sv("add a --stdin --value-fd 0").input(b"x").fails(2);
    assert!(err.contains("--value-fd"), "{err}");
    let lines = format!("{PASSWORD}\nnew one\n");
    let call = home.sv("passwd --password-stdin --new-password-fd 0");
    let err = call.input(lines.as_bytes()).fails(2);
    assert!(
        err.contains("--new-password-fd") || err.contains("--password-fd"),
        "{err}"
    );
    home.sv("unlock --password-stdin --password-fd 0")
        .line(PASSWORD)
        .fails(2);
    home.sv("lock").ok();
    home.unlock();
    assert_eq!(home.sv("list").ok(), b"");
}

#[test]
fn values_from_a_descriptor() {
    let home = Home::with_vault();
    home.shell(r#"exec "$SV" add a --value-fd 7 7< <(printf 'from seven')"#)
        .ok();
    assert_eq!(home.get("a"), b"from seven");
    // Standard input is not touched.
    home.shell(r#"exec "$SV" update a --value-fd 7 7< <(printf 'again')"#)
        .silent_input()
        .ok();
    assert_eq!(home.get("a"), b"again");
    home.sv("add b --value-fd 77").fails(2);
    home.sv("add b --value-fd x").fails(2);
    home.sv("get b").fails(4);
}

#[test]
fn fields_leave_the_value_alone() {
    let home = Home::with_vault();
    home.add("a", b"value");
    // Nobody writes to this standard input: reading it would hang.
    home.sv("update a --tag x --tag y,z").silent_input().ok();
    home.sv_args(["update", "a", "--note", "a note", "--category", "cat"])
        .silent_input()
        .ok();
    home.sv("update a --expires 2030-12-31").silent_input().ok();
    assert_eq!(home.get("a"), b"value");
    let item = home.sv("show a --json").json();
    assert_eq!(item["tags"], serde_json::json!(["x", "y", "z"]));
    assert_eq!(item["note"], "a note");
    assert_eq!(item["category"], "cat");
    assert_eq!(item["expires"], "2030-12-31T00:00:00Z");
    assert_eq!(item["rev"], 4);
    assert_eq!(item["size"], 5);
    home.sv("update a --tag w --stdin").input(b"new").ok();
    assert_eq!(home.get("a"), b"new");
    assert_eq!(
        home.sv("show a --json").json()["tags"],
        serde_json::json!(["w"])
    );
    home.sv("update a --expires never").silent_input().ok();
    assert!(home.sv("show a --json").json()["expires"].is_null());
    home.sv("update a --expires someday")
        .silent_input()
        .fails(2);
    home.sv_args(["update", "a", "--tag", &"t".repeat(65)])
        .silent_input()
        .fails(2);
    home.sv_args(["update", "a", "--category", &"c".repeat(65)])
        .silent_input()
        .fails(2);
    home.sv_args(["update", "a", "--note", &"n".repeat(16 * 1024 + 1)])
        .silent_input()
        .fails(2);
    let tags: Vec<String> = (0..33).map(|i| format!("t{i}")).collect();
    home.sv_args(["update", "a", "--tag", &tags.join(",")])
        .silent_input()
        .fails(2);
    assert_eq!(home.sv("show a --json").json()["rev"], 6);
}

#[test]
fn only_the_revision_that_was_seen() {
    let home = Home::with_vault();
    home.add("a", b"1");
    home.sv("update a --if-rev 1").input(b"2").ok();
    home.sv("update a --if-rev 1").input(b"3").fails(9);
    assert_eq!(home.get("a"), b"2");
    home.sv("update a --if-rev 1 --tag x").fails(9);
    home.sv("update a --if-rev 2 --tag x").ok();
    assert_eq!(home.get("a"), b"2");
}

#[test]
fn get_writes_the_value_and_nothing_else() {
    let home = Home::with_vault();
    let value = b"\x1b[31m\0\xffno newline";
    home.add("a", value);
    let done = home.sv("get a").run();
    assert_eq!(done.err, "");
    assert_eq!(done.ok(), value);

    let out = home.root.join("out");
    fs::write(&out, "old").expect("a file");
    fs::set_permissions(&out, fs::Permissions::from_mode(0o666)).expect("a mode");
    assert_eq!(home.sv("get a --out out").ok(), b"");
    assert_eq!(fs::read(&out).expect("the file"), value);
    assert_eq!(
        fs::metadata(&out).expect("the file").permissions().mode() & 0o7777,
        0o600
    );
    let left: Vec<_> = fs::read_dir(&home.root)
        .expect("the folder")
        .map(|e| e.expect("an entry").file_name())
        .filter(|n| {
            !["home", "data", "run", "config", "state", "out"]
                .iter()
                .any(|k| n == k)
        })
        .collect();
    assert!(left.is_empty(), "no other file is left: {left:?}");
    // Nothing is made where nothing can be had.
    home.sv("get missing --out none").fails(4);
    assert!(!home.root.join("none").exists());
    home.sv("get a --out /nonexistent/file").fails(2);
    home.sv("lock").ok();
    home.sv("get a --out out").fails(3);
    assert_eq!(
        fs::read(&out).expect("the file"),
        value,
        "the old file is untouched"
    );
}

#[test]
fn names() {
    let home = Home::with_vault();
    let longest = "n".repeat(1024);
    for name in [
        longest.as_str(),
        "a b",
        "-",
        "a/b/c",
        "...",
        "a..b",
        "é",
        "日本/語",
        "'\"$(x)",
    ] {
        home.sv_args(["add", "--raw", "--", name])
            .input(name.as_bytes())
            .ok();
        assert_eq!(home.sv_args(["get", "--", name]).ok(), name.as_bytes());
    }
    let longer = "n".repeat(1025);
    for name in [
        longer.as_str(),
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/./b",
        "a/..",
        "../a",
        "a\nb",
        "a\tb",
        "a\u{7f}b",
        "a\u{85}b",
    ] {
        for command in ["add", "get", "show", "update", "history"] {
            let err = home.sv_args([command, "--", name]).input(b"x").fails(2);
            assert!(
                !err.contains('\t') && !err.contains('\u{85}'),
                "escaped: {err:?}"
            );
        }
        home.sv_args(["delete", "--yes", "--", name]).fails(2);
        home.sv_args(["rename", "a b", name]).fails(2);
    }
    use std::os::unix::ffi::OsStrExt;
    let broken = std::ffi::OsStr::from_bytes(b"a\xffb");
    home.sv_args([std::ffi::OsStr::new("get"), broken]).fails(2);
    assert_eq!(home.sv("list").text().lines().count(), 9);
}

#[test]
fn the_agent_bounds_what_a_client_of_its_own_making_sends() {
    use sv_proto::{Kind, Request, Secret, limits};
    let home = Home::with_vault();
    let mut client = home.connect();
    let long = |n: usize| Secret::new(vec![b'x'; n]);
    let list = |prefix: usize, tags: usize| Request::List {
        prefix: "x".repeat(prefix),
        category: None,
        tags: vec!["t".to_owned(); tags],
        fields: false,
    };
    let search = |n: usize| Request::Search {
        query: "x".repeat(n),
        fields: false,
    };
    for request in [
        Request::Unlock {
            password: long(limits::PASSWORD + 1),
            seconds: None,
        },
        Request::Passwd {
            old: long(limits::PASSWORD + 1),
            new: long(1),
        },
        Request::Passwd {
            old: long(1),
            new: long(limits::PASSWORD + 1),
        },
        Request::Passwd {
            old: long(1),
            new: long(0),
        },
        list(limits::NAME + 1, 0),
        list(0, limits::TAGS + 1),
        search(limits::QUERY + 1),
        search(0),
    ] {
        let what = request.label();
        assert_eq!(
            common::client::kind(client.ask(request)),
            Kind::Usage,
            "{what}"
        );
    }
    // At the limit they pass, and the connection still serves.
    assert!(client.ask(list(limits::NAME, limits::TAGS)).is_ok());
    assert!(client.ask(search(limits::QUERY)).is_ok());
}

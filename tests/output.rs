//! The shapes that scripts rely on: JSON, exit codes, streams.

mod common;

use common::{Home, PASSWORD, files, proc};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::FileTypeExt,
    time::{Duration, Instant},
};

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

/// All of `wanted` are there; more may come.
fn has(value: &Value, wanted: &[&str]) {
    let keys = keys(value);
    for key in wanted {
        assert!(keys.contains(key), "{key} is missing: {value}");
    }
}

/// A time of RFC 3339 in UTC.
fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|t| {
        t.len() >= 20 && t.starts_with("20") && t.ends_with('Z') && t.as_bytes()[10] == b'T'
    })
}

const FIELDS: [&str; 9] = [
    "name", "rev", "created", "updated", "expires", "category", "tags", "note", "size",
];

#[test]
fn json_of_secrets() {
    let home = Home::with_vault();
    let added = home
        .sv_args([
            "add",
            "a/b",
            "--json",
            "--category",
            "cat",
            "--tag",
            "t1,t2",
            "--note",
            "n\n2",
        ])
        .arg("--expires")
        .arg("2031-01-02T03:04:05Z")
        .input("värde".as_bytes())
        .json();
    assert_eq!(added, json!({"name": "a/b", "rev": 1}));

    let got = home.sv("get a/b --json").json();
    has(&got, &FIELDS);
    assert_eq!(got["value"], "värde");
    assert!(got.get("value_base64").is_none());
    assert_eq!(got["name"], "a/b");
    assert_eq!(got["rev"], 1);
    assert_eq!(got["category"], "cat");
    assert_eq!(got["tags"], json!(["t1", "t2"]));
    assert_eq!(got["note"], "n\n2");
    assert_eq!(got["expires"], "2031-01-02T03:04:05Z");
    assert_eq!(got["size"], 6);
    assert!(
        is_time(&got["created"]) && is_time(&got["updated"]),
        "{got}"
    );

    let shown = home.sv("show a/b --json").json();
    has(&shown, &FIELDS);
    assert!(shown.get("value").is_none() && shown.get("value_base64").is_none());
    let revealed = home.sv("show a/b --json --reveal").json();
    assert_eq!(revealed["value"], "värde");

    let value = b"\xff\0\xfe";
    let changed = home
        .sv("update a/b --json --stdin --raw")
        .input(value)
        .json();
    assert_eq!(changed, json!({"name": "a/b", "rev": 2}));
    let got = home.sv("get a/b --json").json();
    assert!(got.get("value").is_none());
    let base64 = got["value_base64"].as_str().expect("a text");
    let decoded = data_encoding::BASE64
        .decode(base64.as_bytes())
        .expect("base64");
    assert_eq!(decoded, value);
    let old = home.sv("get a/b --json --rev 1").json();
    assert_eq!(old["value"], "värde");
    assert_eq!(old["rev"], 1);

    for list in [
        "list --json",
        "search b --json",
        "list a/ --json --category cat",
    ] {
        let list = home.sv(list).json();
        assert_eq!(list.as_array().expect("an array").len(), 1);
        has(&list[0], &FIELDS);
        assert_eq!(list[0]["name"], "a/b");
        assert_eq!(list[0]["rev"], 2);
        assert_eq!(list[0]["size"], 3);
        assert!(list[0].get("value").is_none() && list[0].get("value_base64").is_none());
    }
    assert_eq!(home.sv("list none --json").json(), json!([]));

    let history = home.sv("history a/b --json").json();
    assert_eq!(history.as_array().expect("an array").len(), 2);
    has(
        &history[0],
        &[
            "rev", "time", "deleted", "head", "name", "size", "id", "author",
        ],
    );
    assert_eq!(history[0]["rev"], 2);
    assert_eq!(history[0]["head"], true);
    assert_eq!(history[1]["head"], false);
    assert_eq!(history[1]["size"], 6);
    assert!(is_time(&history[0]["time"]));
    assert_eq!(history[0]["id"].as_str().map(str::len), Some(64));
    assert_eq!(history[0]["author"], history[1]["author"]);

    assert_eq!(home.sv("rename a/b c --json").json()["rev"], 3);
    assert_eq!(
        home.sv("revert c --rev 1 --json").json(),
        json!({"name": "c", "rev": 4})
    );
    assert_eq!(
        home.sv("delete c --yes --json").json(),
        json!({"name": "c", "rev": 5})
    );
    let verified = home.sv("verify --json").json();
    has(&verified, &["ok", "secrets", "revisions", "problems"]);
    assert_eq!(verified["ok"], true);
    assert_eq!(verified["problems"], json!([]));
}

#[test]
fn json_of_the_state() {
    let home = Home::new();
    let fields = [
        "vault_id",
        "vault",
        "state",
        "locked",
        "lock_in",
        "secrets",
        "revisions",
        "epoch",
        "pid",
        "version",
        "protocol",
        "key_memory",
        "socket",
    ];
    let none = home.sv("status --json").json();
    has(&none, &fields);
    assert_eq!(none["state"], "no_vault");

    home.sv("init --password-stdin --json")
        .line(PASSWORD)
        .json();
    home.add("a", b"1");
    home.sv("update a").input(b"2").ok();
    let open = home.sv("status --json").json();
    has(&open, &fields);
    assert_eq!(open["state"], "unlocked");
    assert_eq!(open["locked"], false);
    assert_eq!(open["secrets"], 1);
    assert_eq!(open["revisions"], 2);
    assert_eq!(open["protocol"], 1);
    assert_eq!(open["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(open["vault"].as_str(), home.vault.to_str());
    assert_eq!(open["socket"].as_str(), home.socket.to_str());
    assert_eq!(open["vault_id"].as_str().map(str::len), Some(32));
    assert!((1..=3600).contains(&open["lock_in"].as_u64().expect("seconds")));
    assert!(["memfd_secret", "mlock"].contains(&open["key_memory"].as_str().expect("a word")));

    home.sv("lock --json").json();
    let shut = home.sv("status --json").json();
    has(&shut, &fields);
    assert_eq!(shut["state"], "locked");
    assert_eq!(shut["locked"], true);
    assert!(shut["lock_in"].is_null());
    assert!(shut["secrets"].is_null(), "a locked agent counts nothing");
    assert_eq!(shut["vault_id"], open["vault_id"]);
    home.sv("unlock --password-stdin --json")
        .line(PASSWORD)
        .json();
    let text = home.sv("status").text();
    assert!(
        text.contains(open["vault_id"].as_str().expect("text")),
        "{text}"
    );
}

#[test]
fn json_of_failures() {
    let home = Home::with_vault();
    home.add("a", b"1");
    let failure = |arguments: &str, code: i32, kind: &str| {
        let done = home.sv(arguments).input(b"x").run();
        assert_eq!(done.code(), code, "{arguments}: {}", done.err);
        assert_eq!(done.out, b"", "{arguments}");
        let error: Value = serde_json::from_str(&done.err)
            .unwrap_or_else(|e| panic!("{arguments}: one JSON document ({e}): {}", done.err));
        has(&error, &["kind", "message", "exit"]);
        assert_eq!(error["kind"], kind, "{arguments}: {error}");
        assert_eq!(error["exit"], code, "{arguments}: {error}");
        let message = error["message"].as_str().expect("text");
        assert!(
            !message.is_empty() && !message.contains('\n'),
            "{message:?}"
        );
        error
    };
    failure("get missing --json", 4, "no_secret");
    failure("get a --rev 7 --json", 4, "no_revision");
    failure("add a --json", 5, "exists");
    failure("add /a --json", 2, "usage");
    failure("get --json", 2, "usage");
    failure("list --json --nonsense", 2, "usage");
    failure("update a --if-rev 3 --json", 9, "conflict");
    home.sv("lock").ok();
    let locked = failure("get a --json", 3, "locked");
    assert!(
        locked["hint"]
            .as_str()
            .expect("a hint")
            .contains("sv unlock")
    );
    failure("unlock --password-stdin --json", 6, "wrong_password");
}

#[test]
fn without_a_vault() {
    let home = Home::new();
    let before = files(&home.root);
    for command in [
        "unlock --password-stdin",
        "add a",
        "get a",
        "show a",
        "list",
        "search a",
        "update a",
        "delete a --yes",
        "rename a b",
        "history a",
        "revert a --rev 1",
        "verify",
        "passwd --password-stdin",
    ] {
        let err = home.sv(command).input(b"x\ny\n").fails(4);
        assert!(
            err.contains("hint: ") && err.contains("sv init"),
            "{command}: {err}"
        );
    }
    home.sv("status").ok();
    home.sv("status --check").ends_with(4);
    assert_eq!(files(&home.root), before, "nothing was made");
    assert!(proc::agents(&home.root).is_empty(), "no agent was started");
}

#[test]
fn the_check_of_scripts() {
    let home = Home::new();
    home.sv("status --check").ends_with(4);
    home.init();
    home.sv("status --check").ok();
    home.sv("lock").ok();
    home.sv("status --check").ends_with(3);
    home.sv("status").ok();
    home.sv("agent stop").ok();
    home.sv("status --check").ends_with(3);
    assert!(
        proc::agents(&home.root).is_empty(),
        "a check starts no agent"
    );
}

#[test]
fn no_agent_may_be_started() {
    let home = Home::with_vault();
    home.sv("agent stop").ok();
    home.sv("get a --no-autostart").fails(3);
    home.sv("get a").env("SV_NO_AUTOSTART", "1").fails(3);
    home.sv("unlock --password-stdin --no-autostart")
        .line(PASSWORD)
        .fails(3);
    home.configure("client.autostart = false\n");
    home.sv("list").fails(3);
    home.sv("agent stop").ok();
    assert!(proc::agents(&home.root).is_empty());
    assert!(!home.socket.exists());
}

#[test]
fn codes_of_wrong_usage() {
    let home = Home::with_vault();
    home.add("a", b"1");
    for wrong in [
        "nonsense",
        "get",
        "get a b",
        "get a --nonsense",
        "get a --rev x",
        "get a --rev -1",
        "add",
        "revert a",
        "rename a",
        "delete a",
        "delete a --no-input",
        "agent",
        "agent nonsense",
        "init extra",
        "unlock --for",
        "unlock --password-fd x",
    ] {
        home.sv(wrong).input(b"x").fails(2);
    }
    assert!(
        [2, 4].contains(&home.sv("get a --rev 0").run().code()),
        "there is no revision 0"
    );
    assert_eq!(home.get("a"), b"1", "nothing was deleted");
    home.sv("init --password-stdin").line("another").fails(5);
    home.sv("add b --no-input --value").fails(2);
    home.sv("lock").ok();
    home.sv("unlock --no-input").fails(2);
    home.unlock();
    let help = home.sv("--help").text();
    for command in [
        "init", "unlock", "lock", "add", "get", "show", "list", "search", "update", "delete",
        "rename", "history", "revert", "passwd", "status", "verify", "agent",
    ] {
        assert!(help.contains(command), "{command}: {help}");
    }
    assert!(
        home.sv("--version")
            .text()
            .contains(env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn an_empty_password_protects_nothing() {
    let home = Home::new();
    home.sv("init --password-stdin").line("").fails(2);
    home.sv("init --password-stdin").input(b"").fails(2);
    assert!(!home.vault.exists());
    home.sv("init --password-stdin")
        .input(&[b'p'; 4097])
        .fails(2);
    assert!(!home.vault.exists());
}

#[test]
fn the_configuration_is_checked() {
    let home = Home::with_vault();
    home.configure("agent.idle_timeot = \"1h\"\n");
    let err = home.sv("list").fails(2);
    assert!(
        err.contains("idle_timeot") && err.contains("agent.idle_timeout"),
        "{err}"
    );
    home.configure("agent.connections = 3\n");
    let err = home.sv("list").fails(2);
    assert!(err.contains("agent.connections"), "{err}");
    home.configure("[agent\n");
    let err = home.sv("list").fails(2);
    assert!(err.contains("line 1"), "{err}");
    fs::remove_file(&home.config).expect("the file");
    home.sv("list").ok();
    home.sv("list --config /nonexistent/config.toml").fails(2);
}

#[test]
fn a_damaged_vault() {
    let home = Home::with_vault();
    home.add("a", b"1");
    home.sv("agent stop").ok();
    let whole = fs::read(&home.vault).expect("the vault");
    for damaged in [&whole[..whole.len() / 2], b"not a vault at all", b""] {
        fs::write(&home.vault, damaged).expect("writing");
        home.sv("unlock --password-stdin").line(PASSWORD).fails(8);
        home.sv("agent stop").ok();
        assert_eq!(
            fs::read(&home.vault).expect("the vault"),
            damaged,
            "left as it was"
        );
    }
    fs::write(&home.vault, &whole).expect("writing");
    home.unlock();
    assert_eq!(home.get("a"), b"1");
}

#[test]
fn a_reader_that_goes_away() {
    let home = Home::with_vault();
    let mut client = home.connect();
    for i in 0..300 {
        client
            .add(&format!("{i:03}{}", "n".repeat(1000)), b"v")
            .expect("added");
    }
    for command in ["list", "list --json", "list --long", "search n"] {
        let script = format!(r#""$SV" {command} | head -c 10 >/dev/null; echo ${{PIPESTATUS[0]}}"#);
        let done = home.shell(&script).run();
        assert_eq!(done.err, "", "{command}: it goes without a word");
        let code = String::from_utf8_lossy(&done.out).trim().to_owned();
        assert_eq!(
            code, "141",
            "{command}: by SIGPIPE, as everything in a pipeline"
        );
    }
}

#[test]
fn a_full_device_is_told() {
    let home = Home::with_vault();
    home.add("a", b"value");
    for command in [
        "get a",
        "list",
        "show a",
        "status",
        "history a",
        "verify",
        "--help",
    ] {
        home.shell(&format!(r#"exec "$SV" {command} >/dev/full"#))
            .fails(10);
    }
    for command in ["get a --json", "list --json", "verify --json"] {
        home.shell(&format!(r#"exec "$SV" {command} >/dev/full"#))
            .ends_with(10);
    }
    // A device is not replaced by a file.
    home.shell("mknod -m 600 device c 1 7").ok();
    home.sv("get a --out device").fails(2);
    let kind = fs::symlink_metadata(home.root.join("device"))
        .expect("the device")
        .file_type();
    assert!(kind.is_char_device());
}

#[test]
fn a_started_agent_holds_nothing_of_the_caller() {
    let home = Home::with_vault();
    home.sv("agent stop").ok();
    let start = Instant::now();
    // Descriptor 7 is the pipe that this test reads to its end.
    let out = home
        .shell(r#"out=$("$SV" unlock --password-stdin 2>&1); echo "code $?" 7>&1"#)
        .line(PASSWORD)
        .text();
    assert!(out.contains("code 0"), "{out}");
    home.sv("agent stop").ok();
    home.shell(r#"exec 7>&1 8>&2 9<"$SV"; "$SV" unlock --password-stdin"#)
        .line(PASSWORD)
        .ok();
    assert!(start.elapsed() < Duration::from_secs(30));
    let agent = home.pid();
    let open = proc::descriptors(agent).expect("its descriptors");
    for fd in 0..3 {
        assert_eq!(open[&fd].to_str(), Some("/dev/null"), "{open:?}");
    }
    assert!(
        !open
            .values()
            .any(|t| t.to_string_lossy().starts_with("pipe:")),
        "{open:?}"
    );
    assert!(
        !open.values().any(|t| t.to_str() == Some(common::SV)),
        "{open:?}"
    );
}

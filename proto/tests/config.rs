//! The configuration file: every key, every wrong value, every message.

use std::{path::Path, path::PathBuf, time::Duration};
use sv_proto::{
    config::{Color, Config, ConfigError, KEYS, Spelling},
    limits,
};

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Some(Path::new("/home/u")))
}

fn message(text: &str) -> String {
    let error = parse(text).expect_err(text).to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

/// For each key: another value than the default, what it must become, values that are wrong.
type Row = (
    &'static str,
    &'static str,
    fn(&Config) -> bool,
    &'static [&'static str],
);

const ROWS: &[Row] = &[
    (
        "vault",
        "\"/srv/v.sv\"",
        |c| c.vault == Some(PathBuf::from("/srv/v.sv")),
        &["\"v.sv\"", "\"\"", "1", "\"~v.sv\""],
    ),
    (
        "socket",
        "\"~/s.sock\"",
        |c| c.socket == Some(PathBuf::from("/home/u/s.sock")),
        &["\"./s\"", "true"],
    ),
    (
        "agent.idle_timeout",
        "\"15m\"",
        |c| c.idle_timeout == Some(Duration::from_secs(900)),
        &["15", "\"15\"", "\"0s\"", "\"never\"", "false"],
    ),
    (
        "agent.max_unlocked",
        "\"2d\"",
        |c| c.max_unlocked == Duration::from_secs(172_800),
        &["\"never\"", "\"0s\"", "12"],
    ),
    (
        "agent.unlock_credential",
        "\"sv-key\"",
        |c| c.unlock_credential.as_deref() == Some("sv-key"),
        &[
            "\"\"",
            "\"/etc/key\"",
            "\"a/b\"",
            "\"..\"",
            "\".key\"",
            "true",
        ],
    ),
    (
        "agent.lock_on_suspend",
        "false",
        |c| !c.lock_on_suspend,
        &["\"false\"", "0"],
    ),
    (
        "agent.allow_swappable_keys",
        "true",
        |c| c.allow_swappable_keys,
        &["\"yes\"", "1"],
    ),
    (
        "agent.connections",
        "4096",
        |c| c.connections == 4096,
        &["7", "4097", "-1", "8.0", "\"64\"", "9223372036854775807"],
    ),
    (
        "agent.log",
        "\"trace\"",
        |c| c.log == "trace",
        &["\"TRACE\"", "\"\"", "\"sv=debug\"", "3"],
    ),
    (
        "kdf.memory_mib",
        "1024",
        |c| c.kdf_memory_mib == 1024,
        &["63", "1025", "4294967296", "\"64\""],
    ),
    ("kdf.passes", "10", |c| c.kdf_passes == 10, &["2", "11"]),
    ("kdf.lanes", "1", |c| c.kdf_lanes == 1, &["0", "17", "-4"]),
    (
        "backup.warn_after",
        "\"off\"",
        |c| c.backup_warn_after.is_none(),
        &["\"never\"", "30", "\"0s\"", "false"],
    ),
    (
        "client.autostart",
        "false",
        |c| !c.autostart,
        &["\"no\"", "[]"],
    ),
    (
        "client.color",
        "\"never\"",
        |c| c.color == Color::Never,
        &["\"on\"", "true"],
    ),
    (
        "transport.program",
        "\"~/bin/vssh\"",
        |c| c.transport_program == Path::new("/home/u/bin/vssh"),
        &["\"bin/vssh\"", "\"./vssh\"", "\"\"", "\"..\"", "[\"vssh\"]"],
    ),
    (
        "transport.spelling",
        "\"node path\"",
        |c| c.transport_spelling == Spelling::Apart,
        &["\"node\"", "\"\"", "true"],
    ),
];

/// `a.b = v`, as a section.
fn line(key: &str, value: &str) -> String {
    match key.split_once('.') {
        Some((section, key)) => format!("[{section}]\n{key} = {value}\n"),
        None => format!("{key} = {value}\n"),
    }
}

#[test]
fn every_key_is_read_and_refuses_what_is_wrong() {
    let keys: Vec<_> = KEYS.iter().map(|(key, ..)| *key).collect();
    let rows: Vec<_> = ROWS.iter().map(|(key, ..)| *key).collect();
    assert_eq!(keys, rows, "each key needs a row here");
    for (key, value, became, wrong) in ROWS {
        let config = parse(&line(key, value)).unwrap();
        assert!(became(&config), "{key} = {value}");
        assert_eq!(parse(&format!("{key} = {value}")).unwrap(), config);
        assert!(
            !became(&Config::default()),
            "{key} = {value} is the default"
        );
        for value in *wrong {
            let text = message(&line(key, value));
            let wants = format!("the configuration's '{key}' wants ");
            assert!(text.starts_with(&wants), "{key} = {value}: {text}");
        }
    }
}

/// What the README prints as the default is the default.
#[test]
fn the_documented_defaults_are_the_defaults() {
    for (key, default, _) in KEYS {
        if default.starts_with("the ") || *default == "none" {
            continue; // a place, found by `Places`, or nothing at all
        }
        assert_eq!(
            parse(&line(key, default)).unwrap(),
            Config::default(),
            "{key}"
        );
    }
    assert_eq!(parse("").unwrap(), Config::default());
}

#[test]
fn an_unknown_key_names_the_closest() {
    for (key, closest) in [
        ("agent.idle_timout", "agent.idle_timeout"),
        ("agent.idletimeout", "agent.idle_timeout"),
        ("kdf.memory", "kdf.memory_mib"),
        ("client.colour", "client.color"),
        ("valut", "vault"),
        ("sockett", "socket"),
        ("kdf.parses", "kdf.passes"),
        ("agents.log", "agent.log"),
        ("Vault", "vault"),
    ] {
        match parse(&line(key, "\"x\"")) {
            Err(ConfigError::UnknownKey {
                key: named,
                closest: found,
            }) => {
                // A section that is not known is named without what is in it.
                assert!(key.starts_with(&named), "{named}");
                if named == key {
                    assert_eq!(found, closest, "{key}");
                }
            }
            other => panic!("{key}: {other:?}"),
        }
    }
    assert_eq!(
        message("[client]\ncolour = \"auto\"\n"),
        "the configuration has no key 'client.colour'; the closest is 'client.color'"
    );
}

#[test]
fn what_is_not_toml_names_the_line() {
    let text = message("vault = \"/a\"\n\nsocket = = 1\n");
    assert!(
        text.starts_with("the configuration is not TOML: line 3: "),
        "{text}"
    );
    let text = message("vault = \"/a");
    assert!(text.contains("line 1"), "{text}");
    let text = message("vault = \"/a\"\nvault = \"/b\"\n");
    assert!(text.contains("line 2"), "{text}");
    assert_eq!(
        message("agent = 3\n"),
        "the configuration's 'agent' wants a table"
    );
}

#[test]
fn a_home_is_needed_only_for_a_tilde() {
    assert!(Config::parse("vault = \"/a\"", None).is_ok());
    assert!(Config::parse("vault = \"~/a\"", None).is_err());
}

#[test]
fn files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    assert_eq!(Config::load(&path, false, None).unwrap(), Config::default());
    let text = Config::load(&path, true, None).unwrap_err().to_string();
    assert!(text.contains(path.to_str().unwrap()), "{text}");

    std::fs::write(&path, "kdf.passes = 4\n").unwrap();
    assert_eq!(Config::load(&path, true, None).unwrap().kdf_passes, 4);

    // As large as allowed, and one byte more.
    std::fs::write(&path, "#".repeat(limits::CONFIG)).unwrap();
    assert!(Config::load(&path, true, None).is_ok());
    std::fs::write(&path, "#".repeat(limits::CONFIG + 1)).unwrap();
    assert!(Config::load(&path, true, None).is_err());
    std::fs::write(&path, b"log = \"\xff\"").unwrap();
    assert!(Config::load(&path, true, None).is_err());
    // A folder, and a file that never ends, are refused.
    assert!(Config::load(dir.path(), true, None).is_err());
    assert!(Config::load(Path::new("/dev/zero"), true, None).is_err());
}

/// The README has the whole table.
#[test]
fn the_readme_documents_every_key() {
    let readme = include_str!("../../README.md");
    for (key, default, meaning) in KEYS {
        let row = format!("| `{key}` | {default} | {meaning} |");
        assert!(readme.contains(&row), "README.md has no row '{row}'");
    }
}

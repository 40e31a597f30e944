//! Option before environment before configuration file before default.

use std::{
    collections::HashMap,
    ffi::OsString,
    path::{Path, PathBuf},
};
use sv_proto::{
    config::{Config, ConfigError},
    places::{Options, Places},
};

fn find(options: Options, env: &[(&str, &str)]) -> Result<(Places, Config), ConfigError> {
    let env: HashMap<String, OsString> = env
        .iter()
        .map(|(k, v)| ((*k).to_owned(), OsString::from(v)))
        .collect();
    Places::find(options, |name| env.get(name).cloned(), Path::new("/cwd"))
}

fn path(s: &str) -> PathBuf {
    PathBuf::from(s)
}

const HOME: (&str, &str) = ("HOME", "/nowhere/u");

#[test]
fn defaults_under_home() {
    let (places, config) = find(Options::default(), &[HOME]).unwrap();
    assert_eq!(places.vault, path("/nowhere/u/.local/share/sv/vault.sv"));
    assert_eq!(places.socket, path("/nowhere/u/.local/state/sv/agent.sock"));
    assert_eq!(places.config, path("/nowhere/u/.config/sv/config.toml"));
    assert!(!places.vault_named && !places.config_named);
    assert_eq!(config, Config::default());
}

#[test]
fn defaults_under_the_xdg_folders() {
    let env = [
        HOME,
        ("XDG_DATA_HOME", "/nowhere/d"),
        ("XDG_RUNTIME_DIR", "/nowhere/r"),
        ("XDG_CONFIG_HOME", "/nowhere/c"),
    ];
    for env in [&env[..], &env[1..]] {
        let (places, _) = find(Options::default(), env).unwrap();
        assert_eq!(places.vault, path("/nowhere/d/sv/vault.sv"));
        assert_eq!(places.socket, path("/nowhere/r/sv/agent.sock"));
        assert_eq!(places.config, path("/nowhere/c/sv/config.toml"));
    }
}

#[test]
fn relative_and_empty_variables_are_ignored() {
    let env = [
        HOME,
        ("XDG_DATA_HOME", "d"),
        ("XDG_RUNTIME_DIR", ""),
        ("XDG_CONFIG_HOME", "./c"),
        ("SV_VAULT", ""),
        ("SV_SOCKET", ""),
        ("SV_CONFIG", ""),
    ];
    let (places, _) = find(Options::default(), &env).unwrap();
    let (plain, _) = find(Options::default(), &[HOME]).unwrap();
    assert_eq!(places.vault, plain.vault);
    assert_eq!(places.socket, plain.socket);
    assert_eq!(places.config, plain.config);
    assert!(!places.vault_named && !places.config_named);
}

/// Takes away the strongest source, one after the other.
#[test]
fn precedence() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("other.toml");
    std::fs::write(
        &file,
        "vault = \"/file/v\"\nsocket = \"~/file.sock\"\nkdf.lanes = 2\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let mut options = Options {
        vault: Some(path("/option/v")),
        socket: Some(path("/option/s")),
        config: Some(path(file)),
    };
    let mut env = vec![
        HOME,
        ("SV_VAULT", "/env/v"),
        ("SV_SOCKET", "/env/s"),
        ("SV_CONFIG", "/does/not/exist"),
    ];
    let (places, config) = find(options.clone(), &env).unwrap();
    assert_eq!(places.vault, path("/option/v"));
    assert_eq!(places.socket, path("/option/s"));
    assert_eq!(places.config, path(file));
    assert!(places.vault_named && places.config_named);
    assert_eq!(config.kdf_lanes, 2);

    options.vault = None;
    options.socket = None;
    let (places, _) = find(options.clone(), &env).unwrap();
    assert_eq!(places.vault, path("/env/v"));
    assert_eq!(places.socket, path("/env/s"));
    assert!(places.vault_named);

    env.truncate(1);
    let (places, _) = find(options.clone(), &env).unwrap();
    assert_eq!(places.vault, path("/file/v"));
    assert_eq!(places.socket, path("/nowhere/u/file.sock"));
    assert!(places.vault_named);

    options.config = None;
    env.push(("SV_CONFIG", file));
    let (places, config) = find(options.clone(), &env).unwrap();
    assert_eq!(places.config, path(file));
    assert!(places.config_named);
    assert_eq!(config.kdf_lanes, 2);

    env.pop();
    let (places, config) = find(options, &env).unwrap();
    assert_eq!(places.vault, path("/nowhere/u/.local/share/sv/vault.sv"));
    assert!(!places.vault_named);
    assert_eq!(config, Config::default());
}

#[test]
fn relative_options_are_relative_to_the_working_folder() {
    let options = Options {
        vault: Some(path("v.sv")),
        socket: Some(path("run/s")),
        config: None,
    };
    let (places, _) = find(options, &[HOME, ("SV_VAULT", "x")]).unwrap();
    assert_eq!(places.vault, path("/cwd/v.sv"));
    assert_eq!(places.socket, path("/cwd/run/s"));
    let (places, _) = find(Options::default(), &[HOME, ("SV_VAULT", "x")]).unwrap();
    assert_eq!(places.vault, path("/cwd/x"));
}

#[test]
fn a_named_configuration_must_exist() {
    let options = Options {
        config: Some(path("none.toml")),
        ..Options::default()
    };
    let text = find(options, &[HOME]).unwrap_err().to_string();
    assert!(text.contains("/cwd/none.toml"), "{text}");
    let missing = [HOME, ("SV_CONFIG", "/does/not/exist")];
    assert!(find(Options::default(), &missing).is_err());
}

#[test]
fn without_a_home_everything_must_be_named() {
    let text = find(Options::default(), &[]).unwrap_err().to_string();
    assert_eq!(text, "neither HOME nor XDG_CONFIG_HOME is set");
    // A relative HOME is none.
    assert!(find(Options::default(), &[("HOME", "u")]).is_err());

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.toml");
    std::fs::write(&file, "").unwrap();
    let mut options = Options {
        config: Some(file),
        ..Options::default()
    };
    let text = find(options.clone(), &[]).unwrap_err().to_string();
    assert_eq!(text, "neither HOME nor XDG_DATA_HOME is set");
    options.vault = Some(path("/v"));
    let text = find(options.clone(), &[]).unwrap_err().to_string();
    assert_eq!(text, "neither HOME nor XDG_RUNTIME_DIR is set");
    options.socket = Some(path("/s"));
    let (places, _) = find(options, &[]).unwrap();
    assert_eq!((places.vault, places.socket), (path("/v"), path("/s")));
}

#[test]
fn the_folder_of_the_state() {
    let state = |env: &[(&str, &str)]| find(Options::default(), env).unwrap().0.state;
    assert_eq!(state(&[HOME]), Some(path("/nowhere/u/.local/state/sv")));
    let both = [HOME, ("XDG_STATE_HOME", "/nowhere/s")];
    assert_eq!(state(&both), Some(path("/nowhere/s/sv")));
    for ignored in ["", "s", "./s"] {
        let env = [HOME, ("XDG_STATE_HOME", ignored)];
        assert_eq!(state(&env), Some(path("/nowhere/u/.local/state/sv")));
    }
    let no_home = [
        ("XDG_DATA_HOME", "/nowhere/d"),
        ("XDG_RUNTIME_DIR", "/nowhere/r"),
        ("XDG_CONFIG_HOME", "/nowhere/c"),
    ];
    assert_eq!(state(&no_home), None);
}

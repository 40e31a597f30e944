//! `sv key`: making, splitting and combining keys that are no vault's.

mod common;

use common::{Home, call::Done, terminal::Terminal};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

/// Shares that sv 2.x dealt, 3 of 5.
const OLD: [&str; 5] = [
    "1:pMDXjXlgFMZ4WFILqyYzYmRHyNxlCceYnmN0lDLA3MU=",
    "2:gANEd53HxOTMRhUK+RbFuzTIBAOtz+Fq/6IIO26mqHE=",
    "3:89wDKkHBkNXwJAizev3turiaBekZ3wSZa47Hy8whb3g=",
    "4:h+FQ95u35QiuGGakmCa4gQ5LVYsNV+mm2mYAaNd34C0=",
    "5:9D4XqkexsTmSensdG82QgIIZVGG5RwxVTkrPmHXwJyQ=",
];

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// All subsets of `size` of the numbers below `count`.
fn subsets(count: usize, size: usize) -> Vec<Vec<usize>> {
    (0u32..1 << count)
        .filter(|set| set.count_ones() as usize == size)
        .map(|set| (0..count).filter(|i| set >> i & 1 == 1).collect())
        .collect()
}

/// The names in a folder.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    names.collect()
}

fn pick(which: &[usize]) -> String {
    which.iter().map(|i| format!("{}\n", OLD[*i])).collect()
}

/// Splits [`KEY`] into `shares/`, and gives the lines.
fn dealt(home: &Home, options: &str) -> Vec<String> {
    let command = format!("key split --out shares{options}");
    home.sv(&command).line(KEY).ok();
    let mut lines = Vec::new();
    for entry in fs::read_dir(home.root.join("shares")).unwrap() {
        let path = entry.unwrap().path();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{path:?}");
        lines.push((path.clone(), fs::read_to_string(&path).unwrap()));
    }
    let number = |path: &Path| -> usize {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.split('-').nth(1).unwrap().parse().unwrap()
    };
    lines.sort_by_key(|(path, _)| number(path));
    lines.into_iter().map(|(_, line)| line).collect()
}

/// What `key combine` makes of these lines.
fn combine(home: &Home, lines: &[&str], options: &str) -> Done {
    let command = format!("key combine{options}");
    home.sv(&command).input(lines.concat().as_bytes()).run()
}

#[test]
fn the_shares_of_sv_2_give_one_key() {
    let home = Home::new();
    let call = home.sv("key combine --threshold 3");
    let key = call.input(pick(&[0, 1, 2]).as_bytes()).ok();
    assert_eq!(key.len(), 65, "64 digits and a newline");
    for which in subsets(5, 3) {
        let call = home.sv("key combine --threshold 3");
        let done = call.input(pick(&which).as_bytes()).run();
        assert!(done.err.is_empty(), "{}", done.err);
        assert_eq!(done.ok(), key, "{which:?}");
        // Without the threshold the answer is the same, and a warning beside it.
        let done = home.sv("key combine").input(pick(&which).as_bytes()).run();
        assert!(done.err.contains("--threshold"), "{}", done.err);
        assert_eq!(done.ok(), key, "{which:?}");
    }
    for which in subsets(5, 2) {
        let call = home.sv("key combine --threshold 3");
        let err = call.input(pick(&which).as_bytes()).fails(6);
        assert!(err.contains("2 of 3"), "{err}");
        let done = home.sv("key combine").input(pick(&which).as_bytes()).run();
        assert!(done.err.contains("wrong key"), "{}", done.err);
        assert_ne!(done.ok(), key, "{which:?}");
    }
    // Files, in any order.
    let mut arguments = vec!["key".to_owned(), "combine".to_owned()];
    for i in [4, 0, 2] {
        let name = format!("old-{i}");
        fs::write(home.root.join(&name), OLD[i]).unwrap();
        arguments.push(name);
    }
    arguments.extend(["--threshold".to_owned(), "3".to_owned()]);
    assert_eq!(home.sv_args(&arguments).ok(), key);
}

#[test]
fn a_key_comes_back_from_every_subset_and_from_no_smaller_one() {
    for (threshold, count) in [(2, 3), (3, 5)] {
        let home = Home::new();
        let options = format!(" --shares {count} --threshold {threshold}");
        let lines = dealt(&home, &options);
        assert_eq!(lines.len(), count);
        for which in subsets(count, threshold) {
            let some: Vec<&str> = which.iter().map(|i| lines[*i].as_str()).collect();
            let done = combine(&home, &some, "");
            assert!(done.err.is_empty(), "{}", done.err);
            assert_eq!(done.ok(), format!("{KEY}\n").as_bytes());
        }
        for which in subsets(count, threshold - 1) {
            let some: Vec<&str> = which.iter().map(|i| lines[*i].as_str()).collect();
            combine(&home, &some, "").fails(6);
        }
        let all: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert_eq!(combine(&home, &all, "").ok(), format!("{KEY}\n").as_bytes());
    }
}

#[test]
fn every_mistake_has_its_own_words_and_code() {
    let home = Home::new();
    let lines = dealt(&home, "");
    let other = Home::new();
    let others = dealt(&other, "");
    let fails = |lines: &[&str], options: &str, code, words: &str| {
        let err = combine(&home, lines, options).fails(code);
        assert!(err.contains(words), "{words} in {err}");
        for line in lines {
            for word in line.split_whitespace().filter(|w| w.len() > 12) {
                assert!(!err.contains(word), "no share in {err}");
            }
        }
    };
    let [one, two, three] = [&*lines[0], &*lines[1], &*lines[2]];
    fails(&[one, two], "", 6, "2 of 3");
    fails(&[one, two, one], "", 6, "share 1 is there twice");
    fails(&[one, two, &others[2]], "", 6, "different sets");
    fails(&[one, two, OLD[2]], "", 6, "different sets");
    fails(&[one, two, three], " --threshold 2", 2, "3 of these shares");
    let typo = |at: usize| {
        let mut bad = three.as_bytes().to_vec();
        bad[at] = if bad[at] == b'q' { b'p' } else { b'q' };
        String::from_utf8(bad).unwrap()
    };
    for at in [0, 7, 8, 40, 100, three.len() - 2] {
        let words = format!("typing mistake at character {}", at + 1);
        fails(&[one, two, &typo(at)], "", 8, &words);
    }
    fails(
        &[one, two, &three[..100]],
        "",
        8,
        "a part of the share is missing",
    );
    fails(&[one, two, "hello there\n"], "", 8, "not a share");
    fails(&[], "", 8, "no share");
    // Bare ones.
    let zero = OLD[1].replacen('2', "0", 1);
    let bare = |third: &str| format!("{}\n{}\n{third}\n", OLD[0], OLD[1]);
    fails(&[&bare(&zero)], "", 8, "index 0");
    fails(&[&bare(OLD[0])], "", 6, "share 1 is there twice");
    fails(&[&bare(&OLD[2][..42])], "", 8, "different lengths");
    fails(
        &[&bare(&OLD[2].replace("KkHB", "Kk!B"))],
        "",
        8,
        "at character",
    );
    fails(&[&bare(OLD[2])], " --threshold 2", 8, "contradict");
    fails(&[OLD[0]], "", 6, "1 of 2");
    // The file with the mistake is named.
    fs::write(home.root.join("bad"), typo(50)).unwrap();
    let call = home.sv("key combine shares/share-1-of-5.sv bad shares/share-2-of-5.sv");
    let err = call.fails(8);
    assert!(err.contains("bad: the share has a typing mistake"), "{err}");
    let err = home.sv("key combine missing").fails(2);
    assert!(err.contains("missing"), "{err}");
}

#[test]
fn keys_of_every_length_and_encoding() {
    let home = Home::new();
    let bytes: Vec<u8> = (0..=255).collect();
    for length in [16, 17, 32, 63, 64] {
        for (encoding, text) in [
            ("raw", bytes[10..10 + length].to_vec()),
            (
                "hex",
                data_encoding::HEXUPPER
                    .encode(&bytes[10..10 + length])
                    .into(),
            ),
            (
                "base64",
                data_encoding::BASE64.encode(&bytes[10..10 + length]).into(),
            ),
        ] {
            for bare in ["", " --bare"] {
                let command =
                    format!("key split --encoding {encoding} --shares 3 --threshold 2{bare}");
                let lines = home.sv(&command).input(&text).ok();
                assert_eq!(lines.iter().filter(|b| **b == b'\n').count(), 3);
                assert_eq!(lines[1] == b':', !bare.is_empty(), "bare or not");
                let command = "key combine --threshold 2 --encoding raw".to_owned();
                let from = lines.iter().position(|b| *b == b'\n').unwrap() + 1;
                let back = home.sv(&command).input(&lines[from..]).ok();
                assert_eq!(back, bytes[10..10 + length], "{encoding} {length}{bare}");
            }
        }
    }
    for (encoding, text) in [
        ("hex", "0102030405060708090a0b0c0d0e0f"),
        ("hex", &*"ab".repeat(65)),
        ("hex", "0102030405060708090a0b0c0d0e0f1"),
        ("hex", "not hexadecimal at all, is it?"),
        ("base64", "AAAA"),
        ("base64", "!!!!"),
        ("raw", "fifteen bytes.."),
        ("raw", &*"x".repeat(65)),
        ("raw", ""),
        ("raw", &*"x".repeat(100_000)),
    ] {
        let command = format!("key split --encoding {encoding}");
        let err = home.sv(&command).input(text.as_bytes()).fails(2);
        assert!(text.is_empty() || !err.contains(text), "{err}");
    }
    for options in [
        "--shares 1",
        "--threshold 1",
        "--shares 256",
        "--shares 3 --threshold 4",
    ] {
        let command = format!("key split {options}");
        home.sv(&command).line(KEY).fails(2);
    }
    // As many as there can be.
    let call = home.sv("key split --shares 255 --threshold 255").line(KEY);
    let lines = call.ok();
    let back = home.sv("key combine").input(&lines).ok();
    assert_eq!(back, format!("{KEY}\n").as_bytes());
}

#[test]
fn generated_keys_are_new_private_and_never_overwrite() {
    let home = Home::new();
    let one = home.sv("key generate").text();
    assert_eq!(one.trim_end().len(), 64);
    assert_ne!(one, home.sv("key generate").text());
    assert_eq!(home.sv("key generate --encoding raw").ok().len(), 32);
    let key = home.sv("key generate --json").json();
    assert_eq!(key["key"].as_str().unwrap().len(), 64);
    home.sv("key generate --json --encoding raw").ends_with(2);

    assert!(home.sv("key generate --out key").ok().is_empty());
    let path = home.root.join("key");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let before = fs::read(&path).unwrap();
    assert_eq!(before.len(), 65);
    home.sv("key generate --out key").fails(5);
    fs::write(home.root.join("target"), "kept").unwrap();
    std::os::unix::fs::symlink("target", home.root.join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", home.root.join("dangling")).unwrap();
    home.sv("key generate --out link").fails(5);
    home.sv("key generate --out dangling").fails(5);
    home.sv("key generate --out missing/key").fails(2);
    home.sv("key generate --out -").fails(2);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read(home.root.join("target")).unwrap(), b"kept");

    // From a file, through shares, into a file.
    home.sv("key split key --out shares").ok();
    let some = "shares/share-5-of-5.sv shares/share-1-of-5.sv shares/share-2-of-5.sv";
    home.sv(&format!("key combine {some} --out back")).ok();
    assert_eq!(fs::read(home.root.join("back")).unwrap(), before);
    home.sv(&format!("key combine {some} --out key")).fails(5);
    let key = home.sv(&format!("key combine {some} --json")).json();
    assert_eq!(key["key"].as_str().unwrap().as_bytes(), &before[..64]);
}

#[test]
fn shares_are_written_all_or_none() {
    let home = Home::new();
    let folder = home.root.join("shares");
    let done = home.sv("key split --out shares --json").line(KEY).json();
    assert_eq!(done["files"].as_array().unwrap().len(), 5);
    assert_eq!(
        (&done["shares"], &done["threshold"]),
        (&5.into(), &3.into())
    );
    let mode = fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
    // One that is there already stops all others.
    for name in names(&folder) {
        if name != "share-4-of-5.sv" {
            fs::remove_file(folder.join(name)).unwrap();
        }
    }
    let before = fs::read(folder.join("share-4-of-5.sv")).unwrap();
    let err = home.sv("key split --out shares").line(KEY).fails(5);
    assert!(err.contains("share-4-of-5.sv"), "{err}");
    assert_eq!(names(&folder), ["share-4-of-5.sv"]);
    assert_eq!(fs::read(folder.join("share-4-of-5.sv")).unwrap(), before);
    // Bare ones have other names.
    home.sv("key split --bare --out shares").line(KEY).ok();
    assert_eq!(names(&folder).len(), 6);
    home.sv("key split --out missing/shares").line(KEY).fails(2);
    home.sv("key split --out shares/share-4-of-5.sv")
        .line(KEY)
        .fails(2);
    home.sv("key split --json").line(KEY).ends_with(2);
}

/// A disk that is full at the third file leaves none.
#[test]
fn a_full_disk_leaves_nothing() {
    let home = Home::new();
    let script = "strace -f -qq -o /dev/null -e trace=fsync \
                  -e inject=fsync:error=ENOSPC:when=5 \"$SV\" key split --out shares";
    let done = home.shell(script).line(KEY).run();
    let err = done.fails(10);
    assert!(err.contains("No space left"), "{err}");
    assert!(!home.root.join("shares").exists(), "not even the folder");
}

#[test]
fn vault_shares_are_sent_elsewhere() {
    let home = Home::new();
    let header = sv_shares::Header {
        vault: [1; 16],
        set: [2; 16],
        threshold: 2,
        count: 2,
        epoch: 1,
    };
    let shares = sv_shares::deal(&[3; 32], &header).unwrap();
    for text in [shares[0].to_text(), shares[0].to_words()] {
        let err = home.sv("key combine").line(&text).fails(6);
        assert!(err.contains("sv recover"), "{err}");
    }
}

#[test]
fn a_terminal_gets_no_key_unasked() {
    let home = Home::new();
    let run = |arguments: &[&str]| Terminal::start(&home, arguments).finish();
    let (code, shown) = run(&["key", "generate"]);
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("--print") && shown.len() < 200, "{shown}");
    let (code, shown) = run(&["key", "generate", "--print"]);
    assert_eq!(code, 0, "{shown}");
    let digits = |text: &str| text.bytes().filter(u8::is_ascii_hexdigit).count();
    assert!(digits(&shown) >= 64, "{shown}");

    // No set of shares in the scrollback, and no prompt that takes only one.
    let (code, shown) = run(&["key", "split"]);
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("--out DIR"), "{shown}");
    let (code, shown) = run(&["key", "combine", "--print"]);
    assert_eq!(code, 2, "{shown}");

    // A key that is typed is not shown.
    let mut terminal = Terminal::start(&home, &["key", "split", "--out", "shares"]);
    terminal.answer_hidden("key", KEY);
    let (code, shown) = terminal.finish();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains(&KEY[..16]), "{shown}");
    assert!(shown.contains("any 3 give the key"), "{shown}");
    assert_eq!(names(&home.root.join("shares")).len(), 5);

    // Nobody is asked where that was forbidden.
    let (code, _) = run(&["key", "split", "--no-input", "--out", "more"]);
    assert_eq!(code, 2);
}

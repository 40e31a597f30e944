//! Shares on a terminal: one at a time, and only while somebody looks.

mod common;

use common::{Home, shares::set, terminal::Terminal};
use serde_json::Value;

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

//! What a secret may be called.

use sv_proto::{
    limits,
    name::{NameError, check},
};

#[test]
fn good_names() {
    let longest = "x".repeat(limits::NAME);
    for name in [
        "a",
        "service/api_key",
        "with space",
        "a/b/c/d",
        "größe/€/名前",
        "...",
        ".hidden",
        "a/..b/c..",
        "-dash",
        "--option",
        "e\u{301}",
        "emoji 👩‍🚀",
        // Bidirectional controls are no control characters; output escapes them.
        "\u{202e}abc",
        &longest,
    ] {
        assert_eq!(check(name), Ok(()), "{name}");
    }
}

#[test]
fn bad_names() {
    let long = "x".repeat(limits::NAME + 1);
    // Counted in bytes: 342 times three.
    let wide = "€".repeat(342);
    for (name, why) in [
        ("", NameError::Empty),
        (long.as_str(), NameError::TooLong),
        (wide.as_str(), NameError::TooLong),
        ("a\0b", NameError::Control),
        ("a\nb", NameError::Control),
        ("a\tb", NameError::Control),
        ("\u{1b}[31m", NameError::Control),
        ("a\u{7f}", NameError::Control),
        ("a\u{85}", NameError::Control),
        ("/", NameError::Slash),
        ("/a", NameError::Slash),
        ("a/", NameError::Slash),
        ("a//b", NameError::Slash),
        (".", NameError::Dots),
        ("..", NameError::Dots),
        ("a/./b", NameError::Dots),
        ("../a", NameError::Dots),
        ("a/..", NameError::Dots),
    ] {
        assert_eq!(check(name), Err(why), "{name:?}");
    }
}

#[test]
fn errors_are_one_line_and_repeat_no_name() {
    for name in ["", "a\nb", "/a", ".."] {
        let text = check(name).unwrap_err().to_string();
        assert!(text.starts_with("a name can't"), "{text}");
        assert_eq!(text.lines().count(), 1);
    }
}

//! The fields of a secret as options, with their limits checked before anyone
//! is asked for a value.

use crate::{
    cli::FieldArgs,
    error::{Error, Result},
};
use sv_proto::{
    limits,
    message::{Change, Fields},
    name,
};

/// Checks the name of a secret.
pub fn check_name(text: &str) -> Result<()> {
    name::check(text).map_err(|e| Error::usage(e.to_string(), "folders are written a/b/c"))
}

/// The tags that are meant by a list with empty ones in it, each once.
#[must_use]
pub fn tags(given: &[String]) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for tag in given.iter().map(|t| t.trim()).filter(|t| !t.is_empty()) {
        if !tags.iter().any(|t| t == tag) {
            tags.push(tag.to_owned());
        }
    }
    tags
}

/// What an update changes.
pub fn change(args: &FieldArgs) -> Result<Change> {
    let change = Change {
        category: args.category.clone(),
        tags: args.tags.as_deref().map(tags),
        note: args.note.clone(),
        expires: args.expires,
    };
    let within = |what: &str, length: usize, limit: usize| {
        if length <= limit {
            return Ok(());
        }
        Err(Error::usage(
            format!("{what} has at most {limit} bytes"),
            "shorten it",
        ))
    };
    let category = change.category.as_deref().unwrap_or_default();
    within("a category", category.len(), limits::CATEGORY)?;
    let note = change.note.as_deref().unwrap_or_default();
    within("a note", note.len(), limits::NOTE)?;
    let tags = change.tags.as_deref().unwrap_or_default();
    if tags.len() > limits::TAGS {
        return Err(Error::usage(
            format!("a secret has at most {} tags", limits::TAGS),
            "leave some away",
        ));
    }
    for tag in tags {
        within("a tag", tag.len(), limits::TAG)?;
    }
    Ok(change)
}

/// The fields of a new secret.
pub fn fields(args: &FieldArgs) -> Result<Fields> {
    let change = change(args)?;
    Ok(Fields {
        category: change.category.unwrap_or_default(),
        tags: change.tags.unwrap_or_default(),
        note: change.note.unwrap_or_default(),
        expires: change.expires.unwrap_or_default(),
    })
}

/// Whether any field was named.
#[must_use]
pub fn any(args: &FieldArgs) -> bool {
    args.category.is_some() || args.tags.is_some() || args.note.is_some() || args.expires.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(tags: &[&str]) -> Vec<String> {
        tags.iter().map(|t| (*t).to_owned()).collect()
    }

    #[test]
    fn empty_and_doubled_tags_are_left_out() {
        assert_eq!(tags(&list(&["", "a", " b ", "a"])), list(&["a", "b"]));
        assert_eq!(tags(&list(&[""])), list(&[]));
    }

    #[test]
    fn an_empty_option_removes_and_a_missing_one_keeps() {
        let args = FieldArgs {
            category: Some(String::new()),
            tags: Some(list(&[""])),
            ..FieldArgs::default()
        };
        assert!(any(&args));
        let change = change(&args).unwrap();
        assert_eq!(change.category.as_deref(), Some(""));
        assert_eq!(change.tags, Some(Vec::new()));
        assert_eq!(change.note, None);
        assert!(!any(&FieldArgs::default()));
    }

    #[test]
    fn limits_are_checked() {
        let long = |n| Some("x".repeat(n));
        let refused = |args: FieldArgs| change(&args).is_err_and(|e| e.code() == 2);
        assert!(refused(FieldArgs {
            category: long(65),
            ..FieldArgs::default()
        }));
        assert!(refused(FieldArgs {
            note: long(limits::NOTE + 1),
            ..FieldArgs::default()
        }));
        assert!(refused(FieldArgs {
            tags: Some(vec!["x".repeat(65)]),
            ..FieldArgs::default()
        }));
        assert!(refused(FieldArgs {
            tags: Some((0..33).map(|n| n.to_string()).collect()),
            ..FieldArgs::default()
        }));
        assert!(!refused(FieldArgs {
            note: long(limits::NOTE),
            ..FieldArgs::default()
        }));
    }
}

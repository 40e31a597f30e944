//! Secrets as the agent sees them, and the rules for names and fields.

use crate::{Error, Result, limits};
use zeroize::Zeroize;

/// The fields of a secret apart from name and value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// Empty for none.
    pub category: String,
    /// Sorted, without doubles, once stored.
    pub tags: Vec<String>,
    /// Empty for none.
    pub note: String,
    /// Milliseconds since 1970, 0 for never.
    pub expires: i64,
}

/// New values of fields; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Empty removes it.
    pub category: Option<String>,
    /// All of them.
    pub tags: Option<Vec<String>>,
    /// Empty removes it.
    pub note: Option<String>,
    /// 0 removes it.
    pub expires: Option<i64>,
}

impl Fields {
    /// Sorted and checked against the limits.
    pub(crate) fn checked(mut self) -> Result<Self> {
        self.tags.sort_unstable();
        self.tags.dedup();
        let word = |text: &str| !text.chars().any(char::is_control);
        if self.category.len() > limits::CATEGORY || !word(&self.category) {
            return Err(Error::BadField(
                "a category has at most 64 bytes and no control characters",
            ));
        }
        if self.tags.len() > limits::TAGS {
            return Err(Error::BadField("a secret has at most 32 tags"));
        }
        if (self.tags.iter()).any(|t| t.is_empty() || t.len() > limits::TAG || !word(t)) {
            return Err(Error::BadField(
                "a tag has 1 to 64 bytes and no control characters",
            ));
        }
        if self.note.len() > limits::NOTE || self.note.contains('\0') {
            return Err(Error::BadField("a note has at most 16 KiB, and no NUL"));
        }
        if self.expires < 0 {
            return Err(Error::BadField("an expiry can't be before 1970"));
        }
        Ok(self)
    }

    pub(crate) fn changed(&self, change: &Change) -> Self {
        Self {
            category: change.category.as_ref().unwrap_or(&self.category).clone(),
            tags: change.tags.as_ref().unwrap_or(&self.tags).clone(),
            note: change.note.as_ref().unwrap_or(&self.note).clone(),
            expires: change.expires.unwrap_or(self.expires),
        }
    }

    pub(crate) fn wipe(&mut self) {
        self.category.zeroize();
        self.tags.zeroize();
        self.note.zeroize();
    }
}

impl Change {
    /// Whether it leaves everything as it is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.category.is_none()
            && self.tags.is_none()
            && self.note.is_none()
            && self.expires.is_none()
    }
}

/// A secret without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// Its revision's number.
    pub rev: u64,
    /// When its first revision was written.
    pub created: i64,
    /// When this one was.
    pub updated: i64,
    /// Bytes of the value.
    pub size: u64,
    /// The rest.
    pub fields: Fields,
}

/// One revision of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionInfo {
    /// Its number, from 1.
    pub rev: u64,
    /// When it was written.
    pub time: i64,
    /// It says that the secret is gone.
    pub deleted: bool,
    /// Nothing supersedes it.
    pub head: bool,
    /// The name at that time.
    pub name: String,
    /// Bytes of the value.
    pub size: u64,
    /// The revision's id.
    pub id: [u8; 32],
    /// The node that wrote it.
    pub author: [u8; 16],
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Secrets that are not deleted.
    pub secrets: u64,
    /// Revisions, history included.
    pub revisions: u64,
    /// The number of the key epoch.
    pub epoch: u64,
}

/// Which secrets to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// By place and kind.
    List {
        /// Names begin with these bytes.
        prefix: String,
        /// Only of this category.
        category: Option<String>,
        /// Only with all of these tags.
        tags: Vec<String>,
    },
    /// Those whose name, tags, category or note hold every word, in whatever case.
    Search {
        /// The words.
        words: Vec<String>,
    },
}

/// The rules for names: FORMAT.md's limits, and what a path may look like.
pub fn check_name(name: &str) -> Result<()> {
    let bad = |reason| Err(Error::BadName(reason));
    if name.is_empty() || name.len() > limits::NAME {
        return bad("a name has 1 to 1,024 bytes");
    }
    if name.chars().any(char::is_control) {
        return bad("a name can't hold control characters");
    }
    if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return bad("between '/' a name has parts, none of them '.' or '..'");
    }
    Ok(())
}

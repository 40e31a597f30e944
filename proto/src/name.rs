//! What a secret may be called.

use crate::limits;

/// Why a name is refused.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    /// No name at all.
    #[error("a name can't be empty")]
    Empty,
    /// Too long.
    #[error("a name has at most {} bytes", limits::NAME)]
    TooLong,
    /// A control character.
    #[error("a name can't hold control characters")]
    Control,
    /// A `/` at an end, or two in a row.
    #[error("a name can't begin or end with '/', nor hold '//'")]
    Slash,
    /// `.` or `..` as a component.
    #[error("a name can't hold '.' or '..' as a component")]
    Dots,
}

/// Checks a name: 1 to 1,024 bytes of UTF-8 without control characters, `/`
/// between components, none of them empty, `.` or `..`.
pub fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > limits::NAME {
        return Err(NameError::TooLong);
    }
    if name.chars().any(char::is_control) {
        return Err(NameError::Control);
    }
    for component in name.split('/') {
        match component {
            "" => return Err(NameError::Slash),
            "." | ".." => return Err(NameError::Dots),
            _ => {}
        }
    }
    Ok(())
}

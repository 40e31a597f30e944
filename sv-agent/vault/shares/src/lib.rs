//! Shares of a key.

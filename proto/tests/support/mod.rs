//! What the protocol's tests share.
//!
//! | module       | holds                                                       |
//! |--------------|-------------------------------------------------------------|
//! | [`samples`]  | one message or more of every variant, and its file name     |
//! | [`schema`]   | a second encoder, driven by `tests/frames/schema.json`      |
//! | [`files`]    | reading, comparing and (asked for by name) writing vectors  |
//! | [`meter`]    | an allocator that counts                                    |
#![allow(dead_code, reason = "each test binary uses a part")]

pub mod files;
pub mod meter;
pub mod samples;
pub mod schema;

//! Every limit of the protocol in one place.

/// The version of the protocol that this crate speaks.
pub const VERSION: u16 = 1;

/// A frame after its length field: a value of [`VALUE`] bytes, every field at
/// its largest, and room to spare. Checked before memory is taken.
pub const FRAME: usize = 2 * 1024 * 1024;

/// The header of a frame after its length field: version, flags, request id.
pub const HEADER: usize = 12;

/// What one frame of a long answer is filled up to: large enough that its
/// cost vanishes, small enough that the agent never holds much per reader.
pub const CHUNK: usize = 256 * 1024;

/// The value of a secret. Larger things are files, and belong encrypted on a disk.
pub const VALUE: usize = 1024 * 1024;

/// The name of a secret, in bytes.
pub const NAME: usize = 1024;

/// The category of a secret, in bytes.
pub const CATEGORY: usize = 64;

/// One tag, in bytes.
pub const TAG: usize = 64;

/// Tags of one secret.
pub const TAGS: usize = 32;

/// The note of a secret, in bytes.
pub const NOTE: usize = 16 * 1024;

/// A password, in bytes. Argon2 would take more; nobody types more.
pub const PASSWORD: usize = 4096;

/// The content of a key file or credential: as much as a random key needs, so
/// that a password is not taken for one.
pub const KEY_FILE: std::ops::RangeInclusive<usize> = 32..=4096;

/// A slot's label, in bytes.
pub const LABEL: usize = 64;

/// A share as text, or released for a ceremony, in bytes.
pub const SHARE: usize = 1024;

/// Shares of one set.
pub const SHARES: usize = 255;

/// Where a share or a backup went, in bytes.
pub const HOLDER: usize = 255;

/// How long a ceremony may last, in seconds: a day.
pub const CEREMONY: u64 = 24 * 3600;

/// A search query, in bytes.
pub const QUERY: usize = 1024;

/// A path in a request: `PATH_MAX` of Linux.
pub const PATH: usize = 4096;

/// The configuration file.
pub const CONFIG: usize = 64 * 1024;

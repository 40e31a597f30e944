//! Every limit of the engine in one place.

/// The format that this engine reads and writes (`user_version`, object version).
pub const VERSION: u8 = 1;

/// The one set of primitives, see FORMAT.md.
pub const SUITE: u8 = 1;

/// "svV1", SQLite's `application_id`.
pub const APPLICATION_ID: i32 = 0x7376_5631;

/// Value of a secret: credentials are small, and every value passes through
/// memory several times.
pub const VALUE: usize = 1024 * 1024;

/// A whole revision: the largest value with the largest fields, padded.
pub const OBJECT: usize = 1_310_720;

/// SQLite refuses any larger row, however it got into the file.
pub const ROW: i32 = 2 * 1024 * 1024;

/// Name of a secret, in bytes.
pub const NAME: usize = 1024;

/// Category, in bytes.
pub const CATEGORY: usize = 64;

/// One tag, in bytes.
pub const TAG: usize = 64;

/// Tags of one secret.
pub const TAGS: usize = 32;

/// Note, in bytes.
pub const NOTE: usize = 16 * 1024;

/// Parents of a revision.
pub const PARENTS: usize = 64;

/// Listed ancestors of a revision.
pub const ANCESTORS: usize = 64;

/// Lamport clocks and generations in a file that others may have made: so many
/// writes never happen, and what follows still fits 64 bits.
pub const CLOCK: u64 = 1 << 62;

/// Superseded revisions that are kept.
pub const HISTORY: usize = 10;

/// Revisions that one record can have at once: heads, parents, history.
pub const KEPT: usize = 2 * PARENTS + HISTORY;

/// Control objects and slots: far more than a mesh of 1,024 nodes makes.
pub const CONTROL: usize = 4096;

/// Share sets that are remembered: one in force, one that is not yet.
pub const DEALINGS: usize = 2;

/// Backups that are remembered.
pub const BACKUPS: usize = 16;

/// Slots of a node: each one with a password costs a derivation when a wrong
/// password is tried.
pub const SLOTS: usize = 16;

/// A key file or credential, in bytes: at least what a random key has.
pub const KEY_FILE: std::ops::RangeInclusive<usize> = 32..=4096;

/// A slot's label, in bytes.
pub const LABEL: usize = 64;

/// Argon2id memory in KiB: RFC 9106's second recommendation, and a gibibyte.
pub const KDF_MEMORY: std::ops::RangeInclusive<u32> = 65_536..=1_048_576;

/// Argon2id passes.
pub const KDF_PASSES: std::ops::RangeInclusive<u32> = 3..=10;

/// Argon2id lanes.
pub const KDF_LANES: std::ops::RangeInclusive<u32> = 1..=16;

/// Keys of 32 bytes that the key memory holds: a node's own, and one for each
/// epoch that something is still wrapped under.
pub const KEYS: usize = 512;

/// Keys that stay while the vault is locked: the audit log's moving key, the next
/// one, and that of a beginning; one page.
pub const KEYS_APART: usize = 128;

/// Names that one call of a list looks at: some milliseconds, since others wait.
pub const LOOKED: usize = 10_000;

/// SQLite's page, in bytes: FORMAT.md §1.
pub const PAGE: u64 = 4096;

/// SQLite's page cache, in KiB. The rest is the kernel's cache.
pub const PAGE_CACHE: i64 = 16 * 1024;

/// A file of the audit log is full above this: reading the newest events walks
/// through one file, which takes some tens of milliseconds at this size.
pub const AUDIT_FILE: u64 = 16 * 1024 * 1024;

/// One record of the audit log: the longest names of a rename, and the rest.
pub const AUDIT_RECORD: usize = 8 * 1024;

/// Disk that is taken ahead for the audit log: a thousand events and more fit
/// into it after the disk is full.
pub const AUDIT_AHEAD: u64 = 256 * 1024;

/// No event has a higher number: counting on never overflows.
pub const AUDIT_SEQ: u64 = 1 << 62;

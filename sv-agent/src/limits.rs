//! Every limit of the agent, with its reason. Those of the protocol are in
//! [`sv_proto::limits`], those of the vault in the engine.

use std::time::Duration;

/// A whole frame must have arrived this long after its first byte. Even 2 MiB
/// take milliseconds on a local socket.
pub(crate) const FRAME_TIME: Duration = Duration::from_secs(10);

/// A frame of an answer must be taken within this.
pub(crate) const WRITE_TIME: Duration = Duration::from_secs(10);

/// What is read ahead on each connection: dozens of pipelined requests, and
/// every request but those that carry a large value or note. At the default of
/// 256 connections it sums up to 1 MiB.
pub(crate) const INBOX: usize = 4096;

/// An answer up to this size takes no part of the [`BUDGET`]: at the default
/// of 256 connections, all blocked, 4 MiB.
pub(crate) const SMALL: usize = 16 * 1024;

/// The memory that all frames above [`INBOX`] and answers above [`SMALL`] take
/// together: three frames of the largest size. It bounds what thousands of
/// hostile connections can make the agent hold.
pub(crate) const BUDGET: usize = 3 * sv_proto::limits::FRAME;

/// What an answer with a value may take of the budget before its size is known.
pub(crate) const REPLY: usize = sv_proto::limits::VALUE + 64 * 1024;

/// Whoever holds a part of the budget for longer than this without having sent
/// or taken its frame loses the connection, if another one waits.
pub(crate) const BUDGET_PATIENCE: Duration = Duration::from_millis(500);

/// How long to wait for a part of the budget before the answer is "busy".
pub(crate) const BUDGET_WAIT: Duration = Duration::from_secs(10);

/// How often a waiting one looks for someone who has outstayed.
pub(crate) const BUDGET_LOOK: Duration = Duration::from_millis(100);

/// A connection that takes its answer this slowly counts as idle when room for
/// a new one is sought. Sooner, it only goes if nothing else can.
pub(crate) const STALLED: Duration = Duration::from_millis(200);

/// How long a new connection waits when every other one is being served.
pub(crate) const ADMIT_WAIT: Duration = Duration::from_secs(1);

/// Above three quarters of the connections, those idle for longer than this are closed.
pub(crate) const IDLE_CONNECTION: Duration = Duration::from_secs(300);

/// Descriptors beyond the connections: the standard ones, the vault's files,
/// epoll, the socket, its lock, and a few that are open for a moment.
pub(crate) const RESERVED_DESCRIPTORS: usize = 64;

/// Connections that the kernel queues before they are accepted. Longer, and an
/// honest client waits behind thousands; shorter, and a burst is turned away.
pub(crate) const BACKLOG: i32 = 128;

/// After accept found no descriptor free.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Deadlines are checked at every request; the timer only bounds how long keys
/// outlive their deadline when nobody asks. Its own clock stops during suspend.
pub(crate) const TICK: Duration = Duration::from_secs(2);

/// CLOCK_BOOTTIME and CLOCK_MONOTONIC part by more than this only in suspend.
pub(crate) const SUSPENDED: Duration = Duration::from_secs(1);

/// Each wrong password in a row adds this to the wait before its answer …
pub(crate) const WRONG_STEP: Duration = Duration::from_millis(100);

/// … up to this.
pub(crate) const WRONG_MOST: Duration = Duration::from_secs(10);

/// Names that are decrypted before others are served again: some milliseconds.
pub(crate) const NAMES_STEP: usize = 1_000;

/// Records that are verified before others are served again: about 2 ms
/// of signatures.
pub(crate) const VERIFY_STEP: usize = 32;

/// Records that get new keys before others are served again: about 2 ms.
pub(crate) const ROTATE_STEP: usize = 64;

/// Pages that are copied for a backup before others are served again: half a
/// mebibyte, less than a millisecond.
pub(crate) const BACKUP_PAGES: i32 = 128;

/// How long a backup waits before it tries again, while a rotation has its
/// transaction open.
pub(crate) const BACKUP_PAUSE: Duration = Duration::from_millis(20);

/// Records of a backup that are merged before others are served again: some
/// milliseconds.
pub(crate) const MERGE_STEP: usize = 64;

/// The least time between two reports of progress.
pub(crate) const PROGRESS: Duration = Duration::from_millis(200);

/// Problems that a verification names; the rest is counted.
pub(crate) const PROBLEMS: usize = 1_000;

/// How long the end waits for answers that are being written.
pub(crate) const GRACE: Duration = Duration::from_millis(500);

/// How long the end waits for a key derivation, to see its memory wiped.
pub(crate) const DERIVATION_GRACE: Duration = Duration::from_secs(3);

/// How long another path of the vault may take to be looked at: a file system
/// that hangs must not hang the agent.
pub(crate) const STAT_TIME: Duration = Duration::from_secs(1);

/// Key derivation, the look at a path, and bringing the audit log to the disk. One
/// at a time of each.
pub(crate) const THREADS: usize = 3;

/// Events are brought to the disk this long after they were written: within a
/// second, a slow disk included, and not one by one.
pub(crate) const SYNC_AFTER: Duration = Duration::from_millis(400);

/// Events of the audit log that are looked at before others are served again: a
/// millisecond or two.
pub(crate) const AUDIT_STEP: usize = 1_000;

/// Refusals of other users that the audit log tells at once; one more each second.
pub(crate) const REFUSALS: u32 = 10;

/// Requests that are served before new connections and frames are looked for.
/// One of them may take milliseconds; looking takes less than one microsecond.
pub(crate) const EVENT_INTERVAL: u32 = 8;

/// Connections that are closed to make room before their tasks are waited for.
/// Their descriptors come out of [`RESERVED_DESCRIPTORS`].
pub(crate) const EVICTED_AT_ONCE: usize = 32;

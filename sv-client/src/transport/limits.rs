//! Every limit of the transport.

use std::time::Duration;

/// A node's name with its port: a host name has at most 253 bytes.
pub const NODE: usize = 253 + 6;

/// How long one run may take. `vssh` gives up after 30 seconds by itself and
/// says why; what takes longer hangs.
pub const RUN: Duration = Duration::from_secs(45);

/// How long output is read after the program has ended: a process that it left
/// behind may hold the pipe open.
pub const LINGER: Duration = Duration::from_secs(1);

/// How often a run is looked at that says nothing.
pub const TICK: Duration = Duration::from_millis(20);

/// A command for a node. `vssh` takes 131,000 bytes, and the kernel 128 KiB for one
/// argument; ours are short.
pub const COMMAND: usize = 16 * 1024;

/// What a node may answer: 255 shares in base64, four times over.
pub const OUTPUT: usize = 2 * 1024 * 1024;

/// What is kept of the program's messages.
pub const MESSAGES: usize = 16 * 1024;

/// What is repeated of them.
pub const MESSAGE: usize = 200;

/// One `put`. It has to be through within 30 seconds: this takes a line of
/// 2.3 Mbit/s.
pub const PIECE: usize = 8 * 1024 * 1024;

/// Pieces of one file: their names have four digits.
pub const PIECES: usize = 9999;

/// A folder on a node, in bytes: `PATH_MAX` less the name of a file.
pub const FOLDER: usize = 4096 - 256;

/// What is read of a file that should hold a share: one byte more than a share
/// and its newline may have.
pub const SHARE: usize = sv_proto::limits::SHARE + 2;

/// Files that one command removes.
pub const REMOVE: usize = 100;

//! Other nodes, reached through a program such as `vssh`: it puts a file on a
//! node, and runs a command there. The program is trusted with what it carries,
//! not to be careful: what it logs holds nothing secret, and what it says of its own success is
//! not believed.
//!
//! | module      | holds                                                             |
//! |-------------|-------------------------------------------------------------------|
//! | this one    | [`Nodes`]: what the commands use                                  |
//! | [`node`]    | [`Node`]: a checked name                                          |
//! | [`shares`]  | shares on nodes                                                   |
//! | [`backups`] | backups on nodes                                                  |
//! | `files`     | a file on a node: put, checked there, renamed into place          |
//! | `script`    | commands for nodes, and their answers between markers             |
//! | `program`   | one run of the program: bare, bounded in time and output          |
//! | `scratch`   | the file that the program reads, in a folder that nobody else may |
//! | `signals`   | an interruption waits until the rest is tidied up                 |
//! | `limits`    | every number, with its reason                                     |

pub mod backups;
mod files;
mod limits;
pub mod node;
mod program;
mod scratch;
mod script;
pub mod shares;
mod signals;

pub use node::Node;
pub use signals::Held;

use crate::error::{Error, Result};
use program::Program;
use std::path::Path;
use sv_proto::config::Spelling;

/// The nodes of the mesh.
pub struct Nodes {
    program: Program,
}

impl Nodes {
    /// Finds the program. Descriptors that this process inherited are closed, so that
    /// no child gets them: claim passwords and values before.
    pub fn new(program: &Path, spelling: Spelling) -> Result<Self> {
        Ok(Self {
            program: Program::find(program, spelling)?,
        })
    }
}

/// Something between here and a node failed.
fn failed(node: &Node, message: impl Into<String>) -> Error {
    Error::Transport(message.into())
        .hinted(format!("is {node} up? try again when it is"))
        .about(node.as_str())
}

/// Lower-case hexadecimal, as ids are written in the names of files.
fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// `bytes` random bytes in hexadecimal.
fn random(bytes: usize) -> Result<String> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).map_err(|_| Error::Random)?;
    Ok(hex(&random))
}

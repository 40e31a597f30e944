//! A file on a node: in a folder that is its owner's alone before anything is
//! put there, in pieces under names that nobody else uses, joined and checked there, renamed
//! into place, and looked at once more.

use super::{
    Node, Nodes, failed, hex, limits, random,
    scratch::Scratch,
    script::{Answer, reason},
    signals::Held,
};
use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::io::{self, Read};
use zeroize::Zeroizing;

/// Below the home of the session's user.
pub const PLACE: &str = ".local/share/sv";

/// A folder on a node.
pub struct Folder {
    /// Its real path.
    path: String,
}

/// Whether a path means the same to the transport's program, to a shell, and to us.
pub fn is_plain(path: &str) -> bool {
    let plain = |b: u8| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'/' | b'.' | b'_' | b'-' | b'+' | b'@' | b'=' | b',')
    };
    path.starts_with('/') && path.len() <= limits::FOLDER && path.bytes().all(plain)
}

impl Nodes {
    /// Makes the folder `name` on the node and sees that nobody else can use it.
    pub(super) fn folder(&self, node: &Node, name: &str, held: &Held) -> Result<Folder> {
        // What an earlier run left behind is removed an hour later.
        let body = format!(
            "umask 077; cd && mkdir -p {PLACE}/{name} && cd {PLACE}/{name} && chmod 700 . || exit 1; \
             find .put-* -maxdepth 0 -mmin +60 -delete 2>/dev/null; \
             echo $a:folder:$(id -u):$(stat -c %u:%a .):$(stat -c %u:%a ..):$(pwd -P)"
        );
        let answer = self.ask(node, &body, held)?;
        let Some([user, owner, mode, above, above_mode, path]) = answer.line("folder") else {
            return Err(failed(node, "it gave no answer"));
        };
        let others_write = u32::from_str_radix(above_mode, 8).is_ok_and(|m| m & 0o022 == 0);
        if owner != user || mode != "700" || above != user || !others_write {
            return Err(refused(
                node,
                &format!("others can write to ~/{PLACE} there"),
            ));
        }
        if !is_plain(path) {
            return Err(refused(
                node,
                "the path of its home has characters that the transport can't carry",
            ));
        }
        Ok(Folder {
            path: path.to_owned(),
        })
    }

    /// Puts what `source` gives into `folder` as `name`. `digest` is what it must be.
    pub(super) fn put(
        &self,
        node: &Node,
        folder: &Folder,
        name: &str,
        source: &mut dyn Read,
        digest: [u8; 32],
        held: &Held,
    ) -> Result<()> {
        let part = format!(".put-{}", random(16)?);
        let result = self
            .pieces(node, folder, &part, source, digest, held)
            .and_then(|()| self.join(node, folder, &part, name, digest, held));
        if result.is_err() {
            // The node may be away; then the next one tidies up. The first error is told.
            let Folder { path } = folder;
            let body = format!("cd {path} && rm -f {part} {part}-*");
            let _ = self.ask(node, &body, held);
        }
        result
    }

    fn pieces(
        &self,
        node: &Node,
        folder: &Folder,
        part: &str,
        source: &mut dyn Read,
        digest: [u8; 32],
        held: &Held,
    ) -> Result<()> {
        let mut scratch = Scratch::new()?;
        let mut sum = Sha256::new();
        let mut buffer = Zeroizing::new(Vec::new());
        for number in 1..=limits::PIECES {
            fill(&mut buffer, source)?;
            if buffer.is_empty() && number > 1 {
                let read: [u8; 32] = sum.finalize().into();
                if read != digest {
                    return Err(Error::Transport(
                        "the file changed while it was read".to_owned(),
                    ));
                }
                return scratch.remove();
            }
            sum.update(&*buffer);
            scratch.fill(&buffer)?;
            let remote = format!("{}/{part}-{number:04}", folder.path);
            let run = self.program.put(&scratch.path(), node, &remote, held)?;
            // Success is not believed: the whole is checked there. A failure is.
            if !run.status.success() {
                return Err(failed(node, reason(&run.said, false)));
            }
        }
        Err(Error::usage(
            "the file is too large for the transport",
            "carry it by hand",
        ))
    }

    fn join(
        &self,
        node: &Node,
        folder: &Folder,
        part: &str,
        name: &str,
        digest: [u8; 32],
        held: &Held,
    ) -> Result<()> {
        let Folder { path } = folder;
        let digest = hex(&digest);
        // The new file is made by the session's user, whoever owns the pieces.
        let body = format!(
            "umask 077; cd {path} || exit 1; cat {part}-???? >{part} && sync {part} && \
             test $(sha256sum <{part} | cut -c1-64) = {digest} && \
             test $(stat -c %u:%a .) = $(id -u):700 && mv -fT {part} {name} && sync .; \
             rm -f {part} {part}-*; \
             echo $a:file:$(id -u):$(stat -c %u:%a .):$(stat -c %u:%a:%F {name} || echo ::):$(sha256sum <{name} | cut -c1-64)"
        );
        // It can be run again, and an answer that was lost is not a file that was lost.
        let answer = self.ask(node, &body, held).or_else(|error| match error {
            Error::Interrupted => Err(error),
            _ => self.ask(node, &body, held),
        })?;
        judge(node, &answer, &digest)
    }
}

fn judge(node: &Node, answer: &Answer, digest: &str) -> Result<()> {
    let Some([user, folder, folder_mode, owner, mode, kind, found]) = answer.line("file") else {
        return Err(failed(node, "it gave no answer"));
    };
    if (folder, folder_mode) != (user, "700") {
        return Err(refused(node, "the folder went to another user there"));
    }
    if found != digest {
        return Err(failed(
            node,
            "the file did not arrive whole (is the disk full?)",
        ));
    }
    if (owner, mode) != (user, "600") || !kind.starts_with("regular") {
        return Err(refused(node, "others can read the file there"));
    }
    Ok(())
}

fn refused(node: &Node, message: &str) -> Error {
    Error::Refused(message.to_owned())
        .hinted(format!("see to the owner and mode of ~/{PLACE} on {node}"))
        .about(node.as_str())
}

fn fill(buffer: &mut Zeroizing<Vec<u8>>, source: &mut dyn Read) -> Result<()> {
    // One allocation: a share is not left behind in a smaller one.
    buffer.resize(limits::PIECE, 0);
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(Error::Read {
                    what: "the file to send".to_owned(),
                    error,
                });
            }
        }
    }
    buffer.truncate(filled);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_may_hold() {
        assert!(is_plain("/home/u-1/.local/share/sv"));
        for path in [
            "", "a", "~/a", "/a b", "/a:b", "/a$b", "/a;b", "/a\nb", "/a*", "/ä", "/a'b", "/a\\b",
        ] {
            assert!(!is_plain(path), "{path}");
        }
    }

    #[test]
    fn pieces_are_of_one_size() {
        let bytes = vec![7; limits::PIECE + 3];
        let mut source = &bytes[..];
        let mut buffer = Zeroizing::new(Vec::new());
        let mut sizes = Vec::new();
        for _ in 0..3 {
            fill(&mut buffer, &mut source).unwrap();
            sizes.push(buffer.len());
        }
        assert_eq!(sizes, [limits::PIECE, 3, 0]);
    }
}

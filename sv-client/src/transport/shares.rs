//! Shares on nodes: `~/.local/share/sv/shares/VAULT-SET-INDEX.sv`, one line
//! each. Neither names nor commands tell anything of a share. Those of retired
//! sets stay: backups of their time open with them.

use super::{Node, Nodes, failed, files::PLACE, hex, limits, signals::Held};
use crate::error::Result;
use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest, Sha256};
use sv_proto::Secret;
use zeroize::Zeroizing;

const FOLDER: &str = "shares";

/// A share that a node gave back. What it is is told by its text; its file says
/// what it should be.
#[derive(Debug)]
pub struct Found {
    /// The set that it was put there for.
    pub set: [u8; 16],
    /// Its index.
    pub index: u8,
    /// The share, a line of text, if the file is not empty or far too long.
    pub text: Secret,
    /// Others can read the file there.
    pub open: bool,
}

/// The name of a share's file.
fn name(vault: [u8; 16], set: [u8; 16], index: u8) -> String {
    format!("{}-{}-{index}.sv", hex(&vault), hex(&set))
}

/// Set and index in the name of a share's file of `vault`.
fn parse(name: &str, vault: [u8; 16]) -> Option<([u8; 16], u8)> {
    let rest = name.strip_prefix(&hex(&vault))?.strip_prefix('-')?;
    let (set, index) = rest.strip_suffix(".sv")?.split_once('-')?;
    let set = HEXLOWER.decode(set.as_bytes()).ok()?.try_into().ok()?;
    let number = index.parse().ok().filter(|n: &u8| *n > 0)?;
    // The only spelling of the number.
    (number.to_string() == index).then_some((set, number))
}

impl Nodes {
    /// Puts a share on a node, and sees that it is there, whole and for nobody else.
    pub fn deliver(
        &self,
        node: &Node,
        vault: [u8; 16],
        set: [u8; 16],
        index: u8,
        text: &Secret,
    ) -> Result<()> {
        let held = Held::new()?;
        let mut line = Zeroizing::new(Vec::with_capacity(text.len() + 1));
        line.extend_from_slice(text.expose());
        line.push(b'\n');
        let digest = Sha256::digest(&*line).into();
        let folder = self.folder(node, FOLDER, &held)?;
        let name = name(vault, set, index);
        self.put(node, &folder, &name, &mut &line[..], digest, &held)
    }

    /// The shares of a vault that a node holds, or those of one set.
    pub fn fetch(&self, node: &Node, vault: [u8; 16], set: Option<[u8; 16]>) -> Result<Vec<Found>> {
        let held = Held::new()?;
        let set = set.map_or_else(String::new, |set| format!("{}-", hex(&set)));
        let body = format!(
            "cd ~/{PLACE}/{FOLDER} 2>/dev/null && for f in {vault}-{set}*.sv; do test -f $f && \
             echo $a:share:$f:$(id -u):$(stat -c %u:%a .):$(stat -c %u:%a $f):$(head -c {most} $f | base64 -w0); done",
            vault = hex(&vault),
            most = limits::SHARE,
        );
        let answer = self.ask(node, &body, &held)?;
        let mut found = Vec::new();
        for [file, user, folder, folder_mode, owner, mode, text] in answer.lines("share") {
            let Some((set, index)) = parse(file, vault) else {
                continue;
            };
            found.push(Found {
                set,
                index,
                text: decode(text).ok_or_else(|| failed(node, "it gave half an answer"))?,
                open: (folder, folder_mode) != (user, "700") || (owner, mode) != (user, "600"),
            });
        }
        found.sort_by_key(|share| (share.set, share.index));
        Ok(found)
    }
}

fn decode(text: &str) -> Option<Secret> {
    let length = BASE64.decode_len(text.len()).ok()?;
    let mut bytes = Zeroizing::new(vec![0; length]);
    let length = BASE64.decode_mut(text.as_bytes(), &mut bytes).ok()?;
    bytes.truncate(length);
    while bytes.last().is_some_and(u8::is_ascii_whitespace) {
        bytes.pop();
    }
    Some(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_says_which_share_it_is() {
        let (vault, set) = ([0xab; 16], [1; 16]);
        let file = name(vault, set, 10);
        assert!(super::super::files::is_plain(&format!("/{file}")));
        assert_eq!(parse(&file, vault), Some((set, 10)));
        assert_eq!(parse(&file, set), None);
        for other in [
            file.replace("-10", "-010"),
            file.replace("-10", "-0"),
            file.replace("-10", "-256"),
            file.replace(".sv", ""),
            file.replace("ab", "AB"),
            format!("{file}.sv"),
        ] {
            assert_eq!(parse(&other, vault), None, "{other}");
        }
    }

    #[test]
    fn a_line_comes_back_without_its_end() {
        assert_eq!(decode("c2hhcmUK").unwrap().expose(), b"share");
        assert_eq!(decode("").unwrap().expose(), b"");
        assert!(decode("c2hhcmU").is_none());
        assert!(decode("c2hh:mUK").is_none());
    }
}

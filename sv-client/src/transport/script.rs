//! Commands for nodes. They are joined into one line, run by `bash -c`, and
//! logged at the other end; their answers are the lines that begin with a random marker, and
//! an answer without its last line is none. All commands can be run again.

use super::{Node, Nodes, failed, limits, random, signals::Held};
use crate::error::Result;
use zeroize::Zeroizing;

/// What a command answered: the rest of each line that begins with its marker.
pub struct Answer {
    text: Zeroizing<Vec<u8>>,
    marker: String,
}

impl Answer {
    /// The lines that answer `what`, split into `N` fields; the last has the rest.
    pub fn lines<'a, const N: usize>(
        &'a self,
        what: &'a str,
    ) -> impl Iterator<Item = [&'a str; N]> + use<'a, N> {
        self.all()
            .filter_map(move |line| line.strip_prefix(what)?.strip_prefix(':'))
            .filter_map(|line| {
                let mut fields = line.splitn(N, ':');
                let mut out = [""; N];
                for field in &mut out {
                    *field = fields.next()?;
                }
                Some(out)
            })
    }

    /// The one line that answers `what`.
    pub fn line<'a, const N: usize>(&'a self, what: &'a str) -> Option<[&'a str; N]> {
        let mut lines = self.lines(what);
        lines.next().filter(|_| lines.next().is_none())
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        // Whatever is not UTF-8 is not of a command of ours.
        std::str::from_utf8(&self.text)
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.strip_prefix(self.marker.as_str()))
    }
}

impl Nodes {
    /// Runs `body` on a node. In it, `$a` begins a line of the answer.
    pub(super) fn ask(&self, node: &Node, body: &str, held: &Held) -> Result<Answer> {
        // The whole marker is in no command line, so that an echo of it is no answer.
        let marker = random(8)?;
        let command = format!("a=sv:{marker}; {body}; echo $a:end");
        if command.len() > limits::COMMAND {
            return Err(failed(node, "the command for it is too long"));
        }
        let run = self.program.exec(node, &command, held)?;
        let answer = Answer {
            text: run.out,
            marker: format!("sv:{marker}:"),
        };
        if answer.all().any(|line| line == "end") {
            return Ok(answer);
        }
        Err(failed(node, reason(&run.said, run.status.success())))
    }
}

/// Why there is nothing to go by.
pub fn reason(said: &str, success: bool) -> String {
    match (said, success) {
        ("", true) => "it gave no answer".to_owned(),
        ("", false) => "it can't be reached".to_owned(),
        (said, _) => said.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Answer {
        Answer {
            text: Zeroizing::new(text.as_bytes().to_vec()),
            marker: "sv:m:".to_owned(),
        }
    }

    #[test]
    fn only_marked_lines_count() {
        let answer = answer(
            "Welcome!\nsv:m:file:1:2:rest:of it\nsv:x:file:3:4:5\n sv:m:file:6:7:8\nsv:m:end\n",
        );
        assert_eq!(answer.line("file"), Some(["1", "2", "rest:of it"]));
        assert_eq!(answer.line::<4>("file"), Some(["1", "2", "rest", "of it"]));
        assert_eq!(answer.line::<5>("file"), None);
        assert_eq!(answer.line::<1>("fil"), None);
        assert!(answer.all().any(|line| line == "end"));
    }

    #[test]
    fn two_answers_are_none() {
        let answer = answer("sv:m:a:1\nsv:m:a:2\n");
        assert_eq!(answer.line::<1>("a"), None);
        assert_eq!(answer.lines::<1>("a").count(), 2);
    }
}

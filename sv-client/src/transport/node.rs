//! The name of a node.

use super::limits;
use std::{fmt, str::FromStr};

/// A node as the transport's program takes it: a host name, perhaps with a port.
/// It can be an argument of a program without being taken for an option or a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(String);

impl Node {
    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Node {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        let is_host = !host.is_empty()
            && host.bytes().all(plain)
            && !host.starts_with(['-', '.'])
            && text.len() <= limits::NODE;
        let is_port = |port: &str| {
            port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|n| n > 0)
        };
        if is_host && port.is_none_or(is_port) {
            Ok(Self(text.to_owned()))
        } else {
            Err("wants the name of a node: letters, digits, '.', '-' and '_', perhaps ':PORT'")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_node() {
        for good in [
            "alpha",
            "n1.example.com",
            "10.0.0.1",
            "a_b-c",
            "alpha:2222",
            "a:1",
        ] {
            let node: Node = good.parse().unwrap();
            assert_eq!(node.to_string(), good);
        }
        let long = "a".repeat(limits::NODE + 1);
        for bad in [
            "", "-alpha", "-o=x", ".a", "a b", "a/b", "a:", "a:0", "a:65536", "a:+1", "a:1:2",
            "[::1]", "root@a", "a\n", "ä", "$(a)", ":1", &long,
        ] {
            assert!(bad.parse::<Node>().is_err(), "{bad}");
        }
    }
}

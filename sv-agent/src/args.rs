//! The command line.

use clap::{Parser, error::ErrorKind};
use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

/// Holds the keys of a vault and answers `sv` over a Unix socket.
///
/// `sv` starts it when a command needs it. By hand it stays in the foreground
/// and logs to standard error.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "sv-agent", version)]
pub struct Args {
    /// The vault file
    #[arg(long, value_name = "PATH")]
    pub vault: Option<PathBuf>,
    /// The socket to listen on
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// The configuration file
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Run even where no memory can be kept out of swap
    #[arg(long)]
    pub allow_swappable_keys: bool,
    /// Leave the caller's session and write "ready" once the socket listens
    #[arg(long)]
    pub detach: bool,
}

impl Args {
    /// Reads the process's own; help, version and errors are printed, and the
    /// exit code returned.
    pub fn from_command_line() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                match write!(io::stdout(), "{}", error.render()) {
                    Ok(()) => ExitCode::SUCCESS,
                    Err(_) => ExitCode::from(10),
                }
            }
            _ => {
                let text = error.render().to_string();
                let line = text.lines().next().unwrap_or_default();
                let line = line.strip_prefix("error: ").unwrap_or(line);
                // Nowhere is left to report that standard error is closed.
                let _ = writeln!(io::stderr(), "sv-agent: {line}\nhint: sv-agent --help");
                ExitCode::from(2)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_read() {
        let args = Args::try_parse_from([
            "sv-agent",
            "--detach",
            "--vault",
            "/v",
            "--socket",
            "/s",
            "--config",
            "/c",
            "--allow-swappable-keys",
        ])
        .expect("a valid command line");
        assert!(args.detach && args.allow_swappable_keys);
        assert_eq!(args.vault, Some(PathBuf::from("/v")));
        assert_eq!(args.socket, Some(PathBuf::from("/s")));
        assert_eq!(args.config, Some(PathBuf::from("/c")));
    }

    #[test]
    fn what_is_unknown_is_refused() {
        assert!(Args::try_parse_from(["sv-agent", "--daemon"]).is_err());
        assert!(Args::try_parse_from(["sv-agent", "vault"]).is_err());
    }
}

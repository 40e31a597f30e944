//! Shares for whoever reads them: a page each on the terminal, or a line each
//! on standard output.

use super::{
    Deliver, Holder, Parcel,
    folder::{assigned, chosen, line},
};
use crate::{
    age,
    error::Result,
    output,
    terminal::{Screen, Terminal},
};
use sv_proto::message::HolderKind;
use zeroize::Zeroizing;

/// Standard output that is not a terminal.
pub struct Lines {
    encrypted: Option<Vec<age::Holder>>,
    holders: Vec<(u8, usize)>,
}

impl Lines {
    /// Each encrypted to its holder, or all as they are.
    #[must_use]
    pub const fn new(encrypted: Option<Vec<age::Holder>>) -> Self {
        Self {
            encrypted,
            holders: Vec::new(),
        }
    }
}

impl Deliver for Lines {
    fn count(&self) -> Option<usize> {
        self.encrypted.as_ref().map(Vec::len)
    }

    fn prepare(&mut self, indices: &[u8], count: u8, _fresh: bool) -> Result<()> {
        if let Some(holders) = &self.encrypted {
            self.holders = assigned(holders.len(), indices, count)?;
        }
        Ok(())
    }

    fn deliver(&mut self, parcel: &Parcel<'_>) -> Result<Holder> {
        let line = line(parcel.text);
        let Some(holders) = &self.encrypted else {
            output::stdout(&line)?;
            return Ok(Holder {
                kind: HolderKind::Shown,
                name: "standard output".to_owned(),
            });
        };
        let holder = chosen(holders, &self.holders, parcel.index)?;
        output::stdout(&holder.encrypt(&line)?)?;
        Ok(Holder {
            kind: HolderKind::Recipient,
            name: super::folder::label_of(holder),
        })
    }
}

/// A terminal, on which a share is seen between two key presses.
pub struct Pages {
    terminal: Terminal,
    screen: Option<Screen>,
}

impl Pages {
    /// On this terminal.
    #[must_use]
    pub const fn new(terminal: Terminal) -> Self {
        Self {
            terminal,
            screen: None,
        }
    }
}

/// Numbered, in columns that fit eighty characters.
fn words(words: &str, page: &mut String) {
    for (i, word) in words.split(' ').enumerate() {
        page.push_str(if i % 6 == 0 { "\n" } else { " " });
        page.push_str(&format!("{:2} ", i + 1));
        page.push_str(word);
        for _ in word.len()..9 {
            page.push(' ');
        }
    }
}

impl Deliver for Pages {
    fn prepare(&mut self, _indices: &[u8], _count: u8, _fresh: bool) -> Result<()> {
        Ok(())
    }

    fn deliver(&mut self, parcel: &Parcel<'_>) -> Result<Holder> {
        // An error drops the screen, so that it can be read.
        let screen = match self.screen.take() {
            Some(screen) => screen,
            None => self.terminal.screen()?,
        };
        let (index, count) = (parcel.index, parcel.dealing.count);
        let vault = output::escape(parcel.vault);
        let threshold = parcel.dealing.threshold;
        screen.page(&Zeroizing::new(format!(
            "Share {index} of {count} of {vault} comes next.\n\n\
             Only whoever is to hold it should see this screen.\n\n\
             Any key shows it. ^C ends, and what was not shown waits."
        )))?;
        let share = parcel.parsed()?;
        // Large enough that the share is never moved.
        let mut page = Zeroizing::new(String::with_capacity(16 * 1024));
        page.push_str(&format!(
            "Share {index} of {count} of {vault}; {threshold} of them open it.\n\n"
        ));
        page.push_str(&share.to_text());
        page.push_str("\n\nOr, for writing by hand, these words:\n");
        words(&share.to_words(), &mut page);
        page.push_str("\n\nAny key clears it and counts it as handed over. ^C ends, and it waits.");
        screen.page(&page)?;
        self.screen = Some(screen);
        Ok(Holder {
            kind: HolderKind::Shown,
            name: "terminal".to_owned(),
        })
    }

    fn finish(&mut self) {
        self.screen = None;
    }
}
